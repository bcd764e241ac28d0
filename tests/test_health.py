"""The probes of the worker and the platform."""

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from ingest.models import IngestLogEntry
from ingest.tokens import create_token

from .factories import make_library


def test_the_process_answers_without_the_database(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.head("/health").status_code == 200


@pytest.mark.django_db
def test_the_database_answers(client):
    answer = client.get("/health/db").json()
    assert (answer["db"], answer["type"]) == ("ok", "postgresql")
    assert 0 <= answer["latency_ms"] < 10_000


@pytest.mark.django_db
def test_the_backend_counts_its_videos(client):
    make_library(3)
    answer = client.get("/health/backend").json()
    assert answer == {"backend": "postgresql", "read_from_postgres": True, "record_count": 3}


@pytest.mark.parametrize(("path", "key"), [("/health/db", "db"), ("/health/backend", "db")])
@pytest.mark.django_db
def test_without_the_database_these_are_503(client, path, key):
    def away(execute, sql, params, many, context):
        raise DatabaseError("gone")

    with connection.execute_wrapper(away):
        response = client.get(path)
    assert response.status_code == 503
    assert response.json()[key] == "error"
    assert "gone" not in response.content.decode()


@pytest.mark.django_db
def test_the_worker_reads_whether_a_token_is_set_and_when_it_was_last_heard_of(client, settings):
    settings.INGEST_TOKEN = settings.SYNC_SECRET = ""
    answer = {"status": "ok", "token_set": False, "pg_dsn_set": True, "last_ingest_at": None}
    assert client.get("/health/ingest").json() == answer
    settings.SYNC_SECRET = "s"
    assert client.get("/health/ingest").json() == answer | {"token_set": True}
    settings.SYNC_SECRET = ""
    create_token("worker", ["ingest"])
    assert client.get("/health/ingest").json() == answer | {"token_set": True}
    entry = IngestLogEntry.objects.create(route="/ingest/report", outcome="unchanged", status=200)
    IngestLogEntry.objects.create(route="/ingest/report", outcome="refused", status=400)
    assert client.get("/health/ingest").json()["last_ingest_at"] == entry.at.isoformat()


@pytest.mark.django_db
def test_the_worker_is_answered_while_the_database_is_away(client, settings):
    def away(execute, sql, params, many, context):
        raise DatabaseError("gone")

    settings.INGEST_TOKEN, settings.SYNC_SECRET = "s", ""
    with connection.execute_wrapper(away):
        response = client.get("/health/ingest")
    assert (response.status_code, response.json()["token_set"]) == (200, True)


@pytest.mark.django_db
def test_an_error_of_ours_is_json_for_programs_and_a_page_for_people(settings):
    settings.DEBUG = False

    def broken(execute, sql, params, many, context):
        raise RuntimeError("a secret detail")

    client = Client(raise_request_exception=False)
    with connection.execute_wrapper(broken):
        program, person = client.get("/api/reports"), client.get("/")
    assert program.status_code == person.status_code == 500
    assert program.json() == {"error": "internal_error", "message": program.json()["message"]}
    assert person["Content-Type"].startswith("text/html")
    assert b"secret detail" not in program.content + person.content
