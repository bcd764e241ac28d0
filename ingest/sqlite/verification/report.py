"""What a verification says: each equation with its numbers, and what is wrong."""

from dataclasses import dataclass, field
from enum import StrEnum

# What a report holds of each equation's differences; all of them are counted.
MOST_EXAMPLES = 200
# Who made a change that the history has no name for.
NAMELESS = "without a name"


class Equation(StrEnum):
    """What is proven, in the order of the report."""

    VAULT = "vault"
    ROWS = "rows"
    MODELS = "models"
    TRIPLES = "triples"
    ROUND_TRIP = "round_trip"
    DATABASE = "database"


class Verdict(StrEnum):
    """What a comparison of one value found; the names are fields of ColumnCount."""

    EXACT = "exact"
    BY_RULE = "by_rule"
    CHANGED = "changed_later"
    KEPT = "newer_kept"
    CURATED = "curated_kept"
    VAULT_ONLY = "vault_only"
    WRONG = "wrong"


@dataclass(frozen=True)
class Difference:
    """One thing that is wrong; values are shown around the place where they differ, escaped for a terminal."""

    table: str
    key: int | None
    video_id: str
    column: str
    source: str
    stored: str
    message: str


@dataclass
class Differences:
    """All that is wrong in one equation: how many, and the first of them."""

    count: int = 0
    examples: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(difference)


@dataclass
class VaultTable:
    """Equation 1: the rows of a table in the file and in the vault, and the digests computed from each.

    `purged` rows of deleted videos were taken out of the vault; they are in none of the other numbers.
    """

    table: str
    rows_in_file: int = 0
    rows_in_vault: int = 0
    file_digest: str = ""
    vault_digest: str = ""
    purged: int = 0
    wrong: int = 0


@dataclass
class RowCount:
    """Equation 2: rows = modelled + quarantined + skipped_deleted; `lost` are in none of them."""

    table: str
    rows: int = 0
    modelled: int = 0
    quarantined: int = 0
    skipped_deleted: int = 0
    lost: int = 0
    wrong: int = 0


@dataclass
class ColumnCount:
    """Equation 3: the values of a column of modelled, live rows, by what the comparison found."""

    table: str
    column: str
    compared: int = 0
    exact: int = 0
    by_rule: int = 0
    changed_later: int = 0
    newer_kept: int = 0
    curated_kept: int = 0
    vault_only: int = 0
    wrong: int = 0


@dataclass
class HtmlCheck:
    """Summaries of the library, those whose HTML was rendered again, and those where it differs."""

    summaries: int = 0
    rendered: int = 0
    wrong: int = 0


@dataclass
class TripleCount:
    """Equation 4: triples (video, category, subcategory) of modelled, live videos."""

    source: int = 0
    models: int = 0
    source_digest: str = ""
    models_digest: str = ""
    explained: int = 0
    wrong: int = 0


@dataclass
class RoundTrip:
    """Equation 5: a file written back, by its digest; `explained` rows differ because their videos changed."""

    name: str
    source_digest: str
    file_digest: str
    explained: int = 0
    wrong: int = 0


@dataclass
class DatabaseCheck:
    """Equation 6: how many things of a kind were looked at, and how many are wrong."""

    name: str
    checked: int
    wrong: int


@dataclass
class Change:
    """What became of videos of the snapshot since its import: how many, by whom, when first and last."""

    kind: str
    by: str
    videos: int
    first: str
    last: str
    examples: list[str]


@dataclass
class VerifyReport:
    """Every equation with its numbers. All hold if nothing is wrong in any."""

    name: str
    sha256: str
    generation: str
    imported_at: str
    vault: list[VaultTable] = field(default_factory=list)
    rows: list[RowCount] = field(default_factory=list)
    models: list[ColumnCount] = field(default_factory=list)
    html: HtmlCheck = field(default_factory=HtmlCheck)
    triples: TripleCount = field(default_factory=TripleCount)
    round_trip: list[RoundTrip] = field(default_factory=list)
    database: list[DatabaseCheck] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    changed_videos: list[str] = field(default_factory=list)
    differences: dict[str, Differences] = field(
        default_factory=lambda: {equation.value: Differences() for equation in Equation}
    )

    @property
    def wrong(self) -> int:
        return sum(differences.count for differences in self.differences.values())

    @property
    def holds(self) -> bool:
        """Whether everything of the snapshot is here, or its absence is explained."""
        return not self.wrong
