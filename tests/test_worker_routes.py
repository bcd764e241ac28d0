"""What the worker's programs send, over HTTP, and what they read in the answers (contract/ingest.md)."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from ingest.models import IngestLogEntry, IngestOutcome
from ingest.tokens import create_token
from summaries.models import Summary
from tests.factories import make_video
from videos.curation import decide
from videos.models import Categorization, Origin, Proposal, Video

KEY = "AbC-dE_f123"
HEADERS = ("X-INGEST-TOKEN", "X-Sync-Secret", "Authorization")


def payload(**values: Any) -> dict[str, Any]:
    return {
        "video_id": KEY,
        "title": "A title",
        "canonical_url": f"https://www.youtube.com/watch?v={KEY}",
        "channel_name": "A channel",
        "processed_at": "2025-09-01T10:00:00Z",
        "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}]},
        "summary_variants": [{"variant": "comprehensive", "text": "What the video says."}],
    } | values


class Worker:
    """A program with a token."""

    def __init__(self, token: str, header: str = "X-INGEST-TOKEN") -> None:
        self.client = Client(raise_request_exception=True)
        self.headers = {header: f"Bearer {token}" if header == "Authorization" else token}

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.client.post(path, content, content_type="application/json", headers=self.headers, **options)

    def report(self, **values: Any) -> dict[str, Any]:
        answer = self.post("/ingest/report", payload(**values))
        assert answer.status_code == 200, answer.content
        return answer.json()

    def delete(self, key: str) -> dict[str, Any]:
        answer = self.client.delete(f"/api/delete/{key}", headers=self.headers)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def worker(db) -> Worker:
    return Worker(create_token("worker", ["ingest", "delete", "read"]))


def test_a_report_is_stored_once(worker):
    assert worker.report() == {"upserted": 1, "summaries_upserted": 1, "action": "created", "video_id": KEY}
    again = worker.report()
    assert (again["action"], again["summaries_upserted"]) == ("unchanged", 0)
    assert Summary.objects.get().text == "What the video says."
    assert list(Categorization.objects.values_list("category__name", "subcategory__name", "origin")) == [
        ("Technology", "Web Development", Origin.AI)
    ]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("secret", ["INGEST_TOKEN", "SYNC_SECRET"])
def test_either_secret_is_taken_in_any_header(db, settings, header, secret):
    settings.INGEST_TOKEN, settings.SYNC_SECRET = "first-secret-of-the-worker", "second-secret-of-the-worker"
    assert Worker(getattr(settings, secret), header).report()["action"] == "created"


def test_without_a_token_nothing_is_written(worker):
    answer = Client().post("/ingest/report", json.dumps(payload()), content_type="application/json")
    assert answer.status_code == 401 and "Bearer" in answer["WWW-Authenticate"]
    assert set(answer.json()) == {"error", "message"} and not Video.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no json", 400), (b"[]", 400), (b'{"title": "Without an id"}', 400), (b"\xff\xfe", 400), (b"", 400)],
)
def test_a_body_that_cannot_be_used_is_refused_in_one_shape_and_logged(worker, body, status):
    answer = worker.post("/ingest/report", body)
    assert answer.status_code == status and set(answer.json()) == {"error", "message"}
    assert IngestLogEntry.objects.get().outcome == IngestOutcome.REFUSED and not Video.objects.exists()


def test_every_recorded_payload_is_taken_by_its_route(worker, shared):
    routes = {
        "ingest_report_payload.json": "/ingest/report",
        "api_content_flat_payload.json": "/api/content",
        "api_content_nested_payload.json": "/api/content",
        "universal_report_youtube.json": "/api/content",
    }
    for path in sorted((shared / "contract" / "payloads").iterdir()):
        body = path.read_bytes()
        answer = worker.post(routes[path.name], body)
        assert answer.status_code == 200 and answer.json(), path.name
        assert answer.json()["action"] in ("created", "updated"), (path.name, answer.json())
        again = worker.post(routes[path.name], body).json()
        assert again["action"] == "unchanged", (path.name, again)
    assert Video.objects.filter(pk=KEY).exists()


def test_a_report_comes_as_a_file_too(worker):
    file = SimpleUploadedFile(f"some_title_{KEY}.json", json.dumps(payload()).encode(), "application/json")
    answer = worker.client.post(
        "/api/upload-report", {"report": file}, headers=worker.headers | {"X-Report-Stem": f"some_title_{KEY}"}
    )
    assert answer.status_code == 200, answer.content
    got = answer.json()
    assert (got["status"], got["report_stem"], got["idempotent"]) == ("success", f"some_title_{KEY}", False)
    assert Client().get(f"/some_title_{KEY}.json").status_code == 200


def test_some_fields_of_a_video_are_changed(worker):
    worker.report()
    for method in ("put", "post"):
        answer = getattr(worker.client, method)(
            f"/api/content/yt:{KEY}", {"word_count": 2301}, content_type="application/json", headers=worker.headers
        )
        assert answer.status_code == 200 and answer.json()["success"] is True
    assert Video.objects.get().word_count == 2301
    unknown = worker.post("/api/content/ZZZZZZZZZZZ", {"word_count": 1})
    assert unknown.status_code == 404


def test_a_whole_database_is_gone_for_good(worker):
    answer = worker.post("/api/upload-database", b"SQLite format 3\x00")
    assert answer.status_code == 410 and "lost" in answer.json()["message"]


def test_the_library_can_be_downloaded_in_the_old_schema(worker, tmp_path):
    import sqlite3

    worker.report()
    answer = worker.client.get("/api/download-database", headers=worker.headers)
    assert answer.status_code == 200
    (path := tmp_path / "library.db").write_bytes(b"".join(answer.streaming_content))
    assert sqlite3.connect(path).execute("SELECT video_id, title FROM content").fetchall() == [(KEY, "A title")]


def test_nothing_is_ever_redirected(worker):
    for path in ("/ingest/report/", "/api/content/", "/ingest/report"):
        assert worker.post(path, payload()).status_code not in (301, 302, 307, 308)


# Deletes


@pytest.mark.parametrize("name", [KEY, f"yt:{KEY}", f"some_title_{KEY}", f"{KEY}_20250901_134325"])
def test_a_delete_is_final_for_programs(worker, name):
    worker.report()
    first = worker.delete(name)
    assert (first["status"], first["idempotent"], first["errors"]) == ("success", False, [])
    assert worker.delete(name)["idempotent"] is True
    assert worker.report(title="Back", processed_at="2030-01-01T00:00:00Z")["action"] == "deleted"
    assert Video.objects.deleted().get().title == "A title"
    assert Client().get(f"/api/reports/{KEY}").status_code == 404


def test_a_delete_says_whether_a_person_or_a_program_asked_for_it(worker, admin_client):
    make_video(1)
    make_video(2)
    worker.delete("video_00001")
    assert admin_client.delete("/api/delete/video_00002").status_code == 200
    reasons = Video.objects.deleted().order_by("pk").values_list("deleted_by", "deleted_reason")
    assert list(reasons) == [("worker", "deleted through the API"), ("admin", "deleted on the dashboard")]


@pytest.mark.parametrize("path", ["/api/delete?id=m", "/api/delete/m", "/api/delete/AbC", "/api/delete/dE_f123"])
def test_a_part_of_an_id_deletes_nothing(worker, path):
    """`?id=m` deleted 22 of 63 rows by substring."""
    worker.report()
    answer = worker.post(path, {})
    assert answer.status_code == 200 and answer.json()["idempotent"] is True
    assert not Video.objects.deleted().exists()


def test_a_delete_names_its_video_in_the_body_too(worker):
    worker.report()
    assert worker.post("/api/delete", {"id": KEY}).json()["idempotent"] is False


# What has happened, and must not again


def test_a_report_sent_again_clears_neither_sound_nor_categories(worker):
    worker.report(media={"has_audio": True})
    Video.objects.filter(pk=KEY).update(has_audio=True)
    worker.report(media={"has_audio": False}, analysis={"categories": []}, processed_at="2025-09-02T10:00:00Z")
    assert Video.objects.get().has_audio and Categorization.objects.count() == 1


@pytest.mark.parametrize("title", ["temp", "Untitled", "", f"Content {KEY}", None])
def test_a_placeholder_is_not_written_over_a_real_title(worker, title):
    worker.report()
    worker.report(title=title, processed_at="2030-01-01T00:00:00Z")
    assert Video.objects.get().title == "A title"


def test_old_data_that_comes_after_newer_fills_blanks_only(worker):
    worker.report()
    worker.report(title="Old", duration_seconds=77, processed_at="2020-01-01T00:00:00Z")
    video = Video.objects.get()
    assert (video.title, video.duration_seconds) == ("A title", 77)


def test_a_curated_category_outlives_the_worker_and_its_proposal_waits(worker):
    worker.report()
    decide({KEY: [("History", "Modern History")]}, "curator")
    worker.report(title="New", processed_at="2030-01-01T00:00:00Z")
    assert Categorization.objects.get().subcategory.name == "Modern History"
    assert Proposal.objects.get().pairs == [["Technology", "Web Development"]]


def test_an_odd_payload_is_taken_and_kept_for_a_person(worker):
    answer = worker.report(title="A\x00B")
    assert answer["action"] == "quarantined" and answer["quarantined"] and answer["reason"]
    entry = IngestLogEntry.objects.get()
    assert entry.outcome == IngestOutcome.QUARANTINED and json.loads(bytes(entry.body))["title"] == "A\x00B"
    assert not Video.objects.exists()
