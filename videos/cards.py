"""What a card and a report show of a video, ready for the template."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.safestring import SafeString

from .items import pairs_of
from .languages import Language, language_of
from .links import Address, curate_url, delete_url, report_url
from .models import Video
from .snippets import marked

WORDS_PER_MINUTE = 230
# Placeholders come in this many tints, so that a list without pictures is no wall of equal boxes.
TINTS = 6
# The sources whose address is something to watch even if the duration is not known.
WATCHED_SOURCES = ("youtube",)


@dataclass(frozen=True)
class Chip:
    """A name that links to the list of what has it."""

    label: str
    url: str


@dataclass(frozen=True)
class Card:
    """One video in the list. Empty text: not known, so not shown."""

    video_id: str
    title: str
    delete_url: str
    curate_url: str
    marked_title: SafeString
    snippet: SafeString
    url: str
    thumbnail: str
    tint: int
    channel: str
    initial: str
    language: Language | None
    categories: tuple[Chip, ...]
    subcategories: tuple[Chip, ...]
    reading_time: str
    has_audio: bool
    listening_time: str
    original: str
    original_verb: str
    watched: bool
    watching_time: str


def cards(
    videos: Iterable[Video], address: Address, q: str = "", snippets: Mapping[str, SafeString] = MappingProxyType({})
) -> tuple[Card, ...]:
    """The cards of videos that come from a queryset `with_pairs`; what was searched for is marked.

    `snippets` are the places in their summaries where it was found, by video_id.
    """
    return tuple(card(video, address, q, snippets.get(video.video_id, SafeString(""))) for video in videos)


def card(video: Video, address: Address, q: str, snippet: SafeString) -> Card:
    channel = video.channel_name.strip()
    categories, subcategories = chips(video, address)
    return Card(
        video_id=video.video_id,
        title=video.display_title,
        delete_url=delete_url(video.video_id),
        curate_url=curate_url(video.video_id),
        marked_title=marked(video.display_title, q),
        snippet=snippet,
        url=report_url(video.video_id),
        thumbnail=thumbnail(video.thumbnail_url),
        tint=tint(video.video_id),
        channel=channel,
        initial=initial(channel),
        language=language_of(video.language) if video.language.strip() else None,
        categories=categories,
        subcategories=subcategories,
        reading_time=reading_time(video.word_count),
        has_audio=video.has_audio,
        listening_time=duration(video.audio_duration_seconds),
        original=web_address(video.canonical_url),
        original_verb="Watch" if is_watched(video) else "Open",
        watched=is_watched(video),
        watching_time=duration(video.duration_seconds),
    )


def chips(video: Video, address: Address) -> tuple[tuple[Chip, ...], tuple[Chip, ...]]:
    """The categories and the subcategories of a video, each linking to what has it."""
    categories: dict[str, Chip] = {}
    subcategories = []
    for category, subcategory in pairs_of(video):
        if category not in categories:
            categories[category] = Chip(category, address.only_category(category))
        if subcategory is not None:
            subcategories.append(Chip(subcategory, address.only_category(category, subcategory)))
    return tuple(categories.values()), tuple(subcategories)


def tint(video_id: str) -> int:
    """The tint of a video's placeholder: always the same."""
    return sum(map(ord, video_id)) % TINTS


def initial(name: str) -> str:
    """The first letter or digit of a name, as a capital."""
    return next((letter.upper() for letter in name if letter.isalnum()), "")


def reading_time(words: int) -> str:
    """`2 min`, or nothing when the number of words is not known."""
    return f"{-(-words // WORDS_PER_MINUTE)} min" if words else ""


def duration(seconds: int) -> str:
    """`1:47`, `1:02:03`, or nothing when it is not known."""
    if not seconds:
        return ""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def is_watched(video: Video) -> bool:
    """Whether there is something to watch at the video's own address; a page without a duration is opened."""
    return bool(video.duration_seconds) or video.source in WATCHED_SOURCES


def web_address(url: str) -> str:
    """The address if a browser may follow it: `javascript:` and the like are none."""
    return url if url.lower().startswith(("https://", "http://")) else ""


def thumbnail(url: str) -> str:
    """The address of the picture if the content security policy lets it load."""
    return url if url and allowed_image(*split(url)) else ""


def split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), (parts.hostname or "").lower()
    except ValueError:
        return "invalid", ""


@lru_cache(maxsize=1000)
def allowed_image(scheme: str, host: str) -> bool:
    """Whether THUMBNAIL_HOSTS has the host; a path of this site has neither scheme nor host."""
    if not scheme and not host:
        return True
    return any(matches(source, scheme, host) for source in settings.THUMBNAIL_HOSTS)


def matches(source: str, scheme: str, host: str) -> bool:
    """Whether a source of the policy, such as `https://*.ytimg.com`, covers scheme and host."""
    wanted = re.fullmatch(r"(?:(https?)://)?([^/:]+)(?::\d+|:\*)?/?", source.lower())
    if not wanted:
        return False
    pattern = wanted[2]
    same_host = host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
    return same_host and scheme in ((wanted[1], "https") if wanted[1] else ("https", "http"))
