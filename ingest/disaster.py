"""After a disaster: what the library has lost since a backup or an old snapshot, by name, and just that back again.

What somebody deleted or wrote otherwise on purpose is not lost: a delete is final, and the history says in whose name
categories were written (a change without a name came by raw SQL, or from a shell). What is there is never replaced.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pghistory
from django.core.management import call_command
from django.db import connection, models, transaction

from summaries.models import Summary
from videos.copy import copy_rows
from videos.deciding import in_the_name_of, share_names
from videos.deleted import PURGED, generated
from videos.keys import UNSTORABLE
from videos.models import Categorization, Category, Origin, Pair, Proposal, Review, Subcategory, Video
from videos.triggers import CATEGORIES_OF_CHANGED_VIDEOS, video_facets
from videos.upsert import VideoRecord

from .backup import (
    DUMP,
    MANIFEST,
    BackupOutdated,
    beside,
    columns,
    listed,
    migrations_of,
    plain_texts,
    read_backup,
    reading,
    restored,
)
from .cutover.snapshot_library import latest, texts_of, video_rows
from .models import AudioFile, ImageFile, Snapshot
from .scratch import turned_to
from .sqlite.exporter import one_state
from .sqlite.importer import import_lock
from .sqlite.reader import open_snapshot
from .sqlite.staging import chronological

AT_ONCE = 1000
# The triggers of the history compare each row that a statement changes with each other.
DECIDED_AT_ONCE = 200
LONGEST_TITLE = 80

# A key begins with its video; the names of its parts. No subcategory is "", which no subcategory is called.
Key = tuple[Any, ...]
PARTS = {
    "videos": ("video",),
    "summaries": ("video", "variant", "revision"),
    "categories": ("video", "category", "subcategory"),
    "decisions": ("video",),
}
# An old file has its texts in this revision, whichever it is.
LATEST = 0


class NotBroughtBack(Exception):
    """What was lost could not be brought back exactly, so nothing was changed; the message is a sentence."""


class State(NamedTuple):
    """What a video says of itself, as something to compare, and what it is called."""

    value: Any
    is_deleted: bool
    is_purged: bool
    title: str


class Placed(NamedTuple):
    """The place of a category within a video, and who decided it."""

    position: int
    origin: str


@dataclass(frozen=True)
class Library:
    """What is compared, by key."""

    videos: dict[Key, State]
    summaries: dict[Key, Any]
    categories: dict[Key, Placed]
    decisions: dict[Key, Any]

    def is_deleted(self, key: Key) -> bool:
        state = self.videos.get(key[:1])
        return state is not None and state.is_deleted

    def is_purged(self, key: Key) -> bool:
        state = self.videos.get(key[:1])
        return state is not None and state.is_purged


@dataclass
class Section:
    """What became of the videos, the summaries, the categories or the decisions: keys, in order.

    `on_purpose`: deleted here, or written otherwise in somebody's name.
    """

    before: int
    now: int
    lost: list[Key] = field(default_factory=list)
    gained: list[Key] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    on_purpose: list[Key] = field(default_factory=list)


@dataclass
class Assessment:
    """The library beside what it was. `columns`: of each changed video those that differ."""

    name: str
    made_at: datetime | None
    sections: dict[str, Section]
    titles: dict[str, str]
    columns: dict[str, list[str]] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return sum(len(section.lost) for section in self.sections.values())

    @property
    def changed(self) -> int:
        return sum(len(section.changed) for section in self.sections.values())

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "compared_with": self.name,
            "made_at": self.made_at,
            "sections": {
                name: {
                    "before": section.before,
                    "now": section.now,
                    **{
                        what: [self.named(name, key) for key in getattr(section, what)]
                        for what in ("lost", "gained", "changed", "on_purpose")
                    },
                }
                for name, section in self.sections.items()
            },
        }

    def named(self, section: str, key: Key) -> dict[str, Any]:
        named = {part: value or None for part, value in zip(PARTS[section], key, strict=True)}
        named["title"] = self.titles.get(key[0], "")
        if section == "videos" and key[0] in self.columns:
            named["columns"] = self.columns[key[0]]
        return named


@dataclass
class Restored:
    """What was lost, how much of each was brought back (or would be), and what was left alone and why, by key."""

    assessment: Assessment
    is_dry_run: bool
    brought: dict[str, int] = field(default_factory=dict)
    left: dict[Key, str] = field(default_factory=dict)


# What was before ----------------------------------------------------------------------------------


class Former(Protocol):
    """The library as it was."""

    name: str
    made_at: datetime | None
    library: Library

    def now(self) -> Library:
        """The library as it is, to be compared with this. In the caller's transaction."""

    def columns_of(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """The columns in which these videos differ."""

    def old_ids(self, keys: Collection[Key]) -> dict[str, Key]:
        """The old IDs of these videos."""

    def bring_videos(self, keys: Sequence[Key]) -> None:
        """Write videos that are not there, with what hangs on them and is not compared by itself."""

    def bring_summaries(self, keys: Sequence[Key]) -> None:
        """Write texts that are not there, each at its place among the revisions."""

    def names(self) -> dict[Key, dict[str, Any]]:
        """How categories and subcategories were kept, by (category, subcategory)."""

    def decisions(self, keys: Collection[str]) -> dict[str, Review]:
        """What people had decided of these videos."""


@contextmanager
def former(path: Path) -> Iterator[Former]:
    """The library of a backup, or of an old SQLite file.

    Raises BackupDamaged, BackupOutdated, BackupError, ScratchError, SnapshotError.
    """
    if path.name in (DUMP, MANIFEST):
        path = path.parent
    if not path.is_dir():
        yield FormerFile(path)
        return
    backup = read_backup(path)
    with restored(backup) as name:
        with beside(name) as database:
            migrations = migrations_of(database)
        if migrations.ahead:
            raise BackupOutdated(
                f"{path.name} is of a later version of this program ({backup.versions['migrations']}). "
                "Install that version, and run this again."
            )
        if migrations.behind:
            with turned_to(name):
                call_command("migrate", verbosity=0, interactive=False)
        with beside(name) as database, reading(database) as cursor:
            yield FormerDatabase(path.name, backup.made_at, cursor)


class FormerDatabase:
    """The library of a backup, in a database beside the own one."""

    def __init__(self, name: str, made_at: datetime, cursor: Any) -> None:
        self.name = name
        self.made_at: datetime | None = made_at
        self.cursor = cursor
        self.library = read_library(cursor)

    def now(self) -> Library:
        with connection.cursor() as cursor:
            plain_texts(cursor)
            return read_library(cursor)

    def columns_of(self, keys: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        texts = ", ".join(f'"{name}"::text' for name in columns(Video))
        query = f"SELECT video_id, ARRAY[{texts}] FROM videos_video WHERE video_id = ANY(%s)"
        with connection.cursor() as here:
            for start in range(0, len(keys), AT_ONCE):
                batch = list(keys[start : start + AT_ONCE])
                self.cursor.execute(query, [batch])
                here.execute(query, [batch])
                before, now = dict(self.cursor.fetchall()), dict(here.fetchall())
                found |= {key: differing(columns(Video), before[key], now[key]) for key in batch}
        return found

    def old_ids(self, keys: Collection[Key]) -> dict[str, Key]:
        self.cursor.execute(
            "SELECT legacy_id, video_id FROM videos_video WHERE legacy_id <> '' AND video_id = ANY(%s)",
            [[key[0] for key in keys]],
        )
        return {old_id: (video_id,) for old_id, video_id in self.cursor.fetchall()}

    def bring_videos(self, keys: Sequence[Key]) -> None:
        for model in (Video, Proposal, AudioFile, ImageFile):
            names = columns(model, "id")
            staged = self.stage(model, ("video_id",), keys)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {model._meta.db_table} ({listed(names)}) SELECT {listed(names)} FROM {staged}"
                    f" ORDER BY video_id {'' if model is Video else 'ON CONFLICT DO NOTHING'}"
                )

    def bring_summaries(self, keys: Sequence[Key]) -> None:
        """The database lets revisions only grow, so those that follow a lost one are taken out and put in again."""
        names = columns(Summary, "id", "is_latest")
        staged = self.stage(Summary, PARTS["summaries"], keys)
        same = "other.video_id = text.video_id AND other.variant = text.variant AND other.revision"
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {staged} (id, {listed(names)}) SELECT id, {listed(names)} FROM summaries_summary AS text"
                f" WHERE EXISTS (SELECT FROM {staged} AS other WHERE {same} < text.revision)"
            )
            cursor.execute(f"DELETE FROM summaries_summary WHERE id IN (SELECT id FROM {staged} WHERE id IS NOT NULL)")
            cursor.execute(
                "UPDATE summaries_summary AS text SET is_latest = false"
                f" WHERE is_latest AND EXISTS (SELECT FROM {staged} AS other WHERE {same} > text.revision)"
            )
            cursor.execute(
                f"INSERT INTO summaries_summary (id, {listed(names)}, is_latest)"
                " SELECT coalesce(id, nextval(pg_get_serial_sequence('summaries_summary', 'id'))),"
                f" {listed(names)}, NOT EXISTS (SELECT FROM {staged} AS other WHERE {same} > text.revision)"
                f" FROM {staged} AS text ORDER BY video_id, variant, revision"
            )

    def stage(self, model: type[models.Model], parts: Sequence[str], keys: Sequence[Key]) -> str:
        """Copy the rows with these keys as they were into a table of this transaction; its name."""
        table, names = model._meta.db_table, columns(model, "id")
        staged = f"former_{table}"
        own = f"NULL::bigint AS id, {listed(names)}" if model is Summary else listed(names)
        wanted = ["video_id" if part == "video" else part for part in parts]
        arrays = ", ".join("%s::int[]" if part == "revision" else "%s::text[]" for part in parts)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS SELECT {own} FROM {table} WHERE false")
            for start in range(0, len(keys), AT_ONCE):
                values = [list(part) for part in zip(*keys[start : start + AT_ONCE], strict=True)]
                with (
                    self.cursor.copy(
                        f"COPY (SELECT {listed(names)} FROM {table} JOIN unnest({arrays}) AS wanted"
                        f" ({listed(wanted)}) USING ({listed(wanted)})) TO STDOUT (FORMAT BINARY)",
                        values,
                    ) as source,
                    cursor.copy(f"COPY {staged} ({listed(names)}) FROM STDIN (FORMAT BINARY)") as target,
                ):
                    for block in source:
                        target.write(block)
            # Compared with itself, it would be read whole for each of its rows.
            cursor.execute(f"CREATE INDEX ON {staged} ({listed(wanted)})")
            cursor.execute(f"ANALYZE {staged}")
        return staged

    def names(self) -> dict[Key, dict[str, Any]]:
        kept = ("position", "is_new", "retired_at")
        self.cursor.execute(
            f"SELECT name, '', {listed(list(kept))} FROM videos_category UNION ALL"
            " SELECT category.name, below.name, below.position, below.is_new, below.retired_at"
            " FROM videos_subcategory AS below JOIN videos_category AS category ON category.id = below.category_id"
        )
        return {(one, below): dict(zip(kept, values, strict=True)) for one, below, *values in self.cursor.fetchall()}

    def decisions(self, keys: Collection[str]) -> dict[str, Review]:
        names = columns(Review)
        self.cursor.execute(f"SELECT {listed(names)} FROM videos_review WHERE video_id = ANY(%s)", [list(keys)])
        rows = [Review(**dict(zip(names, values, strict=True))) for values in self.cursor.fetchall()]
        return {row.video_id: row for row in rows}


class FormerFile:
    """The library of an old SQLite file, as an import into an empty one takes it; of each variant the latest text."""

    def __init__(self, path: Path) -> None:
        with open_snapshot(path) as source:
            rows = video_rows(source)
            texts = texts_of(source, rows)
            self.name, sha256 = source.name, source.sha256
        self.rows = {row.record.video_id: row for row in rows}
        self.texts = {key: chronological(texts[key]) for key in self.rows}
        snapshot = Snapshot.objects.filter(sha256=sha256).first()
        self.made_at = snapshot.imported_at if snapshot else None
        self.library = Library(
            videos={
                (key,): State(record_values(row.record), False, False, row.record.title[:LONGEST_TITLE])
                for key, row in self.rows.items()
            },
            summaries={
                (key, summary.variant, LATEST): summary.text
                for key, found in self.texts.items()
                for summary in latest(found)
            },
            categories={
                (key, pair.category, pair.subcategory or ""): Placed(position, str(pair.origin))
                for key, row in self.rows.items()
                for position, pair in enumerate(row.pairs)
            },
            decisions={},
        )

    def now(self) -> Library:
        stored: dict[Key, list[str]] = defaultdict(list)
        for key, variant, text in Summary.objects.order_by("revision").values_list("video", "variant", "text"):
            stored[key, variant, LATEST].append(text)
        with connection.cursor() as cursor:
            categories = read_categories(cursor)
        return Library(
            videos={
                (video.pk,): State(
                    record_values(video), video.deleted_at is not None, video.is_purged, video.title[:LONGEST_TITLE]
                )
                for video in Video.objects.defer(*generated(Video)).iterator()
            },
            # A text that became an older revision is still there.
            summaries={
                key: text if (text := self.library.summaries.get(key)) in texts else texts[-1]
                for key, texts in stored.items()
            },
            categories=categories,
            decisions={},
        )

    def columns_of(self, keys: Sequence[str]) -> dict[str, list[str]]:
        videos = Video.objects.defer(*generated(Video)).in_bulk(keys)
        return {
            key: differing(RECORD, record_values(self.rows[key].record), record_values(videos[key])) for key in keys
        }

    def old_ids(self, keys: Collection[Key]) -> dict[str, Key]:
        return {old_id: key for key in keys if (old_id := self.rows[key[0]].record.legacy_id)}

    def bring_videos(self, keys: Sequence[Key]) -> None:
        Video.objects.upsert([self.rows[key].record for (key,) in keys])

    def bring_summaries(self, keys: Sequence[Key]) -> None:
        wanted: dict[str, set[str]] = defaultdict(set)
        for key, variant, _ in keys:
            wanted[key].add(variant)
        Summary.objects.merge(
            {key: [text for text in self.texts[key] if text.variant in variants] for key, variants in wanted.items()},
            newest=wanted.keys(),
        )

    def names(self) -> dict[Key, dict[str, Any]]:
        return {}

    def decisions(self, keys: Collection[str]) -> dict[str, Review]:
        return {}


RECORD = [one.name for one in fields(VideoRecord)]


def record_values(video: VideoRecord | Video) -> tuple[Any, ...]:
    return tuple(getattr(video, name) for name in RECORD)


def differing(names: Sequence[str], before: Sequence[Any], now: Sequence[Any]) -> list[str]:
    return [name for name, one, other in zip(names, before, now, strict=True) if one != other]


def read_library(cursor: Any) -> Library:
    """The library of a database; of rows with many values their digest."""
    cursor.execute(
        f"SELECT video_id, md5(ROW({listed(columns(Video))})::text), deleted_at IS NOT NULL,"
        " deleted_at IS NOT NULL AND processing_status = %s, left(title, %s) FROM videos_video",
        [PURGED, LONGEST_TITLE],
    )
    videos = {(key,): State(*state) for key, *state in cursor.fetchall()}
    # Which is the latest follows from the others, and the HTML is made from the text.
    compared = listed(columns(Summary, "id", "is_latest", "html"))
    cursor.execute(f"SELECT video_id, variant, revision, md5(ROW({compared})::text) FROM summaries_summary")
    summaries = {tuple(key): digest for *key, digest in cursor.fetchall()}
    cursor.execute(f"SELECT video_id, md5(ROW({listed(columns(Review))})::text) FROM videos_review")
    decisions = {(key,): digest for key, digest in cursor.fetchall()}
    return Library(videos, summaries, read_categories(cursor), decisions)


def read_categories(cursor: Any) -> dict[Key, Placed]:
    cursor.execute(
        "SELECT stored.video_id, category.name, coalesce(below.name, ''), stored.position, stored.origin"
        " FROM videos_categorization AS stored JOIN videos_category AS category ON category.id = stored.category_id"
        " LEFT JOIN videos_subcategory AS below ON below.id = stored.subcategory_id"
    )
    return {tuple(key): Placed(position, origin) for *key, position, origin in cursor.fetchall()}


# Comparing ----------------------------------------------------------------------------------------


def assess(path: Path) -> Assessment:
    """What the library has lost, gained and changed since a backup or an old snapshot. Raises as `former` does."""
    with former(path) as before:
        return assess_beside(before)


def assess_beside(before: Former) -> Assessment:
    with one_state():
        return compare(before, before.now())


def compare(before: Former, now: Library) -> Assessment:
    """1. Compare key by key. 2. What is missing of videos that are there may have been written otherwise on purpose."""
    then = before.library
    sections = {
        "videos": compare_videos(then, now),
        "summaries": compare_parts(then.summaries, now.summaries, then, now),
        "categories": compare_parts(in_present_names(then.categories), now.categories, then, now),
        "decisions": compare_parts(then.decisions, now.decisions, then, now),
    }
    categories, decisions = sections["categories"], sections["decisions"]
    gained = {key[0] for key in categories.gained}
    decided = {key[0] for key in (*decisions.gained, *decisions.changed)}
    for section, last in ((categories, LAST_OF_CATEGORIES), (decisions, LAST_OF_DECISIONS)):
        missing = [key for key in section.lost if key[:1] in now.videos]
        on_purpose = written_since(missing, last, before.made_at, gained, decided)
        section.on_purpose = sorted([*section.on_purpose, *on_purpose])
        section.lost = [key for key in section.lost if key not in on_purpose]
    titles = {key[0]: state.title for videos in (then.videos, now.videos) for key, state in videos.items()}
    changed = [key for (key,) in sections["videos"].changed]
    return Assessment(before.name, before.made_at, sections, titles, before.columns_of(changed))


def compare_videos(then: Library, now: Library) -> Section:
    """A video that is deleted now is not lost, nor one that was deleted before and is now; a tombstone can be lost."""
    section = Section(*(sum(not state.is_deleted for state in library.videos.values()) for library in (then, now)))
    for key in sorted(then.videos.keys() | now.videos.keys()):
        before, here = then.videos.get(key), now.videos.get(key)
        if here is None:
            section.lost.append(key)
        elif before is None:
            if not here.is_deleted:
                section.gained.append(key)
        elif here.is_deleted:
            if not before.is_deleted:
                section.on_purpose.append(key)
        elif before.value != here.value:
            section.changed.append(key)
    return section


def compare_parts(before: dict[Key, Any], here: dict[Key, Any], then: Library, now: Library) -> Section:
    """What hangs on videos. Of one that was deleted since, or purged, whatever is missing is so on purpose."""
    section = Section(len(before), len(here))
    for key in sorted(before.keys() | here.keys()):
        if now.is_deleted(key):
            if key not in here:
                is_meant = now.is_purged(key) or not then.is_deleted(key)
                (section.on_purpose if is_meant else section.lost).append(key)
        elif key not in here:
            section.lost.append(key)
        elif key not in before:
            section.gained.append(key)
        elif before[key] != here[key]:
            section.changed.append(key)
    return section


def in_present_names(categories: dict[Key, Placed]) -> dict[Key, Placed]:
    """The same by the names that replaced former ones since."""
    pairs = {(one, below): Pair(one, below or None, Origin.IMPORTED) for _, one, below in categories}
    present = Categorization.objects.with_present_names({names: [pair] for names, pair in pairs.items()})
    named: dict[Key, Placed] = {}
    for (video, *names), placed in sorted(categories.items(), key=lambda item: (item[0][0], item[1].position)):
        (pair,) = present[tuple(names)]
        named.setdefault((video, pair.category, pair.subcategory or ""), placed)
    return named


# The last that the history says of each of the missing ones, since then. A row of an update or delete is the old one.
LAST_OF_CATEGORIES = """
    SELECT DISTINCT ON (missing.video, missing.category, missing.subcategory)
        missing.*, event.pgh_created_at AS at, event.pgh_label <> 'insert' AS is_removal
    FROM missing JOIN videos_category AS one ON one.name = missing.category
    LEFT JOIN videos_subcategory AS below ON below.category_id = one.id AND below.name = missing.subcategory
    JOIN videos_categorizationevent AS event ON event.video_id = missing.video
        AND event.category_id = one.id AND event.subcategory_id IS NOT DISTINCT FROM below.id
    WHERE (missing.subcategory = '' OR below.id IS NOT NULL)
        AND event.pgh_created_at > coalesce(%(made_at)s::timestamptz, '-infinity')
    ORDER BY 1, 2, 3, event.pgh_id DESC
"""
LAST_OF_DECISIONS = """
    SELECT DISTINCT ON (missing.video)
        missing.*, event.pgh_created_at AS at, event.pgh_label = 'delete' AS is_removal
    FROM missing JOIN videos_reviewevent AS event ON event.video_id = missing.video
    WHERE event.pgh_created_at > coalesce(%(made_at)s::timestamptz, '-infinity')
    ORDER BY 1, event.pgh_id DESC
"""
WRITTEN_SINCE = """
    WITH missing AS (
        SELECT * FROM unnest(%(videos)s::text[], %(categories)s::text[], %(subcategories)s::text[])
            AS missing(video, category, subcategory)
    ), last AS ({last}), named AS (
        SELECT event.video_id AS video, max(event.pgh_created_at) AS at FROM (
            SELECT video_id, pgh_created_at, pgh_context_id FROM videos_categorizationevent
            UNION ALL SELECT video_id, pgh_created_at, pgh_context_id FROM videos_reviewevent
        ) AS event
        WHERE event.pgh_context_id IS NOT NULL AND event.video_id = ANY(%(videos)s) GROUP BY 1
    )
    SELECT missing.* FROM missing LEFT JOIN named USING (video) LEFT JOIN last USING (video, category, subcategory)
    WHERE CASE
        WHEN last.is_removal THEN named.at >= last.at
        WHEN last.at IS NOT NULL THEN missing.video = ANY(%(gained)s)
        WHEN %(made_at)s::timestamptz IS NOT NULL THEN missing.video = ANY(%(anew)s)
        ELSE EXISTS (SELECT FROM videos_categorization AS stored WHERE stored.video_id = missing.video)
            OR EXISTS (SELECT FROM videos_review AS review WHERE review.video_id = missing.video AND review.is_curated)
    END
"""


def written_since(
    keys: Sequence[Key], last: str, made_at: datetime | None, gained: Collection[str], decided: Collection[str]
) -> set[Key]:
    """Those of these keys of categories or decisions that are not here because somebody wanted it so.

    1. The history says when it was taken away: whoever wrote the video's categories then or later, a person or the
       worker, wanted them as they are. Without such a name it is lost.
    2. The history does not know that it was taken away, so somebody got round the triggers: it is lost, unless the
       video has others by now (`gained`), or somebody else decided on it (`decided`) and did not write it again.
    3. Of a file that was never imported nobody knows when it was so: what the video has, or a person decided, stands.
    """
    found: set[Key] = set()
    with connection.cursor() as cursor:
        for start in range(0, len(keys), AT_ONCE):
            batch = keys[start : start + AT_ONCE]
            videos, categories, subcategories = (
                [key[place] if place < len(key) else "" for key in batch] for place in range(3)
            )
            cursor.execute(
                WRITTEN_SINCE.format(last=last),
                {
                    "videos": videos, "categories": categories, "subcategories": subcategories, "made_at": made_at,
                    "gained": list(gained), "anew": [*gained, *decided],
                },
            )  # fmt: skip
            found |= {key[: len(batch[0])] for key in cursor.fetchall()}
    return found


# Bringing back ------------------------------------------------------------------------------------


def restore(path: Path, by: str, *, dry_run: bool = False) -> Restored:
    """Bring back what was lost, and nothing else. Raises as `former` and `restore_from` do."""
    with former(path) as before:
        return restore_from(before, by, dry_run=dry_run)


def restore_from(before: Former, by: str, *, dry_run: bool = False) -> Restored:
    """The same, in one transaction and in somebody's name.

    1. The import's lock, then the tables: whoever writes waits, or a video that the worker sends again just now
       would be there twice. Readers go on.
    2. Compare. 3. Write what is lost. 4. Compare again: nothing may be lost then, or nothing is changed.

    Raises ImportLocked, NotBroughtBack, and ValueError without a name.
    """
    if not (name := UNSTORABLE.sub("", by).strip()):
        raise ValueError("Nobody is named who brings it back.")
    with import_lock(), pghistory.context(restored_by=name), transaction.atomic():
        share_names()
        with connection.cursor() as cursor:
            cursor.execute(
                "LOCK TABLE videos_video, videos_categorization, videos_review, videos_proposal, summaries_summary,"
                " ingest_audiofile, ingest_imagefile IN SHARE ROW EXCLUSIVE MODE"
            )
        now = before.now()
        result = Restored(compare(before, now), dry_run)
        wanted = bring_back(before, now, result, name)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        check(before, result.assessment, wanted)
        transaction.set_rollback(dry_run)
    return result


def bring_back(before: Former, now: Library, result: Restored, by: str) -> dict[str, list[Key]]:
    """Write what is lost and can be written; the keys of it."""
    sections = result.assessment.sections
    result.left = left_alone(before, now, sections)
    wanted = {
        name: [key for key in section.lost if key not in result.left and key[:1] not in result.left]
        for name, section in sections.items()
    }
    result.brought = {name: len(keys) for name, keys in wanted.items()}
    if not any(wanted.values()):
        return wanted
    if wanted["videos"]:
        before.bring_videos(wanted["videos"])
    if wanted["summaries"]:
        before.bring_summaries(wanted["summaries"])
    placed = in_present_names(before.library.categories)
    curated = {key[0] for key in wanted["categories"] if placed[key].origin == Origin.CURATED}
    kept = Review.objects.in_bulk(curated)
    bring_categories({key: placed[key] for key in wanted["categories"]}, now, before.names(), by)
    bring_decisions(before.decisions(curated | {key for (key,) in wanted["decisions"]}), kept, by)
    count_anew()
    return wanted


def left_alone(before: Former, now: Library, sections: dict[str, Section]) -> dict[Key, str]:
    """What cannot be brought back beside what came since, and why."""
    old_ids = before.old_ids(sections["videos"].lost)
    taken = Video.objects.filter(legacy_id__in=old_ids).values_list("legacy_id", "pk")
    left: dict[Key, str] = {old_ids[old_id]: f"its old ID belongs to {other}" for old_id, other in taken}
    here: dict[Key, list[int]] = defaultdict(list)
    anew: set[Key] = set()
    for key, text in now.summaries.items():
        here[key[:2]].append(key[2])
        if before.library.summaries.get(key) != text:
            anew.add(key[:2])
    for key in sections["summaries"].lost:
        # It would be the latest, in the place of a text that is newer.
        if key[:2] in anew and key[2] > max(here[key[:2]]):
            left[key] = "the summary was written anew since"
    return left


def bring_categories(wanted: dict[Key, Placed], now: Library, names: dict[Key, dict[str, Any]], by: str) -> None:
    """Write categorisations that are not there; who decided what is curated, is written by bring_decisions."""
    if not wanted:
        return
    bring_names({key[1:] for key in wanted}, names)
    pairs = {key: Pair(key[1], key[2] or None, Origin(placed.origin)) for key, placed in wanted.items()}
    categories, subcategories = Categorization.objects.named_categories(set(pairs.values()))
    taken: dict[str, set[int]] = defaultdict(set)
    for key, placed in now.categories.items():
        taken[key[0]].add(placed.position)
    rows = []
    for key, placed in sorted(wanted.items(), key=lambda item: (item[0][0], item[1].position)):
        video, category, subcategory = key
        position = max(taken[video]) + 1 if placed.position in taken[video] else placed.position
        taken[video].add(position)
        below = subcategories[category, subcategory] if subcategory else None
        rows.append((video, position, categories[category], below, placed.origin))
    types = {"video_id": "text", "position": "int4", "category_id": "int8", "subcategory_id": "int8", "origin": "text"}
    with in_the_name_of(by):
        for start in range(0, len(rows), DECIDED_AT_ONCE):
            copy_rows("videos_categorization", types, rows[start : start + DECIDED_AT_ONCE])


def bring_names(wanted: set[Key], names: dict[Key, dict[str, Any]]) -> None:
    """Add the categories and subcategories that are gone, as they were kept."""
    Category.objects.bulk_create(
        [Category(name=one, **names[one, ""]) for one in sorted({one for one, _ in wanted}) if (one, "") in names],
        ignore_conflicts=True,
    )
    keys = dict(Category.objects.values_list("name", "pk"))
    Subcategory.objects.bulk_create(
        [
            Subcategory(category_id=keys[one], name=below, **names[one, below])
            for one, below in sorted(wanted)
            if below and (one, below) in names
        ],
        ignore_conflicts=True,
    )


def bring_decisions(former_ones: dict[str, Review], kept: dict[str, Review], by: str) -> None:
    """Write who decided and when as it was, where a trigger noted it anew too; a decision that is there stays."""
    decided = {key: review for key, review in kept.items() if review.is_curated}
    with in_the_name_of(by):
        Review.objects.bulk_create(
            [*(kept | former_ones | decided).values()],
            batch_size=DECIDED_AT_ONCE,
            update_conflicts=True,
            unique_fields=["video"],
            update_fields=["is_curated", "reviewed_by", "reviewed_at"],
        )


def count_anew() -> None:
    """Count the facets again: what got rid of the rows may have got round the triggers, as TRUNCATE does."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM videos_facetcount WHERE facet <> 'revision'")
        cursor.execute(
            f"""
            WITH changed AS (SELECT video_id, 1 AS n FROM videos_video WHERE deleted_at IS NULL)
            INSERT INTO videos_facetcount (facet, value, category_id, subcategory_id, count)
            SELECT name, value, category_id, subcategory_id, sum(n)
            FROM ({video_facets("videos_video", 1)} UNION ALL {CATEGORIES_OF_CHANGED_VIDEOS})
                AS difference(name, value, category_id, subcategory_id, n)
            GROUP BY 1, 2, 3, 4
            """
        )


def check(before: Former, first: Assessment, wanted: dict[str, list[Key]]) -> None:
    """Raises NotBroughtBack unless all of it is back, and nothing else is otherwise than it was."""
    now = before.now()
    after = compare(before, now)
    problems = []
    for name, section in after.sections.items():
        lost = len(set(wanted[name]) - getattr(now, name).keys())
        was = first.sections[name]
        others = (set(section.changed) ^ set(was.changed)) | (set(section.gained) ^ set(was.gained))
        # A place that another category has by now is not taken from it.
        others -= set(wanted[name]) if name == "categories" else set()
        if lost or others:
            problems.append(f"{name}: {lost:,} still lost, {len(others):,} otherwise than before")
    if problems:
        raise NotBroughtBack(f"It could not be brought back exactly ({'; '.join(problems)}). Nothing was changed.")
