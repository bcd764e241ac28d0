"""Settings from the environment: safe without any, and production stops with a sentence where one is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "DJANGO_ENV": "production",
    "SECRET_KEY": "k3y-for-tests-only-" + "".join(map(chr, range(48, 123))),
    "DATABASE_URL": "postgres://somebody@127.0.0.1:1/nothing",
    "ALLOWED_HOSTS": "ytv2.example.org",
}


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these variables and nothing else of ours in the environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept | variables, capture_output=True, text=True, timeout=60)


def setting(name: str, **variables: str) -> str:
    done = manage("shell", "-v0", "-c", f"from django.conf import settings; print(settings.{name})", **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("missing", ["SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS"])
def test_production_does_not_start_without(missing):
    variables = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", **variables)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert f"{missing} is not set. In production it " in last
    assert f"{missing}_FILE" in last


def test_production_has_nothing_left_to_check():
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


def test_development_starts_without_any_setting_and_is_not_in_debug_mode():
    assert setting("DEBUG") == "False"
    assert setting("ALLOWED_HOSTS") == "['localhost', '127.0.0.1', '[::1]']"


def test_debug_cannot_be_switched_on_in_production():
    assert setting("DEBUG", DEBUG="true", **PRODUCTION) == "False"


def test_a_secret_can_come_from_a_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text(PRODUCTION["SECRET_KEY"] + "\n")
    variables = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}
    assert setting("SECRET_KEY", SECRET_KEY_FILE=str(file), **variables).strip() == PRODUCTION["SECRET_KEY"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DJANGO_ENV": "prod"}, "Set it to development or production"),
        ({"DATABASE_URL": "sqlite:///db.sqlite3"}, "does not name a PostgreSQL server"),
        ({"DATABASE_URL": "mysql://a@b/c"}, "does not name a PostgreSQL server"),
        ({"LEGACY_URL": "old.example:6452"}, "Write it as http://host:port"),
        ({"LEGACY_URL": "http://somebody:secret@old.example"}, "Write it as http://host:port"),
    ],
)
def test_a_wrong_value_stops_with_a_sentence(variables, sentence):
    done = manage("check", **variables)
    assert done.returncode != 0
    assert sentence in done.stderr.strip().splitlines()[-1]


def test_a_command_without_its_database_ends_with_a_sentence():
    done = manage("cutover", "status", **PRODUCTION)
    assert done.returncode == 75 and "Traceback" not in done.stderr
    assert "PostgreSQL does not answer" in done.stderr and "run the same command again" in done.stderr


@pytest.mark.parametrize("call", ["verify_sqlite", "cutover finalise", "cutover verify --requests 0"])
def test_a_wrong_call_ends_with_1_because_2_says_that_a_proof_failed(call):
    done = manage(*call.split(), **PRODUCTION)
    assert done.returncode == 1 and "usage: " in done.stderr


def test_production_logs_one_json_object_a_line():
    code = "import logging; logging.getLogger('ytv2').info('a \"quoted\" message')"
    done = manage("shell", "-v0", "-c", code, **PRODUCTION)
    (line,) = [line for line in done.stdout.splitlines() if "quoted" in line]
    import json

    assert json.loads(line)["message"] == 'a "quoted" message'
    assert json.loads(line)["level"] == "INFO"


def test_the_csp_allows_nothing_inline_and_nothing_from_outside_but_thumbnails(client, db):
    policy = client.get("/")["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives.pop("default-src") == "'none'"
    assert "https://i.ytimg.com" in directives.pop("img-src")
    assert set(directives.values()) <= {"'self'", "'none'"}
    assert {"script-src", "style-src", "connect-src", "form-action", "base-uri", "frame-ancestors"} <= set(directives)


def test_programs_are_never_redirected(settings, client, db):
    import re

    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^api/", r"^ingest/", r"^health", r"^exports/", r"\.json$"]
    assert setting("SECURE_REDIRECT_EXEMPT", **PRODUCTION) == str(settings.SECURE_REDIRECT_EXEMPT)
    exempt = [re.compile(pattern) for pattern in settings.SECURE_REDIRECT_EXEMPT]
    for path in ("api/reports", "api/upload-report", "ingest/report", "health", "health/ingest", "a_stem.json"):
        assert any(pattern.search(path) for pattern in exempt)
    assert client.post("/api/reports").status_code == 405
    assert client.post("/ingest/report").status_code == 503
