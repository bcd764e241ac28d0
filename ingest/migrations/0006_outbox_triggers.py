"""Triggers that note in the outbox of dual write which videos have changed, whoever writes them.

They note nothing while DUAL_WRITE_MODE is off, nor in a transaction that asks for it: SET LOCAL ytv2.outbox = 'off'.
"""

from django.db import migrations

# The keys in order, so that two statements never wait for each other's.
ENQUEUE = """
    INSERT INTO ingest_outboxentry (video_id, sequence, enqueued_at, attempts, next_attempt_at, last_error)
    SELECT changed.video_id, nextval('ingest_outbox_sequence'), now(), 0, now(), ''
    FROM (SELECT DISTINCT video_id FROM ({changed}) AS written ORDER BY video_id) AS changed
    ON CONFLICT (video_id) DO UPDATE SET sequence = excluded.sequence, attempts = 0,
        next_attempt_at = excluded.next_attempt_at, last_error = '';
"""
IS_OFF = """
    coalesce(current_setting('ytv2.outbox', true), '') = 'off'
    OR NOT EXISTS (SELECT FROM ingest_flag WHERE name = 'DUAL_WRITE_MODE' AND value)
"""
FUNCTIONS = f"""
    CREATE SEQUENCE ingest_outbox_sequence;

    CREATE FUNCTION ingest_outbox_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {IS_OFF} THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            {ENQUEUE.format(changed="SELECT video_id FROM new_rows")}
        ELSIF TG_OP = 'UPDATE' THEN
            {ENQUEUE.format(changed="SELECT video_id FROM new_rows UNION ALL SELECT video_id FROM old_rows")}
        ELSE
            {ENQUEUE.format(changed="SELECT video_id FROM old_rows")}
        END IF;
        RETURN NULL;
    END;
    $$;

    -- A category that gets another name keeps its key, and its videos' rows stay as they are.
    CREATE FUNCTION ingest_outbox_names() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {IS_OFF} THEN
            RETURN NULL;
        END IF;
        IF TG_TABLE_NAME = 'videos_category' THEN
            {
    ENQUEUE.format(
        changed='''SELECT stored.video_id FROM videos_categorization AS stored
            JOIN new_rows ON new_rows.id = stored.category_id JOIN old_rows ON old_rows.id = new_rows.id
            WHERE old_rows.name <> new_rows.name'''
    )
}
        ELSE
            {
    ENQUEUE.format(
        changed='''SELECT stored.video_id FROM videos_categorization AS stored
            JOIN new_rows ON new_rows.id = stored.subcategory_id JOIN old_rows ON old_rows.id = new_rows.id
            WHERE old_rows.name <> new_rows.name'''
    )
}
        END IF;
        RETURN NULL;
    END;
    $$;
"""
REFERENCING = {
    "INSERT": "NEW TABLE AS new_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
}
# A video is deleted by an update; a row that goes altogether is an accident, which the old system must not share.
TRIGGERS = (
    ("videos_video", "ingest_outbox_rows", ("INSERT", "UPDATE")),
    ("videos_categorization", "ingest_outbox_rows", ("INSERT", "UPDATE", "DELETE")),
    ("summaries_summary", "ingest_outbox_rows", ("INSERT", "UPDATE", "DELETE")),
    ("videos_category", "ingest_outbox_names", ("UPDATE",)),
    ("videos_subcategory", "ingest_outbox_names", ("UPDATE",)),
)
# Triggers fire by name: those of the counts, which lock the videos, come before.
CREATE = "\n".join(
    f"CREATE TRIGGER ytv2_outbox_{operation.lower()} AFTER {operation} ON {table}"
    f" REFERENCING {REFERENCING[operation]} FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
    for table, function, operations in TRIGGERS
    for operation in operations
)
DROP = "\n".join(
    f"DROP TRIGGER ytv2_outbox_{operation.lower()} ON {table};"
    for table, _, operations in TRIGGERS
    for operation in operations
)


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0005_cutover"),
        ("summaries", "0004_history"),
        ("videos", "0011_stream"),
    ]

    operations = [
        migrations.RunSQL(
            FUNCTIONS + CREATE,
            DROP
            + """
            DROP FUNCTION ingest_outbox_rows();
            DROP FUNCTION ingest_outbox_names();
            DROP SEQUENCE ingest_outbox_sequence;
            """,
        ),
    ]
