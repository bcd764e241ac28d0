"""What happens while PostgreSQL is away: a start waits for it, a request is told to come again, /health says why.

`python -m ytv2.database` waits, as gunicorn does before it listens (gunicorn.conf.py) and `manage.py migrate` before
its first statement.
"""

import os
import sys
import time
from collections.abc import Callable

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import TextChoices
from psycopg import pq

WAIT_SECONDS = 60
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8
# The worker stops for 300 seconds after five failures in a row, so it should not fail five times in a restart.
RETRY_SECONDS = 30

# The server's last words on a connection that it ends; the driver learns only afterwards that it is closed.
LAST_WORDS = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown, psycopg.errors.CannotConnectNow)


class NoDatabase(Exception):
    """PostgreSQL did not answer in time; the message is a sentence with the next step."""


class Trouble(TextChoices):
    """Why there is no connection, as far as strangers may know; the label is a sentence for /health."""

    NO_ANSWER = "no_answer", "PostgreSQL does not answer: it is down, or cannot be reached from here."
    NOT_READY = "not_ready", "PostgreSQL is starting, stopping or recovering, and takes no connections."
    REFUSED = "refused", "PostgreSQL answers, but gives us no connection, or an error. The log says which."


def trouble() -> Trouble:
    """What is wrong with the server, asked without signing in to it."""
    parameters = connection.get_connection_params()
    names = ("host", "hostaddr", "port", "dbname", "user", "connect_timeout")
    address = psycopg.conninfo.make_conninfo("", **{name: parameters[name] for name in names if name in parameters})
    found = pq.PGconn.ping(address.encode())
    return {pq.Ping.OK: Trouble.REFUSED, pq.Ping.REJECT: Trouble.NOT_READY}.get(pq.Ping(found), Trouble.NO_ANSWER)


def is_away(error: BaseException | None) -> bool:
    """Whether a request failed for want of a connection: there is none, or it broke.

    A query that was refused on a living connection (a lock, a timeout, a full disk) is no such case.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    broken = connection.connection is None or connection.connection.closed
    return broken or isinstance(error.__cause__, LAST_WORDS)


def wait_for_database(say: Callable[[str], None], seconds: float = WAIT_SECONDS) -> None:
    """Return as soon as PostgreSQL gives a connection; try again, ever more rarely, for so many seconds.

    Raises NoDatabase then.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoDatabase(
                    f"PostgreSQL at {place()} gave no connection for {seconds:g} seconds ({reason(error)}). "
                    "Start it, or put DATABASE_URL right; then run this again."
                ) from None
            if pause == FIRST_PAUSE_SECONDS:
                say(f"Waiting up to {seconds:g} seconds for PostgreSQL at {place()} ({reason(error)}) …")
        time.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def place() -> str:
    """Host and port of the server, without user and password."""
    parameters = connection.get_connection_params()
    return f"{parameters.get('host') or 'the local socket'}, port {parameters.get('port') or 5432}"


def reason(error: OperationalError) -> str:
    """The driver's reason without its repetitions and advice; it holds no password."""
    lines = [line for line in str(error).splitlines() if "failed: " in line] or str(error).splitlines() or ["unknown"]
    return lines[-1].rpartition("failed: ")[2].strip()


def main() -> None:
    """Wait, as a process of its own: whoever forks afterwards inherits neither settings nor a connection."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytv2.settings")
    if not settings.DATABASE_URL:
        return  # The embedded PostgreSQL is started by the first connection.
    try:
        wait_for_database(lambda sentence: print(sentence, file=sys.stderr, flush=True))  # noqa: T201
    except NoDatabase as error:
        sys.exit(str(error))
    finally:
        connection.close()


if __name__ == "__main__":
    main()
