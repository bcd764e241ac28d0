"""Adding the differences up never asks for adding them up again.

A sum takes an id, too; with a thousand of them one always had an id that says it is time, so every write added up.
"""

from django.db import migrations, models

ADD_UP = """
CREATE OR REPLACE FUNCTION videos_compact_facet_counts(every bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF every > 1 AND NOT EXISTS (
        SELECT FROM videos_facetcount
        WHERE id % every = 0 AND id > coalesce(pg_sequence_last_value('videos_facetcount_id_seq'), 0) - every
            {differences_only}
    ) THEN RETURN; END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('videos_facetcount')) THEN RETURN; END IF;
    WITH summed AS (DELETE FROM videos_facetcount RETURNING *)
    INSERT INTO videos_facetcount (facet, value, category_id, subcategory_id, count{is_sum})
    SELECT facet, value, category_id, subcategory_id, sum(count){true} FROM summed
    GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0;
END $$
"""
NEW = ADD_UP.format(differences_only="AND NOT is_sum", is_sum=", is_sum", true=", true")
OLD = ADD_UP.format(differences_only="", is_sum="", true="")


class Migration(migrations.Migration):
    dependencies = [("videos", "0016_united_documents")]
    operations = [
        migrations.AddField("facetcount", "is_sum", models.BooleanField(db_default=False)),
        migrations.RunSQL(NEW, OLD),
    ]
