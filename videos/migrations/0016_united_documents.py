"""Two documents of a video, key by key: what the newer one leaves empty stays as the older one has it.

A function, so that the upsert which calls it (videos/upsert.py) is planned in a few milliseconds: written out to each
level, it took PostgreSQL three times as long to plan, and to compile, as to do everything else.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION videos_united(older jsonb, newer jsonb, levels integer) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF levels > 0 AND jsonb_typeof(older) = 'object' AND jsonb_typeof(newer) = 'object' THEN
        RETURN (
            SELECT coalesce(jsonb_object_agg(key, videos_united(old.value, new.value, levels - 1)), '{}')
            FROM jsonb_each(older) AS old FULL JOIN jsonb_each(newer) AS new USING (key)
        );
    END IF;
    IF coalesce(newer IN ('null', '[]', '{}', '""'), true) AND older NOT IN ('null', '[]', '{}', '""') THEN
        RETURN older;
    END IF;
    RETURN coalesce(newer, older);
END
$$
"""
DROP = "DROP FUNCTION videos_united(jsonb, jsonb, integer)"


class Migration(migrations.Migration):
    dependencies = [("videos", "0015_kept_history")]
    operations = [migrations.RunSQL(CREATE, DROP)]
