"""The list of videos to curate: what it can be narrowed to, how many there are of each, and which comes next."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from .models import Categorization, Category, Curation, FacetCount, Origin, Proposal, Review
from .search import Search, remembered

# The newest first. A video added at no known time comes last.
ORDER = (F("indexed_at").desc(nulls_last=True), "video_id")
# So many names of a filter are shown; the others are found by searching.
SHOWN = 15
AGES_DAYS = {"1": "today", "7": "in the last 7 days", "30": "in the last 30 days", "365": "in the last year"}
STATES = {
    "review": "needs review",
    "differs": "proposal differs",
    "uncategorised": "uncategorised",
    "proposed": "not reviewed, with categories",
    "reviewed": "reviewed",
    "curated": "curated",
    "open": "not reviewed, uncategorised",
    "all": "all",
}
DEFAULT_STATE = "review"


@dataclass(frozen=True)
class Choice:
    """One value of a filter, what it is called, and how many live videos have it."""

    value: str
    label: str
    videos: int


def has_waiting_proposal() -> Exists:
    return Exists(Proposal.objects.waiting().filter(video=OuterRef("pk")))


def is_categorised(**row: object) -> Exists:
    return Exists(Categorization.objects.filter(video=OuterRef("pk"), **row))


def in_state(videos: QuerySet[Curation], state: str) -> QuerySet[Curation]:
    match state or DEFAULT_STATE:
        case "review":
            return videos.filter(Q(review__isnull=True) | has_waiting_proposal())
        case "differs":
            return videos.filter(has_waiting_proposal())
        case "uncategorised":
            return videos.filter(~is_categorised())
        case "proposed":
            return videos.filter(is_categorised(), review__isnull=True)
        case "open":
            return videos.filter(~is_categorised(), review__isnull=True)
        case "reviewed":
            return videos.filter(review__is_curated=False)
        case "curated":
            return videos.filter(review__is_curated=True)
        case _:
            return videos


def in_category(videos: QuerySet[Curation], number: str) -> QuerySet[Curation]:
    return videos.filter(is_categorised(category=number)) if number.isdecimal() and len(number) < 10 else videos


def of_origin(videos: QuerySet[Curation], origin: str) -> QuerySet[Curation]:
    return videos.filter(is_categorised(origin=origin)) if origin in Origin.values else videos


def added_within(videos: QuerySet[Curation], days: str) -> QuerySet[Curation]:
    return videos.filter(indexed_at__gte=day_before(days)) if days in AGES_DAYS else videos


def in_channel(videos: QuerySet[Curation], name: str) -> QuerySet[Curation]:
    return videos.filter(channel_name=name) if name and "\x00" not in name else videos


def of_source(videos: QuerySet[Curation], name: str) -> QuerySet[Curation]:
    return videos.filter(source=name) if name and "\x00" not in name else videos


def found(videos: QuerySet[Curation], q: str) -> QuerySet[Curation]:
    """Those that the dashboard's search finds: text in title or summary."""
    q = " ".join(q.split())
    return videos.filter(pk__in=Search(q=q).matching().values("pk")) if len(q) >= 2 else videos


# The parameter of the address → what it narrows the list to.
FILTERS: dict[str, Callable[[QuerySet[Curation], str], QuerySet[Curation]]] = {
    "state": in_state,
    "category": in_category,
    "origin": of_origin,
    "channel": in_channel,
    "source": of_source,
    "added": added_within,
    "q": found,
}


def listed(parameters: Mapping[str, str]) -> QuerySet[Curation]:
    """The live videos that the list shows with these parameters, in its order."""
    videos = Curation.objects.live()
    for name, narrow in FILTERS.items():
        videos = narrow(videos, parameters.get(name, ""))
    return videos.order_by(*ORDER)


def following(parameters: Mapping[str, str], video: Curation) -> str | None:
    """The key of the next video of the list; the first one's behind the last. None: there is no other."""
    others = listed(parameters).exclude(pk=video.pk)
    return (
        others.filter(is_behind(video)).values_list("pk", flat=True).first()
        or others.values_list("pk", flat=True).first()
    )


def preceding(parameters: Mapping[str, str], video: Curation) -> str | None:
    """The key of the video before in the list, if there is one."""
    others = listed(parameters).exclude(pk=video.pk).exclude(is_behind(video))
    return others.reverse().values_list("pk", flat=True).first()


def is_behind(video: Curation) -> Q:
    """What comes after a video in the order of the list, whether it is in it or not."""
    if video.indexed_at is None:
        return Q(indexed_at__isnull=True, pk__gt=video.pk)
    return (
        Q(indexed_at__lt=video.indexed_at)
        | Q(indexed_at=video.indexed_at, pk__gt=video.pk)
        | Q(indexed_at__isnull=True)
    )


# How many there are of each. They follow no other filter, and are counted once for each state of the library.


def choices(name: str) -> list[Choice]:
    """The values that a filter offers, with their numbers of videos."""
    counts = known(COUNTS[name], timezone.now().date().isoformat() if name == "added" else "")
    return [Choice(*choice) for choice in counts]


def known(function: Callable[[str], tuple[tuple[str, str, int], ...]], day: str) -> tuple[tuple[str, str, int], ...]:
    if connection.in_atomic_block:
        return function(day)
    return remembered(FacetCount.objects.revision(), function, day)


def state_counts(_: str) -> tuple[tuple[str, str, int], ...]:
    seen = seen_counts()
    numbers = seen | {"all": FacetCount.objects.revision().videos, "review": to_review(seen)}
    numbers["differs"] = Proposal.objects.waiting().filter(video__deleted_at__isnull=True).count()
    bare = Curation.objects.live().filter(~is_categorised())
    bare = bare.aggregate(all=Count("pk"), open=Count("pk", filter=Q(review__isnull=True)))
    numbers["uncategorised"], numbers["open"] = bare["all"], bare["open"]
    numbers["proposed"] = numbers["all"] - seen["curated"] - seen["reviewed"] - numbers["open"]
    return tuple((state, label, numbers[state]) for state, label in STATES.items())


def seen_counts() -> dict[str, int]:
    """How many live videos a person has looked at."""
    rows = Review.objects.filter(video__deleted_at__isnull=True)
    return rows.aggregate(
        curated=Count("pk", filter=Q(is_curated=True)), reviewed=Count("pk", filter=Q(is_curated=False))
    )


def to_review(seen: Mapping[str, int] | None = None) -> int:
    """How many live videos need review. Not counted one by one: those that were seen are fewer than all."""
    seen = seen or seen_counts()
    again = Proposal.objects.waiting().filter(video__deleted_at__isnull=True, video__review__isnull=False).count()
    return FacetCount.objects.revision().videos - seen["curated"] - seen["reviewed"] + again


def category_counts(_: str) -> tuple[tuple[str, str, int], ...]:
    counts = dict(
        FacetCount.objects.filter(facet="category").values_list("category_id").annotate(videos=Sum("count")).order_by()
    )
    names = Category.objects.present().order_by("position", "name").values_list("pk", "name")
    return tuple((str(pk), name, counts.get(pk, 0)) for pk, name in names if counts.get(pk))


def origin_counts(_: str) -> tuple[tuple[str, str, int], ...]:
    rows = Categorization.objects.filter(video__deleted_at__isnull=True).order_by()
    counts = dict(rows.values_list("origin").annotate(videos=Count("video", distinct=True)))
    return tuple((value, label, counts.get(value, 0)) for value, label in Origin.choices)


def age_counts(_: str) -> tuple[tuple[str, str, int], ...]:
    numbers = (
        Curation.objects.live()
        .filter(indexed_at__gte=day_before("365"))
        .aggregate(**{f"d{days}": Count("pk", filter=Q(indexed_at__gte=day_before(days))) for days in AGES_DAYS})
    )
    return tuple((days, label, numbers[f"d{days}"]) for days, label in AGES_DAYS.items())


def value_counts(facet: str) -> Callable[[str], tuple[tuple[str, str, int], ...]]:
    def counts(_: str) -> tuple[tuple[str, str, int], ...]:
        values = FacetCount.objects.filter(facet=facet).values_list("value").annotate(videos=Sum("count"))
        rows = values.filter(videos__gt=0).order_by("-videos", "value")[:SHOWN]
        return tuple((value, value, videos) for value, videos in rows)

    return counts


COUNTS: dict[str, Callable[[str], tuple[tuple[str, str, int], ...]]] = {
    "state": state_counts,
    "category": category_counts,
    "origin": origin_counts,
    "channel": value_counts("channel"),
    "source": value_counts("source"),
    "added": age_counts,
}


def day_before(days: str) -> datetime:
    """The start of the day, in UTC, with which the last so many days begin."""
    today = datetime.combine(timezone.now().date(), time.min, timezone.get_default_timezone())
    return today - timedelta(days=int(days) - 1)


# Progress


@dataclass(frozen=True)
class CategoryProgress:
    """How far a category is: its live videos by who decided, and how often a machine said the same.

    `said` of the `heard` videos that a person put here and a machine has said something about. `overruled` of the
    videos that a machine put here and a person did not.
    """

    category_id: int
    name: str
    curated: int
    reviewed: int
    proposed: int
    heard: int
    said: int
    overruled: int

    @property
    def videos(self) -> int:
        return self.curated + self.reviewed + self.proposed

    @property
    def agreement_percent(self) -> int | None:
        """How many of 100 a machine put here as well; None where none was heard."""
        return round(100 * self.said / self.heard) if self.heard else None


def progress() -> list[CategoryProgress]:
    """Each category's progress, in the order of the taxonomy."""
    return [CategoryProgress(*row) for row in progress_rows()]


def progress_rows() -> Iterator[tuple[int, str, int, int, int, int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS)
        yield from cursor.fetchall()


# What a machine said last is in the proposal, by name; a name that was replaced counts as its present one.
PROGRESS = """
    WITH placed AS (
        SELECT DISTINCT categorization.video_id, categorization.category_id, review.is_curated
        FROM videos_categorization AS categorization
        JOIN videos_video AS video ON video.video_id = categorization.video_id AND video.deleted_at IS NULL
        LEFT JOIN videos_review AS review ON review.video_id = categorization.video_id
    ), states AS (
        SELECT category_id, count(*) FILTER (WHERE is_curated) AS curated,
            count(*) FILTER (WHERE NOT is_curated) AS reviewed, count(*) FILTER (WHERE is_curated IS NULL) AS proposed
        FROM placed GROUP BY 1
    ), said AS (
        SELECT DISTINCT proposal.video_id, coalesce(named.merged_into_id, named.id) AS category_id
        FROM videos_proposal AS proposal
        JOIN videos_review AS review ON review.video_id = proposal.video_id AND review.is_curated
        JOIN videos_video AS video ON video.video_id = proposal.video_id AND video.deleted_at IS NULL
        CROSS JOIN LATERAL jsonb_array_elements(proposal.pairs) AS pair
        JOIN videos_category AS named ON named.name = pair ->> 0
    ), decided AS (
        SELECT placed.video_id, placed.category_id FROM placed JOIN videos_proposal USING (video_id)
        WHERE placed.is_curated
    ), agreed AS (
        SELECT category_id, count(decided.video_id) AS heard,
            count(*) FILTER (WHERE decided.video_id IS NOT NULL AND said.video_id IS NOT NULL) AS said,
            count(*) FILTER (WHERE decided.video_id IS NULL) AS overruled
        FROM decided FULL JOIN said USING (video_id, category_id) GROUP BY 1
    )
    SELECT category.id, category.name, coalesce(curated, 0), coalesce(reviewed, 0), coalesce(proposed, 0),
        coalesce(heard, 0), coalesce(agreed.said, 0), coalesce(overruled, 0)
    FROM videos_category AS category LEFT JOIN states ON states.category_id = category.id
    LEFT JOIN agreed ON agreed.category_id = category.id
    WHERE states.category_id IS NOT NULL OR agreed.category_id IS NOT NULL
    ORDER BY category.position, category.name
"""
