"""The freeze: writes get 503 with Retry-After, reads go on.

Each write holds a lock that it shares with the others; a freeze sets the flag and then waits until it has the lock
alone for a moment. So when `freeze` is done, no write is under way, and none begins.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from ingest.models import FlagName

from .flags import set_flag

WRITES_LOCK = 7_298_115_230_115
WAIT_SECONDS = 60


class FreezeTimeout(Exception):
    """Writes that began before the freeze did not end in time; the message says what to do."""


@contextmanager
def writing() -> Iterator[None]:
    """Around a write: whoever freezes waits for its end. The flag is to be read inside."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [WRITES_LOCK])
    held = connection.connection
    try:
        yield
    finally:
        # With a connection that is gone the lock is gone as well; a transaction that failed has to end first.
        if connection.connection is held and not held.closed and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [WRITES_LOCK])


@contextmanager
def without_writes() -> Iterator[None]:
    """A transaction in which no write is under way; those that come wait for its end. Raises FreezeTimeout."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITES_LOCK])
            yield
    except OperationalError as error:
        raise FreezeTimeout(
            f"A write did not end within {WAIT_SECONDS} seconds, so nothing was changed. Try again in a minute."
        ) from error


def freeze(by: str) -> bool:
    """Refuse writes from now on, and wait until none is under way; False if they were frozen before.

    Raises FreezeTimeout, and then writes go on as before.
    """
    changed = set_flag(FlagName.FROZEN, True, by)
    try:
        with without_writes():
            return changed
    except FreezeTimeout:
        if changed:
            set_flag(FlagName.FROZEN, False, by)
        raise


def unfreeze(by: str) -> bool:
    """Let writes through again; False if they were not frozen."""
    return set_flag(FlagName.FROZEN, False, by)
