"""Equation 3 of summaries: each text of the file is a revision of its video, and the latest one is the latest."""

import ast
import json
from collections import defaultdict, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ingest.models import IngestLogEntry, IngestOutcome, RowOutcome, Snapshot, VaultRow
from ingest.sqlite.codec import Row, Text, Value, decode
from ingest.sqlite.reader import identifier
from ingest.values import printable
from summaries.models import Summary, SummaryEvent, Variant
from summaries.rendering import render

from .history import Explanation, events_of, explained_by
from .old_values import VARIANT_FIELDS, WRITTEN, Kind, lenient, read_number, same_bytes
from .report import NAMELESS, Equation, Verdict
from .run import Run
from .streams import among, batches, stream
from .summary_rows import TEXT_COLUMNS

EXACT, BY_RULE = Verdict.EXACT, Verdict.BY_RULE
VIDEOS_AT_ONCE = 300
# More summaries than this are rendered again by sample: one takes about 0.1 ms.
RENDERED_AT_MOST = 20_000
VARIANT_COLUMNS = {"content_summaries": "summary_type", "summary_variants": "variant_type"}
# Columns that need no field of their own: the video, and what is compared of all texts together.
COMPARED_APART = ("content_id", "video_id", "is_latest")
# A revision as it stands here; `text` in UTF-8.
Revision = namedtuple(
    "Revision",
    ["video_id", "variant", "revision", "is_latest", "text", "generated_at"]
    + [name for _, name in VARIANT_FIELDS.values()],
)


@dataclass
class SourceText:
    """A text of a summary in the file; `values` are the other columns of its row."""

    table: str
    key: int
    column: str
    text: Value
    variant: str
    values: dict[str, Value]

    @property
    def is_flagged(self) -> bool:
        """Whether its row says that it is the latest of its variant."""
        return Kind.FLAG.holds(self.values.get("is_latest"), True)

    def is_text_of(self, revision: Revision) -> bool:
        """Whether a revision has this text."""
        return type(self.text) is Text and self.text == revision.text


def compare_summaries(run: Run) -> None:
    """Every text of the file, video by video."""
    counts = {counted.table: counted for counted in run.report.rows}
    for batch in batches(run.ledger.summaries(), VIDEOS_AT_ONCE):
        video_ids = [video_id for video_id, *_ in batch]
        stored = stored_revisions(video_ids)
        events = events_of(SummaryEvent, "video_id", video_ids)
        texts = source_texts(run, [place for *_, places in batch for place in places])
        for video_id, was_newer, places in batch:
            comparison = VideoTexts(
                run, video_id, was_newer, [texts[place] for place in places], stored[video_id], events[video_id]
            )
            for text in comparison.missing():
                if text.table != "content":
                    counts[text.table].modelled -= 1
                    counts[text.table].lost += 1
            comparison.check_latest()
        run.progress("summaries", len(texts))


def stored_revisions(video_ids: list[str]) -> dict[str, dict[str, list[Revision]]]:
    """The revisions of these videos by video and variant, the oldest first."""
    stored: dict[str, dict[str, list[Revision]]] = defaultdict(lambda: defaultdict(list))
    summaries = Summary.objects.filter(video__in=among(video_ids)).order_by("video", "variant", "revision")
    for row in summaries.values_list(*Revision._fields):
        revision = Revision._make(row)
        stored[revision.video_id][revision.variant].append(revision._replace(text=revision.text.encode()))
    return stored


def source_texts(run: Run, places: list[tuple[str, int]]) -> dict[tuple[str, int], SourceText]:
    """Texts of the file, read again, by table and key."""
    keys: dict[str, list[int]] = defaultdict(list)
    for table, key in places:
        keys[table].append(key)
    return {
        (table, key): source_text(run, table, key, row)
        for table, of_table in keys.items()
        for key, row in rows_of(run, table, of_table)
    }


def rows_of(run: Run, table: str, keys: list[int]) -> Iterator[tuple[int, Row]]:
    """The rows of a table with these keys."""
    rowid = run.source.tables[table].rowid
    if rowid is None:
        for key in keys:
            yield next(run.source.rows(table, after=key - 1))
        return
    statement = f"SELECT {rowid}, * FROM {identifier(table)} WHERE {rowid} IN (SELECT value FROM json_each(?))"
    for key, *row in run.source.connection.execute(statement, (json.dumps(keys),)):
        yield key, tuple(row)


def source_text(run: Run, table: str, key: int, row: Row) -> SourceText:
    values = dict(zip(run.source.tables[table].columns, row, strict=True))
    column = TEXT_COLUMNS[table]
    text = values.pop(column)
    if table == "content":
        return SourceText(table, key, column, text, own_variant(lenient(text)), {})
    return SourceText(table, key, column, text, variant_named(values.get(VARIANT_COLUMNS[table])), values)


@lru_cache(maxsize=1000)
def variant_named(value: Value) -> str:
    return Variant.parse(lenient(value))


def own_variant(text: str) -> str:
    """The variant of `content.summary`: what its object names, else the plain one."""
    for read in (json.loads, ast.literal_eval) if text.lstrip().startswith("{") else ():
        try:
            value = read(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict) and isinstance(kind := value.get("summary_type"), str):
            return Variant.parse(kind)
        break
    return Variant.COMPREHENSIVE.value


class VideoTexts:
    """The texts of one video in the file, with its revisions and its history here."""

    def __init__(
        self,
        run: Run,
        video_id: str,
        was_newer: bool,
        texts: list[SourceText],
        stored: dict[str, list[Revision]],
        events: list[SummaryEvent],
    ) -> None:
        self.run, self.video_id, self.was_newer = run, video_id, was_newer
        self.texts, self.stored, self.events = texts, stored, events

    def missing(self) -> list[SourceText]:
        """Compare each text with the revisions of its variant; those that are not here, and not explained."""
        return [text for text in self.texts if not self.compare(text)]

    def compare(self, text: SourceText) -> bool:
        """Whether a text is here, or its absence explained."""
        of_variant = self.stored[text.variant]
        if same := [revision for revision in of_variant if text.is_text_of(revision)]:
            self.run.count(text.table, text.column, EXACT)
            for column, value in text.values.items():
                self.compare_beside(text, column, value, same)
            return True
        explanation = self.explain(text, text.column, Kind.TEXT, "text", is_kept=self.was_newer and bool(of_variant))
        if explanation.verdict is Verdict.WRONG:
            self.wrong(
                text, text.column, f"This text is no revision of {printable(text.variant)}; the latest one is shown.",
                next((Text(revision.text) for revision in of_variant if revision.is_latest), None),
            )  # fmt: skip
        return explanation.verdict is not Verdict.WRONG

    def compare_beside(self, text: SourceText, column: str, value: Value, same: list[Revision]) -> None:
        """Another column of a text's row with the revisions that have the text."""
        if column in COMPARED_APART:
            return
        if column == VARIANT_COLUMNS[text.table]:
            verdict = EXACT if value == text.variant.encode() else BY_RULE
        elif column == "revision":
            numbers = [revision.revision for revision in same]
            verdict = EXACT if value in numbers else BY_RULE
            if verdict is BY_RULE and not self.could_be_renumbered(text, read_number(value), min(numbers)):
                self.wrong(text, column, "The revision has another number, and none took its own.", min(numbers))
                verdict = Verdict.WRONG
        elif text.table != "summary_variants" or column not in VARIANT_FIELDS:
            verdict = Verdict.VAULT_ONLY
        else:
            kind, name = VARIANT_FIELDS[column]
            fields = [getattr(revision, name) for revision in same]
            written = WRITTEN[kind]
            if any(same_bytes(value, written(field)) for field in fields):
                verdict = EXACT
            elif any(kind.holds(value, field) for field in fields):
                verdict = BY_RULE
            elif any(kind.holds(twin, field) for twin in self.twins(text, column) for field in fields):
                # The same text twice in the file: one revision here, which has the other row's values.
                verdict = Verdict.VAULT_ONLY
            else:
                explanation = self.explain(text, column, kind, name, is_kept=self.was_newer)
                if explanation.verdict is Verdict.WRONG:
                    self.wrong(text, column, "The revision has another value than the file.", fields[0])
                return
        self.run.count(text.table, column, verdict)

    def could_be_renumbered(self, text: SourceText, sent: int, given: int) -> bool:
        """Whether a revision can have got another number than its row has: a later one if its own was taken or passed.

        A lower one says that the text was here before. Changes here, and another file, may have taken numbers as well.
        """
        return (
            not sent
            or given < sent
            or any(sent <= revision.revision < given for revision in self.stored[text.variant])
            or any(event.variant == text.variant for event in self.events)
            or RowOutcome.objects.filter(video_id=self.video_id).exclude(snapshot=self.run.snapshot).exists()
        )

    def twins(self, text: SourceText, column: str) -> list[Value]:
        """The values that other rows with the same text have in a column."""
        return [
            other.values[column]
            for other in self.texts
            if other is not text and column in other.values
            and (other.variant, other.text) == (text.variant, text.text)
        ]  # fmt: skip

    def explain(self, text: SourceText, column: str, kind: Kind, name: str, *, is_kept: bool) -> Explanation:
        """Why a column of a text's row differs, counted and noted: it was changed, or newer data was kept."""
        value = text.text if column == text.column else text.values[column]
        explanation = Explanation(Verdict.KEPT if is_kept else Verdict.WRONG)
        for event in reversed(self.events):
            if event.variant == text.variant and hasattr(event, name) and kind.holds(value, getattr(event, name)):
                explanation = explained_by(event)
                break
        self.run.count(text.table, column, explanation.verdict)
        if explanation.verdict is not Verdict.WRONG:
            self.run.settle(self.video_id, explanation)
        return explanation

    def wrong(self, text: SourceText, column: str, message: str, stored: Any) -> None:
        source = text.text if column in (text.column, "is_latest") else text.values[column]
        self.run.wrong(
            Equation.MODELS, text.table, text.key, column, message,
            video_id=self.video_id, source=source, stored=stored,
        )  # fmt: skip

    def check_latest(self) -> None:
        """What the file has as the latest text of a variant must be the latest here, or an older revision now."""
        for variant in dict.fromkeys(text.variant for text in self.texts):
            texts = [text for text in self.texts if text.variant == variant]
            flagged = [text for text in texts if text.table == "summary_variants"]
            claimed = [text for text in flagged if text.is_flagged] if flagged else texts
            latest = next((revision for revision in self.stored[variant] if revision.is_latest), None)
            if not claimed or latest is None:
                continue
            if any(text.is_text_of(latest) for text in claimed):
                if flagged:
                    self.run.count("summary_variants", "is_latest", EXACT, len(flagged))
                continue
            column = "is_latest" if flagged else claimed[0].column
            if verdict := self.why_not_latest(texts, claimed, latest, column):
                table = claimed[0].table
                self.run.count(table, column, verdict, len(flagged) or int(verdict is Verdict.WRONG))

    def why_not_latest(
        self, texts: list[SourceText], claimed: list[SourceText], latest: Revision, column: str
    ) -> Verdict | None:
        """Why another revision is the latest; None where the file's is not here, of which has been said why."""
        stored = self.stored[latest.variant]
        known = [one.revision for one in stored if any(text.is_text_of(one) for text in claimed)]
        if not known:
            return None
        is_in_file = any(text.is_text_of(latest) for text in texts)
        is_again = sum(one.text == latest.text for one in stored) > 1
        if latest.revision > max(known) and (not is_in_file or is_again):
            at = latest.created_at or latest.generated_at
            self.run.ledger.add_change("newer revisions of summaries", NAMELESS, self.video_id, at)
            return Verdict.CHANGED
        if self.was_newer:
            self.run.settle(self.video_id, Explanation(Verdict.KEPT))
            return Verdict.KEPT
        message = f"Another text is the latest {printable(latest.variant)} here than in the file."
        self.wrong(claimed[0], column, message, Text(latest.text))
        return Verdict.WRONG


def who_brought(snapshot: Snapshot, video_id: str, text: Value) -> str:
    """What gave the video a text that the snapshot does not have: another one, or a request; "" if nobody knows."""
    outcomes = RowOutcome.objects.filter(table__in=TEXT_COLUMNS, video_id=video_id).exclude(snapshot=snapshot)
    for other, table, key in outcomes.values_list("snapshot", "table", "key"):
        for row in VaultRow.objects.filter(snapshot=other, table=table, key=key).select_related("snapshot"):
            columns = row.snapshot.tables[table]["columns"]
            if dict(zip(columns, decode(bytes(row.content)), strict=False)).get(TEXT_COLUMNS[table]) == text:
                return f"the import of {printable(row.snapshot.name)}"
    written = IngestLogEntry.objects.filter(
        video_id=video_id, outcome__in=(IngestOutcome.CREATED, IngestOutcome.UPDATED)
    ).first()
    return f"a request to {printable(written.route)}" if written else ""


def check_html(run: Run) -> None:
    """The HTML of summaries is what rendering their texts gives now; of many, an even sample."""
    html = run.report.html
    html.summaries = Summary.objects.count()
    every = -(-html.summaries // RENDERED_AT_MOST) or 1
    for number, video_id, variant, text, stored in stream(
        "SELECT id, video_id, variant, text, html FROM summaries_summary WHERE id %% %s = 0", [every]
    ):
        html.rendered += 1
        if (rendered := render(text, variant)) != stored:
            html.wrong += 1
            run.wrong(
                Equation.MODELS, "summaries_summary", number, "html", "The HTML is not what its text gives.",
                    video_id=video_id, source=rendered, stored=stored,
                )  # fmt: skip
