"""Topics are compared like every other name: trimmed, one space for white space, a hyphen for an en-dash."""

import django.contrib.postgres.indexes
from django.db import migrations

import videos.models

# With RETURN the names in it are bound here and now: a restore has no search path.
CREATE = """
CREATE FUNCTION videos_topic_keys(topics jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN ARRAY(
    SELECT videos_match_key(topic #>> '{}')
    FROM jsonb_array_elements(CASE jsonb_typeof(topics) WHEN 'array' THEN topics ELSE '[]' END) AS topic
    WHERE jsonb_typeof(topic) = 'string'
)
"""
DROP = "DROP FUNCTION videos_topic_keys(jsonb)"


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0011_stream"),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.RemoveIndex(model_name="video", name="videos_video_key_topics"),
        migrations.AddIndex(
            model_name="video",
            index=django.contrib.postgres.indexes.GinIndex(
                videos.models.TopicKeys("key_topics"), name="videos_video_topics"
            ),
        ),
    ]
