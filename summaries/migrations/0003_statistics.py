from django.db import DatabaseError, migrations, transaction

# Long texts and documents tell the planner nothing, and reading them makes up most of an ANALYZE.
UNANALYSED = ("text", "html", "text_folded", "search_vector", "metadata", "raw_payload")


def compress_fast(apps, schema_editor):
    """A search reads the folded texts, and lz4 unpacks several times as fast, where the server has it."""
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute("ALTER TABLE summaries_summary ALTER COLUMN text_folded SET COMPRESSION lz4")
    except DatabaseError:
        # Built without lz4: PostgreSQL's own compression stays.
        return


class Migration(migrations.Migration):
    dependencies = [("summaries", "0002_substring_indexes")]
    operations = [
        migrations.RunPython(compress_fast, migrations.RunPython.noop),
        *(
            migrations.RunSQL(
                f"ALTER TABLE summaries_summary ALTER COLUMN {column} SET STATISTICS 0",
                f"ALTER TABLE summaries_summary ALTER COLUMN {column} SET STATISTICS -1",
            )
            for column in UNANALYSED
        ),
    ]
