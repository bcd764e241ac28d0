"""Equation 2: each row of a table became part of a video, is quarantined, or belongs to a deleted video."""

from typing import Any, NamedTuple

from ingest.sqlite.codec import Value, decode, encode

from .report import Equation, RowCount
from .run import Run
from .streams import Following, stream


class Quarantine(NamedTuple):
    """Why a row was quarantined, the column, and the canonical bytes of its value."""

    code: str
    column: str
    value: bytes | None


class RowCheck:
    """What the import noted of the rows of a table, beside what is found of them; the rows come by growing keys."""

    def __init__(self, run: Run, table: str) -> None:
        self.run, self.table = run, table
        self.counted = RowCount(table)
        run.report.rows.append(self.counted)
        of_table = [run.snapshot.pk, table]
        self.outcomes = Following(
            stream(
                'SELECT key, outcome, video_id FROM ingest_rowoutcome WHERE snapshot_id = %s AND "table" = %s'
                " ORDER BY key",
                of_table,
            )
        )
        self.quarantined = Following(
            stream(
                'SELECT row.key, quarantined.code, quarantined."column", quarantined.value'
                " FROM ingest_quarantinedrow AS quarantined JOIN ingest_vaultrow AS row ON row.id = quarantined.row_id"
                ' WHERE row.snapshot_id = %s AND row."table" = %s AND quarantined.resolved_at IS NULL ORDER BY row.key',
                of_table,
            )
        )

    def wrong(self, key: int, column: str, message: str, **values: Any) -> None:
        """Note a row that is not where it should be; `values` as for Run.wrong."""
        self.counted.wrong += 1
        self.run.wrong(Equation.ROWS, self.table, key, column, message, **values)

    def lost(self, key: int, column: str, message: str, **values: Any) -> None:
        """Note a row that is nowhere, unless a purge took it."""
        if self.run.is_purged(self.table, key):
            self.counted.skipped_deleted += 1
            return
        self.counted.lost += 1
        self.run.wrong(Equation.ROWS, self.table, key, column, f"LOST: {message}", **values)

    def quarantine_of(self, key: int, values: dict[str, Value]) -> Quarantine | None:
        """Why this row is quarantined, if it is; the quarantined value must be the file's."""
        self.check_unknown_quarantine(key)
        if not (found := self.quarantined.take(key)):
            return None
        code, column, value = found[1:]
        if column in values and (value is None or bytes(value) != encode((values[column],))):
            self.wrong(
                key, column, f"The value quarantined as {code} is not the file's.",
                source=values[column], stored=readable(value),
            )  # fmt: skip
        return Quarantine(code, column, value)

    def check_unknown_quarantine(self, key: int | None) -> None:
        """What is quarantined of rows before this key that are not in the file."""
        for row in self.quarantined.before(key):
            self.wrong(row[0], row[2], "This row is quarantined, and is not in the file.")

    def check_unknown_outcomes(self, key: int | None) -> None:
        """What was imported of rows before this key that are not in the file."""
        for row in self.outcomes.before(key):
            self.wrong(row[0], "", "This row was imported, and is not in the file.", video_id=row[2])

    def check_outcome(self, key: int, video_id: str) -> None:
        """What the import noted of a row, beside the video that was found for it, or ""."""
        self.check_unknown_outcomes(key)
        outcome = self.outcomes.take(key)
        if outcome is None:
            self.wrong(key, "", "The import noted no outcome of this row.", video_id=video_id)
        elif outcome[1] == "modelled" and video_id and outcome[2] != video_id:
            self.wrong(
                key, "video_id", "The import put this row into another video than the file says.",
                video_id=outcome[2], source=video_id, stored=outcome[2],
            )  # fmt: skip

    def finish(self) -> None:
        """What was noted of rows after the last one of the file."""
        self.check_unknown_quarantine(None)
        self.check_unknown_outcomes(None)


def readable(content: bytes | None) -> Value:
    """The value of canonical bytes, or the bytes themselves where they are damaged."""
    try:
        return None if content is None else decode(bytes(content))[0]
    except (ValueError, IndexError):
        return bytes(content)
