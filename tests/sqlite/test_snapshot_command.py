"""A snapshot is one moment of the source, whole, with a manifest of it, or it is not there; the source is only read."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.sqlite.codec import Text
from ingest.sqlite.manifest import (
    SnapshotLocked,
    check_manifest,
    make_manifest,
    manifest_path,
    read_manifest,
    take_snapshot,
    work_folder,
)
from ingest.sqlite.reader import SnapshotError, file_sha256, open_snapshot
from ingest.sqlite.schema import Generation

ROOT = Path(__file__).resolve().parents[2]
fork = multiprocessing.get_context("fork")


@pytest.fixture
def library(write_file, video) -> Path:
    """A sound file of some megabytes, alone in a folder."""
    texts = ({"content_id": f"yt:video-_{n:04d}", "summary_text": f"Text {n}. " * 4000} for n in range(200))
    path = write_file(content=map(video, range(200)), content_summaries=texts)
    (path.parent / "live").mkdir()
    return path.rename(path.parent / "live" / "library.db")


@pytest.fixture
def target(tmp_path) -> Path:
    """Where to write, in a folder that is empty."""
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of each file but the index of a -wal, where readers note what they read."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def library_of(path: Path) -> str:
    with open_snapshot(path) as source:
        return make_manifest(source).library_sha256


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM content ORDER BY rowid")]


def assert_whole(target: Path, rows: int | None = None) -> None:
    """A file in no WAL mode, with its manifest, both read-only, and nothing else in the folder."""
    assert names(target.parent) == [target.name, f"{target.name}.manifest.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.parent.iterdir()} == {0o444}
    assert target.read_bytes()[18:20] == b"\x01\x01"
    manifest = check_manifest(target, file_sha256(target))
    with open_snapshot(target) as source:
        assert manifest.differences(make_manifest(source)) == []
    if rows is not None:
        assert manifest.tables["content"].rows == rows
    assert names(target.parent) == [target.name, f"{target.name}.manifest.json"]


# The copy


def test_a_snapshot_has_the_source_s_rows_and_says_what_is_in_it(library, target):
    before = contents(library.parent)
    manifest = take_snapshot(library, target)
    assert_whole(target, rows=200)
    assert manifest == read_manifest(target)
    assert manifest.library_sha256 == library_of(library)
    assert manifest.source == "library.db" and manifest.generation == "last"
    assert manifest.sha256 == file_sha256(target) and manifest.size_bytes == target.stat().st_size
    content = manifest.tables["content"]
    assert (content.first_key, content.last_key) == (1, 200)
    assert content.columns["title"] == {"text": 200} and content.columns["analysis"] == {"null": 200}
    assert manifest.tables["migration_log"].first_key is None
    assert contents(library.parent) == before


@pytest.mark.parametrize("name", ["snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db"])
def test_a_snapshot_of_a_real_library_has_the_same_digest(shared, target, name):
    manifest = take_snapshot(shared / "data" / name, target)
    assert_whole(target, rows=62)
    assert manifest.library_sha256 == library_of(shared / "data" / name)


def test_what_lies_only_in_the_wal_of_a_database_in_use_is_in_the_snapshot(library, target):
    with closing(sqlite3.connect(library)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("UPDATE content SET title = 'Only in the WAL' WHERE rowid = 200")
        writer.commit()
        writer.execute("UPDATE content SET title = 'Not committed' WHERE rowid = 200")
        before = contents(library.parent)
        assert before["library.db-wal"]
        take_snapshot(library, target)
        assert contents(library.parent) == before
        assert names(library.parent) == ["library.db", "library.db-shm", "library.db-wal"]
        # The writer was not disturbed.
        writer.commit()
    assert_whole(target, rows=200)
    assert titles(target)[-1] == "Only in the WAL"


def test_nothing_is_left_beside_a_database_in_wal_mode_that_nobody_has_open(library, target):
    with closing(sqlite3.connect(library)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
    before = contents(library.parent)
    take_snapshot(library, target)
    assert contents(library.parent) == before and names(library.parent) == ["library.db"]
    assert_whole(target, rows=200)


@pytest.mark.parametrize("left", [("-wal",), ("-wal", "-shm")])
def test_a_wal_that_a_killed_program_left_is_read(library, target, left):
    with closing(sqlite3.connect(library)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE content SET title = 'Left' WHERE rowid = 200")
        writer.commit()
        folder = library.parent.with_name("left")
        folder.mkdir()
        for suffix in ("", *left):
            (folder / f"library.db{suffix}").write_bytes(Path(f"{library}{suffix}").read_bytes())
    before = contents(folder)
    listed = names(folder)
    take_snapshot(folder / "library.db", target)
    assert contents(folder) == before and names(folder) == listed
    assert_whole(target, rows=200)
    assert titles(target)[-1] == "Left"


def write_half(path: Path) -> None:
    """Change every row, so much that pages reach the file before the end of the transaction, and die."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA cache_size = 5")
    connection.execute("UPDATE content SET title = 'Half'")
    connection.execute("UPDATE content_summaries SET summary_text = 'Half' || summary_text")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_program_had_begun_to_write_is_not_in_the_snapshot(library, target):
    before = library.read_bytes()
    digest = library_of(library)
    killed = fork.Process(target=write_half, args=(library,))
    killed.start()
    killed.join()
    assert library.read_bytes() != before and names(library.parent) == ["library.db", "library.db-journal"]
    half_written = contents(library.parent)
    assert take_snapshot(library, target).library_sha256 == digest
    assert contents(library.parent) == half_written
    assert_whole(target, rows=200)


def write_on(path: Path, began: Any, end: Any) -> None:
    """Each transaction gives every title and every text the same new number."""
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        number = 0
        while not end.is_set():
            number += 1
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE content SET title = ?", (f"{number}",))
            connection.execute("UPDATE content_summaries SET summary_type = ?", (f"{number}",))
            connection.execute("COMMIT")
            began.set()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_snapshot_taken_while_a_program_writes_is_of_one_moment(library, target, mode):
    with closing(sqlite3.connect(library)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    began, end = fork.Event(), fork.Event()
    writer = fork.Process(target=write_on, args=(library, began, end))
    writer.start()
    try:
        assert began.wait(10)
        for number in range(5):
            path = target.with_name(f"{number}.db")
            take_snapshot(library, path)
            with closing(sqlite3.connect(path)) as connection:
                told = connection.execute("SELECT title FROM content UNION SELECT summary_type FROM content_summaries")
                assert len(told.fetchall()) == 1
    finally:
        end.set()
        writer.join()
    assert writer.exitcode == 0


def test_a_source_that_stays_locked_is_said_to_be(library, target):
    with closing(sqlite3.connect(library, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SnapshotError, match=r"was locked by a program that writes to it for more than 0.2 sec"):
            take_snapshot(library, target, wait_seconds=0.2)
        assert names(target.parent) == []
        writer.execute("ROLLBACK")
    take_snapshot(library, target, wait_seconds=0.2)
    assert_whole(target)


# Whole or absent


def die_at(source: Path, target: Path, number: int) -> None:
    """Take a snapshot, and be killed when progress is told for this time."""
    told = Counter()

    def progress(*_: Any) -> None:
        told["times"] += 1
        if told["times"] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    take_snapshot(source, target, progress)


def test_killed_at_any_step_a_snapshot_is_whole_or_absent_and_the_next_run_makes_it(library, target):
    states = Counter()
    for number in range(1, 100):
        run = fork.Process(target=die_at, args=(library, target, number))
        run.start()
        run.join()
        if run.exitcode == 0:
            break
        assert run.exitcode == -signal.SIGKILL
        states[target.exists(), manifest_path(target).exists()] += 1
        if target.exists():
            assert check_manifest(target, file_sha256(target))
            target.unlink()
    # Seen: neither, the manifest alone, both; never a snapshot without its manifest.
    assert set(states) == {(False, False), (False, True), (True, True)}
    assert_whole(target, rows=200)


def command(*arguments: Any) -> subprocess.Popen[str]:
    # No database answers there: these commands need none.
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    return subprocess.Popen(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    while not holds() and process.poll() is None:
        time.sleep(0.001)


def test_the_command_killed_while_it_copies_leaves_no_snapshot_and_runs_again(library, target):
    run = command("snapshot_sqlite", library, target)
    wait_for(run, lambda: Path(target.parent, ".copy.db.part", "snapshot.db").exists())
    run.kill()
    assert run.wait() == -signal.SIGKILL
    assert not target.exists() and names(target.parent) == [".copy.db.part"]
    run.communicate()
    again = command("snapshot_sqlite", library, target)
    out, err = again.communicate()
    assert (again.returncode, err) == (0, "") and "Next: manage.py inspect_sqlite" in out
    assert_whole(target, rows=200)


def test_ctrl_c_leaves_nothing_and_says_so(library, target):
    with closing(sqlite3.connect(library, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        run = command("snapshot_sqlite", library, target)
        wait_for(run, lambda: Path(target.parent, ".copy.db.part", "snapshot.db").exists())
        time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, out) == (75, "")
    assert err == "CommandError: Interrupted: nothing was written; run it again.\n"
    assert names(target.parent) == []


def test_two_runs_for_one_target_do_not_meet(library, target):
    with work_folder(target), pytest.raises(SnapshotLocked, match="Another run is making"):
        take_snapshot(library, target)
    take_snapshot(library, target)
    assert_whole(target)


# What is refused


def folder(path: Path) -> None:
    path.mkdir()


def text_file(path: Path) -> None:
    path.write_text("SQLite format 3 is what this is not.\n" * 50)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE videos (id)")


def utf16_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("PRAGMA encoding = 'UTF-16le'", *Generation.LAST.create_tables()):
            connection.execute(statement)


def header_and_random_bytes(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + random.Random(1).randbytes(20_000))


REFUSED = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (folder, "is a folder"),
    "empty": (Path.touch, r"is empty \(0 bytes\)"),
    "text": (text_file, "is no SQLite database"),
    "random bytes after a header": (header_and_random_bytes, "damaged"),
    "another database": (other_database, "is no database of the old dashboard"),
    "UTF-16": (utf16_database, "stores its text as UTF-16le"),
}


def assert_refused(source: Path, target: Path, match: str) -> None:
    with pytest.raises(CommandError, match=match) as refusal:
        call_command("snapshot_sqlite", source, target)
    message = str(refusal.value)
    assert refusal.value.returncode == 1
    assert "\n" not in message and message.endswith((".", ")")) and ".part" not in message and len(message) < 400


@pytest.mark.parametrize(("make", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_database_of_the_old_dashboard_is_refused(tmp_path, target, make, match):
    make(tmp_path / "library.db")
    assert_refused(tmp_path / "library.db", target, match)
    assert names(target.parent) == []


@pytest.mark.parametrize("page", [1, 30, 500])
def test_a_damaged_source_is_refused(library, target, page):
    content = bytearray(library.read_bytes())
    content[4096 * page : 4096 * (page + 1)] = random.Random(page).randbytes(4096)
    library.write_bytes(content)
    assert_refused(library, target, "library.db (is damaged|cannot be read whole)")
    assert names(target.parent) == []


def test_a_source_whose_end_is_cut_off_is_refused(library, target):
    for size in (library.stat().st_size - 4096, 100_000):
        os.truncate(library, size)
        assert_refused(library, target, "library.db (is damaged|cannot be read whole)")
    assert names(target.parent) == []


def test_nothing_is_overwritten(library, target):
    target.write_text("something")
    assert_refused(library, target, "exists already")
    assert target.read_text() == "something" and names(target.parent) == ["copy.db"]
    assert_refused(library, library, "exists already")
    target.unlink()
    target.symlink_to("nowhere")
    assert_refused(library, target, "exists already")


def test_a_file_that_takes_the_target_s_name_meanwhile_stays_and_gets_no_manifest(library, target):
    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("Naming files", 1):
            target.write_text("something")

    with pytest.raises(SnapshotError, match="exists already"):
        take_snapshot(library, target, progress)
    assert target.read_text() == "something" and names(target.parent) == ["copy.db"]


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_what_sqlite_would_take_for_a_part_of_the_target_must_not_lie_there(library, target, suffix):
    Path(f"{target}{suffix}").touch()
    assert_refused(library, target, f"copy.db{suffix} is left from another database")


def test_a_target_in_no_folder_is_refused(library, target):
    assert_refused(library, target.parent / "missing" / "copy.db", "does not exist; make it first")
    assert_refused(library, library / "copy.db", "does not exist; make it first")
    assert_refused(library, target.with_name("x" * 251), "cannot be written: File name too long")


# The manifest


@pytest.fixture
def snapshot(library, target) -> Path:
    take_snapshot(library, target)
    for path in target.parent.iterdir():
        path.chmod(0o644)
    return target


def test_a_snapshot_without_a_manifest_has_none(snapshot):
    manifest_path(snapshot).unlink()
    assert read_manifest(snapshot) is None and check_manifest(snapshot, "any") is None


def test_a_snapshot_that_was_changed_is_not_what_its_manifest_describes(snapshot):
    with closing(sqlite3.connect(snapshot)) as connection:
        connection.execute("UPDATE content SET title = 'Changed' WHERE rowid = 1")
        connection.commit()
    with pytest.raises(SnapshotError, match="is not the file that its manifest describes"):
        check_manifest(snapshot, file_sha256(snapshot))


def test_a_link_finds_the_manifest_beside_the_file(snapshot, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(snapshot)
    assert check_manifest(link, file_sha256(snapshot)) == read_manifest(snapshot)


DAMAGED = {
    "no JSON": lambda text: text[:-3],
    "another shape": lambda text: "[1]",
    "a number": lambda text: "5",
    "a field too few": lambda text: text.replace('"made_at"', '"made"'),
    "no tables": lambda text: text.replace('"tables"', '"table"'),
    "a table of another shape": lambda text: text.replace('"first_key"', '"first"'),
    "no UTF-8": lambda text: text.encode() + b"\xff",
    "too deep": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_manifest_is_said_to_be(snapshot, damage):
    file = manifest_path(snapshot)
    damaged = damage(file.read_text())
    file.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    with pytest.raises(SnapshotError, match="is damaged: it is no manifest"):
        read_manifest(snapshot)


def test_json_is_the_manifest(library, target):
    out = StringIO()
    call_command("snapshot_sqlite", library, target, "--json", stdout=out)
    assert json.loads(out.getvalue()) == json.loads(manifest_path(target).read_text())


def test_a_name_that_is_no_text_and_one_for_the_terminal_are_shown_harmlessly(library, target):
    name = os.fsdecode(b"\x1b[31m\xff.db")
    source = library.rename(library.with_name(name))
    out = StringIO()
    call_command("snapshot_sqlite", source, target.with_name(name), stdout=out)
    assert out.getvalue().encode().decode().replace("\n", "").isprintable()
    assert read_manifest(target.with_name(name)).source == "\x1b[31m\ufffd.db"


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
    st.binary(max_size=20).map(Text),
    st.text(max_size=20).map(lambda text: Text(text.encode(errors="surrogatepass"))),
)


@pytest.fixture
def rewrite(tmp_path) -> Iterator[Callable[[list[tuple[Any, ...]]], Path]]:
    path = tmp_path / "odd.db"

    def write(rows: list[tuple[Any, ...]]) -> Path:
        path.unlink(missing_ok=True)
        for copy in tmp_path.glob("copy.db*"):
            copy.unlink()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for statement in (*Generation.LAST.create_tables(), "CREATE TABLE odd (a, b TEXT, c INTEGER)"):
                connection.execute(statement)
            for row in rows:
                places = ", ".join("CAST(? AS TEXT)" if isinstance(value, Text) else "?" for value in row)
                connection.execute(
                    f"INSERT INTO odd VALUES ({places})",
                    [bytes(value) if isinstance(value, Text) else value for value in row],
                )
            connection.execute("COMMIT")
        return path

    return write


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(values, values, values), max_size=8))
def test_whatever_a_table_holds_the_manifest_counts_it_and_the_copy_has_it(rewrite, rows):
    path = rewrite(rows)
    manifest = take_snapshot(path, path.with_name("copy.db"))
    assert manifest.library_sha256 == library_of(path)
    odd = manifest.tables["odd"]
    assert odd.rows == len(rows)
    with closing(sqlite3.connect(path)) as connection:
        for column in "abc":
            counted = dict(connection.execute(f"SELECT typeof({column}), count(*) FROM odd GROUP BY 1"))
            assert odd.columns[column] == counted
