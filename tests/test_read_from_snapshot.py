"""READ_FROM_POSTGRES off: every page and answer comes from the old file, wholly, and as PostgreSQL gives it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ingest.cutover.comparison import Snapshot
from ingest.cutover.flags import set_flag
from ingest.cutover.requests import generate
from ingest.cutover.snapshot_library import SnapshotLibrary
from ingest.models import FlagName
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.synthetic import write_snapshot
from tests.sqlite.conftest import video, write_file
from videos.models import Video

from .gunicorn_server import gunicorn

__all__ = ("video", "write_file")

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = {"X-INGEST-TOKEN": "a-secret"}
HTML = {"Accept": "text/html"}
PAGES = (
    "/", "/?view=grid", "/?sort=title_asc&size=12", "/?page=2&size=12", "/?q=the", "/?q=the&sort=oldest", "/?q=zzzz",
    "/?category=History&category=Technology", "/?uncategorised=true", "/?has_audio=true&language=en",
    "/?subcategory=Ancient+Civilizations&parentCategory=History", "/?date_from=2025-09-05", "/?page=99", "/?q=%00x",
)  # fmt: skip


def read_from_file(is_on: bool = True) -> None:
    set_flag(FlagName.READ_FROM_POSTGRES, not is_on, "ada")


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(sql)


@pytest.fixture
def old_file(write_file: Callable[..., Path], video: Callable, settings) -> Path:
    path = write_file(content=[video(number) for number in range(1, 6)])
    import_snapshot(path)
    settings.LEGACY_SQLITE = str(path)
    settings.INGEST_TOKEN = TOKEN["X-INGEST-TOKEN"]
    return path


@pytest.mark.parametrize("kind", ["made-up", "2025-09-11", "2025-09-13-categorised"])
def test_pages_and_answers_are_the_same_from_both(kind, tmp_path, settings, request):
    path = tmp_path / "library.db"
    if kind == "made-up":
        write_snapshot(path, 80, 3)
    else:
        shared = request.getfixturevalue("shared") / "data" / f"snapshot-{kind}.db"
        path.write_bytes(shared.read_bytes())
    import_snapshot(path, accept_quarantine=True)
    settings.LEGACY_SQLITE = str(path)
    side = Snapshot(SnapshotLibrary(path))
    keys = [video.video_id for video in side.library.contents.videos[:12]]
    asked = [*PAGES, *generate(60, 4, side.answer), "/playlist/", "/playlist/?q=the", "/playlist/?around=unknown"]
    for key in keys:
        asked += [f"/videos/{key}/", f"/read/{key}/", f"/{key}.json?v=2"]
        asked += [f"/playlist/?around={key}", f"/playlist/?around={key}&sort=title_asc&q=a"]
    client = Client(headers=HTML)
    from_database = [client.get(url) for url in asked]
    read_from_file()
    Video.objects.update(title="Only in PostgreSQL")
    for url, before in zip(asked, from_database, strict=True):
        after = client.get(url)
        assert (after.status_code, after.content.decode()) == (before.status_code, before.content.decode()), url
    assert {answer.status_code for answer in from_database} >= {200, 404}


def test_the_old_library_is_shown_as_its_file_is_and_nothing_of_postgresql(old_file, client):
    read_from_file()
    Video.objects.get(pk="Video-_0001").delete_by("ada", "no use")
    assert "Video number 1" in client.get("/", headers=HTML).content.decode()
    assert client.get("/videos/Video-_0001/").status_code == 200
    change(old_file, "UPDATE content SET title = 'Changed there' WHERE rowid = 2")
    assert "Changed there" in client.get("/", headers=HTML).content.decode()
    assert client.get("/api/reports/Video-_0002").json()["title"] == "Changed there"
    change(old_file, "DELETE FROM content WHERE rowid = 3")
    assert client.get("/videos/Video-_0003/").status_code == 404
    assert client.get("/health/backend").json() == {"backend": "sqlite", "read_from_postgres": False, "record_count": 4}
    read_from_file(False)
    assert "Changed there" not in client.get("/", headers=HTML).content.decode()
    assert client.get("/health/backend").json()["backend"] == "postgresql"


@pytest.mark.parametrize("damage", ["gone", "no database", "unset"])
def test_a_file_that_cannot_be_read_is_503_and_never_the_other_library(damage, old_file, client, settings, caplog):
    read_from_file()
    if damage == "gone":
        old_file.unlink()
    elif damage == "no database":
        old_file.write_bytes(b"no database at all")
    else:
        settings.LEGACY_SQLITE = ""
    for path in ("/", "/videos/Video-_0001/", "/read/Video-_0001/", "/Video-_0001.json?v=2"):
        answer = client.get(path, headers=HTML)
        assert (answer.status_code, answer["Retry-After"]) == (503, "60"), path
        assert "Video number" not in answer.content.decode()
    for path in ("/api/reports", "/api/filters", "/api/reports/Video-_0001", "/Video-_0001.json", "/playlist/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable"), path
    assert client.get("/health/backend").status_code == 503
    assert "LEGACY_SQLITE cannot be read" in caplog.text
    assert client.get("/health").status_code == 200 and client.get("/health/ingest").status_code == 200
    body = '{"video_id": "New-video_1", "title": "T"}'
    assert client.post("/ingest/report", body, content_type="application/json", headers=TOKEN).status_code == 200


def test_staff_see_what_is_not_as_usual_and_others_do_not(old_file, client, admin_client):
    said = {"READ_FROM_POSTGRES": False, "DUAL_WRITE_MODE": True, "SHADOW_READS": True}
    for name, value in said.items():
        set_flag(FlagName(name), value, "ada")
    for path in ("/", "/videos/Video-_0001/", "/admin/", "/admin/ingest/flag/"):
        page = admin_client.get(path, headers=HTML).content.decode()
        assert all(name in page for name in said), path
    for path in ("/", "/videos/Video-_0001/"):
        assert not any(name in client.get(path, headers=HTML).content.decode() for name in said)
    backend = client.get("/health/backend").json()
    assert (backend["dual_write"], backend["shadow_reads"]) == (True, True)
    for name, value in said.items():
        set_flag(FlagName(name), not value, "ada")
    assert not any(name in admin_client.get("/", headers=HTML).content.decode() for name in said)


def test_a_page_that_was_asked_for_before_costs_the_flags_alone(old_file, client):
    read_from_file()
    first = client.get("/?q=number", headers=HTML).content
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/?q=number", headers=HTML).content == first
    assert len(captured) == 1


WRITER = """
import itertools, sqlite3, sys, time
path, mode, *closes = sys.argv[1:]
file = sqlite3.connect(path, isolation_level=None, timeout=30)
file.execute(f"PRAGMA journal_mode = {mode}")
for number in itertools.count():
    if closes:
        file.close()
        file = sqlite3.connect(path, isolation_level=None, timeout=30)
    file.execute("BEGIN IMMEDIATE")
    file.execute("UPDATE content SET title = ? WHERE rowid = 2", (f"Turn {number}",))
    time.sleep(0.02)
    file.execute("UPDATE content SET channel_name = ? WHERE rowid = 2", (f"Turn {number}",))
    file.execute("COMMIT")
    print(number, flush=True)
    time.sleep(0.005)
"""


@pytest.mark.parametrize("mode", ["DELETE", "PERSIST", "WAL", "WAL closed"])
def test_what_another_program_writes_meanwhile_is_shown_and_fails_no_request(mode, old_file, client):
    read_from_file()
    listed = sorted(path.name for path in old_file.parent.iterdir())
    with subprocess.Popen([sys.executable, "-c", WRITER, old_file, *mode.split()], stdout=subprocess.PIPE) as writer:
        try:
            writer.stdout.readline()
            shown, end = [], time.monotonic() + 3
            while time.monotonic() < end:
                answer = client.get("/api/reports/Video-_0002")
                assert answer.status_code == 200, answer.content
                found = answer.json()
                assert found["title"] == found["channel"]
                shown.append(int(found["title"].split()[1]))
        finally:
            writer.kill()
    assert shown == sorted(shown) and len(set(shown)) > 5
    # What the killed program had begun is undone in what is read, and the file is left as it is.
    found = client.get("/api/reports/Video-_0002").json()
    assert found["title"] == found["channel"] and int(found["title"].split()[1]) >= shown[-1]
    left = {path.name for path in old_file.parent.iterdir()} - set(listed)
    assert left <= {old_file.name + companion for companion in ("-wal", "-shm", "-journal")}


REPLACER = """
import itertools, os, pathlib, sys, time
path, how = pathlib.Path(sys.argv[1]), sys.argv[2]
new = [path.with_name(name).read_bytes() for name in ("first.db", "second.db")]
for number in itertools.count():
    content = new[number % 2]
    target = path if how == "in place" else path.with_name("new.db")
    with target.open("wb") as file:
        for start in range(0, len(content), 8192):
            file.write(content[start:start + 8192])
            file.flush()
            time.sleep(0.002)
    if how == "renamed":
        os.rename(target, path)
    print(number, flush=True)
    time.sleep(0.1)
"""


@pytest.mark.parametrize("how", ["in place", "renamed"])
def test_a_file_that_is_replaced_again_and_again_fails_no_request(how, old_file, client):
    for name in ("First", "Second"):
        change(old_file, f"UPDATE content SET title = '{name}', channel_name = '{name}'")
        shutil.copyfile(old_file, old_file.with_name(f"{name.lower()}.db"))
    read_from_file()
    with subprocess.Popen([sys.executable, "-c", REPLACER, old_file, how], stdout=subprocess.PIPE) as replacer:
        try:
            replacer.stdout.readline()
            shown, end = set(), time.monotonic() + 3
            while time.monotonic() < end:
                answer = client.get("/api/reports?size=12")
                assert answer.status_code == 200, answer.content
                shown.add(
                    tuple({value for one in answer.json()["reports"] for value in (one["title"], one["channel"])})
                )
        finally:
            replacer.kill()
    assert shown == {("First",), ("Second",)}


def test_a_page_waits_for_a_lock_and_says_so_when_it_does_not_end(old_file, client, monkeypatch, caplog):
    read_from_file()
    with closing(sqlite3.connect(old_file, isolation_level=None, check_same_thread=False)) as file:
        file.execute("BEGIN EXCLUSIVE")
        file.execute("UPDATE content SET title = 'Written slowly'")
        unlock = threading.Timer(0.5, file.execute, ["COMMIT"])
        unlock.start()
        assert client.get("/api/reports/Video-_0002").json()["title"] == "Written slowly"
        unlock.join()
        file.execute("BEGIN EXCLUSIVE")
        file.execute("UPDATE content SET title = 'Locked'")
        monkeypatch.setattr("ingest.cutover.file_library.WAIT_SECONDS", 0.3)
        os.utime(old_file)
        assert client.get("/api/reports/Video-_0002").status_code == 503
        assert "was locked by a program that writes to it" in caplog.text
        file.execute("ROLLBACK")
    assert client.get("/api/reports/Video-_0002").json()["title"] == "Written slowly"


# Under load

PROCESSES, CLIENTS, SECONDS = 2, 8, 5.0


def test_flags_turn_under_load_and_no_request_fails_or_is_mixed(write_file, video, tmp_path):
    path = write_file(content=[video(number, title=f"Old file {number}") for number in range(1, 13)])
    import_snapshot(path)
    for row in Video.objects.all():
        Video.objects.filter(pk=row.pk).update(title=f"Postgres {row.pk[-2:]}")
    Video.objects.get(pk="Video-_0001").delete_by("ada", "no use")
    problems: list[str] = []
    seen: dict[str, int] = {"file": 0, "postgresql": 0}
    asked = ("/", "/?q=a&size=12", "/?sort=title_asc", "/api/reports?size=12", "/videos/Video-_0002/", "/api/filters")
    ended = threading.Event()

    def ask(url: str, number: int) -> None:
        while not ended.is_set():
            for one in asked[number % 3 :]:
                try:
                    with urlopen(Request(url + one, headers=HTML), timeout=30) as answer:
                        text = answer.read().decode()
                except (HTTPError, OSError) as error:
                    problems.append(f"{one}: {error}")
                    continue
                from_file, from_postgresql = text.count("Old file "), text.count("Postgres ")
                if from_file and from_postgresql:
                    problems.append(f"{one}: of both")
                if one.startswith(("/api/reports", "/?", "/v")) and not from_file + from_postgresql:
                    problems.append(f"{one}: of none")
                if one == "/api/reports?size=12" and f'"total": {12 if from_file else 11},' not in text:
                    problems.append(f"{one}: another total")
                seen["file"] += bool(from_file)
                seen["postgresql"] += bool(from_postgresql)

    with gunicorn(tmp_path / "media", "--workers", str(PROCESSES), LEGACY_SQLITE=str(path)) as server:
        clients = [threading.Thread(target=ask, args=(server.url, number)) for number in range(CLIENTS)]
        for one in clients:
            one.start()
        end, turn = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            turn += 1
            read_from_file(turn % 2 == 1)
            time.sleep(0.2)
        ended.set()
        for one in clients:
            one.join(60)
    assert problems == []
    assert min(seen.values()) > 0, seen
