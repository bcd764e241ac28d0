"""The site where it is deployed: starts before its database, loses it, gets it back, and is stopped in mid-answer."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import psycopg
import pytest

from .gunicorn_server import RUN, port_in, wait_for
from .own_postgres import Postgres, own_postgres
from .test_settings import PRODUCTION

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-of-the-worker"
REPORT = json.dumps({"video_id": "AbC-dE_f123", "title": "A title", "summary": "A summary. " * 20}).encode()
HEADERS = {"X-INGEST-TOKEN": TOKEN, "Content-Type": "application/json"}
THREADS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A migrated server, running when the first test begins."""
    with own_postgres() as postgres:
        postgres.start()
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"],
            cwd=ROOT, env=environment(postgres.url), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield postgres


@pytest.fixture
def postgres(server: Postgres) -> Postgres:
    """The same, running, whatever the test before did to it."""
    if not server.is_running():
        server.start()
    return server


def environment(database_url: str) -> dict[str, str]:
    """Nothing of a person's own environment."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "DATABASE_URL": database_url, "INGEST_TOKEN": TOKEN}


@contextmanager
def started(command: list[str], log: Path, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the site; it ends with the block."""
    with log.open("wb") as output:
        variables = environment(database_url) | {"MEDIA_DIR": str(log.parent / "media")}
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def gunicorn(log: Path, database_url: str, bind: str = "127.0.0.1:0") -> "contextmanager[subprocess.Popen[bytes]]":
    return started([sys.executable, "-c", RUN, "ytv2.wsgi", "--bind", bind], log, database_url)


@contextmanager
def site(folder: Path, database_url: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """gunicorn with the configuration of the project, listening: the process and its port."""
    log = folder / "gunicorn.log"
    with gunicorn(log, database_url) as process:
        assert wait_for(lambda: port_in(log) or process.poll() is not None), log.read_text()
        port = port_in(log)
        assert port, log.read_text()
        yield process, port


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, HTTPResponse, str]:
    """Status, answer and text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        # A person has a session, which the database may be asked for.
        person = {"Cookie": "sessionid=0123456789abcdef0123456789abcdef"}
        headers = HEADERS if method == "POST" else person
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer, answer.read().decode()
    finally:
        connection.close()


def statuses(port: int, path: str, times: int = 3 * THREADS) -> set[int]:
    """The statuses of many requests at once, enough for every thread to have its own connection."""
    with ThreadPoolExecutor(THREADS) as pool:
        return {status for status, *_ in pool.map(lambda _: ask(port, path), range(times))}


# The start -----------------------------------------------------------------------------------------------


def test_migrate_waits_for_a_server_that_is_still_starting(postgres, tmp_path):
    postgres.stop()
    log = tmp_path / "migrate.log"
    with started([sys.executable, "manage.py", "migrate", "-v0"], log, postgres.url) as process:
        assert wait_for(lambda: "Waiting up to 60 seconds for PostgreSQL at 127.0.0.1, port" in log.read_text())
        postgres.start()
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in log.read_text()


def test_gunicorn_listens_only_when_the_server_answers(postgres, tmp_path):
    postgres.stop()
    log = tmp_path / "gunicorn.log"
    with gunicorn(log, postgres.url) as process:
        assert wait_for(lambda: "Waiting up to 60 seconds" in log.read_text())
        assert not port_in(log)
        postgres.start()
        assert wait_for(lambda: port_in(log)), log.read_text()
        assert ask(port_in(log), "/health/db")[0] == 200
        assert process.poll() is None


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("wait_for_database(print, seconds=1)", "Start it, or put DATABASE_URL right; then run this again."),
        ("sys.argv = ['manage.py', 'migrate']; wait.__defaults__ = (1,); main()", "CommandError: PostgreSQL at 127.0"),
    ],
)
def test_a_start_ends_with_a_sentence_when_the_server_never_answers(command, sentence):
    code = "import sys, django; from ytv2.database import *; from manage import main"
    code += f"; wait = wait_for_database; django.setup(); {command}"
    variables = environment("postgres://somebody:hidden@127.0.0.1:1/nothing")
    variables |= {"DJANGO_SETTINGS_MODULE": "ytv2.settings"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert sentence in last
    assert "at 127.0.0.1, port 1 gave no connection for 1 seconds (Connection refused)." in last
    assert "hidden" not in done.stdout + done.stderr


def test_gunicorn_does_not_listen_when_its_database_is_no_postgresql(tmp_path):
    log = tmp_path / "gunicorn.log"
    with gunicorn(log, "mysql://somebody@127.0.0.1/nothing") as process:
        assert process.wait(timeout=30) == 1
    assert log.read_text().strip().splitlines()[-1].startswith("django.core.exceptions.ImproperlyConfigured: DATABASE_")
    assert not port_in(log)


def test_a_waiting_gunicorn_ends_at_once_when_it_is_told_to(tmp_path):
    log = tmp_path / "gunicorn.log"
    with gunicorn(log, "postgres://somebody@127.0.0.1:1/nothing") as process:
        assert wait_for(lambda: "Waiting up to 60 seconds" in log.read_text())
        process.terminate()
        assert process.wait(timeout=20) == 128 + 15
    assert "Traceback" not in log.read_text()


# While it runs -------------------------------------------------------------------------------------------


def test_without_the_database_everybody_is_told_to_come_again_and_with_it_all_is_as_before(postgres, tmp_path):
    with site(tmp_path, postgres.url) as (process, port):
        assert ask(port, "/ingest/report", "POST", REPORT)[0] == 200
        assert statuses(port, "/api/reports") == {200}

        postgres.stop()
        away = {path: ask(port, path) for path in ("/", "/api/reports", "/api/filters", "/exports/by_video/x")}
        away["/ingest/report"] = ask(port, "/ingest/report", "POST", REPORT)
        for path, (status, answer, text) in away.items():
            assert (status, answer.headers["Retry-After"]) == (503, "30"), (path, text)
            if path == "/":
                assert answer.headers["Content-Type"].startswith("text/html")
                assert "The library cannot be reached just now" in text
            else:
                assert json.loads(text) == {"error": "database_away", "message": json.loads(text)["message"]}
        assert statuses(port, "/api/reports") == {503}
        assert ask(port, "/health")[0] == 200
        assert ask(port, "/health/ingest")[0] == 200
        for path in ("/health/db", "/health/backend"):
            status, answer, text = ask(port, path)
            assert (status, answer.headers["Retry-After"], json.loads(text)["db"]) == (503, "30", "error")
            assert json.loads(text)["error"] == "no_answer"
            away[path] = (status, answer, text)
        for _, _, text in away.values():
            assert not re.search(r"psycopg|Traceback|OperationalError|127\.0\.0\.1|refused", text), text

        postgres.start()
        # No thread still holds a connection to the server that is gone.
        assert statuses(port, "/api/reports") == {200}
        assert ask(port, "/ingest/report", "POST", REPORT)[0] == 200
        assert ask(port, "/health/db")[0] == 200
        assert process.poll() is None


def test_nobody_notices_a_restart_between_two_requests(postgres, tmp_path):
    with site(tmp_path, postgres.url) as (_, port):
        assert statuses(port, "/api/reports") == {200}
        for mode in ("fast", "immediate"):
            postgres.stop(mode)
            postgres.start()
            assert statuses(port, "/api/reports") == {200}
            assert ask(port, "/ingest/report", "POST", REPORT)[0] == 200
        assert "Traceback" not in (tmp_path / "gunicorn.log").read_text()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_who_waits_in_a_query_when_the_database_goes_away_is_told_to_come_again(postgres, tmp_path, mode):
    with site(tmp_path, postgres.url) as (_, port), ThreadPoolExecutor(2) as pool:
        with psycopg.connect(postgres.url) as blocker, psycopg.connect(postgres.url, autocommit=True) as watcher:
            blocker.execute("LOCK TABLE videos_video IN ACCESS EXCLUSIVE MODE")
            reading = pool.submit(ask, port, "/api/reports/AbC-dE_f123")
            writing = pool.submit(ask, port, "/ingest/report", "POST", REPORT)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert wait_for(lambda: watcher.execute(waiting).fetchone()[0] == 2)
            postgres.stop(mode)
            with pytest.raises(psycopg.OperationalError):
                blocker.execute("SELECT 1")
        for status, answer, text in (reading.result(), writing.result()):
            assert (status, answer.headers["Retry-After"], json.loads(text)["error"]) == (503, "30", "database_away")
        postgres.start()
        assert ask(port, "/ingest/report", "POST", REPORT)[0] == 200


def test_a_query_that_is_refused_on_a_living_connection_is_an_error_of_ours(postgres, tmp_path):
    with site(tmp_path, f"{postgres.url}?options=-c%20statement_timeout%3D300") as (_, port):
        with psycopg.connect(postgres.url) as blocker:
            blocker.execute("LOCK TABLE videos_video IN ACCESS EXCLUSIVE MODE")
            status, answer, text = ask(port, "/api/reports/AbC-dE_f123")
            assert (status, json.loads(text)["error"], answer.headers["Retry-After"]) == (500, "internal_error", None)
        assert ask(port, "/api/reports/AbC-dE_f123")[0] == 200


@pytest.mark.parametrize(("is_there", "expected"), [(True, "refused"), (False, "no_answer")])
def test_health_tells_a_server_that_refuses_from_one_that_is_not_there(postgres, is_there, expected):
    url = f"{postgres.url}_of_another_name" if is_there else "postgres://somebody@127.0.0.1:1/nothing"
    code = "import django; django.setup(); from django.test import Client; print(Client().get('/health/db').content)"
    variables = environment(url) | {"DJANGO_SETTINGS_MODULE": "ytv2.settings", "ALLOWED_HOSTS": "testserver"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert f'"error": "{expected}"' in done.stdout, done.stderr
    assert "another_name" not in done.stdout


# The stop ------------------------------------------------------------------------------------------------


def test_a_request_in_flight_is_answered_when_gunicorn_is_stopped(postgres, tmp_path):
    head = "".join(f"{name}: {value}\r\n" for name, value in (HEADERS | {"Content-Length": len(REPORT)}).items())
    with site(tmp_path, postgres.url) as (process, port):
        assert ask(port, "/health")[0] == 200
        with socket.create_connection(("127.0.0.1", port), timeout=30) as upload:
            upload.sendall(f"POST /ingest/report HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + REPORT[:50])
            # Another answer shows that gunicorn has taken the upload, which came before it.
            assert ask(port, "/health")[0] == 200
            process.terminate()
            assert wait_for(lambda: "Handling signal: term" in (tmp_path / "gunicorn.log").read_text())
            assert wait_for(lambda: not takes_requests(port))
            assert process.poll() is None
            for byte in REPORT[50:]:
                upload.sendall(bytes([byte]))
            answer = HTTPResponse(upload)
            answer.begin()
            assert answer.status == 200, answer.read()
        assert process.wait(timeout=30) == 0
    with psycopg.connect(postgres.url) as database:
        assert database.execute("SELECT title FROM videos_video").fetchall() == [("A title",)]


def takes_requests(port: int) -> bool:
    """Whether somebody new is answered. A slow answer passes for none, which makes the test above no stricter."""
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


# What is deployed ----------------------------------------------------------------------------------------


def image_sources() -> list[str]:
    """What .dockerignore lets into the image: everything else stays out, secrets and data among it."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    return [line[1:] for line in lines if line[0] == "!"]


def test_the_image_holds_what_serving_needs_and_its_build_needs_no_secret(tmp_path):
    for name in image_sources():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [collect] = re.findall(r"^RUN (.* manage\.py collectstatic .*)$", dockerfile, re.MULTILINE)
    # Compressing them takes long, and is tested with the static files.
    command = collect.replace(" python ", f" {sys.executable} ") + " --dry-run"
    path = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Pretending to copy" in done.stdout
    assert "static/css/ytv2.css" in done.stdout
    done = subprocess.run(
        [sys.executable, "-c", "import ytv2.wsgi"], cwd=tmp_path, env=path | PRODUCTION, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_nobody_special_and_installs_only_what_is_hashed():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.txt" in dockerfile
    assert re.search(r"^USER ytv2$", dockerfile, re.MULTILINE)
    assert dockerfile.index("USER ytv2") < dockerfile.index("CMD ")
    assert "://" not in dockerfile.replace("postgres://nobody@localhost/none", "")


def test_render_is_told_only_settings_that_there_are_and_no_secret():
    blueprint = (ROOT / "render.yaml").read_text()
    source = (ROOT / "ytv2" / "settings.py").read_text()
    entries = dict(re.findall(r"- key: (\w+)\n\s+(\w+):", blueprint))
    for name in set(entries) - {"PYTHON_VERSION", "WEB_CONCURRENCY"}:
        assert f'"{name}"' in source, name
    for name in ("SECRET_KEY", "DATABASE_URL", "INGEST_TOKEN", "SYNC_SECRET"):
        assert entries[name] in ("generateValue", "sync", "fromDatabase"), name
    assert "name: ytv2-dashboard-postgres" in blueprint
    assert blueprint.count("name: ytv2-database") == 2
    assert "preDeployCommand: python manage.py migrate --no-input" in blueprint


@pytest.mark.parametrize("name", ["render.yaml", "Procfile", "Dockerfile", "docs/deploy.md"])
def test_everywhere_gunicorn_is_started_the_same_way(name):
    assert re.search(r"gunicorn[\", ]+ytv2\.wsgi", (ROOT / name).read_text())
