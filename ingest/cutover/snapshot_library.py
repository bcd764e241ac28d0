"""Answers the same `Search` as the database, from an old SQLite file, which is never written.

An implementation of contract/api.md's rules of its own, in plain Python, so that what both say can be compared, and
so that a library that is not moved yet can be read. The file is read whole, once, and again when it has changed.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from django.http import QueryDict

from ingest.sqlite.mapping import Mapper, Unmodelled, VideoRow
from ingest.sqlite.reader import SnapshotError, Source, check_file, file_sha256, open_snapshot
from ingest.sqlite.staging import PLACES, REFERENCES, chronological
from summaries.models import SummaryText, Variant
from summaries.rendering import render
from videos.facets import OWN_FILTERS, FacetValue
from videos.items import report_detail, report_item
from videos.keys import VideoKey
from videos.models import MATCHED_CHARACTERS, match_key
from videos.search import COLUMNS, InvalidSearch, Search, canonical
from videos.upsert import VideoRecord

REPORTS, FILTERS = "/api/reports", "/api/filters"
# Where lower case depends on more than the letter, or is more than one: people see one letter.
SINGLE_LETTERS = str.maketrans({"İ": "i", "Σ": "σ"})
# More than the time of a file differs from that of the machine, and than it stands still.
CLOCK_NANOSECONDS = 50_000_000
LONG_AGO = datetime.min.replace(tzinfo=UTC)

Pairs = tuple[tuple[str, str | None], ...]


class Answer(NamedTuple):
    """A status, and the JSON of the body; None for a body that is no JSON."""

    status: int
    body: Any


@dataclass(frozen=True)
class SnapshotSummary:
    """The latest revision of a variant, with what an answer says of it."""

    variant: str
    text: str
    language: str
    revision: int
    generated_at: datetime | None

    @cached_property
    def html(self) -> str:
        return render(self.text, self.variant)


@dataclass(frozen=True)
class SnapshotVideo(VideoRecord):
    """A video of the file with its categories in order and its summaries, best first."""

    pairs: Pairs = ()
    summaries: tuple[SnapshotSummary, ...] = ()

    @property
    def display_title(self) -> str:
        return self.title or "Untitled"

    @cached_property
    def values(self) -> dict[str, str]:
        """What the filters that compare a column compare, by column."""
        return {column: match_key(getattr(self, column)) for column in COLUMNS.values()}

    @cached_property
    def pair_keys(self) -> tuple[tuple[str, str | None], ...]:
        return tuple((match_key(one), None if below is None else match_key(below)) for one, below in self.pairs)

    @cached_property
    def topic_keys(self) -> frozenset[str]:
        return frozenset(match_key(topic) for topic in self.key_topics if isinstance(topic, str))

    @cached_property
    def folded_title(self) -> str:
        return folded(self.title)

    @cached_property
    def folded_texts(self) -> tuple[str, ...]:
        return tuple(folded(summary.text) for summary in self.summaries)

    @cached_property
    def title_key(self) -> str:
        return title_key(self.title)


def by_moment(name: str) -> Callable[[SnapshotVideo], tuple[bool, datetime]]:
    """The key of a sort by time; a missing time is older than the oldest."""
    return lambda video: (getattr(video, name) is not None, getattr(video, name) or LONG_AGO)


# Each sort's key, and whether the largest comes first.
ORDERS: dict[str, tuple[Callable[[SnapshotVideo], Any], bool]] = {
    "added_desc": (by_moment("indexed_at"), True),
    "added_asc": (by_moment("indexed_at"), False),
    "newest": (by_moment("published_at"), True),
    "oldest": (by_moment("published_at"), False),
    "title_asc": (lambda video: video.title_key, False),
    "title_desc": (lambda video: video.title_key, True),
    "duration_desc": (lambda video: video.duration_seconds, True),
    "duration_asc": (lambda video: video.duration_seconds, False),
}


def folded(text: str) -> str:
    """The text as a search compares it: any case, one space for white space, a hyphen for an en-dash."""
    return " ".join(text.replace("–", "-").split()).translate(SINGLE_LETTERS).lower()


def title_key(title: str) -> str:
    """A title in people's order: neither case nor accents count."""
    plain = "".join(letter for letter in normalize("NFKD", title.strip(" ")) if not "\u0300" <= letter <= "\u036f")
    return plain.translate(SINGLE_LETTERS).lower()[:MATCHED_CHARACTERS]


class Stamp(NamedTuple):
    """What a file's status says of whether it is the same."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def is_settled(self) -> bool:
        """Whether the next write must have another time. A file system's clock stands still for some milliseconds."""
        return time.time_ns() - self.modified > CLOCK_NANOSECONDS


@dataclass(frozen=True)
class Contents:
    """The videos of one state of the file, in order of their keys."""

    sha256: str
    videos: tuple[SnapshotVideo, ...]

    @cached_property
    def by_key(self) -> dict[str, SnapshotVideo]:
        return {video.video_id: video for video in self.videos}

    @cached_property
    def by_old_id(self) -> dict[str, SnapshotVideo]:
        return {video.legacy_id: video for video in self.videos if video.legacy_id}


class SnapshotLibrary:
    """The library as an old SQLite file has it.

    What cannot be modelled is left out, as an import leaves it out. Raises SnapshotError, a sentence, for a file that
    cannot be taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        self.stamps: list[Stamp] | None = None
        self.kept: Contents | None = None

    @property
    def contents(self) -> Contents:
        """What the file holds now. Read again when its size, its time or its place on the disk changed, and its bytes.

        1. The status is taken before the bytes are read, so a write in between is seen the next time.
        2. One thread reads; the others wait for it. Answers under way go on with what they have.
        """
        with self.lock:
            try:
                stamps = self.stamps_now()
            except OSError as error:
                check_file(self.path)
                raise SnapshotError(f"{self.path} cannot be read: {error.strerror}; check the path.") from error
            if self.kept is None or stamps != self.stamps:
                self.stamps = None
                settled = all(stamp.is_settled() for stamp in stamps)
                self.kept = self.read_unless(self.kept)
                self.stamps = stamps if settled else None
            return self.kept

    def stamps_now(self) -> list[Stamp]:
        """The status of what is written when the library changes. Raises OSError."""
        return [Stamp.of(self.path)]

    def read_unless(self, kept: Contents | None) -> Contents:
        """What the file holds; what is kept, where its bytes are the same."""
        check_file(self.path)
        return kept if kept and file_sha256(self.path) == kept.sha256 else read(self.path)

    @property
    def sha256(self) -> str:
        return self.contents.sha256

    # Search

    def count(self, search: Search) -> int:
        """How many videos match."""
        return len(matching(self.contents, search))

    def keys(self, search: Search) -> list[str]:
        """The keys of the videos on the page, in order."""
        return [video.video_id for video in page_of(in_order(matching(self.contents, search), search), search)]

    def facets(self, search: Search) -> dict[str, tuple[FacetValue, ...]]:
        """Every facet's values under all the other filters, largest count first, then by name; audio: false first."""
        return facets_of(self.contents, search)

    def video(self, text: str) -> SnapshotVideo | None:
        """The video that an id names, in any of its forms."""
        return video_named(self.contents, text)

    def item(self, key: str) -> dict[str, Any]:
        """The video with this key as an item of a list. Raises KeyError."""
        return report_item(self.contents.by_key[key])

    def detail(self, text: str) -> dict[str, Any] | None:
        """The video that an id names, with its summaries, or None."""
        video = self.video(text)
        return report_detail(video, list(video.summaries)) if video else None

    # Answers

    def reports(self, search: Search) -> dict[str, Any]:
        """The body of /api/reports."""
        found = in_order(matching(self.contents, search), search)
        total, pages = len(found), -(-len(found) // search.size)
        return {
            "reports": [report_item(video) for video in page_of(found, search)],
            "pagination": {
                "page": search.page,
                "size": search.size,
                "total_count": total,
                "total_pages": pages,
                "total": total,
                "pages": pages,
                "has_next": search.page < pages,
                "has_prev": search.page > 1,
            },
            "sort": search.answered_sort,
            "filters": search.echo,
        }

    def filters(self, search: Search) -> dict[str, Any]:
        """The body of /api/filters."""
        return {facet: [counted(value) for value in values] for facet, values in self.facets(search).items()}

    def answer(self, request: str) -> Answer:
        """What the read API answers to a path with its query. Raises LookupError for an address that is none of it."""
        path, _, query = request.partition("?")
        path = unquote(path)
        try:
            if path == REPORTS:
                return Answer(200, self.reports(Search.from_query(QueryDict(query))))
            if path == FILTERS:
                return Answer(200, self.filters(Search.from_query(QueryDict(query))))
        except InvalidSearch as error:
            return Answer(400, {"error": "invalid_query", "message": str(error)})
        if not is_read_api(path, QueryDict(query)):
            raise LookupError(f"{path} is no address of the read API")
        is_report = path.startswith(f"{REPORTS}/")
        name = path.removeprefix(f"{REPORTS}/") if is_report else path[1:].removesuffix(".json")
        body = self.detail(name)
        return (
            Answer(200, body)
            if body
            else Answer(404, {"error": "not_found", "message": "There is no video with this id."})
        )


def is_read_api(path: str, query: QueryDict) -> bool:
    """Whether an address answers with JSON of the library; `/<id>.json?v=2` is a page."""
    is_old_report = path.count("/") == 1 and path.endswith(".json") and len(path) > len("/.json")
    return path in (REPORTS, FILTERS) or path.startswith(f"{REPORTS}/") or (is_old_report and query.get("v") != "2")


# What is found


def video_named(contents: Contents, text: str) -> SnapshotVideo | None:
    """The video that an id names, in any of its forms."""
    for candidate in VideoKey.parse(text).candidates:
        if video := contents.by_key.get(candidate) or contents.by_old_id.get(candidate):
            return video
    return None


def matching(contents: Contents, search: Search) -> list[SnapshotVideo]:
    """The videos that all filters let through, in order of their keys."""
    q = folded(search.q)
    return [video for video in contents.videos if passes(video, search) and (not q or has_text(video, q))]


def passes(video: SnapshotVideo, search: Search) -> bool:
    """Whether every filter but `q` lets the video through."""
    for name, column in COLUMNS.items():
        if (wanted := getattr(search, name)) and video.values[column] not in wanted:
            return False
    published = video.published_at
    return (
        search.has_audio in (None, video.has_audio)
        and (search.published_from is None or (published is not None and published >= search.published_from))
        and (search.published_before is None or (published is not None and published < search.published_before))
        and (not search.topics or not video.topic_keys.isdisjoint(search.topics))
        and in_categories(video, search)
    )


def in_categories(video: SnapshotVideo, search: Search) -> bool:
    """Whether the category facet lets the video through."""
    named = []
    if search.categories:
        named.append(any(category in search.categories for category, _ in video.pair_keys))
    if search.subcategories:
        parents = search.parent_categories
        named.append(
            any(
                below is not None and below in search.subcategories and (not parents or category in parents)
                for category, below in video.pair_keys
            )
        )
    if search.uncategorised and not video.pairs:
        return True
    if not named:
        return not search.uncategorised
    return any(named) if search.joins_categories else all(named)


def has_text(video: SnapshotVideo, q: str) -> bool:
    """Whether the folded `q` is in the title or in a summary that is read today."""
    return q in video.folded_title or any(q in text for text in video.folded_texts)


def in_order(videos: Sequence[SnapshotVideo], search: Search) -> list[SnapshotVideo]:
    """The videos, which come in order of their keys, as the search sorts them. Equal ones stay in that order."""
    key, largest_first = ORDERS[canonical(search.sort or "added_desc")]
    found = sorted(videos, key=key, reverse=largest_first)
    if search.q and not search.sort:
        q = folded(search.q)
        found.sort(key=lambda video: q not in video.folded_title)
    return found


def page_of(videos: Sequence[SnapshotVideo], search: Search) -> Sequence[SnapshotVideo]:
    return videos[(search.page - 1) * search.size : search.page * search.size]


# Facets


def facets_of(contents: Contents, search: Search) -> dict[str, tuple[FacetValue, ...]]:
    matched: dict[Search, list[SnapshotVideo]] = {}
    answer = {}
    for facet, own in OWN_FILTERS.items():
        others = search.without(*own)
        if others not in matched:
            matched[others] = matching(contents, others)
        videos = matched[others]
        match facet:
            case "category":
                answer[facet] = category_facet(videos)
            case "has_audio":
                flags = Counter(video.has_audio for video in videos)
                answer[facet] = tuple(FacetValue(flag, flags[flag]) for flag in (False, True) if flags[flag])
            case _:
                column = "channel_name" if facet == "channel" else facet
                answer[facet] = ranked((getattr(video, column), video.video_id) for video in videos)
    return answer


def category_facet(videos: Iterable[SnapshotVideo]) -> tuple[FacetValue, ...]:
    """The categories with their subcategories; each number is one of videos."""
    categories: list[tuple[str, str]] = []
    below: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for video in videos:
        for category, subcategory in video.pairs:
            categories.append((category, video.video_id))
            if subcategory is not None:
                below[match_key(category)].append((subcategory, video.video_id))
    return tuple(
        FacetValue(value.value, value.count, ranked(below[match_key(str(value.value))])) for value in ranked(categories)
    )


def ranked(named: Iterable[tuple[str, str]]) -> tuple[FacetValue, ...]:
    """Names with the number of videos that have them, from (name, video). Equal ones count as one, by the commonest."""
    videos: dict[str, set[str]] = defaultdict(set)
    spellings: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, video_id in named:
        if key := match_key(name):
            videos[key].add(video_id)
            spellings[key][name].add(video_id)
    values = [
        FacetValue(max(spellings[key], key=lambda name: (len(spellings[key][name]), name)), len(having))
        for key, having in videos.items()
    ]
    return tuple(sorted(values, key=lambda value: (-value.count, str(value.value))))


def counted(value: FacetValue) -> dict[str, Any]:
    """A value of a facet as JSON; subcategories only where there are some."""
    below = {"subcategories": [counted(one) for one in value.subcategories]} if value.subcategories else {}
    return {"value": value.value, "count": value.count} | below


# Reading the file


def read(path: Path) -> Contents:
    """The videos of a file, as an import into an empty library takes them. Raises SnapshotError."""
    with open_snapshot(path) as source:
        rows = video_rows(source)
        texts = texts_of(source, rows)
        record_fields = [field.name for field in fields(VideoRecord)]
        videos = [
            SnapshotVideo(
                **{name: getattr(row.record, name) for name in record_fields},
                pairs=tuple((pair.category, pair.subcategory) for pair in row.pairs),
                summaries=latest(chronological(texts[row.record.video_id])),
            )
            for row in rows
        ]
        return Contents(source.sha256, tuple(sorted(videos, key=lambda video: video.video_id)))


def video_rows(source: Source) -> list[VideoRow]:
    """The rows of `content` that can be modelled. Of two that name the same video the first counts."""
    mapper, claimed, rows = Mapper(), set[tuple[str, str]](), []
    columns = source.tables["content"].columns
    for _, values in source.rows("content"):
        try:
            row = mapper.video(dict(zip(columns, values, strict=True)))
        except Unmodelled:
            continue
        names = {("video_id", row.record.video_id), ("id", row.record.legacy_id)} - {("id", "")}
        if names.isdisjoint(claimed):
            claimed |= names
            rows.append(row)
    return rows


def texts_of(source: Source, rows: Sequence[VideoRow]) -> dict[str, list[tuple[int, SummaryText]]]:
    """The texts of each video, by its key, in order of their places in the file."""
    names: dict[str, str] = {}
    for name_of in (
        lambda row: row.record.legacy_id,
        lambda row: row.record.video_id,
        lambda row: row.native_id,
    ):
        for row in rows:
            names.setdefault(name_of(row), row.record.video_id)
    texts: dict[str, list[tuple[int, SummaryText]]] = defaultdict(list)
    for row in rows:
        if row.summary:
            texts[row.record.video_id].append((PLACES["content"], row.summary))
    mapper = Mapper()
    for table, read_text in (("content_summaries", mapper.summary), ("summary_variants", mapper.variant_text)):
        if table not in source.tables:
            continue
        columns = source.tables[table].columns
        for _, values in source.rows(table):
            row_values = dict(zip(columns, values, strict=True))
            try:
                reference, text = mapper.text(row_values, REFERENCES[table]), read_text(row_values)
            except Unmodelled:
                continue
            key = next((names[name] for name in VideoKey.parse(reference).candidates if name in names), None)
            if key is not None and text is not None:
                texts[key].append((PLACES[table], text))
    return texts


def latest(texts: Sequence[SummaryText]) -> tuple[SnapshotSummary, ...]:
    """The last revision of each variant, the best variant first. The same text again is no revision."""
    revisions: dict[str, SnapshotSummary] = {}
    for text in sorted(texts, key=lambda text: (text.is_latest, text.revision)):
        before = revisions.get(text.variant)
        if before is None or before.text != text.text:
            number = max((before.revision if before else 0) + 1, text.revision)
            revisions[text.variant] = SnapshotSummary(text.variant, text.text, text.language, number, text.generated_at)
    return tuple(sorted(revisions.values(), key=lambda summary: Variant.rank(summary.variant)))
