"""A database of its own for what must not touch the library: a rehearsal, a drill, a comparison with a backup."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from django.conf import settings
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from ingest.locks import held
from videos.search import remembered

PREFIX = "ytv2_scratch_"
SCRATCH_LOCK = 7_298_115_230_116


class ScratchError(Exception):
    """There is no scratch database to be had; the message is a sentence with the next step."""


class ScratchInUse(ScratchError):
    """Another run has one."""


@contextmanager
def scratch_database(*, migrated: bool = False) -> Iterator[str]:
    """Within this, everything that this process does with its database goes to a new, empty one; its name.

    For commands: other threads of the process would be turned as well. It is dropped afterwards; what a killed run has
    left is dropped by the next. Raises ScratchError.
    """
    with spare_database() as name, turned_to(name):
        if migrated:
            call_command("migrate", verbosity=0, interactive=False)
        yield name


@contextmanager
def spare_database() -> Iterator[str]:
    """The same, with this process staying at its own database: the name of the new one beside it."""
    with held(SCRATCH_LOCK) as keeper:
        if keeper is None:
            raise ScratchInUse(
                "Another rehearsal, drill or comparison with a backup is running. Wait until it has ended."
            )
        drop_leftovers(keeper)
        name = create(keeper)
        try:
            yield name
        finally:
            drop(keeper, name)


@contextmanager
def turned_to(name: str) -> Iterator[None]:
    """Turn this process's connection to another database of the same server."""
    own, snapshot = connection.settings_dict["NAME"], settings.SQLITE_SNAPSHOT
    connection.close()
    connection.settings_dict["NAME"] = name
    settings.SQLITE_SNAPSHOT = ""
    remembered.cache_clear()
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own
        settings.SQLITE_SNAPSHOT = snapshot
        remembered.cache_clear()


def create(keeper: DatabaseWrapper) -> str:
    """Create an empty database, with the locale of the own one."""
    name = prefix(keeper) + token_hex(6)
    with keeper.cursor() as cursor:
        cursor.execute("SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()")
        collate, character_type = cursor.fetchone()
        try:
            cursor.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE %s LC_CTYPE %s",
                [collate, character_type],
            )
        except ProgrammingError as error:
            raise ScratchError(
                f"The database's user may not create databases ({str(error).strip()}). Let it, as an administrator: "
                f'ALTER ROLE "{keeper.settings_dict["USER"]}" CREATEDB.'
            ) from error
    return name


def prefix(keeper: DatabaseWrapper) -> str:
    """What the names of this library's scratch databases begin with; another library may be on the same server."""
    with keeper.cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        return f"{PREFIX}{cursor.fetchone()[0]}_"


def drop_leftovers(keeper: DatabaseWrapper) -> None:
    """Drop what killed runs have left. The lock, which is of one database too, is ours: no other run has one."""
    own = prefix(keeper)
    with keeper.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [own])
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        drop(keeper, name)


def drop(keeper: DatabaseWrapper, name: str) -> None:
    with keeper.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
