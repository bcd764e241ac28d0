"""One thread in each process of the site for what goes on beside the requests: dual write, shadow reads.

It starts in gunicorn (gunicorn.conf.py), works while a flag of the cut-over wants it, and ends with the process.
"""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from django.db import Error, close_old_connections, connection

from ingest.sqlite.reader import SnapshotError

from . import dual_write, shadow
from .comparison import NoAnswer
from .flags import Flags, current

logger = logging.getLogger(__name__)

Job = Callable[[Flags], None]
# Each is called about every second, one after the other, and looks at the flags itself.
JOBS: list[Job] = [dual_write.work, shadow.work]
PAUSE_SECONDS, IDLE_PAUSE_SECONDS = 1, 5

lock = Lock()
running: Thread | None = None


def start(jobs: list[Job] = JOBS, ended: Event | None = None) -> Thread:
    """Start the thread of this process, once. It ends with `ended`, if that is given."""
    global running
    with lock:
        if running is None or not running.is_alive():
            running = Thread(target=run, args=(jobs, ended or Event()), name="cutover", daemon=True)
            running.start()
        return running


def run(jobs: list[Job], ended: Event) -> None:
    """Turn after turn, whatever happens: the database may be away, the old system as well."""
    said: dict[str, str] = {}
    try:
        while not ended.is_set():
            ended.wait(turn(jobs, said))
    finally:
        connection.close()


def turn(jobs: list[Job], said: dict[str, str]) -> float:
    """Do each job once; the seconds until the next turn. `said`: what is wrong with each job, which is logged once."""
    close_old_connections()
    try:
        flags = current()
    except Error as error:
        say(said, "flags", f"the database does not answer ({first_line(error)}); it is asked again by itself")
        return IDLE_PAUSE_SECONDS
    say(said, "flags", "")
    for job in jobs:
        name = f"{job.__module__.rpartition('.')[2]}.{job.__name__}"
        try:
            job(flags)
        except (Error, dual_write.NotConfigured, NoAnswer, SnapshotError) as error:
            say(said, name, first_line(error))
        except Exception as error:
            # A fault of one turn must not end the others; the traceback is for whoever mends it.
            say(said, name, f"{type(error).__name__}: {first_line(error)}", error)
        else:
            say(said, name, "")
    return PAUSE_SECONDS if flags.dual_write or flags.shadow_reads else IDLE_PAUSE_SECONDS


def say(said: dict[str, str], name: str, what: str, error: Exception | None = None) -> None:
    """Log what is wrong when it begins and when it is over."""
    before, said[name] = said.get(name, ""), what
    if what and what != before:
        logger.warning("%s: %s", name, what, exc_info=error)
    elif before and not what:
        logger.warning("%s: it works again", name)


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
