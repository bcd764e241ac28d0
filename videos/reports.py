"""What the report page shows of a video and its summaries, ready for the template."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.utils.formats import date_format
from django.utils.html import strip_tags

from .cards import Chip, chips, duration, is_watched, reading_time, split, thumbnail, tint, web_address
from .filters import SOURCES
from .languages import Language, language_of
from .links import Address, audio_url, curate_url, delete_url, report_url
from .models import Video, match_key

# The sources that people know by a name; others are named by their host.
NAMED_SOURCES = ("youtube", "reddit", "wikipedia")


@dataclass(frozen=True)
class Fact:
    """One line of the facts: text, or a time as well, or links."""

    icon: str
    label: str
    text: str = ""
    url: str = ""
    moment: datetime | None = None
    chips: tuple[Chip, ...] = ()
    chip_class: str = ""


@dataclass(frozen=True)
class Section:
    """One variant of the summary: safe HTML, made when the summary was written."""

    variant: str
    anchor: str
    title: str
    language: Language | None
    revision: int
    reading_time: str
    html: str


@dataclass(frozen=True)
class Report:
    """A video's page. Empty text: not known, so not shown."""

    video_id: str
    title: str
    url: str
    delete_url: str
    curate_url: str
    audio_url: str
    audio_time: str
    canonical: str
    thumbnail: str
    tint: int
    facts: tuple[Fact, ...]
    topics: tuple[Chip, ...]
    sections: tuple[Section, ...]
    original: str
    original_label: str
    original_hint: str
    watched: bool


def report_of(video: Video, summaries: Iterable[models.Model], canonical: str) -> Report:
    """The page of a video from a queryset `with_pairs`, with its summaries, best first; `canonical` is its one URL."""
    address = Address({})
    source = source_name(video)
    verb = "Watch" if is_watched(video) else "Open"
    return Report(
        video_id=video.video_id,
        title=video.display_title,
        url=report_url(video.video_id),
        delete_url=delete_url(video.video_id),
        curate_url=curate_url(video.video_id),
        audio_url=audio_url(video.video_id) if video.has_audio else "",
        audio_time=duration(video.audio_duration_seconds),
        canonical=canonical,
        thumbnail=thumbnail(video.thumbnail_url),
        tint=tint(video.video_id),
        facts=tuple(facts(video, address)),
        topics=tuple(topics(video, address)),
        sections=tuple(sections(video, summaries)),
        original=web_address(video.canonical_url),
        original_label=source if video.source == "youtube" else f"{verb} at {source}",
        original_hint=f"{verb} at {source}",
        watched=is_watched(video),
    )


@dataclass(frozen=True)
class Reading:
    """What is read of a video inside of a list."""

    video_id: str
    title: str
    url: str
    sections: tuple[Section, ...]


def reading_of(video: Video, summaries: Iterable[models.Model]) -> Reading:
    """A video's summaries, best first, for a list. Their anchors are no others' on the page: one is open at a time."""
    return Reading(
        video_id=video.video_id,
        title=video.display_title,
        url=report_url(video.video_id),
        sections=tuple(sections(video, summaries, "read-")),
    )


def source_name(video: Video) -> str:
    """`YouTube`, or the host of the video's address."""
    if video.source in NAMED_SOURCES:
        return SOURCES[video.source]
    return split(video.canonical_url)[1].removeprefix("www.") or SOURCES.get(video.source, video.source)


def facts(video: Video, address: Address) -> Iterator[Fact]:
    """What is known of the video, in the order of reading."""
    if channel := video.channel_name.strip():
        yield Fact("channel", "Channel", channel, url=address.having({"channel": [match_key(channel)]}).url)
    if video.duration_seconds:
        yield Fact("film", "Video Duration", duration(video.duration_seconds))
    if video.has_audio and video.audio_duration_seconds:
        yield Fact("audio", "Audio Duration", duration(video.audio_duration_seconds))
    elif video.has_audio:
        yield Fact("audio", "Audio", "Available")
    if video.word_count:
        text = f"{video.word_count:,} words, {reading_time(video.word_count)} to read"
        yield Fact("text", "Word Count", text)
    if video.published_at:
        yield Fact("calendar", "Published", date_format(video.published_at, "j F Y"), moment=video.published_at)
    if video.indexed_at:
        yield Fact("added", "Added", date_format(video.indexed_at, "j F Y"), moment=video.indexed_at)
    if video.language.strip():
        yield Fact("language", "Language", language_of(video.language).name)
    if video.complexity_level.strip():
        yield Fact("complexity", "Complexity", video.complexity_level)
    if video.content_type.strip():
        yield Fact("type", "Content Type", video.content_type)
    categories, subcategories = chips(video, address)
    if categories:
        yield Fact("tag", "Categories", chips=categories, chip_class="category")
    if subcategories:
        yield Fact("tags", "Subcategories", chips=subcategories, chip_class="subcategory")


def topics(video: Video, address: Address) -> Iterator[Chip]:
    """The key topics as links. `the-silk-road` is a topic written for machines."""
    for topic in video.key_topics if isinstance(video.key_topics, list) else ():
        if isinstance(topic, str) and match_key(topic):
            label = topic.replace("-", " ") if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", topic) else topic
            yield Chip(label, address.having({"topics": [match_key(topic)]}).url)


def sections(video: Video, summaries: Iterable[models.Model], prefix: str = "") -> Iterator[Section]:
    """The variants, best first, each with an anchor of its own."""
    taken: set[str] = set()
    for summary in summaries:
        anchor = f"{prefix}variant-" + re.sub(r"[^\w]+", "-", summary.variant).strip("-")
        while anchor in taken:
            anchor += "-"
        taken.add(anchor)
        code = summary.language.strip() or video.summary_language.strip()
        yield Section(
            variant=summary.variant,
            anchor=anchor,
            title=summary.title,
            language=language_of(code) if code else None,
            revision=summary.revision,
            reading_time=reading_time(len(strip_tags(summary.html).split())),
            html=summary.html,
        )
