"""Writes made-up snapshots in the old dashboard's SQLite schema: of any size, and always the same for a seed.

The shapes, and the shares of odd values, follow the real snapshot of 2025-09-11 and the formats that
contract/ingest.md lists. Titles, channels and texts are composed from the word lists below; they name nobody.
"""

import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, product
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

from .schema import Generation
from .vocabulary import (
    BULLET_TYPES,
    CHANNEL_ADJECTIVES,
    CHANNEL_FRAMES,
    CHANNEL_NOUNS,
    COMPLEXITY_LEVELS,
    CONTENT_TYPES,
    EMOJI,
    ENGLISH_THEMES,
    FOREIGN_THEMES,
    FORMAT_SOURCES,
    LANGUAGES,
    NAMELESS_SUBCATEGORIES,
    NUMBERS,
    OTHER_SCRIPT_TITLES,
    RARE_WORDS,
    SUMMARY_TYPES,
    THUMBNAILS,
    TITLE_FRAMES,
    TITLE_SEPARATORS,
    YEARS,
    Theme,
)

TAXONOMY = Path(__file__).resolve().parents[2] / "videos" / "taxonomy.json"
VIDEOS_PER_BATCH = 1_000
PROTOTYPES = 5_000
PLANTED_WORD = "zyzzyva"
SUMMARIES_PER_PLANTED_WORD = 20_000

FIRST_DAY = datetime(2018, 1, 1)
FIRST_INDEXED = datetime(2023, 1, 1)
LAST_INDEXED = datetime(2025, 9, 10, 17, 3, 9)
DAYS = [f"{FIRST_DAY + timedelta(days=day):%Y-%m-%d}" for day in range((LAST_INDEXED - FIRST_DAY).days + 1)]

# One case only, so that ids still differ when the old row id lower-cases them.
YOUTUBE_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz-_"
BASE36_ALPHABET = YOUTUBE_ALPHABET[:36]
NOT_IN_STEM = re.compile(r"[^a-z0-9]+")
NOT_IN_PLAIN_TITLE = re.compile(r"[^\w ]+")


@dataclass(frozen=True)
class SnapshotSummary:
    """What was written: the file, the number of rows of each table, and the size of the file."""

    path: Path
    rows: dict[str, int]
    size_bytes: int


@dataclass(frozen=True)
class Material:
    """The building blocks that are composed once for a theme."""

    theme: Theme
    titles: list[str]
    subtitles: list[str]
    sentences: list[str]
    paragraphs: list[str]
    topics: list[str]


@dataclass(frozen=True)
class Classification:
    """The categories of one video: the first subcategory, and JSON text in the three forms it is kept in."""

    flat: str
    subcategory: str | None
    structured: str | None
    analysis: str


@dataclass(frozen=True)
class Prototype:
    """What many videos may have in common. The tuples are runs of neighbouring columns of `content`."""

    material: Material
    summary_type: str
    measures: tuple[int, ...]
    counts: tuple[int, ...]
    labels: tuple[str | None, ...]
    subcategory: str | None
    subcategories_json: str | None
    analysis: str | None
    json_size: int
    mp3_size: int


class Library:
    """Composes the rows of a made-up library from a seed, in the shape of the last generation."""

    def __init__(self, videos: int, seed: int) -> None:
        # A text, because as numbers 1 and -1 are the same seed.
        self.random = Random(str(seed))
        self.identity_key = self.random.getrandbits(96)
        self.summaries = 0

        self.indexed = FIRST_INDEXED
        self.left_in_import = 0
        # An import has 20 videos on average, so this spreads them over the whole period.
        self.seconds_between_imports = (LAST_INDEXED - FIRST_INDEXED).total_seconds() / (1 + videos / 20)

        taxonomy = json.loads(TAXONOMY.read_text(encoding="utf-8"))
        self.older_flat_names: list[str] = taxonomy["older_flat_names"]
        self.subcategories: dict[str, list[str]] = {
            entry["category"]: NAMELESS_SUBCATEGORIES.get(entry["category"], entry["subcategories"])
            for entry in taxonomy["categories"]
        }
        self.english = [self.compose_material(theme) for theme in ENGLISH_THEMES]
        self.foreign = {language: self.compose_material(theme) for language, theme in FOREIGN_THEMES.items()}
        self.prototypes = [self.compose_prototype() for _ in range(min(videos, PROTOTYPES))]
        self.clocks = [self.compose_clock() for _ in range(2_000)]
        self.pairs = [self.random_case(a + b) for a, b in product(YOUTUBE_ALPHABET, repeat=2)]

        channels = self.compose_channels(min(5_000, max(20, videos // 50)))
        # The share of a channel falls with its rank, as in real libraries: a few large ones and a long tail.
        shares = [1 / rank for rank in range(1, len(channels) + 1)]
        self.channels = [*channels, ("Unknown", ""), (None, "")]
        self.channel_weights = list(accumulate([*shares, sum(shares) * 0.05, sum(shares) * 0.01]))

    def pick(self, values: Sequence[Any]) -> Any:
        return values[int(self.random.random() * len(values))]

    # What is composed once

    def fill(self, pattern: str, theme: Theme) -> str:
        """The pattern with its slots filled with words of the theme."""
        subject = self.pick(theme.subjects)
        return pattern.format(
            subject=subject,
            Subject=subject[0].upper() + subject[1:],
            other=self.pick(theme.subjects),
            object=self.pick(theme.phrases.objects),
            result=self.pick(theme.phrases.results),
            adjective=self.pick(theme.phrases.adjectives),
            number=self.pick(NUMBERS),
            year=self.pick(YEARS),
        )

    def compose_material(self, theme: Theme) -> Material:
        phrases = theme.phrases
        sentences = [self.fill(self.pick(phrases.sentences), theme) for _ in range(400)]
        slugs = [stem(subject).replace("_", "-") for subject in theme.subjects]
        return Material(
            theme=theme,
            titles=[self.fill(self.pick(phrases.titles), theme) for _ in range(200)],
            subtitles=[self.fill(self.pick(phrases.subtitles), theme) for _ in range(100)],
            sentences=sentences,
            paragraphs=[" ".join(self.random.choices(sentences, k=self.pick((3, 4, 5)))) for _ in range(400)],
            topics=[json.dumps(self.random.sample(slugs, self.pick((1, 3, 5)))) for _ in range(100)],
        )

    def compose_classification(self, theme: Theme) -> Classification:
        """Structured categories for most; for the others flat ones only, older flat names, or nothing."""
        first = self.pick(theme.categories)
        others = [category for category in self.subcategories if category != first]
        categories = [first, *self.random.sample(others, self.pick((0, 0, 1, 1, 2)))]
        kind = self.random.random()
        if kind < 0.05:
            return Classification("[]", None, None, '"category": [], "categories": []')
        if kind < 0.15:
            categories = self.random.sample(self.older_flat_names, self.pick((1, 1, 2)))
        # Both ways of writing é are met: as itself and as an escape.
        ascii_only = self.random.random() < 0.5
        flat = json.dumps(categories, ensure_ascii=ascii_only)
        if kind < 0.28:
            return Classification(flat, None, None, f'"category": {flat}, "categories": []')
        entries = []
        for position, category in enumerate(categories):
            names = self.subcategories[category]
            # Only a later category may lack subcategories: the column `subcategory` holds one of the first.
            count = self.pick((0, 1, 1, 1, 2, 2, 3) if position else (1, 1, 2, 2, 3))
            chosen = self.random.sample(names, min(count, len(names)))
            entries.append({"category": category, "subcategories": chosen})
        structured = json.dumps({"categories": entries}, ensure_ascii=ascii_only)
        analysis = f'"category": {flat}, {structured[1:-1]}'
        return Classification(flat, entries[0]["subcategories"][0], structured, analysis)

    def compose_prototype(self) -> Prototype:
        draw = self.random.random
        language = self.pick(LANGUAGES)
        material = self.foreign.get(language) or self.pick(self.english)
        classification = self.compose_classification(material.theme)

        duration = int(40 + 5_000 * draw() ** 3) if draw() < 0.96 else 0
        has_audio = draw() < 0.8
        audio_duration = 0
        if has_audio and draw() < 0.4:
            audio_duration = duration if draw() < 0.7 else int(120 + 400 * draw())
        format_source = self.pick(FORMAT_SOURCES)
        has_transcript = format_source != "empty"
        word_count = int(100 + 6_000 * draw() ** 2) if has_transcript else 0
        views = int(10 ** (2 + 5 * draw()))

        content_type = self.pick(CONTENT_TYPES)
        complexity_level = self.pick(COMPLEXITY_LEVELS)
        key_topics = self.pick(material.topics) if has_transcript else "[]"
        named_entities = self.pick(material.topics) if draw() < 0.1 else "[]"
        analysis = (
            f'{{"schema_version": 2, {classification.analysis}, "content_type": {json.dumps(content_type)}, '
            f'"complexity_level": {json.dumps(complexity_level)}, "language": {json.dumps(language)}, '
            f'"key_topics": {key_topics}, "named_entities": {named_entities}}}'
        )
        return Prototype(
            material=material,
            summary_type=self.pick(SUMMARY_TYPES),
            measures=(
                duration,
                word_count,
                int(has_audio),
                audio_duration,
                int(has_transcript),
                int(word_count * 5.7),
            ),
            counts=(views, 0, 0) if has_transcript else (0, views // 25, views // 400),
            labels=(
                classification.flat,
                content_type,
                complexity_level,
                language,
                key_topics,
                named_entities,
                format_source,
            ),
            subcategory=classification.subcategory,
            subcategories_json=classification.structured,
            analysis=analysis if draw() < 0.4 else None,
            json_size=int(4_000 + 45_000 * draw() ** 3),
            mp3_size=16_000 * (audio_duration or 240) if has_audio and draw() < 0.4 else 0,
        )

    def compose_clock(self) -> str:
        """What follows the date: midnight, or a time of day with or without microseconds."""
        kind = self.random.random()
        if kind < 0.52:
            return "T00:00:00+00:00"
        second = int(self.random.random() * 86_400)
        clock = f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        return f"{clock}+00:00" if kind < 0.7 else f"{clock}.{self.random.randint(1, 999_999):06}+00:00"

    def random_case(self, text: str) -> str:
        return "".join(self.pick((character.lower(), character.upper())) for character in text)

    def compose_channels(self, count: int) -> list[tuple[str, str]]:
        """Distinct channel names, some with an id."""
        names = [
            frame.format(adjective, noun)
            for frame, adjective, noun in product(CHANNEL_FRAMES, CHANNEL_ADJECTIVES, CHANNEL_NOUNS)
        ]
        return [
            (name, f"UC{self.random.getrandbits(88):022x}" if rank % 5 == 0 else "")
            for rank, name in enumerate(self.random.sample(names, count))
        ]

    # What is composed for each video

    def batch(self, numbers: range) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of the next videos, by table, without the ids that SQLite gives."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in Generation.LAST.columns}
        prototypes = self.random.choices(self.prototypes, k=len(numbers))
        channels = self.random.choices(self.channels, cum_weights=self.channel_weights, k=len(numbers))
        for number, prototype, channel in zip(numbers, prototypes, channels, strict=True):
            if not self.left_in_import:
                self.start_import()
            self.left_in_import -= 1
            self.add_video(number, prototype, channel, rows)
        return rows

    def start_import(self) -> None:
        """The next moment at which videos are indexed; all videos of one import share it to the second."""
        self.left_in_import = 1 + int(self.random.random() * 39)
        step = timedelta(seconds=int(2 * self.random.random() * self.seconds_between_imports))
        self.indexed = min(self.indexed + step, LAST_INDEXED)
        self.indexed_day = (self.indexed - FIRST_DAY).days
        self.indexed_at = f"{self.indexed:%Y-%m-%dT%H:%M:%S}+00:00"
        self.created_at = f"{self.indexed:%Y-%m-%d %H:%M:%S}"

    def add_video(
        self,
        number: int,
        prototype: Prototype,
        channel: tuple[str | None, str],
        rows: dict[str, list[tuple[Any, ...]]],
    ) -> None:
        """Appends the rows of one video to the lists of their tables."""
        draw = self.random.random
        material, created_at = prototype.material, self.created_at
        title = self.title(material)
        title_stem = stem(title)
        row_id, video_id, canonical_url, thumbnail_url = self.identity(number, title_stem)
        file_stem = f"{title_stem}_{video_id.replace(':', '_')}"

        summary_type = "reddit-discussion" if video_id.startswith("reddit:") else prototype.summary_type
        inline_summary = None
        if draw() < 0.85:
            summary = self.summary(summary_type, material, title)
            rows["content_summaries"].append((row_id, summary, summary_type))
            if draw() < 0.2:
                inline_summary = summary
        else:
            summary = None
            # Some old rows have their only text in the column.
            if draw() < 0.2:
                inline_summary = self.summary("comprehensive", material, title)

        rows["content"].append(
            (
                row_id,
                title,
                canonical_url,
                thumbnail_url,
                self.published_at(),
                self.indexed_at,
                *prototype.measures,
                video_id,
                *channel,
                *prototype.counts,
                *prototype.labels,
                "imported",
                created_at,
                created_at,
                prototype.subcategory,
                prototype.subcategories_json,
                inline_summary,
                prototype.analysis,
            )
        )
        files = rows["content_files"]
        files.append((row_id, "json", f"data/reports/{file_stem}.json", prototype.json_size, created_at))
        if prototype.mp3_size:
            files.append((row_id, "mp3", f"exports/{file_stem}.mp3", prototype.mp3_size, created_at))
        message = f"Processed as {prototype.labels[-1]} format"
        rows["migration_log"].append((f"{file_stem}.json", row_id, "success", message, created_at))
        if draw() < 1 / 3:
            self.add_variants(video_id, material, title, summary_type, summary, rows["summary_variants"])

    def add_variants(
        self,
        video_id: str,
        material: Material,
        title: str,
        summary_type: str,
        summary: str | None,
        rows: list[tuple[Any, ...]],
    ) -> None:
        """Appends one to three kinds of summary, some in two revisions, the second the latest."""
        others = [self.pick(SUMMARY_TYPES) for _ in range(self.pick((0, 1, 2)))]
        for kind in dict.fromkeys([summary_type, *others]):
            latest = self.pick((1, 1, 1, 2))
            for revision in range(1, latest + 1):
                if revision == latest and kind == summary_type and summary is not None:
                    text = summary
                else:
                    text = self.summary(kind, material, title)
                rows.append(
                    (
                        video_id,
                        kind,
                        revision,
                        text,
                        f'{{"variant": "{kind}", "revision": {revision}, "sent_at": "{self.indexed_at}"}}',
                        f'{{"source": "worker", "pipeline_version": "2025-09-07-v{revision}"}}',
                        int(revision == latest),
                        self.indexed_at,
                        self.indexed_at,
                        len(text.encode()),
                        text.count(" ") + 1,
                    )
                )

    def title(self, material: Material) -> str:
        """A title: plain, decorated, long, in another script, cut like a file name, or missing."""
        kind = self.random.random()
        if kind < 0.03:
            return "Untitled"
        if kind < 0.04:
            return ""
        if kind < 0.06:
            return self.pick(OTHER_SCRIPT_TITLES).format(number=self.pick(NUMBERS), year=self.pick(YEARS))
        title = self.pick(material.titles)
        if kind < 0.08:
            while len(title) < 150:
                title += self.pick(TITLE_SEPARATORS) + self.pick(material.titles)
            return title
        if kind < 0.7:
            title += self.pick(TITLE_SEPARATORS) + self.pick(material.subtitles)
        if kind < 0.14:
            return f"{title} {self.pick(EMOJI)}"
        if kind < 0.25:
            frame = self.pick(TITLE_FRAMES)
            return frame.format(title=title, number=self.pick(NUMBERS), year=self.pick(YEARS))
        if kind < 0.45:
            return NOT_IN_PLAIN_TITLE.sub("", title).title()[:50].rstrip()
        return title

    def identity(self, number: int, title_stem: str) -> tuple[str, str, str, str | None]:
        """The row id, the native id, the address and the thumbnail (contract/ingest.md, Ids)."""
        kind = self.random.random()
        if kind < 0.015:
            post = encoded(self.scramble(number, 31), BASE36_ALPHABET, 6)
            native = f"reddit:{post}"
            return native, native, f"https://www.reddit.com/r/example/comments/{post}/{title_stem}/", ""
        if kind < 0.025:
            page = f"{self.scramble(number, 96):024x}"
            return f"web:{page}", f"web:{page}", f"https://example.org/{title_stem}/{page}", None
        # The first ten characters make it unique, in lower case too; the last is free.
        native = encoded(self.scramble(number, 52), self.pairs, 5) + self.pick(YOUTUBE_ALPHABET)
        row_id = f"yt:{native.lower()}" if kind < 0.98 else f"yt:{native}"
        address = "https://youtu.be/" if kind < 0.05 else "https://www.youtube.com/watch?v="
        return row_id, native, address + native, self.pick(THUMBNAILS).format(native)

    def scramble(self, number: int, bits: int) -> int:
        """A number below 2**bits, another one for each number: ids are distinct without a list of them."""
        mask = (1 << bits) - 1
        value = (number ^ self.identity_key) & mask
        for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):
            value = value * odd & mask
            value ^= value >> bits // 2
        return value

    def published_at(self) -> str | None:
        """A time before the video is indexed, mostly by days, at times by years; or none."""
        if self.random.random() < 0.06:
            return None
        age = 1 + int(self.random.random() ** 3 * 900)
        return DAYS[self.indexed_day - age] + self.pick(self.clocks)

    def summary(self, kind: str, material: Material, title: str) -> str:
        """A text in a form that fits the kind (contract/ingest.md, Summaries)."""
        self.summaries += 1
        if kind.startswith(("audio-fr", "audio-es")):
            material = self.foreign[kind[6:8]]
        draw = self.random.random
        if kind in BULLET_TYPES:
            parts = self.random.choices(material.sentences, k=7 + int(draw() ** 2 * 10))
        else:
            parts = self.random.choices(material.paragraphs, k=2 + int(draw() ** 2 * 5))
        if draw() < 0.5:
            parts[1] += f" ({self.pick(RARE_WORDS)})"
        if self.summaries % SUMMARIES_PER_PLANTED_WORD == 1:
            parts[1] += f" {PLANTED_WORD}"
        if kind in BULLET_TYPES:
            text = bullets(title, parts)
        elif kind in ("comprehensive", "summary"):
            sentences = self.random.choices(material.sentences, k=4)
            form = draw()
            if form < 0.6:
                text = sections(parts, sentences)
            else:
                renditions = {
                    "comprehensive": "\n\n".join(parts),
                    "bullet_points": bullets(title, sentences),
                    "headline": title,
                }
                text = json.dumps(renditions, ensure_ascii=False) if form < 0.85 else repr(renditions)
        else:
            text = "\n\n".join(parts)
        return text.replace("\n", "\\n") if draw() < 0.03 else text


def encoded(value: int, digits: Sequence[str], length: int) -> str:
    """The number written with these digits, the lowest first, in a fixed length."""
    written = []
    for _ in range(length):
        value, digit = divmod(value, len(digits))
        written.append(digits[digit])
    return "".join(written)


def bullets(heading: str, sentences: list[str]) -> str:
    points = "\n  - ".join(sentences[:-1])
    return f"• **Main topic:** {heading}\n• **Key points:**\n  - {points}\n• **Takeaway:** {sentences[-1]}"


def sections(paragraphs: list[str], sentences: list[str]) -> str:
    points, conclusion = "\n- ".join(sentences), "\n\n".join(paragraphs[1:])
    return f"Overview\n{paragraphs[0]}\n\nKey Findings:\n- {points}\n\nConclusion\n{conclusion}"


def stem(title: str) -> str:
    """The words of a title as the worker puts them into a file name."""
    return NOT_IN_STEM.sub("_", title.lower()).strip("_")[:50] or "video"


def write_snapshot(
    path: Path,
    videos: int,
    seed: int,
    generation: Generation = Generation.LAST,
    progress: Callable[[int], None] | None = None,
    *,
    overwrite: bool = False,
) -> SnapshotSummary:
    """Writes a snapshot of made-up videos, complete or not at all, and says what is in it.

    The same videos, seed and generation give the same bytes with the same versions of Python and SQLite; each
    generation of a seed holds the same videos. `progress` is called with the number of videos written so far.
    """
    if videos < 0:
        raise ValueError(f"The number of videos cannot be negative, and it is {videos}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"The file {path} exists already.")
    for companion in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
        if companion.exists():
            # SQLite would apply it to the new file and damage it.
            raise OSError(f"The file {companion} belongs to an older database: remove it first.")

    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            rows = write_rows(connection, videos, seed, generation, progress)
        finally:
            connection.close()
        flush_to_disk(unfinished)
        size_bytes = unfinished.stat().st_size
        unfinished.replace(path)
    flush_to_disk(path.parent)
    return SnapshotSummary(path, rows, size_bytes)


def write_rows(
    connection: sqlite3.Connection,
    videos: int,
    seed: int,
    generation: Generation,
    progress: Callable[[int], None] | None,
) -> dict[str, int]:
    """Fills an empty database, and counts the rows of each table."""
    # Nobody reads the file before it is complete, so it needs neither journal nor syncs on the way.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("BEGIN")
    for statement in generation.create_tables():
        connection.execute(statement)

    library = Library(videos, seed)
    positions = [Generation.LAST.columns["content"].index(column) for column in generation.columns["content"]]
    inserts = {table: insert_statement(table, columns) for table, columns in generation.columns.items()}
    counts = dict.fromkeys(inserts, 0)
    for start in range(0, videos, VIDEOS_PER_BATCH):
        stop = min(start + VIDEOS_PER_BATCH, videos)
        batch = library.batch(range(start, stop))
        batch["content"] = list(map(itemgetter(*positions), batch["content"]))
        for table, insert in inserts.items():
            connection.executemany(insert, batch[table])
            counts[table] += len(batch[table])
        if progress is not None:
            progress(stop)

    for statement in generation.create_indexes():
        connection.execute(statement)
    connection.execute("COMMIT")
    return counts


def insert_statement(table: str, columns: Sequence[str]) -> str:
    """An INSERT for all columns but the id that SQLite gives by itself."""
    given = columns if table == "content" else [column for column in columns if column != "id"]
    return f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join('?' * len(given))})"


def flush_to_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
