"""Trigram indexes for the substring search, where the server offers pg_trgm; all works without."""

from django.db import migrations, transaction
from django.db.utils import ProgrammingError

INDEXES = """
CREATE INDEX videos_video_title_substring ON videos_video USING gin (title_folded gin_trgm_ops);
CREATE INDEX summaries_summary_text_substring ON summaries_summary USING gin (text_folded gin_trgm_ops)
    WHERE is_latest;
"""
REVERSE = """
DROP INDEX IF EXISTS summaries_summary_text_substring;
DROP INDEX IF EXISTS videos_video_title_substring;
"""


def create_indexes(apps, schema_editor):
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'")
        if not cursor.rowcount:
            return
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except ProgrammingError:
            # The database's owner may not create extensions here: as if it were not offered.
            return
        cursor.execute(INDEXES)


def drop_indexes(apps, schema_editor):
    schema_editor.execute(REVERSE)


class Migration(migrations.Migration):
    dependencies = [("summaries", "0001_tables"), ("videos", "0003_real_pairs")]
    operations = [migrations.RunPython(create_indexes, drop_indexes)]
