"""`make bench-import N=100000`: how fast a library comes in and is verified, and how much memory that takes.

A made-up snapshot of N videos with 2 N summaries is imported into an empty database of its own and
verified, each by the command a person would call. Beside it, in the same run: a bare COPY of the same
columns into tables without an index, which is as fast as it can be. Nothing here passes or fails.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.bench import ROOT, environment

FOLDER = ROOT / ".postgres-bench"
SEED = 1
MEBIBYTE = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    videos = parser.parse_args().videos
    FOLDER.mkdir(exist_ok=True)
    snapshot = FOLDER / f"import-{videos}.db"
    values = environment(videos) | {"SQLITE_SNAPSHOT": ""}
    values = fresh_database(values, videos)

    def manage(*arguments: object) -> tuple[float, float]:
        """Seconds that a command took, and the most MiB of memory that it held."""
        started = time.perf_counter()
        command = [sys.executable, "manage.py", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, env=values, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
        return time.perf_counter() - started, usage.ru_maxrss / 1024

    if not snapshot.exists():
        print(f"Writing a library of {videos:,} videos …", file=sys.stderr)
        manage("make_snapshot", snapshot, "--videos", videos, "--seed", SEED)
        add_summaries(snapshot, 2 * videos)
    rows = count_rows(snapshot)
    print(f"{snapshot.stat().st_size / MEBIBYTE:,.0f} MiB, {sum(rows.values()):,} rows: ", end="")
    print(", ".join(f"{number:,} {name}" for name, number in rows.items()))
    manage("migrate", "--verbosity", 0)
    bare_seconds = bare_copy(snapshot, values)
    print(f"{'':<10}{'seconds':>10}{'rows/s':>12}{'x bare COPY':>13}{'peak MiB':>10}")
    line("bare COPY", bare_seconds, bare_seconds, sum(rows.values()), None)
    for name, arguments in (
        ("import", ("import_sqlite", snapshot)),
        ("again", ("import_sqlite", snapshot)),
        ("verify", ("verify_sqlite", snapshot)),
        ("export", ("export_sqlite", FOLDER / "export.db")),
    ):
        remove(FOLDER / "export.db")
        seconds, peak = manage(*arguments)
        line(name, seconds, bare_seconds, sum(rows.values()), peak)
    remove(FOLDER / "export.db")


def line(name: str, seconds: float, bare_seconds: float, rows: int, peak: float | None) -> None:
    memory = "" if peak is None else f"{peak:,.0f}"
    print(f"{name:<10}{seconds:>10.1f}{rows / seconds:>12,.0f}{seconds / bare_seconds:>13.1f}{memory:>10}", flush=True)


def remove(target: Path) -> None:
    for path in (target, target.with_name(target.name + ".report.json")):
        path.unlink(missing_ok=True)


def fresh_database(values: dict[str, str], videos: int) -> dict[str, str]:
    """The environment with an empty database of its own."""
    if url := values.get("DATABASE_URL"):
        import psycopg

        name = f"ytv2_bench_import_{videos}"
        parts = urlsplit(url)
        with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return values | {"DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}"))}
    folder = FOLDER / f"import-{videos}"
    if folder.exists():
        shutil.rmtree(folder)
    return values | {"EMBEDDED_POSTGRES_DIR": str(folder)}


def add_summaries(snapshot: Path, wanted: int) -> None:
    """Give further videos a text of a variant of their own, until there are so many summaries."""
    with closing(sqlite3.connect(snapshot)) as connection, connection:
        (there,) = connection.execute(
            "SELECT (SELECT count(*) FROM content_summaries) + (SELECT count(*) FROM summary_variants)"
        ).fetchone()
        connection.execute(
            "INSERT INTO summary_variants (video_id, variant_type, revision, content, is_latest, created_at,"
            " updated_at) SELECT video_id, 'deep-research', 1, 'At length: ' || summary_text, 1,"
            " content.created_at, content.updated_at FROM content_summaries JOIN content"
            " ON content.id = content_id WHERE summary_text <> '' LIMIT ?",
            [max(0, wanted - there)],
        )


def count_rows(snapshot: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{snapshot}?mode=ro", uri=True)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names.fetchall()
        }


BARE_COPY = """
import sqlite3, sys, time
import django
django.setup()
from django.db import connection, transaction
source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
tables = [name for name, in source.execute(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
started = time.perf_counter()
with transaction.atomic(), connection.cursor() as cursor:
    for table in tables:
        columns = [(name, "bigint" if kind in ("INTEGER", "BOOLEAN") else "text")
                   for _, name, kind, *_ in source.execute(f"PRAGMA table_info({table})")]
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns)
        cursor.execute(f"CREATE TABLE bare_{table} ({listed})")
        with cursor.copy(f"COPY bare_{table} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([kind for _, kind in columns])
            for row in source.execute(f"SELECT * FROM {table}"):
                copy.write_row(row)
seconds = time.perf_counter() - started
with connection.cursor() as cursor:
    for table in tables:
        cursor.execute(f"DROP TABLE bare_{table}")
print(seconds)
"""


def bare_copy(snapshot: Path, values: dict[str, str]) -> float:
    """Seconds for all rows of all tables into tables without an index, in one transaction."""
    done = subprocess.run(
        [sys.executable, "-c", BARE_COPY, str(snapshot)], cwd=ROOT, check=True, capture_output=True, text=True,
        env=values | {"DJANGO_SETTINGS_MODULE": "ytv2.settings"},
    )  # fmt: skip
    return float(done.stdout)


if __name__ == "__main__":
    main()
