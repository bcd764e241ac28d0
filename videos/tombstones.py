"""The page Deleted: what was deleted, by whom, when and why, and what has been turned away since."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.apps import apps
from django.core.paginator import Paginator
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Concat, StrIndex
from django.db.models.lookups import GreaterThan
from django.http import QueryDict
from django.urls import reverse

from .cards import web_address
from .keys import UNSTORABLE, VideoKey
from .models import Fold, Video

PAGE_SIZE = 50
SEARCHED = ("title", "channel_name", "video_id", "legacy_id", "deleted_by", "deleted_reason")
# Requests that delete are in the log with the same outcome as those that were turned away.
DELETE_ROUTE = "/api/delete"


@dataclass(frozen=True)
class Tombstone:
    """A deleted video. `last_*`: the last request that wanted to write it since."""

    video_id: str
    title: str
    channel: str
    original: str
    deleted_at: datetime
    deleted_by: str
    reason: str
    is_purged: bool
    turned_away: int
    last_at: datetime | None
    last_route: str
    last_token: str


@dataclass(frozen=True)
class Tombstones:
    """A page of them, the last deleted first. Empty URLs: there is no such page."""

    q: str
    total: int
    number: int
    pages: int
    entries: tuple[Tombstone, ...]
    newer_url: str
    older_url: str

    @classmethod
    def from_query(cls, query: QueryDict) -> "Tombstones":
        """The page that a query string asks for with `q` and `page`; the nearest one, if there is no such page."""
        q = " ".join(query.get("q", "").split())
        page = Paginator(found(q), PAGE_SIZE).get_page(query.get("page"))
        return cls(
            q=q,
            total=page.paginator.count,
            number=page.number,
            pages=page.paginator.num_pages,
            entries=tuple(map(tombstone, page)),
            newer_url=address(q, page.number - 1) if page.has_previous() else "",
            older_url=address(q, page.number + 1) if page.has_next() else "",
        )


def address(q: str, number: int) -> str:
    """The URL of a page."""
    query = ({"q": q} if q else {}) | ({"page": number} if number > 1 else {})
    return reverse("videos:deleted") + (f"?{urlencode(query)}" if query else "")


def found(q: str) -> QuerySet[Video]:
    """Deleted videos with this in what is known of them, or that it names; all of them without."""
    videos = Video.objects.deleted().order_by("-deleted_at", "video_id")
    if UNSTORABLE.search(q):
        return videos.none()
    if q:
        texts = [part for name in SEARCHED for part in (F(name), Value("\n"))]
        has_text = GreaterThan(StrIndex(Fold(Concat(*texts, output_field=TextField())), Fold(Value(q))), 0)
        key = VideoKey.parse(q)
        is_named = Q(video_id__in=key.candidates) | Q(legacy_id__in=key.candidates)
        if key.lowered:
            is_named |= Q(video_id__iexact=key.lowered)
        videos = videos.filter(has_text | is_named)
    # By the name of the model: what is logged belongs to ingest, which stands above this.
    entries = apps.get_model("ingest", "IngestLogEntry").objects.filter(
        video_id=OuterRef("pk"), outcome="deleted", at__gte=OuterRef("deleted_at")
    )
    turned_away = entries.exclude(route__startswith=DELETE_ROUTE)
    last = turned_away.order_by("-pk")
    number = turned_away.order_by().values("video_id").annotate(number=Count("pk")).values("number")
    return videos.defer("analysis", "extra", "title_folded", "title_sort_key").annotate(
        turned_away=Subquery(number),
        last_at=Subquery(last.values("at")[:1]),
        last_route=Subquery(last.values("route")[:1]),
        last_token=Subquery(last.values("token_name")[:1]),
    )


def tombstone(video: Video) -> Tombstone:
    """An entry of the page, from a queryset of `found`."""
    return Tombstone(
        video_id=video.pk,
        title=video.title,
        channel=video.channel_name,
        original=web_address(video.canonical_url),
        deleted_at=video.deleted_at,
        deleted_by=video.deleted_by,
        reason=video.deleted_reason,
        is_purged=video.is_purged,
        turned_away=video.turned_away or 0,
        last_at=video.last_at,
        last_route=video.last_route or "",
        last_token=video.last_token or "",
    )
