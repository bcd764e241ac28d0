"""One search object for page and API: what was asked for, and the videos that answer it.

The rules are contract/api.md's. `Search.from_query` never fails on odd values, only on too many;
`keys()`, `count()` and `facets` (facets.py) all apply the same filters.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property, lru_cache, reduce
from operator import and_, or_
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, StrIndex
from django.db.models.lookups import GreaterThan
from django.http import QueryDict

from .models import (
    Categorization,
    Category,
    FacetCount,
    Fold,
    MatchKey,
    Revision,
    Subcategory,
    TopicKeys,
    Video,
    match_key,
)

MAXIMUM_VALUES = 500
MAXIMUM_SIZE = 50
API_SIZE = 20
# Beyond any library, and its offset still fits PostgreSQL's bigint.
MAXIMUM_PAGE = 1_000_000_000

# Sorts by name; the value is the ordering. video_id makes every order total.
ADDED = F("indexed_at")
PUBLISHED = F("published_at")
ORDERINGS: dict[str, tuple[Any, ...]] = {
    "added_desc": (ADDED.desc(nulls_last=True), "video_id"),
    "added_asc": (ADDED.asc(nulls_first=True), "video_id"),
    "newest": (PUBLISHED.desc(nulls_last=True), "video_id"),
    "oldest": (PUBLISHED.asc(nulls_first=True), "video_id"),
    "title_asc": ("title_sort_key", "video_id"),
    "title_desc": ("-title_sort_key", "video_id"),
    "duration_desc": ("-duration_seconds", "video_id"),
    "duration_asc": ("duration_seconds", "video_id"),
}
ALIASES = {
    "video_newest": "newest",
    "video_oldest": "oldest",
    "title_az": "title_asc",
    "title": "title_asc",
    "title_za": "title_desc",
    "duration": "duration_desc",
}
DEFAULT_SORT = "newest"

TRUE = ("true", "1", "yes")
FALSE = ("false", "0", "no")

# Query parameter → the field of Search that it fills.
LISTS = {
    "category": "categories",
    "subcategory": "subcategories",
    "parentCategory": "parent_categories",
    "channel": "channels",
    "content_type": "content_types",
    "complexity": "complexity_levels",
    "complexity_level": "complexity_levels",
    "language": "languages",
    "source": "sources",
    "topics": "topics",
}
# The field of Search → the column of Video that it is compared with.
COLUMNS = {
    "channels": "channel_name",
    "content_types": "content_type",
    "complexity_levels": "complexity_level",
    "languages": "language",
    "sources": "source",
}


class InvalidSearch(ValueError):
    """The query cannot be answered; the message says why, for people."""


Argument = TypeVar("Argument", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Search:
    """What was asked for. Lists are OR within, AND across; names are match keys (models.match_key).

    `uncategorised` is one more choice beside the categories. With `joins_categories` the subcategories are choices
    beside them too: on the dashboard, where both are ticked in one list, the narrower AND would be a dead end.
    """

    categories: tuple[str, ...] = ()
    subcategories: tuple[str, ...] = ()
    parent_categories: tuple[str, ...] = ()
    uncategorised: bool = False
    channels: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    complexity_levels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    has_audio: bool | None = None
    q: str = ""
    published_from: datetime | None = None
    published_before: datetime | None = None
    sort: str = ""
    page: int = 1
    size: int = API_SIZE
    joins_categories: bool = False
    echo: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_query(
        cls,
        query: QueryDict,
        default_size: int = API_SIZE,
        default_sort: str = DEFAULT_SORT,
        joins_categories: bool = False,
    ) -> "Search":
        """Read a query string. Raises InvalidSearch past 500 values of one parameter."""
        values: dict[str, Any] = {}
        echo: dict[str, Any] = {}
        for parameter, name in LISTS.items():
            given = tuple(dict.fromkeys(filter(None, map(match_key, query.getlist(parameter)))))
            if len(given) > MAXIMUM_VALUES:
                raise InvalidSearch(
                    f"{parameter} has {len(given)} values; at most {MAXIMUM_VALUES} are possible in one request."
                )
            if given:
                echo[parameter] = list(given)
                values[name] = (*values.get(name, ()), *given)
        if not values.get("subcategories"):
            values.pop("parent_categories", None)
            echo.pop("parentCategory", None)
        if query.get("uncategorised", "").strip().lower() in TRUE:
            echo["uncategorised"] = values["uncategorised"] = True

        has_audio = query.get("has_audio", "").strip().lower()
        if has_audio in TRUE + FALSE:
            echo["has_audio"] = values["has_audio"] = has_audio in TRUE
        q = " ".join(query.get("q", "").split())
        if len(q) >= 2:
            echo["q"] = values["q"] = q
        for parameter, name in (("date_from", "published_from"), ("date_to", "published_before")):
            given = query.get(parameter, "").strip()
            if moment := published_bound(given, after=name == "published_before"):
                echo[parameter] = given
                values[name] = moment

        sort = query.get("sort", "").strip()
        if not sort and "q" not in values:
            sort = default_sort
        elif sort and canonical(sort) not in ORDERINGS:
            sort = DEFAULT_SORT
        page, size = paging(query, default_size)
        return cls(**values, sort=sort, page=page, size=size, joins_categories=joins_categories, echo=echo)

    def without(self, *names: str) -> "Search":
        """The same search with these filters taken off."""
        return self.changed(**{name: EMPTY[name] for name in names})

    def changed(self, **values: Any) -> "Search":
        """The same search with other values, answered from the same revision of the library."""
        search = replace(self, **values)
        if "revision" in vars(self):
            vars(search)["revision"] = self.revision
        return search

    @property
    def answered_sort(self) -> str:
        """The sort as the answer names it: as it was asked for, or the default's name."""
        return self.sort or DEFAULT_SORT

    @cached_property
    def filters(self) -> tuple[str, ...]:
        """Names of the filters that are set."""
        return tuple(name for name, empty in EMPTY.items() if getattr(self, name) != empty)

    # What is found

    def matching(self) -> QuerySet[Video]:
        """The live videos that the filters let through, in no order."""
        videos = self.without("q").filtered()
        if not self.q:
            return videos
        return videos.filter(pk__in=found_in_text(self.q)) if storable((self.q,)) else videos.none()

    def filtered(self) -> QuerySet[Video]:
        """The live videos that all filters but `q` let through."""
        videos = Video.objects.live()
        for name, column in COLUMNS.items():
            if values := getattr(self, name):
                key = f"{column}_key"
                videos = videos.alias(**{key: MatchKey(column)}).filter(**{f"{key}__in": storable(values)})
        if self.has_audio is not None:
            videos = videos.filter(has_audio=self.has_audio)
        if self.published_from:
            videos = videos.filter(published_at__gte=self.published_from)
        if self.published_before:
            videos = videos.filter(published_at__lt=self.published_before)
        if self.topics:
            videos = videos.alias(topic_keys=TopicKeys("key_topics")).filter(
                topic_keys__overlap=list(storable(self.topics))
            )
        return videos.filter(self.in_categories())

    def in_categories(self) -> Q:
        """What the category facet lets through."""
        named = []
        if self.categories:
            named.append(Q(categorised(category__in=self.at_this_revision(category_ids, self.categories))))
        if self.subcategories:
            pairs = self.at_this_revision(subcategory_ids, (self.subcategories, self.parent_categories))
            named.append(Q(categorised(subcategory__in=pairs)))
        choices = [reduce(or_ if self.joins_categories else and_, named)] if named else []
        if self.uncategorised:
            choices.append(Q(~categorised()))
        return reduce(or_, choices, Q())

    def count(self) -> int:
        """How many videos match. Without a filter, or with one facet's, the kept counts know (FacetCount)."""
        if not self.filters:
            return self.revision.videos
        kept = kept_count(self)
        return self.at_this_revision(matching_count, self.without_view()) if kept is None else kept

    def keys(self) -> list[str]:
        """The keys of the videos on the page, in order."""
        start = (self.page - 1) * self.size
        stop = start + self.size
        if not self.q:
            return list(self.in_order(self.filtered())[start:stop])
        if not storable((self.q,)):
            return []
        text_hits = self.at_this_revision(matching_count, self.without_view().without(*EMPTY.keys() - {"q"}))
        is_few = text_hits <= FEW
        if is_few:
            found = self.at_this_revision(keys_found_in_text, self.q)
            matching = self.filtered().filter(pk__in=found)
        else:
            # So many hits that the page is sooner found by going through the videos in their order.
            matching = self.filtered().filter(strictly_in_title(self.q) | strictly_in_summary(self.q))
        if self.sort:
            return list(self.in_order(matching)[start:stop])
        # Title hits first: two lists, one behind the other. Where the second begins must be known beyond page 1.
        if is_few and not start:
            keys = list(self.in_order(self.filtered().filter(title_has(self.q)))[:stop])
            hits = len(keys)
        else:
            hits = self.at_this_revision(title_count, self.without_view())
            in_title = title_has(self.q) if hits <= FEW else strictly_in_title(self.q)
            titles = self.in_order(self.filtered().filter(in_title))
            keys = list(titles[start : min(stop, hits)]) if start < hits else []
        if len(keys) == self.size:
            return keys
        rest = self.in_order(matching.exclude(strictly_in_title(self.q)))
        return keys + list(rest[max(start - hits, 0) : stop - hits])

    def in_order(self, videos: QuerySet[Video]) -> QuerySet[Any]:
        """The keys of these videos in the order asked for; without one, the newest added first."""
        return videos.order_by(*ORDERINGS[canonical(self.sort or "added_desc")]).values_list("pk", flat=True)

    @cached_property
    def revision(self) -> Revision:
        """The state of the library that this search is answered from."""
        return FacetCount.objects.revision()

    def at_this_revision(self, function: Callable[[Argument], Result], argument: Argument) -> Result:
        """A function's result, remembered by this process until the library changes.

        Inside a transaction nothing is remembered: what it sees may never be committed.
        """
        if connection.in_atomic_block:
            return function(argument)
        return remembered(self.revision, function, argument)

    def without_view(self) -> "Search":
        """The filters alone, as the key of what depends on nothing else."""
        return self.changed(sort="", page=1, size=API_SIZE, echo={})


# More hits than this are not looked up one by one.
FEW = 2000


@lru_cache(maxsize=128)
def remembered(revision: Revision, function: Callable[[Argument], Result], argument: Argument) -> Result:
    return function(argument)


def matching_count(search: Search) -> int:
    return search.matching().count()


def title_count(search: Search) -> int:
    """How many videos that match have `q` in the title."""
    return search.filtered().filter(title_has(search.q)).count()


def keys_found_in_text(q: str) -> tuple[str, ...]:
    """Keys of the videos with q in title or summary."""
    return tuple(found_in_text(q))


EMPTY: dict[str, Any] = dict.fromkeys(dict.fromkeys(LISTS.values()), ()) | {
    "uncategorised": False,
    "has_audio": None,
    "q": "",
    "published_from": None,
    "published_before": None,
}


def canonical(sort: str) -> str:
    """The one name of a sort that has several."""
    return ALIASES.get(sort, sort)


def paging(query: QueryDict, default_size: int) -> tuple[int, int]:
    """Page (from 1) and size (1..50). If either is not a number, both are the default."""
    try:
        page, size = int(query.get("page") or 1), int(query.get("size") or default_size)
    except ValueError:
        return 1, default_size
    return min(max(page, 1), MAXIMUM_PAGE), min(max(size, 1), MAXIMUM_SIZE)


def published_bound(text: str, after: bool) -> datetime | None:
    """An ISO date or time as a bound of published_at; `after` makes it the first moment past it.

    A time without a zone is UTC. None for what is no ISO date: such a filter is ignored.
    """
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2025-09-11"):
            step = timedelta(days=1)
            moment = datetime.combine(moment, time.min, UTC)
        else:
            step = timedelta(microseconds=1)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment + step if after else moment
    except (ValueError, OverflowError):
        return None


def storable(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values that PostgreSQL text can hold. One with NUL equals nothing that is stored."""
    return tuple(value for value in values if "\x00" not in value)


def category_ids(names: tuple[str, ...]) -> tuple[int, ...]:
    """Primary keys of the categories that have, or had, one of these names."""
    return tuple(categories_named(names))


def subcategory_ids(names: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[int, ...]:
    """Primary keys of the subcategories with one of the first names, below one of the second if there are any.

    Names that they had count as well.
    """
    own, parents = names
    subcategories = Subcategory.objects.alias(key=MatchKey("name")).filter(key__in=storable(own))
    if parents:
        subcategories = subcategories.alias(parent_key=MatchKey("category__name")).filter(
            Q(parent_key__in=storable(parents)) | Q(category__in=categories_named(parents))
        )
    return tuple(as_they_are_now(subcategories))


def categories_named(names: tuple[str, ...]) -> QuerySet[Any]:
    """The same as `category_ids`, for a query."""
    return as_they_are_now(Category.objects.alias(key=MatchKey("name")).filter(key__in=storable(names)))


def as_they_are_now(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Primary keys of what these names stand for now."""
    return rows.order_by().values_list(Coalesce("merged_into", "pk"), flat=True).distinct()


def categorised(**row: object) -> Exists:
    """The video has a categorisation like this."""
    return Exists(Categorization.objects.filter(video=OuterRef("pk"), **row))


def found_in_text(q: str) -> QuerySet[Any]:
    """Keys of the videos, deleted ones too, with q in the title or in a summary that is read today.

    Two index scans and a union: an OR across two tables could use neither index.
    """
    return in_titles(q).union(in_summaries(q))


def in_titles(q: str) -> QuerySet[Any]:
    """Keys of the videos with q in the title."""
    return Video.objects.filter(title_has(q)).order_by().values_list("pk", flat=True)


def in_summaries(q: str) -> QuerySet[Any]:
    """Keys of the videos with q in a summary that is read today, once for each such summary."""
    found = latest_summaries().filter(text_folded__contains=Fold(Value(q)))
    return found.order_by().values_list("video_id", flat=True)


def latest_summaries() -> QuerySet[Any]:
    """The summaries that are read today, by the name of the relation."""
    return Video.summaries.rel.related_model.objects.filter(is_latest=True)


def title_has(q: str) -> Q:
    """The title has q: what an index can find."""
    return Q(title_folded__contains=Fold(Value(q)))


def strictly_in_title(q: str) -> Q:
    """The title has q: what is asked of each video in turn."""
    return Q(GreaterThan(StrIndex("title_folded", Fold(Value(q))), 0))


def strictly_in_summary(q: str) -> Q:
    """A summary that is read today has q: what is asked of each video in turn.

    A maximum and not EXISTS, which the planner may answer for all videos at once.
    """
    position = StrIndex("text_folded", Fold(Value(q)))
    summaries = latest_summaries().filter(video=OuterRef("pk")).order_by().values("video")
    return Q(GreaterThan(Subquery(summaries.annotate(position=Max(position)).values("position")), 0))


def kept_count(search: Search) -> int | None:
    """The number of matching videos from the kept counts, or None where they do not hold it."""
    counts = FacetCount.objects
    match search.filters:
        case ("has_audio",):
            rows = counts.filter(facet="has_audio", value=str(search.has_audio).lower())
        case ("categories",) if len(search.categories) == 1:
            categories = search.at_this_revision(category_ids, search.categories)
            if len(categories) > 1:
                return None
            rows = counts.filter(facet="category", category_id__in=categories)
        case ("subcategories",) | ("subcategories", "parent_categories"):
            pairs = search.at_this_revision(subcategory_ids, (search.subcategories, search.parent_categories))
            if len(pairs) > 1:
                return None
            rows = counts.filter(facet="subcategory", subcategory_id__in=pairs)
        case (name,) if name in COLUMNS:
            facet = "channel" if name == "channels" else COLUMNS[name]
            rows = counts.alias(key=MatchKey("value")).filter(facet=facet, key__in=storable(getattr(search, name)))
        case _:
            return None
    return rows.aggregate(total=Sum("count"))["total"] or 0
