"""The playlist: what is played before and after a video, in the order of the list that one listens to.

It is the videos with audio that a Search finds. A neighbour is found by comparison with the values that the list is
ordered by: it costs the same anywhere in a list of any length, and a video that has left the list keeps its place.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet, Value

from .cards import thumbnail
from .links import DEFAULT_SORT, audio_url, report_url
from .models import Video
from .search import (
    EMPTY,
    FEW,
    ORDERINGS,
    Search,
    canonical,
    keys_found_in_text,
    matching_count,
    storable,
    strictly_in_summary,
    strictly_in_title,
    title_count,
    title_has,
)

# What a track shows, and what a video is known by and lists are ordered by.
SHOWN = ("title", "channel_name", "thumbnail_url", "has_audio", "audio_duration_seconds", "deleted_at")
PLACED = ("legacy_id", "indexed_at", "published_at", "title_sort_key", "duration_seconds")


@dataclass(frozen=True)
class Track:
    """One video for the player. `thumbnail` is empty where there is none that may be loaded."""

    video_id: str
    title: str
    channel: str
    thumbnail: str
    url: str
    audio: str
    audio_duration_seconds: int


@dataclass(frozen=True)
class Playlist:
    """A place in the list. `current` is absent if the video cannot be played, or not any more."""

    current: Track | None = None
    previous: Track | None = None
    next: Track | None = None


def playlist_of(search: Search, around: str = "") -> Playlist:
    """The place of a video, or the start of the list. Raises Video.DoesNotExist if no video has this id."""
    lists = lists_of(search)
    if around:
        video = Video.objects.only(*SHOWN, *PLACED).named(around)
    elif first := edge(lists):
        video = Video.objects.only(*SHOWN, *PLACED).get(pk=first)
    else:
        return Playlist()
    at = 1 if len(lists) > 1 and not Video.objects.filter(strictly_in_title(search.q), pk=video.pk).exists() else 0
    own = lists[at : at + 1]
    previous = beside(own, search, video, backwards=True) or edge(lists[:at], backwards=True)
    following = beside(own, search, video) or edge(lists[at + 1 :])
    videos = Video.objects.live().only(*SHOWN).in_bulk([key for key in (previous, following) if key])
    return Playlist(track(video), track(videos.get(previous)), track(videos.get(following)))


def track(video: Video | None) -> Track | None:
    """The video for the player, if there is something to play."""
    if video is None or not video.has_audio or video.deleted_at is not None:
        return None
    return Track(
        video_id=video.video_id,
        title=video.display_title,
        channel=video.channel_name.strip(),
        thumbnail=thumbnail(video.thumbnail_url),
        url=report_url(video.video_id),
        audio=audio_url(video.video_id),
        audio_duration_seconds=video.audio_duration_seconds,
    )


def lists_of(search: Search) -> list[QuerySet[Video]]:
    """The ordered lists that make up the playlist, one behind the other: as Search.keys has them, all with audio."""
    if search.has_audio is False or not storable((search.q,)):
        return []
    search = search.changed(has_audio=True)
    if not search.q:
        lists = [search.filtered()]
    else:
        if search.at_this_revision(matching_count, search.without_view().without(*EMPTY.keys() - {"q"})) <= FEW:
            matching = search.filtered().filter(pk__in=search.at_this_revision(keys_found_in_text, search.q))
        else:
            matching = search.filtered().filter(strictly_in_title(search.q) | strictly_in_summary(search.q))
        lists = [matching]
        if not search.sort:
            few = search.at_this_revision(title_count, search.without_view()) <= FEW
            in_title = title_has(search.q) if few else strictly_in_title(search.q)
            lists = [search.filtered().filter(in_title), matching.exclude(strictly_in_title(search.q))]
    return [videos.order_by(*ordering(search)) for videos in lists]


def ordering(search: Search) -> tuple[Any, ...]:
    return ORDERINGS[canonical(search.sort or DEFAULT_SORT)]


def edge(lists: list[QuerySet[Video]], backwards: bool = False) -> str | None:
    """The key of the first video of these lists, or of the last one."""
    for videos in reversed(lists) if backwards else lists:
        if found := (videos.reverse() if backwards else videos).values_list("pk", flat=True)[:1]:
            return found[0]
    return None


def beside(lists: list[QuerySet[Video]], search: Search, video: Video, backwards: bool = False) -> str | None:
    """The key of the next or the previous video in the list that the video has its place in."""
    for videos in lists:
        ordered = videos.reverse() if backwards else videos
        found = [
            ordered.filter(place).annotate(rank=Value(rank)).values_list("rank", "pk")[:1]
            for rank, place in enumerate(places(search, video, backwards))
        ]
        return min(found[0].union(*found[1:], all=True), default=(0, None))[1]
    return None


def places(search: Search, video: Video, backwards: bool) -> list[Q]:
    """Where a neighbour can be, the nearest first; each is one range of the index that the order has.

    In every order video_id rises among equals, and what has no value counts as less than all values.
    """
    first = ordering(search)[0]
    if isinstance(first, str):
        column, is_falling = first.removeprefix("-"), first.startswith("-") != backwards
    else:
        column, is_falling = first.expression.name, first.descending != backwards
    value = getattr(video, column)
    same = Q((f"{column}__isnull", True)) if value is None else Q((column, value))
    equals = same & Q((f"video_id__{'lt' if backwards else 'gt'}", video.pk))
    if value is None:
        return [equals] if is_falling else [equals, Q((f"{column}__isnull", False))]
    if is_falling:
        return [equals, Q((f"{column}__lt", value)), Q((f"{column}__isnull", True))]
    return [equals, Q((f"{column}__gt", value))]
