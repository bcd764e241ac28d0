"""Locks on a connection of their own, for what only one process may do at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import Error, connection
from django.db.backends.postgresql.base import DatabaseWrapper


@contextmanager
def held(lock: int) -> Iterator[DatabaseWrapper | None]:
    """The connection that holds this lock until the end of the block; None if another one has it.

    The lock is given back before the connection is closed: the server notices a closed one only a while later, and
    whoever came next would be turned away. A process that is killed loses it with the connection.
    """
    keeper = connection.copy()
    try:
        with keeper.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
            (is_ours,) = cursor.fetchone()
        yield keeper if is_ours else None
    finally:
        with suppress(Error), keeper.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
        keeper.close()
