"""One run of the verification: what is compared, and what was found so far."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from ingest.models import Snapshot
from ingest.sqlite.reader import Source
from ingest.values import printable

from .history import Explanation
from .ledger import Ledger
from .report import ColumnCount, Difference, Equation, Verdict, VerifyReport
from .wording import side_by_side

MODELLED_TABLES = ("content", "content_summaries", "summary_variants")
# What an explained difference is called in the summary of what changed.
KINDS = {
    Verdict.CHANGED: "changed", Verdict.KEPT: "newer data kept", Verdict.CURATED: "curated categories kept"
}  # fmt: skip

Progress = Callable[[str, int], None]


class Run:
    """One comparison of an open snapshot with the library, inside a transaction."""

    def __init__(self, source: Source, snapshot: Snapshot, progress: Progress) -> None:
        self.source, self.snapshot, self.progress = source, snapshot, progress
        self.report = VerifyReport(
            snapshot.name, source.sha256, source.generation, snapshot.imported_at.isoformat(timespec="seconds")
        )
        self.ledger = Ledger()
        # The keys of rows, by table, that a purge took out of the vault on purpose.
        self.purged = {table: set(keys) for table, keys in snapshot.report.get("purged", {}).items()}
        self.verdicts: Counter[tuple[str, str, Verdict]] = Counter()

    def wrong(
        self,
        equation: Equation,
        table: str,
        key: int | None,
        column: str,
        message: str,
        *,
        video_id: str = "",
        source: Any = None,
        stored: Any = None,
    ) -> None:
        """Note something that nothing explains."""
        shown = side_by_side(source, stored)
        self.report.differences[equation].add(Difference(table, key, printable(video_id), column, *shown, message))

    def is_purged(self, table: str, key: int) -> bool:
        """Whether a purge took this row out of the vault."""
        return key in self.purged.get(table, ())

    def count(self, table: str, column: str, verdict: Verdict, values: int = 1) -> None:
        """Count values of a column by what the comparison found."""
        if values:
            self.verdicts[table, column, verdict] += values

    def column_counts(self) -> list[ColumnCount]:
        """What was counted, in the order of the tables and of their columns."""
        counts: dict[tuple[str, str], ColumnCount] = {}
        for (table, column, verdict), number in self.verdicts.items():
            counted = counts.setdefault((table, column), ColumnCount(table, column))
            counted.compared += number
            setattr(counted, verdict.value, number)

        def place(counted: ColumnCount) -> tuple[int, int]:
            columns = self.source.tables[counted.table].columns
            return (
                MODELLED_TABLES.index(counted.table),
                columns.index(counted.column) if counted.column in columns else len(columns),
            )

        return sorted(counts.values(), key=place)

    def settle(self, video_id: str, explanation: Explanation) -> None:
        """Note an explained difference, for the summary of what changed."""
        self.ledger.add_change(KINDS[explanation.verdict], explanation.by, video_id, explanation.at)
