"""What the worker sends, in each of its shapes, as one Arrival (contract/ingest.md; docs/worker.md).

The shapes overlap, so one reader takes them all: each field is looked for in the places where some version of
the worker puts it, and the first real value counts. Whatever did not become a field, a category or a text stays
in `record.extra`, at its place, as it was sent: also a second value that says something else than the first.

- The time of a payload is its `processed_at`, else the later of `generated_at` and `updated_at`, else its
  `indexed_at`; without any it has none, and the merge takes it for now.
- That there is a file of sound is known from the files: a report's `has_audio` is kept in `extra` and sets nothing.
  Only a change of that very field (read_changes) sets it, and nothing that is sent clears it.
- A number may come as text of digits; a fraction of a second is rounded, and stays in `extra` as it was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from summaries.models import SummaryText
from videos.keys import (
    PREFIXED,
    REDDIT_URL,
    YOUTUBE_ID,
    YOUTUBE_URL,
    VideoKey,
    native_keys,
    natural_key,
    source_of,
)
from videos.models import Origin, Pair, Video
from videos.upsert import VideoRecord

from .body import (
    CONTAINERS,
    TOP,
    Body,
    Path,
    decoded,
    flag,
    is_blank,
    is_real,
    listed,
    number,
    seconds,
    text,
    time,
    wrong_type,
)
from .payload_texts import object_in, texts_of
from .sqlite.codec import Text
from .sqlite.mapping import LONGEST_KEY, Mapper, Unmodelled, parent_of


class Unusable(ValueError):
    """A body that names no video: a sentence for people."""


class Odd(ValueError):
    """A body that names a video and cannot be merged: a code for programs, a sentence for people."""

    def __init__(self, code: str, message: str, video_id: str) -> None:
        super().__init__(message)
        self.code, self.message, self.video_id = code, message, video_id


@dataclass(frozen=True)
class Arrival:
    """What came in of one video. `aliases`: ids by which it may be stored, where nothing names it for sure.

    `left`: why a part of it could not be used, which is kept as it was sent.
    """

    record: VideoRecord
    pairs: tuple[Pair, ...]
    texts: tuple[SummaryText, ...]
    aliases: tuple[str, ...] = ()
    left: tuple[Unmodelled, ...] = ()


def read_report(payload: Mapping[str, Any]) -> Arrival:
    """The body of `POST /ingest/report`. Raises Unusable and Odd."""
    return read(payload)


def read_content(payload: Mapping[str, Any]) -> Arrival:
    """The body of `POST /api/content`: flat, nested or universal. Raises Unusable and Odd."""
    return read(payload)


def read_universal(payload: Mapping[str, Any], stem: str) -> Arrival:
    """A report's file; `stem` is the name it came with, in case it names its video nowhere else.

    Raises Unusable and Odd.
    """
    return read(payload, stem)


def read_changes(payload: Mapping[str, Any], video: Video) -> Arrival:
    """The body of `PUT /api/content/<id>`: any fields of a video that is there. Raises Odd, and Unusable for no object.

    Only here `has_audio` sets the field: the worker says that the file is in its place.
    """
    arrival = read_named(payload, Names(video.pk, video.source))
    extra = {key: value for key, value in arrival.record.extra.items() if key not in ("id", "video_id")}
    has_audio = extra.pop("has_audio", None)
    try:
        said = flag(has_audio, "has_audio")
    except Unmodelled as reason:
        raise Odd(reason.code, reason.message, video.pk) from reason
    # What a request changes is the video, not when it was added.
    return replace(arrival, record=replace(arrival.record, has_audio=said, extra=extra, indexed_at=None))


def read(payload: Mapping[str, Any], stem: str = "") -> Arrival:
    """Any body. Raises Unusable and Odd."""
    return read_named(payload, None, stem)


def read_named(payload: Mapping[str, Any], names: "Names | None", stem: str = "") -> Arrival:
    if not isinstance(payload, dict):
        raise Unusable("The body is JSON, but no object.")
    body = Body(payload)
    names = names or identify(body, stem)
    try:
        body.check(payload)
        return arrival_of(body, names)
    except Unmodelled as reason:
        raise Odd(reason.code, reason.message, names.video_id) from reason


# Which video --------------------------------------------------------------------------------------------

IDS_OF_A_SOURCE = ("id", "post_id", "submission_id", "page_id", "article_id")
ADDRESSES = ("canonical_url", "url", "webpage_url")
IDS_OF_A_REPORT = ("content_id", "report_id", "file_stem")


@dataclass(frozen=True)
class Names:
    """The key of the video that a body names, and its source (videos/keys.py)."""

    video_id: str
    source: str
    legacy_id: str = ""
    aliases: tuple[str, ...] = ()


def is_usable(name: str) -> bool:
    """Whether a text can be a key: no source without an id, and nothing that an address cannot hold, as `..`."""
    if name.endswith(":") or not name.strip("."):
        return False
    return bool(VideoKey.parse(name).candidates) and name.isprintable() and len(name.encode()) <= LONGEST_KEY


def identify(body: Body, stem: str = "") -> Names:
    """Which video a body is about. Raises Unusable."""

    def first(names: Sequence[str], containers: Sequence[Path]) -> str:
        values = (value.strip() for _, value in body.places(names, containers) if isinstance(value, str))
        return next((value for value in values if is_real(value) and is_usable(value)), "")

    containers = (TOP, *body.source_paths, *((name,) for name in CONTAINERS[1:]))
    urls = [value.strip() for _, value in body.places(ADDRESSES, containers) if isinstance(value, str)]
    url = next(filter(is_real, urls), "")
    native = first(("video_id",), containers) or first(IDS_OF_A_SOURCE, body.source_paths[:-1])
    old_id = first(("id",), (TOP,))
    in_url = match.group(1) if (match := YOUTUBE_URL.match(url)) else ""
    sent = native or old_id
    if not sent and not in_url and not REDDIT_URL.match(url):
        # The name of a report counts only where an id can be seen in it.
        names = [first(IDS_OF_A_REPORT, containers), stem.strip() if is_usable(stem.strip()) else ""]
        sent = next((name for name in names if VideoKey.parse(name).youtube_id or PREFIXED.fullmatch(name)), "")
    key = sent.removeprefix("yt:")
    is_youtube = source_of(body.slug, url, "") in ("youtube", "other")
    if key and is_youtube and not PREFIXED.fullmatch(key) and not key.startswith("unknown-"):
        key = VideoKey.parse(key).youtube_id or in_url or key
    try:
        source, key = natural_key(key, "", url, body.slug)
    except ValueError as error:
        raise Unusable("The body names no video: it has no usable id, and no address that holds one.") from error
    if not is_usable(key):
        raise Unusable("The body names no video: its id is no text that can be a key.")
    if source == "web":
        source = source_of("", url, key)
        source = "web" if source == "other" else source
    if body.slug and (body.slug != "youtube" or YOUTUBE_ID.fullmatch(key)):
        source = body.slug
    is_sure = not sent or not is_youtube or in_url or (native and not native_keys(key))
    # A stem or a report's name that holds the key is another way to write that, and no old row's id.
    is_old = old_id.removeprefix("yt:") == key or VideoKey.parse(old_id).youtube_id != key
    return Names(key, source, old_id if old_id != key and is_old else "", () if is_sure else (sent,))


# The record ---------------------------------------------------------------------------------------------

ABOUT: tuple[Path, ...] = (("metadata",), ("video",))
MEDIA: tuple[Path, ...] = (("media_info",), ("media",), ("media_metadata",))
ANALYSES: tuple[Path, ...] = (("analysis_json",), ("analysis",), ("content_analysis",), ("summary", "analysis"))
PROCESSING: tuple[Path, ...] = (("processing_metadata",),)


def arrival_of(body: Body, names: Names) -> Arrival:
    """Raises Unmodelled."""
    about = (TOP, *body.source_paths, *ABOUT)
    media = (TOP, *MEDIA, *body.source_paths, *ABOUT)
    analyses = (TOP, *ANALYSES, *ABOUT)
    process = (TOP, *PROCESSING, *ABOUT)
    summary = body.get(("summary",))
    if isinstance(summary, str) and (found := object_in(summary)):
        body.put(("summary",), found)
    body.decode(("summary", "analysis"))
    pairs = pairs_of(body)
    texts = tuple(texts_of(body))
    subcategories = next(body.places(("subcategories_json",), (TOP, *ANALYSES)), None)
    sent_at = time_of(body)
    record = VideoRecord(
        names.video_id,
        names.source,
        legacy_id=names.legacy_id,
        title=body.field(("title",), about, text),
        canonical_url=body.field(ADDRESSES, about, text),
        thumbnail_url=body.field(("thumbnail_url", "thumbnail"), about, text),
        published_at=body.field(("published_at", "upload_date"), about, time),
        indexed_at=body.field(("indexed_at",), process, time) or sent_at,
        duration_seconds=body.field(
            ("duration_seconds", "video_duration_seconds", "duration"), (*about, ("media_metadata",)), seconds
        ),
        word_count=body.field(("word_count",), media, number),
        audio_duration_seconds=body.field(("audio_duration_seconds", "mp3_duration_seconds"), media, seconds),
        has_transcript=body.field(("has_transcript",), media, flag),
        transcript_chars=body.field(("transcript_chars",), media, number),
        channel_name=body.field(("channel_name", "channel", "uploader"), about, text),
        channel_id=body.field(("channel_id",), about, text),
        view_count=body.field(("view_count",), about, number),
        like_count=body.field(("like_count",), about, number),
        comment_count=body.field(("comment_count",), about, number),
        content_type=body.field(("content_type",), (TOP, *ANALYSES), text),
        complexity_level=body.field(("complexity_level", "complexity"), (TOP, *ANALYSES), text),
        language=body.field(("language",), analyses, text),
        original_language=body.field(("original_language",), analyses, text),
        summary_language=body.field(("summary_language",), analyses, text),
        audio_language=body.field(("audio_language",), analyses, text),
        key_topics=body.field(("key_topics", "key_topics_json"), (TOP, *ANALYSES), listed),
        named_entities=body.field(("named_entities", "named_entities_json"), (TOP, *ANALYSES), listed),
        subcategories_json=as_text(subcategories[1]) if subcategories else "",
        format_source=body.field(("format_source",), process, text),
        processing_status=body.field(("processing_status",), process, text),
        created_at=body.field(("created_at",), process, time),
        updated_at=sent_at,
    )
    body.taken |= {path for path, _ in body.places(("id", "video_id"), (TOP, *body.source_paths, *ABOUT))
                   if body.get(path) in (names.video_id, names.legacy_id)}  # fmt: skip
    if names.source == body.slug:
        body.taken |= {path for path, value in body.places(("content_source",), (TOP,)) if value == body.slug}
    analysis = taken_analysis(body)
    record = replace(record, analysis=analysis, extra=body.rest())
    return Arrival(record, pairs, texts, names.aliases, tuple(body.left))


def as_text(sent: Any) -> str:
    """The categories as text, as they came; empty where they name none."""
    value = decoded(sent, "subcategories_json")
    if is_blank(value.get("categories") if isinstance(value, dict) else value):
        return ""
    return sent if isinstance(sent, str) else json.dumps(sent)


def taken_analysis(body: Body) -> Any:
    """The analysis as sent: the first place that has one. Raises Unmodelled for text that is no JSON."""
    for path in ANALYSES:
        value = body.get(path)
        if isinstance(value, str) and len(path) > 1:
            # Words about a summary.
            continue
        value = decoded(value, "analysis")
        if not is_blank(value):
            body.taken.add(path)
            return value
    return None


def time_of(body: Body) -> datetime | None:
    """The time of the payload; None where it says none."""
    containers = (TOP, *PROCESSING, *ABOUT)
    if moment := body.field(("processed_at",), containers, time):
        return moment
    moments = [body.field((name,), (*containers, ("summary",)), time) for name in ("generated_at", "updated_at")]
    if moments := [moment for moment in moments if moment]:
        return max(moments)
    return body.field(("indexed_at",), containers, time)


# Categories ---------------------------------------------------------------------------------------------


def pairs_of(body: Body) -> tuple[Pair, ...]:
    """The pairs that a machine found, in order: of the analysis first, then what only the other places say."""
    mapper = Mapper()
    structured: dict[str, list[str]] = {}
    for name, containers in (("categories", (*ANALYSES, TOP)), ("subcategories_json", (TOP, *ANALYSES))):
        for path, value in body.places((name,), containers):
            found = mapper.structured_categories({name: None}, name, as_categories(decoded(value, name)))
            body.taken.add(path)
            for category, below in found.items():
                names = structured.setdefault(category, [])
                names += [subcategory for subcategory in below if subcategory not in names]
    flat: list[str] = []
    for path, value in body.places(("category",), (TOP, *ANALYSES)):
        if not isinstance(value, str | list):
            raise wrong_type(value, "category", "a list of names")
        # Each entry may have any form that the column of the old database has (contract/ingest.md, Categories).
        for entry in value if isinstance(value, list) else [value]:
            if entry is not None and not isinstance(entry, str):
                raise Unmodelled("categories_not_readable", "category", None, "category is no list of names.")
            flat += mapper.flat_categories({"category": Text((entry or "").encode())})
        body.taken.add(path)
    flat = list(dict.fromkeys(flat))
    alone = not any(structured.values())
    for path, value in body.places(("subcategory",), (TOP, *ANALYSES)):
        # Names that stand under several categories belong to this video's own only (contract/ingest.md).
        names = mapper.names({"subcategory": None}, "subcategory", lone_names(value))
        for name in names:
            if alone and (parent := parent_of(name, [*flat, *structured])):
                structured.setdefault(parent, []).append(name)
        if all(any(name in below for below in structured.values()) for name in names):
            body.taken.add(path)
    pairs = []
    for category in dict.fromkeys([*flat, *structured]):
        below = dict.fromkeys(structured.get(category, ()))
        pairs += [Pair(category, name, Origin.AI) for name in below] or [Pair(category, None, Origin.AI)]
    return tuple(pairs)


def as_categories(value: Any) -> Any:
    """A list of categories: a bare name is one without subcategories, and what says nothing is left out."""
    entries = value.get("categories") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        return entries
    entries = [object_or_text(entry) for entry in entries if not is_blank(entry)]
    named = [{"category": entry} if isinstance(entry, str) else entry for entry in entries]
    return [
        with_subcategories(entry) if isinstance(entry, dict) else entry for entry in named if not says_nothing(entry)
    ]


def object_or_text(value: Any) -> Any:
    """A value that is JSON text decoded; a name stays one."""
    is_json = isinstance(value, str) and value.lstrip().startswith(("[", "{"))
    return decoded(value, "categories") if is_json else value


def says_nothing(entry: Any) -> bool:
    return isinstance(entry, dict) and all(map(is_blank, entry.values()))


def with_subcategories(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A category's entry with a list of subcategories; one alone can come as a name."""
    below = object_or_text(entry.get("subcategories") or entry.get("subcategory") or [])
    if isinstance(below, str):
        below = [below]
    elif isinstance(below, list):
        below = [name for name in below if name is not None]
    return {**entry, "subcategories": below}


def lone_names(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong_type(value, "subcategory", "a name")
    return names
