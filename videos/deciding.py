"""Who may change what a person has decided: the transaction says in whose name it does (triggers.py).

The setting holds for its block alone, so whatever else the transaction does is a machine's again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pghistory
from django.db import connection, transaction

from .keys import UNSTORABLE

# One number for all of YTV2's databases: whoever writes categories shares it, whoever changes their names has it alone.
# https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
NAMES_LOCK = 7_298_115_230_114


@contextmanager
def deciding(by: str) -> Iterator[None]:
    """Let this block, a transaction, change categories that a person has decided on, in the name of `by`.

    Raises ValueError without a name.
    """
    if not (name := UNSTORABLE.sub("", by).strip()):
        raise ValueError("nobody is named who decides")
    with pghistory.context(curator=name), transaction.atomic(), in_the_name_of(name):
        yield


@contextmanager
def in_the_name_of(name: str) -> Iterator[None]:
    """The same within a transaction whose history says already who writes."""
    before = set_curator(name)
    yield
    set_curator(before)


def set_curator(name: str) -> str:
    """Name who decides until the transaction ends, or nobody; who it was before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('ytv2.curator', true), '')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('ytv2.curator', %s, true)", [name])
    return before


def share_names() -> None:
    """Keep the names of categories as they are until this transaction ends.

    Before any video is locked: who changes names has this lock alone, and then locks videos.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [NAMES_LOCK])


def change_names() -> None:
    """Wait until nobody writes categories, and keep the others from it until this transaction ends.

    Whoever writes a category while this waits waits as well, so it waits for 5 seconds at most.
    Raises OperationalError then.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [NAMES_LOCK])
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
