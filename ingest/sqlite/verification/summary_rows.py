"""Equation 2 of summaries: each row of the file belongs to a video, or says why not."""

from ingest.models import QuarantinedRow
from ingest.sqlite.codec import Value
from videos.models import Video

from .old_values import lenient
from .report import Verdict
from .rows import RowCheck
from .run import Run
from .streams import ROWS_AT_ONCE

# How a row of summaries names its video, and where its text is.
REFERENCES = {"content_summaries": "content_id", "summary_variants": "video_id"}
TEXT_COLUMNS = {"content": "summary", "content_summaries": "summary_text", "summary_variants": "content"}


def check_summary_rows(run: Run, table: str) -> None:
    """Find the video of each row. Texts are compared when all of a video's are known."""
    check, reference, text_column = RowCheck(run, table), REFERENCES[table], TEXT_COLUMNS[table]
    counted = check.counted
    columns = run.source.tables[table].columns
    for key, row in run.source.rows(table):
        values = dict(zip(columns, row, strict=True))
        counted.rows += 1
        name = lenient(values.get(reference))
        found = run.ledger.video_named(name)
        video_id = ""
        if quarantine := check.quarantine_of(key, values):
            counted.quarantined += 1
            if quarantine.code == "orphan" and found:
                check_orphan(check, key, values, found[0])
        elif found := found or unlisted_video(run, name):
            video_id, is_live = found
            run.ledger.add_row(table, key, video_id)
            if not is_live:
                counted.skipped_deleted += 1
            else:
                counted.modelled += 1
                run.count(table, reference, Verdict.EXACT)
                if lenient(values.get(text_column)).strip():
                    run.ledger.add_summary(video_id, table, key)
                else:
                    run.count(table, text_column, Verdict.BY_RULE)
        else:
            check.lost(
                key, reference, "no video has this row, and it is not quarantined.", source=values.get(reference)
            )
        check.check_outcome(key, video_id)
        if not counted.rows % ROWS_AT_ONCE:
            run.progress("models", ROWS_AT_ONCE)
    check.finish()


def unlisted_video(run: Run, name: str) -> tuple[str, bool] | None:
    """A video that is not in the file, and that a summary of the file could be given to afterwards."""
    try:
        video = Video.objects.named(name)
    except Video.DoesNotExist:
        return None
    is_live = video.deleted_at is None
    run.ledger.add_unlisted(video.pk, is_live)
    return video.pk, is_live


def check_orphan(check: RowCheck, key: int, values: dict[str, Value], video_id: str) -> None:
    """A summary whose video is here is no orphan, unless the video itself was quarantined at first."""
    was_quarantined = QuarantinedRow.objects.filter(
        row__snapshot=check.run.snapshot,
        row__table="content",
        row__key=check.run.ledger.key_of(video_id),
        resolved_at__isnull=False,
    )
    if not was_quarantined.exists():
        reference = REFERENCES[check.table]
        check.wrong(
            key, reference, "This row is quarantined as an orphan, but its video is here.",
            video_id=video_id, source=values.get(reference),
        )  # fmt: skip
