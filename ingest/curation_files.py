"""What people decided on categories, as a file of its own (docs/curation_files.md): written, read and applied.

Everything goes by natural keys: the ids of videos, and the names of categories. A file that is damaged anywhere
changes nothing, and what it says is applied in one transaction.
"""

import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Collate

from videos.curation import Names, decide, lock, names
from videos.deciding import deciding, share_names
from videos.keys import UNSTORABLE
from videos.models import Categorization, Category, Origin, Pair, Review, Subcategory, Video

from .sqlite.importer import import_lock
from .sqlite.mapping import LONGEST_INDEXED
from .sqlite.publishing import publish, workspace

# Of each batch the state is read, compared and written at once.
AT_ONCE = 500
LONGEST_TITLE = 200
# In whose name a snapshot's structured categories are decided (videos/models.py).
IMPORT = "import_sqlite"


Choice = TypeVar("Choice", bound=models.TextChoices | StrEnum)


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"

    @classmethod
    def of(cls, path: Path) -> "Format":
        """By the ending of a file's name. Raises ValueError."""
        try:
            return cls(path.suffix.lower().removeprefix("."))
        except ValueError:
            raise ValueError(f"{path.name} ends neither with .csv nor with .json.") from None


class State(StrEnum):
    """What a person has said of a video: nothing, that it was looked at, or what its categories are."""

    NONE = ""
    REVIEWED = "reviewed"
    CURATED = "curated"


@dataclass(frozen=True)
class Decision:
    """The pairs of a video, and who looked at it or decided on them, and when."""

    state: State
    by: str
    at: datetime | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Entry:
    """A video of the file."""

    video_id: str
    decision: Decision
    title: str = ""
    deleted_at: datetime | None = None


# Writing ------------------------------------------------------------------------------------------

COLUMNS = (
    "video_id", "title", "state", "reviewed_by", "reviewed_at", "position", "category", "subcategory", "origin",
    "deleted",
)  # fmt: skip
# For people; reading passes them over.
NOT_READ = {"title", "deleted"}
# What a spreadsheet would take for a formula, also in full width. The apostrophe, so that each text comes back.
GUARDED = tuple("=+-@\t\r\n＝＋－＠'")


class Lines(Protocol):
    """Where text goes: a file, or a command's stdout."""

    def write(self, text: str, /) -> object: ...


@dataclass
class ExportReport:
    """What was written: videos by their state, their pairs, and how many of the videos are deleted."""

    file: str
    curated: int = 0
    reviewed: int = 0
    without_state: int = 0
    pairs: int = 0
    deleted: int = 0

    def count(self, entry: Entry) -> None:
        self.curated += entry.decision.state is State.CURATED
        self.reviewed += entry.decision.state is State.REVIEWED
        self.without_state += entry.decision.state is State.NONE
        self.pairs += len(entry.decision.pairs)
        self.deleted += entry.deleted_at is not None


def export_curation(target: Path, *, everything: bool = False) -> ExportReport:
    """Write the file whole, or not at all. Raises ExportError, and ValueError for a name of another ending."""
    form = Format.of(target)
    with workspace(target) as folder:
        made = folder / target.name
        # Without the mark at the beginning, some spreadsheets take UTF-8 for something else, and save that.
        with made.open("w", encoding="utf-8-sig" if form is Format.CSV else "utf-8", newline="") as file:
            report = write_curation(file, form, everything=everything, name=target.name)
        publish({made: target})
    return report


def write_curation(file: Lines, form: Format, *, everything: bool = False, name: str = "-") -> ExportReport:
    """Write the curation; `everything` adds the pairs of videos on which nobody has said anything."""
    report = ExportReport(name)
    write = write_csv if form is Format.CSV else write_json
    # Closed at once also when it is interrupted: the server holds a cursor for it.
    with closing(stored_entries(everything)) as entries:
        write(file, counted(entries, report))
    return report


def counted(entries: Iterable[Entry], report: ExportReport) -> Iterator[Entry]:
    for entry in entries:
        report.count(entry)
        yield entry


def stored_entries(everything: bool) -> Generator[Entry, None, None]:
    """What is stored, in the order of the keys' bytes. One statement, so it is one state of the library."""
    chosen = Q(review__isnull=False)
    if everything:
        chosen |= Q(categorizations__isnull=False, deleted_at__isnull=True)
    rows = (
        Video.objects.filter(chosen)
        .order_by(Collate("video_id", "C"), "categorizations__position")
        .values_list(
            "video_id",
            "title",
            "deleted_at",
            "review__is_curated",
            "review__reviewed_by",
            "review__reviewed_at",
            "categorizations__category__name",
            "categorizations__subcategory__name",
            "categorizations__origin",
        )
    )
    with closing(rows.iterator(chunk_size=2000)) as found:
        for (video_id, title, deleted_at, is_curated, by, at), of_video in groupby(found, key=lambda row: row[:6]):
            pairs = tuple(Pair(row[6], row[7], Origin(row[8])) for row in of_video if row[6])
            state = state_of(is_curated)
            # The categories of one that was only looked at are nobody's decision.
            decision = Decision(state, by or "", at, () if state is State.REVIEWED else pairs)
            yield Entry(video_id, decision, shortened(title), deleted_at)


def state_of(is_curated: bool | None) -> State:
    """The state by a review, or by none."""
    return {None: State.NONE, False: State.REVIEWED, True: State.CURATED}[is_curated]


def shortened(title: str) -> str:
    """A title on one line, for people."""
    return " ".join(title[: 2 * LONGEST_TITLE].split())[:LONGEST_TITLE]


def write_csv(file: Lines, entries: Iterable[Entry]) -> None:
    """A row for each pair, and one for a video without pairs."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for entry in entries:
        decision = entry.decision
        video = (entry.video_id, entry.title, decision.state, decision.by, written_time(decision.at))
        pairs = [
            (str(position), pair.category, pair.subcategory or "", pair.origin)
            for position, pair in enumerate(decision.pairs)
        ]
        for pair in pairs or [("",) * 4]:
            writer.writerow(map(guarded, (*video, *pair, written_time(entry.deleted_at))))


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe comes before a text that looks like one."""
    return f"'{text}" if text.startswith(GUARDED) else str(text)


def unguarded(cell: str) -> str:
    """The text of a cell, as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(GUARDED) else cell


def write_json(file: Lines, entries: Iterable[Entry]) -> None:
    """A list with one video on each line."""
    before = "["
    for entry in entries:
        decision = entry.decision
        document = {
            "video_id": entry.video_id,
            "title": entry.title,
            "state": decision.state,
            "reviewed_by": decision.by,
            "reviewed_at": written_time(decision.at),
            "pairs": [
                {"category": pair.category, "subcategory": pair.subcategory, "origin": pair.origin}
                for pair in decision.pairs
            ],
            "deleted": written_time(entry.deleted_at),
        }
        file.write(f"{before}\n")
        before = json.dumps(document, ensure_ascii=False) + ","
    file.write(f"{before.removesuffix(',')}\n]\n")


def written_time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else ""


# Reading ------------------------------------------------------------------------------------------

POSITION = re.compile(r"[0-9]{1,9}")
WHITE_SPACE = re.compile(r"[ \t\r\n]*")
NEEDED = set(COLUMNS) - NOT_READ
JSON_KEYS = {"video_id", "title", "state", "reviewed_by", "reviewed_at", "pairs", "deleted"}
PAIR_KEYS = {"category", "subcategory", "origin"}


class DamagedFile(Exception):
    """A file that cannot be taken; the message names the file, the line and the reason."""


@dataclass(frozen=True)
class CurationFile:
    """The videos of a file in order of their ids, and how many were passed over because nobody decided on them."""

    entries: list[Entry]
    passed_over: int


@dataclass
class Draft:
    """What the lines read so far say of a video: the pairs by position, None where a line has none."""

    state: State
    by: str
    at: datetime | None
    pairs: dict[int | None, Pair | None] = field(default_factory=dict)


def read_curation(path: Path) -> CurationFile:
    """Read a file, by its ending. Raises DamagedFile, ValueError for another ending, and OSError."""
    form = Format.of(path)
    data = path.read_bytes()
    line = 1
    drafts: dict[str, Draft] = {}
    try:
        rows = (csv_rows if form is Format.CSV else json_rows)(decoded(data))
        for number, cells in rows:
            line = number
            take(cells, drafts)
    except Damage as error:
        raise DamagedFile(f"{path.name}, line {error.line or line}: {error}") from error
    entries = [
        Entry(video_id, Decision(draft.state, draft.by, draft.at, in_order(draft)))
        for video_id, draft in sorted(drafts.items())
    ]
    decided = [entry for entry in entries if entry.decision.state is not State.NONE]
    return CurationFile(decided, len(entries) - len(decided))


class Damage(Exception):
    """What is wrong, and in which line unless it is the one just read."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


def decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Damage("the bytes are no valid UTF-8.", line) from error


def csv_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows below the header, each with the line it begins on."""
    # Spreadsheets of countries with a decimal comma write semicolons; no column has either in its name.
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    columns: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise Damage(f"no readable CSV: {error}.", line) from error
        if row is None:
            break
        if not columns:
            columns = row
            refuse_columns(columns)
        elif row:
            if len(row) != len(columns):
                raise Damage(f"{len(row)} cells below {len(columns)} columns.", line)
            yield line, dict(zip(columns, map(unguarded, row), strict=True))
    if not columns:
        raise Damage("the file is empty; its first line names the columns.", 1)


def refuse_columns(columns: Sequence[str]) -> None:
    if repeated := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise Damage(f"the column {repeated[0]!r} is there twice.", 1)
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise Damage(f"an unknown column, {unknown[0]!r}; known are {', '.join(COLUMNS)}.", 1)
    if missing := [name for name in COLUMNS if name in NEEDED and name not in columns]:
        raise Damage(f"no column {missing[0]!r}.", 1)


def json_rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each pair of each video of the list, as a row of the CSV, with the line where its video begins."""
    seen: set[str] = set()
    for line, video in json_items(text):
        checked_keys(video, JSON_KEYS, JSON_KEYS - NOT_READ, "a video", line)
        cells = {key: text_of(video[key], key, line) for key in JSON_KEYS - NOT_READ - {"pairs"}}
        if cells["video_id"] in seen:
            raise Damage(f"the video {cells['video_id']!r} is there twice.", line)
        seen.add(cells["video_id"])
        if not isinstance(video["pairs"], list):
            raise Damage(f"pairs is {kind(video['pairs'])}, and not a list.", line)
        for position, pair in enumerate(video["pairs"]):
            checked_keys(pair, PAIR_KEYS, PAIR_KEYS, "a pair", line)
            of_pair = {key: text_of(pair[key], key, line) for key in PAIR_KEYS}
            if not of_pair["category"]:
                raise Damage("a pair without a category.", line)
            yield line, cells | of_pair | {"position": str(position)}
        if not video["pairs"]:
            yield line, cells | dict.fromkeys(("position", *PAIR_KEYS), "")


def json_items(text: str) -> Iterator[tuple[int, Any]]:
    """The items of a list, each with the line it begins on."""
    decoder = json.JSONDecoder(object_pairs_hook=without_repeated_keys)
    line, counted_to = 1, 0

    def after_white_space(start: int) -> int:
        nonlocal line, counted_to
        end = WHITE_SPACE.match(text, start).end()
        line += text.count("\n", counted_to, end)
        counted_to = end
        return end

    place = after_white_space(0)
    if text[place : place + 1] != "[":
        raise Damage("no list of videos; the file begins with [.", line)
    place = after_white_space(place + 1)
    has_more = text[place : place + 1] != "]"
    while has_more:
        try:
            item, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise Damage(f"no readable JSON: {error.msg}.", error.lineno) from error
        except (ValueError, RecursionError) as error:
            raise Damage(f"no readable JSON: {error}.", line) from error
        yield line, item
        place = after_white_space(end)
        has_more = text[place : place + 1] == ","
        if has_more:
            place = after_white_space(place + 1)
        elif text[place : place + 1] != "]":
            raise Damage("no readable JSON: a comma or ] is missing.", line)
    if after_white_space(place + 1) != len(text):
        raise Damage("something comes after the list.", line)


def without_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(items)
    if len(document) != len(items):
        raise ValueError("a key is there twice")
    return document


def checked_keys(document: Any, known: set[str], needed: set[str], what: str, line: int) -> None:
    if not isinstance(document, dict):
        raise Damage(f"{what} is {kind(document)}, and not an object.", line)
    if unknown := sorted(document.keys() - known):
        raise Damage(f"{what} has an unknown key, {unknown[0]!r}.", line)
    if missing := sorted(needed - document.keys()):
        raise Damage(f"{what} has no {missing[0]!r}.", line)


def text_of(value: Any, key: str, line: int) -> str:
    """A text, and null as the empty one."""
    if value is not None and not isinstance(value, str):
        raise Damage(f"{key} is {kind(value)}, and not a text.", line)
    return value or ""


def kind(value: Any) -> str:
    """What a value of JSON is."""
    kinds = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
    }
    return kinds.get(type(value), "an object")


def take(cells: Mapping[str, str], drafts: dict[str, Draft]) -> None:
    """Add a row to what its video is known to have. Raises Damage."""
    for column in NEEDED:
        if UNSTORABLE.search(cells[column]):
            raise Damage(f"{column} holds a NUL or half of a surrogate pair.")
    if not (video_id := cells["video_id"]):
        raise Damage("no video_id.")
    state = known(State, cells["state"], "state")
    by, at = cells["reviewed_by"], cells["reviewed_at"]
    if state is State.NONE:
        if by or at:
            raise Damage("reviewed_by or reviewed_at without a state.")
        new = Draft(state, "", None)
    else:
        if not by.strip():
            raise Damage("no reviewed_by; a person decided.")
        new = Draft(state, by, moment(at))
    draft = drafts.setdefault(video_id, new)
    if (draft.state, draft.by, draft.at) != (new.state, new.by, new.at):
        raise Damage(f"another state, reviewed_by or reviewed_at than an earlier line has for {video_id!r}.")
    add_pair(draft, cells)


def add_pair(draft: Draft, cells: Mapping[str, str]) -> None:
    """Add a row's pair to those of its video. Raises Damage."""
    category, subcategory = cells["category"], cells["subcategory"]
    position = pair = None
    if category:
        if draft.state is State.REVIEWED:
            raise Damage("a category of a video that was only reviewed; its categories are nobody's decision.")
        if not POSITION.fullmatch(cells["position"]):
            raise Damage(f"position {cells['position']!r} is no number.")
        if any(len(name.encode()) > LONGEST_INDEXED for name in (category, subcategory)):
            raise Damage(f"a name of more than {LONGEST_INDEXED:,} bytes.")
        position = int(cells["position"])
        pair = Pair(category, subcategory or None, known(Origin, cells["origin"], "origin"))
    elif subcategory:
        raise Damage("a subcategory without a category.")
    elif cells["position"] or cells["origin"]:
        raise Damage("a position or an origin without a category.")
    if position in draft.pairs:
        raise Damage(f"position {position} is there twice." if pair else "the same video without categories again.")
    if draft.pairs and (pair is None or None in draft.pairs):
        raise Damage("the video is there both with categories and without.")
    if pair and any(
        (pair.category, pair.subcategory) == (old.category, old.subcategory) for old in draft.pairs.values()
    ):
        raise Damage("the same category and subcategory twice.")
    draft.pairs[position] = pair


def in_order(draft: Draft) -> tuple[Pair, ...]:
    return tuple(draft.pairs[position] for position in sorted(key for key in draft.pairs if key is not None))


def known(choices: type[Choice], text: str, what: str) -> Choice:
    try:
        return choices(text)
    except ValueError:
        raise Damage(f"{what} is {text!r}; known are {', '.join(filter(None, choices))}.") from None


def moment(text: str) -> datetime:
    """A time with a zone, in UTC."""
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            raise Damage(f"reviewed_at {text!r} names no zone, as +00:00 does.")
        return read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Damage(f"reviewed_at {text!r} is no time such as 2025-09-14T08:30:00.000000+00:00.") from None


# Applying -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A video that the file has otherwise than the library."""

    video_id: str
    title: str
    before: Decision
    after: Decision

    @property
    def added(self) -> list[Names]:
        return [pair for pair in names(self.after.pairs) if pair not in names(self.before.pairs)]

    @property
    def removed(self) -> list[Names]:
        return [pair for pair in names(self.before.pairs) if pair not in names(self.after.pairs)]

    @property
    def has_other_order(self) -> bool:
        kept = [[pair for pair in names(one.pairs) if pair in self.kept] for one in (self.before, self.after)]
        return kept[0] != kept[1]

    @property
    def has_other_origins(self) -> bool:
        return any(
            pair not in self.before.pairs for pair in self.after.pairs if (pair.category, pair.subcategory) in self.kept
        )

    @property
    def is_older(self) -> bool:
        """Whether a person has decided here later than in the file. An import's time is no person's."""
        return (
            self.before.state is State.CURATED
            and self.before.by != IMPORT
            and self.before.at is not None
            and self.after.at is not None
            and self.before.at > self.after.at
        )

    @property
    def kept(self) -> set[Names]:
        return set(names(self.before.pairs)) & set(names(self.after.pairs))

    @property
    def is_decided_again(self) -> bool:
        """Whether the pairs are to be written."""
        return self.after.state is State.CURATED and (
            self.before.state is not State.CURATED or names(self.before.pairs) != names(self.after.pairs)
        )

    @property
    def has_origins_to_write(self) -> bool:
        """Whether the pairs, once written, may have other origins: deciding makes all of them curated."""
        is_all_curated = all(pair.origin is Origin.CURATED for pair in self.after.pairs)
        return self.after.state is State.CURATED and not (self.is_decided_again and is_all_curated)


@dataclass
class CurationReport:
    """What became of the videos of a file, or would."""

    file: str
    is_dry_run: bool
    differences: list[Difference] = field(default_factory=list)
    unchanged: int = 0
    missing: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    # Only looked at by the file, and decided on here.
    kept: list[str] = field(default_factory=list)
    # Decided on here later than in the file, and left as they are (`keep_newer`).
    newer: list[str] = field(default_factory=list)
    passed_over: int = 0
    not_in_file: int = 0
    new_names: list[Names] = field(default_factory=list)


def import_curation(path: Path, *, by: str, dry_run: bool = False, keep_newer: bool = False) -> CurationReport:
    """Make the curation of the videos of a file what the file says, in one transaction, in the name of `by`.

    1. Read all of the file. 2. Lock its videos, in the order of their keys as every writer does, so that nobody
    changes them between comparing and writing. 3. Compare, and write what differs, batch by batch.

    What others decided on videos that the file does not name stays; with `keep_newer` also what a person has decided
    later than the file says. Raises DamagedFile, OSError, ValueError for
    another ending or without a name, and ImportLocked while another import runs.
    """
    read = read_curation(path)
    report = CurationReport(path.name, dry_run, passed_over=read.passed_over)
    if dry_run:
        with transaction.atomic():
            compare_all(read.entries, report, keep_newer=keep_newer)
        return report
    with import_lock(), deciding(by):
        share_names()
        lock([entry.video_id for entry in read.entries])
        compare_all(read.entries, report, keep_newer=keep_newer, write_as=by)
    return report


def compare_all(entries: Sequence[Entry], report: CurationReport, *, keep_newer: bool, write_as: str = "") -> None:
    """Compare the entries with what is stored, and write the differences in somebody's name, or not."""
    known_names: set[Names] = {(name, None) for name in Category.objects.values_list("name", flat=True)}
    known_names |= set(Subcategory.objects.values_list("category__name", "name"))
    for start in range(0, len(entries), AT_ONCE):
        differences = compare(entries[start : start + AT_ONCE], report)
        if keep_newer:
            report.newer += [difference.video_id for difference in differences if difference.is_older]
            differences = [difference for difference in differences if not difference.is_older]
        report.differences += differences
        for category, subcategory in (pair for difference in differences for pair in names(difference.after.pairs)):
            for new in {(category, None): None, (category, subcategory): None}:
                if new not in known_names:
                    known_names.add(new)
                    report.new_names.append(new)
        if write_as:
            write(differences, write_as)
    in_file = {entry.video_id for entry in entries}
    reviewed = Review.objects.filter(video__deleted_at__isnull=True).values_list("pk", flat=True)
    report.not_in_file = sum(video_id not in in_file for video_id in reviewed.iterator())


def compare(entries: Sequence[Entry], report: CurationReport) -> list[Difference]:
    """The videos of which the file says something else; the others are counted or named in the report."""
    keys = [entry.video_id for entry in entries]
    videos = {
        key: (title, deleted_at)
        for key, title, deleted_at in Video.objects.filter(pk__in=keys).values_list("pk", "title", "deleted_at")
    }
    stored = Categorization.objects.pairs_of(keys)
    reviews = Review.objects.in_bulk(keys)
    wanted = Categorization.objects.with_present_names({entry.video_id: entry.decision.pairs for entry in entries})
    differences = []
    for entry in entries:
        key = entry.video_id
        title, deleted_at = videos.get(key, ("", None))
        before = stored_decision(reviews.get(key), stored[key])
        pairs = before.pairs if entry.decision.state is State.REVIEWED else tuple(wanted[key])
        after = replace(entry.decision, pairs=pairs)
        if key not in videos:
            report.missing.append(key)
        elif deleted_at:
            report.deleted.append(key)
        elif before == after:
            report.unchanged += 1
        elif (before.state, after.state) == (State.CURATED, State.REVIEWED):
            report.kept.append(key)
        else:
            differences.append(Difference(key, shortened(title), before, after))
    return differences


def stored_decision(review: Review | None, pairs: Sequence[Pair]) -> Decision:
    if review is None:
        return Decision(State.NONE, "", None, tuple(pairs))
    return Decision(state_of(review.is_curated), review.reviewed_by, review.reviewed_at, tuple(pairs))


def write(differences: Sequence[Difference], by: str) -> None:
    """Write what differs; who decided and when is as the file says, so it comes last."""
    decide({one.video_id: names(one.after.pairs) for one in differences if one.is_decided_again}, by)
    write_origins({one.video_id: one.after.pairs for one in differences if one.has_origins_to_write})
    Review.objects.bulk_create(
        [
            Review(
                video_id=one.video_id,
                is_curated=one.after.state is State.CURATED,
                reviewed_by=one.after.by,
                reviewed_at=one.after.at,
            )
            for one in differences
        ],
        update_conflicts=True,
        unique_fields=["video"],
        update_fields=["is_curated", "reviewed_by", "reviewed_at"],
    )


def write_origins(pairs_of: Mapping[str, Sequence[Pair]]) -> None:
    """Give the pairs of these videos, which they have, the origins that they came with."""
    origins = {
        (video_id, pair.category, pair.subcategory): pair.origin
        for video_id, pairs in pairs_of.items()
        for pair in pairs
    }
    changed = []
    rows = Categorization.objects.filter(video__in=list(pairs_of)).select_related("category", "subcategory")
    for row in rows:
        origin = origins[row.video_id, row.category.name, row.subcategory.name if row.subcategory else None]
        if row.origin != origin:
            row.origin = origin
            changed.append(row)
    Categorization.objects.bulk_update(changed, ["origin"])
