"""A file that cannot be taken is refused with one sentence and nothing is written; one that can is never written."""

import hashlib
import os
import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ingest.models import Snapshot, VaultRow
from ingest.sqlite.codec import Text
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.reader import SnapshotError, open_snapshot
from ingest.sqlite.schema import Generation
from videos.models import Video


@pytest.fixture
def small_file(write_file, video) -> Path:
    """A sound file with enough pages that some can be damaged."""
    texts = [{"content_id": f"yt:video-_{n:04d}", "summary_text": f"Text {n}. " * 200} for n in range(40)]
    return write_file(content=map(video, range(40)), content_summaries=texts)


def folder(path: Path) -> None:
    path.mkdir()


def text_file(path: Path) -> None:
    path.write_text("SQLite format 3 is what this is not.\n" * 50)


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20_000))


def header_and_random_bytes(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + random.Random(1).randbytes(20_000))


def header_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def database(*statements: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return write


LAST = Generation.LAST.create_tables()
REFUSED = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (folder, "is a folder"),
    "empty": (Path.touch, r"is empty \(0 bytes\)"),
    "text": (text_file, "is no SQLite database"),
    "random bytes": (random_bytes, "is no SQLite database"),
    "random bytes after a header": (header_and_random_bytes, "damaged"),
    "header only": (header_only, "cannot be read whole"),
    "pipe": (pipe, "is no file"),
    "no tables": (database("CREATE TABLE t (a)", "DROP TABLE t"), "it has no table content"),
    "another schema": (database("CREATE TABLE videos (id)"), "it has no table content"),
    "no summaries": (database(LAST[0]), "it has no table content_summaries"),
    "a view for a table": (database("CREATE VIEW content AS SELECT 1 AS id", LAST[1]), "it has no table content"),
    "missing column": (
        database(*LAST, "ALTER TABLE content DROP COLUMN category", "ALTER TABLE content DROP COLUMN title"),
        "table content has no column title, category",
    ),
    "UTF-16": (database("PRAGMA encoding = 'UTF-16le'", *LAST), "stores its text as UTF-16le"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_database_of_the_old_dashboard_is_refused(tmp_path, make, sentence):
    path = tmp_path / "library.db"
    make(path)
    assert_refused(path, sentence)


def assert_refused(path: Path, sentence: str) -> None:
    with pytest.raises(SnapshotError, match=sentence) as refusal:
        import_snapshot(path)
    message = str(refusal.value)
    assert path.name in message and message.endswith((".", '"')) and "\n" not in message and len(message) < 400
    assert not Snapshot.objects.exists() and not Video.objects.exists() and not VaultRow.objects.exists()


@pytest.mark.django_db
def test_a_path_through_a_file_is_refused(small_file):
    assert_refused(small_file / "library.db", "cannot be read: Not a directory")


@pytest.mark.django_db
def test_a_file_that_may_not_be_read_is_refused(small_file):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    small_file.chmod(0)
    assert_refused(small_file, "cannot be read: Permission denied")


@pytest.mark.django_db
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(small_file, part):
    content = small_file.read_bytes()
    small_file.write_bytes(content[: int(len(content) * part)])
    assert_refused(small_file, "damaged|cannot be read whole")


@pytest.mark.django_db
@pytest.mark.parametrize("page", [2, 5, 12, 20])
def test_a_corrupted_page_is_refused(small_file, page):
    content = bytearray(small_file.read_bytes())
    content[4096 * page : 4096 * (page + 1)] = random.Random(page).randbytes(4096)
    small_file.write_bytes(content)
    assert_refused(small_file, "damaged|cannot be read whole")


@pytest.mark.django_db
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_file_whose_data_is_partly_in_another_is_refused(small_file, suffix):
    small_file.with_name(small_file.name + suffix).write_bytes(b"x")
    assert_refused(small_file, f"library.db{suffix} lies beside")


@pytest.mark.django_db
def test_a_link_does_not_hide_that_the_data_is_partly_in_another_file(write_file, video, tmp_path):
    path = write_file()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO content (id, title) VALUES ('yt:abc-de_f123', 'Only in the WAL')")
        writer.commit()
        (tmp_path / "elsewhere").mkdir()
        link = tmp_path / "elsewhere" / "library.db"
        link.symlink_to(path)
        assert_refused(link, "library.db-wal lies beside")


@pytest.mark.django_db
def test_a_file_that_is_written_to_while_it_is_read_is_not_imported(small_file):
    def overwrite(stage: str, rows: int) -> None:
        small_file.write_bytes(small_file.read_bytes() + b"more")

    with pytest.raises(SnapshotError, match="was written to while it was read"):
        import_snapshot(small_file, overwrite)
    assert not Snapshot.objects.exists() and not Video.objects.exists() and not VaultRow.objects.exists()


@pytest.mark.django_db
def test_a_locked_file_is_refused(small_file, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options | {"timeout": 0}))
    with closing(connect(small_file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert_refused(small_file, "locked")


# What is read, and that it is only read


def in_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def beside_an_empty_wal(path: Path) -> None:
    path.with_name(path.name + "-wal").touch()


@pytest.mark.django_db
@pytest.mark.parametrize("prepare", [lambda path: None, in_wal_mode, beside_an_empty_wal])
def test_the_file_and_its_folder_stay_as_they_are(small_file, prepare):
    prepare(small_file)

    def folder_state() -> dict[str, tuple[str, int, int]]:
        return {
            path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_mode)
            for path in small_file.parent.iterdir()
        }

    before = folder_state()
    assert import_snapshot(small_file).tables["content"].modelled == 40
    assert folder_state() == before


@pytest.mark.django_db
@pytest.mark.parametrize("prepare", [lambda path: None, in_wal_mode])
def test_a_file_in_a_folder_that_cannot_be_written_is_read(small_file, prepare):
    if os.geteuid() == 0:
        pytest.skip("root may write in every folder")
    prepare(small_file)
    small_file.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert import_snapshot(small_file).tables["content"].modelled == 40
    finally:
        small_file.parent.chmod(stat.S_IRWXU)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "a?mode=rwc.db", "a#b.db", "é'\".db", "a;b\\.db", os.fsdecode(b"\xff.db")]
)
def test_a_file_of_any_name_is_read(small_file, name):
    path = small_file.rename(small_file.with_name(name))
    assert import_snapshot(path).tables["content"].modelled == 40
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_the_generation_is_told_by_what_the_file_has(write_file):
    for generation in Generation:
        with open_snapshot(write_file(f"{generation}.db", generation)) as source:
            assert source.generation == generation


def test_every_value_is_read_in_its_storage_class(write_file):
    path = write_file(
        sql=["CREATE TABLE odd (a, b, c, d, e, f)"],
        then=["INSERT INTO odd VALUES (NULL, -1, -0.0, CAST(x'610062ff' AS TEXT), x'6100', 9e999)"],
    )
    with open_snapshot(path) as source:
        ((key, row),) = source.rows("odd")
    assert key == 1
    assert row == (None, -1, 0.0, Text(b"a\x00b\xff"), b"a\x00", float("inf"))
    assert [type(value) for value in row] == [type(None), int, float, Text, bytes, float]


ODD_TABLES = [
    "CREATE TABLE bare (name TEXT, n, PRIMARY KEY (name)) WITHOUT ROWID",
    "CREATE TABLE named (rowid TEXT, n)",
    "CREATE TABLE hidden (rowid TEXT, _rowid_ TEXT, OID TEXT)",
    "CREATE TABLE keyed (rowid INTEGER PRIMARY KEY, n)",
    "CREATE TABLE generated (n, double AS (n * 2) STORED, triple AS (n * 3) VIRTUAL)",
    'CREATE TABLE "it""s a \'table\' [x]; --" ("a ""b""" TEXT, "select" TEXT)',
    "CREATE TABLE empty (n)",
    "CREATE VIEW titles AS SELECT title FROM content",
    "CREATE VIRTUAL TABLE words USING fts5(body)",
]
ODD_ROWS = [
    "INSERT INTO bare VALUES ('b', 2), ('a', 1)",
    "INSERT INTO named VALUES ('x', 1), ('y', 2)",
    "INSERT INTO hidden VALUES ('p', 'q', 'r')",
    "INSERT INTO keyed VALUES (9223372036854775807, 1), (-9223372036854775808, 2)",
    "INSERT INTO generated (n) VALUES (5)",
    """INSERT INTO "it""s a 'table' [x]; --" VALUES ('quoted', NULL)""",
    "INSERT INTO words VALUES ('zyzzyva is a weevil')",
]


def test_tables_of_every_kind_are_read_whole(write_file):
    path = write_file(sql=ODD_TABLES, then=ODD_ROWS)
    with open_snapshot(path) as source:
        read = {name: list(source.rows(name)) for name in source.tables}
        assert {name: len(rows) for name, rows in read.items()} == {
            name: table.rows for name, table in source.tables.items()
        }
        assert all(len(row) == len(source.tables[name].columns) for name, rows in read.items() for _, row in rows)
        assert source.tables["generated"].columns == ("n", "double", "triple")
    assert read["bare"] == [(1, (b"a", 1)), (2, (b"b", 2))]
    assert read["named"] == [(1, (b"x", 1)), (2, (b"y", 2))]
    assert read["hidden"] == [(1, (b"p", b"q", b"r"))]
    assert read["keyed"] == [(-(2**63), (-(2**63), 2)), (2**63 - 1, (2**63 - 1, 1))]
    assert read["generated"] == [(1, (5, 10, 15))]
    assert read["it\"s a 'table' [x]; --"] == [(1, (b"quoted", None))]
    assert read["empty"] == []
    # The text of a virtual table lies in an ordinary one beside it.
    assert read["words_content"] == [(1, (1, b"zyzzyva is a weevil"))]
    assert "titles" not in read and "words" not in read


def test_a_name_that_is_no_text_is_refused(write_file):
    path = write_file(sql=["CREATE TABLE strange (abcdefgh)"])
    content = path.read_bytes()
    assert content.count(b"abcdefgh") == 1
    path.write_bytes(content.replace(b"abcdefgh", b"abcd\xff\xfegh"))
    with pytest.raises(SnapshotError, match="no valid UTF-8"), open_snapshot(path):
        pass


def test_the_schema_is_read_as_it_stands_in_the_file(write_file):
    with open_snapshot(write_file(sql=ODD_TABLES)) as source:
        schema = set(source.schema)
    assert {*Generation.LAST.create_tables()[1:4], *ODD_TABLES} <= schema


@pytest.mark.django_db
def test_odd_tables_are_kept_in_the_vault_whole(write_file):
    report = import_snapshot(write_file(sql=ODD_TABLES, then=ODD_ROWS))
    kept = {name: table.kept for name, table in report.tables.items() if table.rows}
    assert kept["bare"] == kept["named"] == kept["keyed"] == 2 and kept["hidden"] == 1
    for name, count in kept.items():
        assert VaultRow.objects.filter(table=name).count() == count
