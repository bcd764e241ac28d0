"""Where pages and the read API get what they show: this database, or another reader that answers the same Search."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

from .facets import FacetValue, facets, uncategorised_count
from .items import listed, with_pairs
from .models import Video
from .playlist import Playlist, playlist_of
from .search import Search
from .snippets import snippets_of

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Library(Protocol):
    """What answers a request. One of them answers a whole request, so that no page is mixed."""

    def at_this_revision(self, search: Search, function: Callable[[Argument], Result], argument: Argument) -> Result:
        """A function's result, remembered until the library changes; the argument names all that it depends on."""

    def count(self, search: Search) -> int:
        """How many videos match."""

    def keys(self, search: Search) -> list[str]:
        """The keys of the videos on the page, in order."""

    def listed(self, keys: list[str]) -> list[Video]:
        """The videos with these keys, in this order, with their pairs."""

    def snippets(self, keys: list[str], q: str) -> Mapping[str, SafeString]:
        """Where `q` was found in the summaries of these videos, by key."""

    def facets(self, search: Search) -> dict[str, tuple[FacetValue, ...]]:
        """Every facet's values under all the other filters."""

    def uncategorised_count(self, search: Search) -> int:
        """How many videos are in no category, under all filters but the category facet's own."""

    def named(self, text: str) -> Video:
        """The live video that an id names in any of its forms, with its pairs. Raises Video.DoesNotExist."""

    def summaries(self, video: Video) -> list[models.Model]:
        """The latest revision of each variant of a video's summary, best first."""

    def playlist(self, search: Search, around: str) -> Playlist:
        """The place of a video in the list, or its start. Raises Video.DoesNotExist."""


@dataclass(frozen=True)
class DatabaseLibrary:
    """This database."""

    def at_this_revision(self, search: Search, function: Callable[[Argument], Result], argument: Argument) -> Result:
        return search.at_this_revision(function, argument)

    def count(self, search: Search) -> int:
        return search.count()

    def keys(self, search: Search) -> list[str]:
        return search.keys()

    def listed(self, keys: list[str]) -> list[Video]:
        return listed(keys)

    def snippets(self, keys: list[str], q: str) -> Mapping[str, SafeString]:
        return snippets_of(keys, q)

    def facets(self, search: Search) -> dict[str, tuple[FacetValue, ...]]:
        return facets(search)

    def uncategorised_count(self, search: Search) -> int:
        return uncategorised_count(search)

    def named(self, text: str) -> Video:
        return with_pairs(Video.objects.live()).named(text)

    def summaries(self, video: Video) -> list[Any]:
        return video.summaries.best_first()

    def playlist(self, search: Search, around: str) -> Playlist:
        return playlist_of(search, around)


DATABASE = DatabaseLibrary()


def library_of(request: HttpRequest) -> Library:
    """The library that answers this request; middleware can set another one than the database."""
    return getattr(request, "library", DATABASE)
