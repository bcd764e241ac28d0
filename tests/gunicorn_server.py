"""A real gunicorn, with the project's own configuration, on the database of the tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connections

# As the command `gunicorn` does, which has no way to change a constant first.
RUN = "from gunicorn.app.wsgiapp import run; run(prog='gunicorn')"


@dataclass(frozen=True)
class Server:
    """A running gunicorn: its port, and the number of its first process, which starts and replaces the others."""

    port: int
    master: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The processes that answer requests."""
        return children(self.master)

    def worker(self) -> Path:
        """/proc of the process that answers requests, where there is one."""
        [number] = self.workers()
        return Path("/proc", str(number))

    def answers(self) -> bool:
        """Whether a request is answered."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def gunicorn(media: Path, *options: str, before: str = "", **environment: str) -> Iterator[Server]:
    """`gunicorn ytv2.wsgi` with these options and variables; `before`: Python that it runs first.

    It ends with the block, and what it said must hold no traceback.
    """
    media.mkdir(exist_ok=True)
    log = media.with_name(f"gunicorn-{media.name}.log")
    bind = ("--bind", "127.0.0.1:0", "--no-control-socket")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{RUN}", "ytv2.wsgi", *bind, *options],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DATABASE_URL": database_url(), "MEDIA_DIR": str(media)} | environment,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        assert wait_for(lambda: process.poll() is not None or port_in(log)), "gunicorn did not listen in time"
        server = Server(port_in(log), process.pid)
        assert wait_for(server.answers), log.read_text()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert "Traceback" not in log.read_text(), log.read_text()


def port_in(log: Path) -> int:
    """The port that gunicorn says it listens at; 0 before it does."""
    said = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
    return int(said.group(1)) if said else 0


def database_url() -> str:
    """The database of the tests, for a process that is not one."""
    values = connections["default"].get_connection_params()
    if settings.DATABASE_URL:
        url = urlsplit(settings.DATABASE_URL)
        return url._replace(path=f"{url.path.rpartition('/')[0]}/{values['dbname']}").geturl()
    return f"postgres://{values['user']}@/{quote(values['host'])}/{values['dbname']}"


def children(parent: int) -> list[int]:
    """The numbers of a process's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_for(condition: Callable[[], object]) -> bool:
    """Whether something becomes true within the time that a slow machine may need."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())
