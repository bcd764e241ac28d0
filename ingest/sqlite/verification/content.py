"""Equations 2 and 3 of `content`: each row is a video or says why not, and each of its values is in the models."""

from operator import attrgetter

from ingest.sqlite.inverse import json_text, text

from .content_rows import ContentRow, find_videos, is_later
from .history import VideoHistory, explained_by
from .old_categories import source_pairs
from .old_values import FIELDS, WRITTEN, lenient, same_bytes
from .pairs import PairComparison, Pairs
from .report import NAMELESS, Equation, Verdict
from .rows import Quarantine, RowCheck
from .run import Run
from .streams import ROWS_AT_ONCE, batches

EXACT, BY_RULE = Verdict.EXACT, Verdict.BY_RULE
# Columns that are no field.
COMPARED_APART = ("video_id", "category", "subcategory", "summary")


def compare_content(run: Run) -> None:
    """Every row of `content` with the videos."""
    comparison = ContentComparison(run)
    columns = run.source.tables["content"].columns
    for batch in batches(run.source.rows("content"), ROWS_AT_ONCE):
        comparison.compare([ContentRow(key, dict(zip(columns, values, strict=True))) for key, values in batch])
        run.progress("models", len(batch))
    comparison.check.finish()


class ContentComparison:
    """Rows of `content`, in batches."""

    def __init__(self, run: Run) -> None:
        self.run, self.ledger = run, run.ledger
        self.check = RowCheck(run, "content")
        self.history = VideoHistory(run.snapshot)
        self.pairs = PairComparison(run, self.history)

    def compare(self, rows: list[ContentRow]) -> None:
        find_videos(rows)
        self.history.load(row for row in rows if row.video and is_later(row.video, row))
        self.compare_values([row for row in rows if self.judge(row)])
        for row in rows:
            self.check.check_outcome(row.key, row.video.video_id if row.video else "")
        self.history.forget()

    # Rows

    def judge(self, row: ContentRow) -> bool:
        """Count a row as what it is; whether it is a live video."""
        counted = self.check.counted
        counted.rows += 1
        if quarantine := self.check.quarantine_of(row.key, row.values):
            counted.quarantined += 1
            self.check_why_quarantined(row, quarantine)
            # It is no video, whichever has its name.
            row.video = None
            return False
        if row.video is None:
            self.check.lost(
                row.key, "id", "this row is no video, and it is not quarantined.",
                video_id=row.native_key or "", source=row.values.get("id"),
            )  # fmt: skip
            return False
        video = row.video
        if video.deleted_at:
            counted.skipped_deleted += 1
            self.ledger.add_change("deleted", video.deleted_by or NAMELESS, video.video_id, video.deleted_at)
        else:
            counted.modelled += 1
        native_id = lenient(row.values.get("video_id"))
        is_live, is_newer = video.deleted_at is None, self.history.was_newer(row)
        is_first = self.ledger.add_video(
            row.key, video.video_id, row.old_id, native_id, is_live=is_live, is_newer=is_newer
        )
        # A second row of a purged video was quarantined, and purged as well.
        if not is_first and not self.run.is_purged("content", row.key):
            self.check.wrong(
                row.key, "id", "An earlier row of the file is the same video here.",
                video_id=video.video_id, source=row.values.get("id"), stored=video.legacy_id,
            )  # fmt: skip
        return is_live

    def check_why_quarantined(self, row: ContentRow, quarantine: Quarantine) -> None:
        """A quarantined row must not be a sound one: its name is another's, or a value is held by no model."""
        message = ""
        if quarantine.code == "duplicate_key":
            if not (self.ledger.is_named(row.old_id, 0) or self.ledger.is_named(row.native_key or "", 1)):
                message = "This row is quarantined as a duplicate, but no earlier row of the file has its name."
        elif quarantine.code == "old_id_taken":
            self.ledger.add_names(row.key, 3, row.old_id, row.native_key or "")
            if not row.video or row.video.video_id == row.native_key:
                message = "This row is quarantined because another video has its old ID, but none has."
        elif row.video and row.video.deleted_at is None and quarantine.column in FIELDS:
            kind, name = FIELDS[quarantine.column]
            if kind.holds(row.values.get(quarantine.column), getattr(row.video, name)):
                message = "This row is quarantined, but its video holds the value that could not be stored."
        if message:
            self.check.wrong(
                row.key, quarantine.column, message,
                video_id=row.video.video_id if row.video else "", source=row.values.get(quarantine.column),
            )  # fmt: skip

    # Values

    def compare_values(self, rows: list[ContentRow]) -> None:
        """The values of rows that are live videos; then why those that differ do."""
        stored_pairs = self.pairs.stored([row.video.video_id for row in rows])
        differing = self.differing_fields(rows)
        categorised = [Pairs(row, *source_pairs(row.values), stored_pairs.get(row.video.video_id, [])) for row in rows]
        self.pairs.add_triples(categorised)
        uncategorised = [pairs for pairs in categorised if not pairs.are_same]
        for pairs in categorised:
            if pairs.are_same:
                self.run.count("content", "categories", EXACT)
                self.compare_category_columns(pairs)
        for row in rows:
            self.compare_key(row)
            if lenient(row.values.get("summary")).strip():
                self.ledger.add_summary(row.video.video_id, "content", row.key)
        self.history.load([row for row, _ in differing] + [pairs.row for pairs in uncategorised])
        for row, column in differing:
            self.explain(row, column)
        self.pairs.explain(uncategorised)

    def differing_fields(self, rows: list[ContentRow]) -> list[tuple[ContentRow, str]]:
        """The values of columns that became fields, and that the fields do not hold; the others are counted."""
        differing: list[tuple[ContentRow, str]] = []
        for column in self.run.source.tables["content"].columns:
            if column not in FIELDS:
                if column not in COMPARED_APART:
                    self.run.count("content", column, Verdict.VAULT_ONLY, len(rows))
                continue
            kind, name = FIELDS[column]
            read, written = attrgetter(name), WRITTEN[kind]
            exact = by_rule = 0
            for row in rows:
                value, stored = row.values[column], read(row.video)
                if same_bytes(value, written(stored)):
                    exact += 1
                elif kind.holds(value, stored):
                    by_rule += 1
                else:
                    differing.append((row, column))
            self.run.count("content", column, EXACT, exact)
            self.run.count("content", column, BY_RULE, by_rule)
        return sorted(differing, key=lambda place: place[0].key)

    def explain(self, row: ContentRow, column: str) -> None:
        """Why a field has another value than the file."""
        kind, name = FIELDS[column]
        explanation = self.history.explain(row, column, kind, name)
        self.run.count("content", column, explanation.verdict)
        if explanation.verdict is Verdict.WRONG:
            self.run.wrong(
                Equation.MODELS, "content", row.key, column, "The video has another value than the file.",
                video_id=row.video.video_id, source=row.values[column], stored=getattr(row.video, name),
            )  # fmt: skip
        else:
            self.run.settle(row.video.video_id, explanation)

    def compare_key(self, row: ContentRow) -> None:
        value, key = row.values["video_id"], row.video.video_id
        if row.native_key == key:
            self.run.count("content", "video_id", EXACT if value == key.encode() else BY_RULE)
        else:
            self.run.count("content", "video_id", Verdict.WRONG)
            self.run.wrong(
                Equation.MODELS, "content", row.key, "video_id", "The row's own key is another than its video's.",
                video_id=key, source=value, stored=key,
            )  # fmt: skip

    def compare_category_columns(self, pairs: Pairs) -> None:
        """The two flat columns, where the pairs are the same. What the pairs cannot say is kept beside them."""
        row, lone = pairs.row, pairs.lone
        names = list(dict.fromkeys(pair.category for pair in pairs.stored))
        below = [pair.subcategory for pair in pairs.stored if pair.subcategory]
        is_exact = same_bytes(row.values["category"], json_text(names))
        self.run.count("content", "category", EXACT if is_exact else BY_RULE)
        if "subcategory" in row.values:
            value = row.values["subcategory"]
            name = lenient(value).strip()
            first = below[0] if below else row.video.extra.get("subcategory") if lone else None
            if same_bytes(value, text(first) if isinstance(first, str) else None):
                verdict = EXACT
            elif not name or name in below:
                verdict = BY_RULE
            elif lone:
                verdict = BY_RULE if row.video.extra.get("subcategory") == lone else self.why_other(row, lone)
            else:
                # The structured categories are what the old dashboard showed; this name is none of theirs.
                verdict = Verdict.VAULT_ONLY
            self.run.count("content", "subcategory", verdict)

    def why_other(self, row: ContentRow, lone: str) -> Verdict:
        """Why a video does not have the subcategory that belongs to none of its categories."""
        self.history.load([row])
        for event in reversed(self.history.events[row.video.video_id]):
            if event.extra.get("subcategory") == lone:
                self.run.settle(row.video.video_id, explained_by(event))
                return Verdict.CHANGED
        self.run.wrong(
            Equation.MODELS, "content", row.key, "subcategory", "The video lacks the subcategory of the file.",
            video_id=row.video.video_id, source=row.values["subcategory"], stored=row.video.extra.get("subcategory"),
        )  # fmt: skip
        return Verdict.WRONG
