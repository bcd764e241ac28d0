from django.db import migrations

# Long texts and documents tell the planner nothing, and reading them makes up most of an ANALYZE.
UNANALYSED = ("subcategories_json", "analysis", "extra", "named_entities", "search_vector")

# Django adds a second index for LIKE 'prefix%' to every text column that has one; nothing here asks that.
DROP_PREFIX_INDEXES = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT indexname FROM pg_indexes
        WHERE schemaname = current_schema() AND tablename ^@ 'videos_' AND indexname LIKE '%\\_like'
    LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("videos", "0003_real_pairs")]
    operations = [
        migrations.RunSQL(DROP_PREFIX_INDEXES, migrations.RunSQL.noop),
        *(
            migrations.RunSQL(
                f"ALTER TABLE videos_video ALTER COLUMN {column} SET STATISTICS 0",
                f"ALTER TABLE videos_video ALTER COLUMN {column} SET STATISTICS -1",
            )
            for column in UNANALYSED
        ),
    ]
