from django.db import migrations

# Who decided was not kept in a row of its own before; when is in the history.
CURATED = """
    SELECT set_config('ytv2.curator', 'import_sqlite', true);
    INSERT INTO videos_review (video_id, is_curated, reviewed_by, reviewed_at)
    SELECT video_id, true, 'import_sqlite', coalesce((
        SELECT max(pgh_created_at) FROM videos_categorizationevent AS event WHERE event.video_id = curated.video_id
    ), now())
    FROM (SELECT DISTINCT video_id FROM videos_categorization WHERE origin = 'curated') AS curated;
    SELECT set_config('ytv2.curator', '', true);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0008_curation"),
    ]

    operations = [
        migrations.RunSQL(CURATED, migrations.RunSQL.noop),
    ]
