"""The worker's contract through real HTTP: two clients that are not Django's, and gunicorn (contract/ingest.md)."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
import requests
from django.db import connection, transaction

from ingest.models import AudioFile, IngestLogEntry
from summaries.models import Summary
from videos.models import Categorization, Proposal, Video, VideoEvent

from .gunicorn_server import Server, gunicorn, wait_for
from .test_audio_files import mp3
from .test_facet_counts import kept, recounted
from .test_files import PNG_BYTES
from .worker_load import assert_nothing_lost, mixed_requests

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "AbC-dE_f123"
# As an old row has it: lower-cased (61 of 62 rows of the real snapshot).
OLD_ID = "yt:abc-de_f123"
SECRETS = {"INGEST_TOKEN": "first-secret-of-the-worker", "SYNC_SECRET": "second-secret-of-the-worker"}
TOKEN = {"X-INGEST-TOKEN": SECRETS["INGEST_TOKEN"]}
CLIENTS = ("requests", "curl")
LONGEST_SECONDS = 60

JSON_ROUTES = ("/ingest/report", "/api/content", f"/api/content/{KEY}", "/api/delete", f"/api/delete/{KEY}")
FORM_ROUTES = ("/ingest/audio", "/api/upload-audio", "/api/upload-image", "/api/upload-report", "/api/upload-database")


# Two clients --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, the body without its compression."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


File = tuple[str, bytes]


def send(
    client: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    form: Mapping[str, str | File] | None = None,
) -> Answer:
    """Send a request with one of the clients: no body, one as it is (JSON), or a form with texts and files."""
    if body is not None:
        headers = {"Content-Type": "application/json", **headers}
    return {"requests": send_with_requests, "curl": send_with_curl}[client](method, url, headers, body, form or {})


def send_with_requests(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, form: Mapping[str, str | File]
) -> Answer:
    parts = {name: (None, value) if isinstance(value, str) else value for name, value in form.items()}
    got = requests.request(
        method, url, headers=headers, data=body, files=parts or None, allow_redirects=False, timeout=LONGEST_SECONDS
    )
    return Answer(got.status_code, {name.lower(): value for name, value in got.headers.items()}, got.content)


def send_with_curl(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, form: Mapping[str, str | File]
) -> Answer:
    with TemporaryDirectory() as name:
        folder = Path(name)
        command = ["curl", "--silent", "--show-error", "--path-as-is", "--max-time", str(LONGEST_SECONDS)]
        command += ["--head"] if method == "HEAD" else ["--request", method]
        command += ["--dump-header", str(folder / "headers"), "--output", str(folder / "body"), url]
        for header, value in headers.items():
            command += ["--header", f"{header}: {value}"]
        if body is not None:
            (folder / "sent").write_bytes(body)
            command += ["--data-binary", f"@{folder / 'sent'}"]
        for number, (part, value) in enumerate(form.items()):
            if isinstance(value, str):
                command += ["--form-string", f"{part}={value}"]
            else:
                (folder / str(number)).write_bytes(value[1])
                command += ["--form", f'{part}=@{folder / str(number)};filename="{value[0]}"']
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        # A large body is announced first: "100 Continue" comes before the answer.
        status, *lines = (folder / "headers").read_text().strip().split("\n\n")[-1].splitlines()
        named = (line.partition(":") for line in lines)
        content = (folder / "body").read_bytes() if (folder / "body").exists() and method != "HEAD" else b""
        return Answer(int(status.split()[1]), {header.lower(): value.strip() for header, _, value in named}, content)


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gunicorn for all tests here, each of which finds the tables empty."""
    with gunicorn(tmp_path_factory.mktemp("site") / "media", **SECRETS) as running:
        yield running


@dataclass(frozen=True)
class Worker:
    """A program of the worker's, with its client and a right token."""

    client: str
    site: str

    def send(self, method: str, path: str, *, headers: Mapping[str, str] = TOKEN, **options: Any) -> Answer:
        return send(self.client, method, self.site + path, headers, **options)

    def post(self, path: str, payload: Mapping[str, Any], **options: Any) -> Answer:
        return self.send("POST", path, body=json.dumps(payload).encode(), **options)

    def get(self, path: str) -> Answer:
        return self.send("GET", path, headers={})

    def head(self, path: str) -> Answer:
        return self.send("HEAD", path, headers={})

    def report(self, **values: Any) -> dict[str, Any]:
        """Send a report; the answer, which is a success."""
        return success(self.post("/ingest/report", report(**values)))


@pytest.fixture(params=CLIENTS)
def worker(request: pytest.FixtureRequest, server: Server, transactional_db: None) -> Worker:
    if request.param == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return Worker(request.param, server.url)


def report(**values: Any) -> dict[str, Any]:
    return {
        "id": OLD_ID,
        "video_id": KEY,
        "title": "A title",
        "canonical_url": f"https://www.youtube.com/watch?v={KEY}",
        "channel_name": "A channel",
        "processed_at": "2025-09-01T10:00:00Z",
        "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}]},
        "summary_variants": [{"variant": "comprehensive", "text": "What the video says."}],
    } | values


def success(answer: Answer) -> dict[str, Any]:
    """The object of an answer that the worker takes for success: exactly 200, and an object that is not empty."""
    assert answer.status == 200, (answer.status, answer.body)
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    got = answer.json()
    assert isinstance(got, dict) and got
    return got


def refusal(answer: Answer, status: int) -> dict[str, str]:
    """The object of an error, which has one shape."""
    assert answer.status == status, (answer.status, answer.body)
    got = answer.json()
    assert got.keys() == {"error", "message"} and all(got.values())
    return got


# Every payload ------------------------------------------------------------------------------------------

# An item of the old API (contract/api.md): all keys always there; then what the detail adds.
ITEM_KEYS = {
    "id", "title", "thumbnail_url", "canonical_url", "channel", "published_at", "duration_seconds", "analysis", "media",
    "media_metadata", "file_stem", "video_id", "subcategories_json", "indexed_at", "original_language",
    "summary_language", "audio_language", "word_count",
}  # fmt: skip
DETAIL_KEYS = ITEM_KEYS | {"summary", "processor_info", "summary_variants"}
ANALYSIS_KEYS = {
    "category", "subcategory", "categories", "content_type", "complexity_level", "language", "key_topics",
    "named_entities",
}  # fmt: skip
MEDIA_KEYS = {"has_audio", "audio_duration_seconds", "has_transcript", "transcript_chars"}

WARTIME = [
    {"category": "World War II (WWII)", "subcategories": ["Intelligence & Codebreaking", "Technology & Weapons"]},
    {"category": "Technology", "subcategories": ["Tech News & Trends"]},
]
NEWS = [{"category": "Technology", "subcategories": ["Tech News & Trends"]}]
DOCUMENTARY = {"content_type": "Documentary", "complexity_level": "Intermediate", "categories": WARTIME}
# For each payload what the old client reads: of the item, of its analysis, and its texts by variant, best first.
REPORT = (
    {"published_at": "2025-10-20T00:00:00+00:00", "word_count": 2301, "indexed_at": "2025-09-20T16:12:34+00:00"},
    DOCUMENTARY | {"category": ["World War II (WWII)", "Technology"], "subcategory": "Intelligence & Codebreaking"},
    {"comprehensive": "Overview...", "bullet-points": "• a"},
)
FLAT = (
    {"published_at": "2025-09-07T08:43:50+00:00", "word_count": 0, "indexed_at": "2025-09-12T00:49:47+00:00"},
    {"content_type": "News", "categories": NEWS, "category": ["Technology"], "subcategory": "Tech News & Trends"},
    {"audio": "..."},
)
NESTED = (
    {"published_at": "2025-08-20T00:00:00+00:00", "word_count": 481, "subcategories_json": None},
    {"content_type": "", "categories": [], "category": ["Technology"], "subcategory": None},
    {"comprehensive": "..."},
)
UNIVERSAL = (
    {"published_at": "2025-10-20T00:00:00+00:00", "word_count": 2301},
    DOCUMENTARY | {"category": ["World War II (WWII)", "Technology"], "subcategory": "Intelligence & Codebreaking"},
    {"comprehensive": "Overview...\n\nSection\n• fact", "audio": "...", "audio-fr:beginner": "Vocabulaire..."},
)
PAYLOADS = [
    ("ingest_report_payload.json", "/ingest/report", REPORT),
    ("api_content_flat_payload.json", "/api/content", FLAT),
    ("api_content_nested_payload.json", "/api/content", NESTED),
    ("universal_report_youtube.json", "/api/content", UNIVERSAL),
    ("universal_report_youtube.json", "/api/upload-report", UNIVERSAL),
    ("api_content_nested_payload.json", "/api/upload-report", NESTED),
]
STEM = f"some_title_words_{KEY}"


def send_payload(worker: Worker, route: str, body: bytes) -> dict[str, Any]:
    if route == "/api/upload-report":
        form = {"report": (f"{STEM}.json", body)}
        return success(worker.send("POST", route, headers=TOKEN | {"X-Report-Stem": STEM}, form=form))
    return success(worker.send("POST", route, body=body))


def check_answer(route: str, got: dict[str, Any], action: str, texts: int) -> None:
    """An answer as the table of routes in contract/ingest.md has it."""
    assert got["action"] == action
    is_new = action == "created"
    if route == "/ingest/report":
        assert got == {"upserted": 1, "summaries_upserted": texts * is_new, "action": action, "video_id": KEY}
    elif route == "/api/content":
        assert got.keys() == {"success", "message", "id", "action", "upserted", "synced_at"}
        assert (got["success"], got["upserted"], got["id"]) == (True, True, KEY) and got["message"]
        assert datetime.fromisoformat(got["synced_at"]).tzinfo
    else:
        assert (got["status"], got["report_stem"], got["idempotent"]) == ("success", STEM, not is_new)


@pytest.mark.parametrize(("name", "route", "expected"), PAYLOADS, ids=[f"{n[:-5]} to {r}" for n, r, _ in PAYLOADS])
def test_every_payload_is_taken_once_and_read_back_as_the_old_client_reads_it(worker, shared, name, route, expected):
    item, analysis, texts = expected
    body = (shared / "contract" / "payloads" / name).read_bytes()
    assert worker.head(f"/{KEY}.json").status == 404
    check_answer(route, send_payload(worker, route, body), "created", len(texts))
    stored = everything_stored()
    check_answer(route, send_payload(worker, route, body), "unchanged", len(texts))
    assert everything_stored() == stored

    sent = json.loads(body)
    read = success(worker.get(f"/api/reports/{KEY}"))
    assert read.keys() >= DETAIL_KEYS
    assert read["analysis"].keys() >= ANALYSIS_KEYS and read["media"].keys() >= MEDIA_KEYS
    assert read["id"] == sent.get("id", KEY) and read["video_id"] == read["file_stem"] == KEY
    assert (read["title"], read["channel"], read["duration_seconds"]) == ("Sample title", "Sample Channel", 1234)
    assert read["canonical_url"] == f"https://www.youtube.com/watch?v={KEY}"
    assert {key: read[key] for key in item} == item
    assert {key: read["analysis"][key] for key in analysis} == analysis
    if analysis["categories"]:
        assert json.loads(read["subcategories_json"]) == {"categories": analysis["categories"]}
    # There is no file of sound, whatever the payload says.
    assert read["media"]["has_audio"] is False
    assert {entry["variant"]: entry["text"] for entry in read["summary_variants"]} == texts
    kind, text = next(iter(texts.items()))
    assert read["summary"] == {"text": text, "type": kind, "content": {"summary": text, "summary_type": kind}}

    for address in (f"/{KEY}.json", f"/{STEM}.json", f"/api/reports/{STEM}", f"/api/reports/{sent.get('id', KEY)}"):
        assert success(worker.get(address)) == read
        head = worker.head(address)
        assert (head.status, head.body, head.headers["content-type"]) == (200, b"", "application/json")
    page = worker.get(f"/{STEM}.json?v=2")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html") and b"Sample title" in page.body
    [listed] = success(worker.get("/api/reports?size=1"))["reports"]
    assert listed == {key: read[key] for key in listed} and listed.keys() >= ITEM_KEYS


def everything_stored() -> list[Any]:
    """All that a report can write, but for the log."""
    tables = (Video, Summary, Categorization, Proposal, VideoEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables]


# Every id -----------------------------------------------------------------------------------------------

IDS = (
    KEY, f"yt:{KEY}", OLD_ID, STEM, f"{STEM}_1", f"{STEM}_2", f"{KEY}_20250901_134325", f"{KEY}_0056c1",
)  # fmt: skip
NEAR_MISSES = (
    "A", KEY[:-1], KEY[1:], "dE_f123", KEY.lower(), KEY.upper(), f"yt:{KEY.upper()}", OLD_ID[:-1], f"{KEY}4",
    f"x{KEY}", f"title{KEY}", f"{STEM}_AbC", STEM[:-1], "some_title_words", f"%{KEY[-5:]}", KEY.replace("C", "_"),
    f"reddit:{KEY}",
    # It has happened: a stem cut to 57 characters.
    f"a_title_of_so_many_words_that_it_does_not_fit_any_more_{KEY}"[:57],
)  # fmt: skip


def test_every_form_of_an_id_finds_the_video_to_read_write_upload_and_delete(worker):
    worker.report()
    for number, name in enumerate(IDS):
        address = quote(name, safe=":")
        # Read.
        for path in (f"/api/reports/{address}", f"/{address}.json"):
            assert success(worker.get(path))["video_id"] == KEY, name
            assert worker.head(path).status == 200, name
        # Write. Without a time, data is as new as its arrival.
        got = success(worker.post("/ingest/report", {"id": name, "title": f"Report {number}"}))
        assert (got["video_id"], got["action"]) == (KEY, "updated"), name
        got = success(worker.post("/api/content", {"id": name, "title": f"Content {name} {number}"}))
        assert (got["id"], got["action"]) == (KEY, "updated"), name
        body = json.dumps({"word_count": number + 1}).encode()
        got = success(worker.send("PUT", f"/api/content/{address}", body=body))
        assert (got["success"], got["id"], got["rows_affected"]) == (True, KEY, 1), name
        # Upload: the form names the video, the file's own name does not.
        sound = mp3(name.encode())
        for path, field in (("/ingest/audio", "video_id"), ("/api/upload-audio", "content_id")):
            got = success(worker.send("POST", path, form={field: name, "audio": ("sound.mp3", sound)}))
            assert (got["video_id"], got["size"]) == (KEY, len(sound)), name
        assert worker.get(f"/exports/by_video/{address}").body == sound, name
        form = {"content_id": name, "image": ("a.png", PNG_BYTES)}
        got = success(worker.send("POST", "/api/upload-image", form=form))
        assert (got["video_id"], worker.get(got["public_url"]).body) == (KEY, PNG_BYTES), name
        # It is one video still, with what was written.
        assert Video.objects.values("pk", "legacy_id", "title", "word_count", "has_audio").get() == {
            "pk": KEY, "legacy_id": OLD_ID, "title": f"Content {name} {number}", "word_count": number + 1,
            "has_audio": True,
        }  # fmt: skip
        # Delete: with the sounds of all names so far and the one picture.
        ways = (
            ("DELETE", f"/api/delete/{address}", {}),
            ("POST", "/api/delete", {"body": json.dumps({"id": name}).encode()}),
            ("POST", f"/api/delete/{address}", {}),
            ("POST", f"/api/delete?id={quote(name)}", {}),
        )
        for method, path, options in ways:
            got = success(worker.send(method, path, **options))
            assert {key: got[key] for key in ("status", "deleted_files", "errors", "idempotent")} == {
                "status": "success", "deleted_files": number + 2, "errors": [], "idempotent": False,
            }, (name, path)  # fmt: skip
            assert Video.objects.get().restore_by("owner")


def test_what_is_nearly_an_id_finds_nothing(worker):
    worker.report()
    before = everything_stored()
    for name in NEAR_MISSES:
        address = quote(name, safe=":")
        assert worker.get(f"/api/reports/{address}").status == 404, name
        assert worker.head(f"/{address}.json").status == 404, name
        assert worker.send("PUT", f"/api/content/{address}", body=b'{"word_count": 1}').status == 404, name
        for method, path in (("DELETE", f"/api/delete/{address}"), ("POST", f"/api/delete?id={quote(name)}")):
            got = success(worker.send(method, path))
            assert got["idempotent"] is True and got["deleted_files"] == 0 and got["message"], name
        # A file for a video that is not here is no other video's.
        form = {"video_id": name, "audio": ("sound.mp3", mp3(name.encode()))}
        assert success(worker.send("POST", "/ingest/audio", form=form))["action"] == "kept_aside", name
        assert everything_stored() == before, name
    assert not AudioFile.objects.filter(video__isnull=False).exists()
    # Nor does a report for one of them change this video.
    for name in NEAR_MISSES:
        answer = worker.post("/ingest/report", {"id": name, "title": "Another"})
        assert answer.status in (200, 400), (name, answer.body)
    assert list(Video.objects.filter(pk=KEY).values()) == before[0]
    assert list(Summary.objects.filter(video=KEY).values()) == before[1]


# What is sent, the key and the source that it means, and names to find it by.
OTHER_IDS = (
    ({"video_id": "-x1d-K2l6oU"}, "-x1d-K2l6oU", "youtube", ["yt:-x1d-K2l6oU", "a_-x1d-K2l6oU_1", "-x1d-K2l6oU"]),
    ({"id": "reddit:1abcde"}, "reddit:1abcde", "reddit", ["yt:reddit:1abcde", "reddit:1abcde"]),
    ({"id": "yt:reddit:1abcdf"}, "reddit:1abcdf", "reddit", ["yt:reddit:1abcdf", "reddit:1abcdf"]),
    ({"id": "1abcdg", "url": "https://www.reddit.com/r/x/comments/1abcdg/title/"}, "reddit:1abcdg", "reddit",
     ["1abcdg", "yt:1abcdg", "reddit:1abcdg"]),
    ({"id": "0123456789abcdef01234567", "url": "https://blog.example.org/post"}, "web:0123456789abcdef01234567", "web",
     ["0123456789abcdef01234567", "web:0123456789abcdef01234567"]),
    ({"id": "76543210fedcba9876543210", "url": "https://en.wikipedia.org/wiki/A"}, "web:76543210fedcba9876543210",
     "wikipedia", ["76543210fedcba9876543210", "web:76543210fedcba9876543210"]),
    ({"id": "hash:0123456789ab", "url": "https://blog.example.org/2"}, "hash:0123456789ab", "web",
     ["hash:0123456789ab"]),
    ({"id": "unknown-1757638187"}, "unknown-1757638187", "other", ["unknown-1757638187"]),
    # A lower-cased id whose address holds the true one.
    ({"id": OLD_ID, "url": f"https://www.youtube.com/watch?v={KEY}"}, KEY, "youtube", [OLD_ID, KEY]),
    ({"video_id": "true-id_abc", "url": "https://youtu.be/TRUE-Id_aBc"}, "TRUE-Id_aBc", "youtube", ["TRUE-Id_aBc"]),
)  # fmt: skip


def test_ids_of_every_source_are_taken_and_found_again(worker):
    for sent, key, source, names in OTHER_IDS:
        got = success(worker.post("/ingest/report", report(id=None, video_id=None, canonical_url=None) | sent))
        assert (got["action"], got["video_id"]) == ("created", key)
        assert Video.objects.get(pk=key).source == source, key
        for name in names:
            assert success(worker.get(f"/api/reports/{quote(name, safe=':')}"))["video_id"] == key
            assert worker.head(f"/{quote(name, safe=':')}.json").status == 200, name
            form = {"video_id": name, "audio": ("sound.mp3", mp3(name.encode()))}
            assert success(worker.send("POST", "/ingest/audio", form=form))["video_id"] == key, name
            # Without the address as well: nothing else is called so.
            assert success(worker.post("/ingest/report", {"id": name, "title": "T"}))["video_id"] == key, name
        assert success(worker.send("DELETE", f"/api/delete/{quote(names[0], safe=':')}"))["idempotent"] is False
    assert Video.objects.deleted().count() == Video.objects.count() == len(OTHER_IDS)


def test_two_ids_that_differ_by_case_are_two_videos(worker):
    other = KEY.swapcase()
    worker.report()
    worker.report(id=f"yt:{other}", video_id=other, canonical_url=f"https://youtu.be/{other}", title="Other")
    assert success(worker.send("DELETE", f"/api/delete/{other}"))["idempotent"] is False
    assert success(worker.get(f"/api/reports/{KEY}"))["title"] == "A title"
    assert worker.get(f"/api/reports/{other}").status == 404


# Who may write ------------------------------------------------------------------------------------------


def test_either_secret_is_taken_in_each_of_the_three_headers(worker):
    worker.report()
    form = {"video_id": KEY, "audio": ("sound.mp3", mp3())}
    for secret in SECRETS.values():
        for header in ("X-INGEST-TOKEN", "X-Sync-Secret", "Authorization"):
            headers = {header: f"Bearer {secret}" if header == "Authorization" else secret}
            assert success(worker.post("/ingest/report", report(), headers=headers))["action"] == "unchanged"
            assert success(worker.send("POST", "/ingest/audio", headers=headers, form=form))["saved"] is True
            assert success(worker.send("DELETE", "/api/delete/A", headers=headers))["idempotent"] is True


def test_without_a_right_token_nothing_is_written_and_the_answer_says_how(worker):
    large = {"audio": ("sound.mp3", mp3(frames=20_000)), "video_id": KEY, "image": ("a.png", PNG_BYTES)}
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answers = [worker.post(path, report(), headers=headers) for path in JSON_ROUTES]
        answers += [worker.send("POST", path, headers=headers, form=large) for path in FORM_ROUTES]
        answers += [worker.send("DELETE", f"/api/delete/{KEY}", headers=headers)]
        answers += [worker.send("PUT", f"/api/content/{KEY}", headers=headers, body=b"{}")]
        answers += [worker.send("GET", "/api/download-database", headers=headers)]
        for answer in answers:
            assert refusal(answer, 401)["error"] == "not_authenticated"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        # The next client starts with as many tries as this one.
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM ingest_tokenbucket")
    assert not Video.objects.exists() and not AudioFile.objects.exists()


def test_too_many_wrong_tokens_are_told_when_to_come_again_and_a_right_one_is_taken_at_once(worker):
    wrong = {"X-Sync-Secret": "wrong"}
    statuses = [worker.post("/ingest/report", report(), headers=wrong).status for _ in range(20)]
    throttled = worker.post("/ingest/report", report(), headers=wrong)
    assert set(statuses) == {401} and refusal(throttled, 429)
    assert int(throttled.headers["retry-after"]) > 0
    assert worker.report()["action"] == "created"


def test_no_post_is_ever_redirected(worker):
    check_redirects(worker)


def test_no_post_is_redirected_to_https_where_people_are(transactional_db, tmp_path):
    production = {"DJANGO_ENV": "production", "SECRET_KEY": "k" * 60, "ALLOWED_HOSTS": "127.0.0.1"}
    with gunicorn(tmp_path / "media", **SECRETS, **production) as server:
        worker = Worker("requests", server.url)
        assert worker.get("/").status == 301
        check_redirects(worker)
        worker.report(id=None, video_id="-x1d-K2l6oU", canonical_url="https://youtu.be/-x1d-K2l6oU")
        for path in (
            "/health/ingest",
            "/health",
            "/api/reports?size=1",
            "/api/reports/-x1d-K2l6oU",
            "/-x1d-K2l6oU.json",
        ):
            success(worker.get(path))


def check_redirects(worker: Worker) -> None:
    for path in (*JSON_ROUTES, *FORM_ROUTES):
        for address in (path, f"{path}/"):
            answer = worker.post(address, report())
            assert not 300 <= answer.status < 400 and "location" not in answer.headers, address
            assert answer.status < 500, (address, answer.body)


# The other routes ---------------------------------------------------------------------------------------


def test_any_subset_of_the_fields_of_a_video_is_changed(worker):
    worker.report()
    changes = {"has_audio": True, "audio_duration_seconds": 312, "title": "B", "duration_seconds": 60, "word_count": 7}
    for number, (name, value) in enumerate(changes.items()):
        for method, rows_affected in (("PUT", 1), ("POST", 0)) if number % 2 else (("POST", 1), ("PUT", 0)):
            got = success(worker.send(method, f"/api/content/{KEY}", body=json.dumps({name: value}).encode()))
            assert (got["success"], got["id"], got["rows_affected"]) == (True, KEY, rows_affected), (name, got)
    assert Video.objects.values(*changes).get() == changes
    read = success(worker.get(f"/api/reports/{KEY}"))
    assert (read["title"], read["duration_seconds"], read["word_count"]) == ("B", 60, 7)
    assert (read["media"]["has_audio"], read["media"]["audio_duration_seconds"]) == (True, 312)
    for method in ("PUT", "POST"):
        assert success(worker.send(method, f"/api/content/{KEY}", body=json.dumps(changes).encode()))["success"] is True
        refusal(worker.send(method, "/api/content/ZZZZZZZZZZZ", body=b'{"word_count": 1}'), 404)
    assert Video.objects.values(*changes).get() == changes


def test_a_report_comes_as_a_file_with_its_sound(worker):
    form = {"report": ("report.json", json.dumps(report()).encode()), "audio": (f"{STEM}.mp3", mp3())}
    for is_again in (False, True):
        got = success(worker.send("POST", "/api/upload-report", headers=TOKEN | {"X-Report-Stem": STEM}, form=form))
        assert (got["status"], got["report_stem"], got["idempotent"]) == ("success", STEM, is_again)
    assert worker.get(f"/exports/by_video/{STEM}").body == worker.get(f"/exports/{STEM}.mp3").body == mp3()
    assert success(worker.get(f"/{STEM}.json"))["media"]["has_audio"] is True


def test_a_report_whose_name_alone_names_its_video(worker):
    body = json.dumps({"title": "A title", "summary": {"summary": "Text.", "summary_type": "audio"}}).encode()
    headers = TOKEN | {"X-Report-Stem": STEM}
    success(worker.send("POST", "/api/upload-report", headers=headers, form={"report": ("report.json", body)}))
    assert success(worker.get(f"/api/reports/{KEY}"))["summary"]["text"] == "Text."


def test_a_whole_database_is_refused_also_a_large_one(worker):
    worker.report()
    database = b"SQLite format 3\x00" + bytes(8 * 2**20)
    for options in ({"body": database}, {"form": {"database": ("ytv2_content.db", database)}}):
        got = refusal(worker.send("POST", "/api/upload-database", **options), 410)
        assert got["error"] == "gone" and "lost" in got["message"]
    assert worker.report()["action"] == "unchanged"


def test_a_report_that_is_too_large_is_told_so(worker):
    body = json.dumps(report(transcript="x" * (26 * 2**20))).encode()
    assert refusal(worker.send("POST", "/ingest/report", body=body), 413)["error"] == "too_large"
    assert not Video.objects.exists() and worker.report()["action"] == "created"


def test_the_library_is_downloaded_as_a_database_of_the_old_schema(worker, tmp_path):
    worker.report()
    answer = worker.send("GET", "/api/download-database")
    assert answer.status == 200
    (path := tmp_path / "library.db").write_bytes(answer.body)
    with closing(sqlite3.connect(path)) as library:
        assert library.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert library.execute("SELECT id, video_id, title FROM content").fetchall() == [(OLD_ID, KEY, "A title")]
        assert library.execute("SELECT count(*) FROM content_summaries").fetchall() == [(1,)]


def test_the_probes_say_what_the_worker_looks_for(worker):
    got = success(worker.get("/health/ingest"))
    assert (got["status"], got["token_set"], got["pg_dsn_set"], got["last_ingest_at"]) == ("ok", True, True, None)
    assert success(worker.get("/health")) == {"status": "ok"}
    assert success(worker.get("/api/reports?size=1"))["pagination"]["total_count"] == 0
    for path in (f"/exports/{STEM}.mp3", f"/exports/audio/{STEM}.mp3", f"/exports/by_video/{KEY}.mp3"):
        assert worker.head(path).status == 404
    worker.report()
    success(worker.send("POST", "/ingest/audio", form={"video_id": KEY, "audio": (f"{STEM}.mp3", mp3())}))
    assert datetime.fromisoformat(success(worker.get("/health/ingest"))["last_ingest_at"]).tzinfo
    got = success(worker.get("/api/reports?size=1"))
    assert got["pagination"]["total_count"] == 1 and got["reports"][0]["video_id"] == KEY
    for path in (f"/exports/{STEM}.mp3", f"/exports/audio/{STEM}.mp3", f"/exports/by_video/{KEY}.mp3"):
        head = worker.head(path)
        assert (head.status, head.body, head.headers["content-type"]) == (200, b"", "audio/mpeg")
        assert int(head.headers["content-length"]) == len(mp3()) and head.headers["accept-ranges"] == "bytes"


# A process that is killed -------------------------------------------------------------------------------

HELD = [
    # Nothing is written yet: the upsert waits for the row.
    ("row", True, "SELECT 1 FROM videos_video FOR UPDATE"),
    # A new video and its categories are written: the texts wait.
    ("texts", False, "LOCK TABLE summaries_summary IN EXCLUSIVE MODE"),
    # Everything is written, but for the log.
    ("log", True, "LOCK TABLE ingest_ingestlogentry IN EXCLUSIVE MODE"),
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(("place", "is_known", "lock"), HELD, ids=[place for place, *_ in HELD])
def test_a_process_that_is_killed_during_a_report_leaves_nothing_of_it(server, place, is_known, lock):
    worker = Worker("requests", server.url)
    if is_known:
        worker.report()
    before, logged = everything_stored(), IngestLogEntry.objects.count()
    newer = report(
        title="New",
        processed_at="2025-09-02T10:00:00Z",
        analysis={"categories": [{"category": "History", "subcategories": ["Modern History"]}]},
        summary_variants=[{"variant": "comprehensive", "text": "New."}, {"variant": "audio", "text": "Sound."}],
    )
    failures: list[str] = []

    def send_it() -> None:
        try:
            failures.append(f"answered: {worker.post('/ingest/report', newer)}")
        except requests.ConnectionError:
            failures.append("no answer")

    sender = threading.Thread(target=send_it)
    killed = int(server.worker().name)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(lock)
        sender.start()
        assert wait_for(waiting_sessions), place
        [session] = waiting_sessions()
        os.kill(killed, 9)
        sender.join()
    # Its session ends when it can go on, and finds that nobody listens.
    assert wait_for(lambda: session not in sessions())
    assert failures == ["no answer"]
    assert everything_stored() == before and IngestLogEntry.objects.count() == logged
    assert kept() == recounted()
    # The first process brings a new one, which takes the same report, whole.
    assert wait_for(server.answers) and int(server.worker().name) != killed
    got = success(worker.post("/ingest/report", newer))
    assert (got["action"], got["summaries_upserted"]) == ("updated" if is_known else "created", 2)
    assert Video.objects.get().title == "New"
    latest = Summary.objects.filter(is_latest=True).values_list("variant", "text", "revision").order_by("variant")
    assert list(latest) == [("audio", "Sound.", 1), ("comprehensive", "New.", 1 + is_known)]
    assert Categorization.objects.get().subcategory.name == "Modern History"
    assert IngestLogEntry.objects.count() == logged + 1
    assert success(worker.post("/ingest/report", newer))["action"] == "unchanged"
    assert kept() == recounted()


def sessions(where: str = "true") -> set[int]:
    """The numbers of the sessions on this database, but for ours."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with connection.cursor() as cursor:
        # Within a transaction, what was seen first would be seen until its end.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(f"SELECT pid FROM pg_stat_activity WHERE {others} AND {where}")
        return {number for (number,) in cursor.fetchall()}


def waiting_sessions() -> set[int]:
    """Those that wait for a lock."""
    return sessions("wait_event_type = 'Lock'")


# Many at once -------------------------------------------------------------------------------------------


FACETS = {
    "category": "categorizations__category__name",
    "channel": "channel_name",
    "language": "language",
    "content_type": "content_type",
}


def test_many_clients_on_hot_keys_lose_nothing(transactional_db, tmp_path):
    """No 5xx, no deadlock, revisions without gaps, one latest of each variant, counts exact, deleted stays deleted."""
    clients = int(os.environ.get("YTV2_CLIENTS", "8"))
    requests_each = int(os.environ.get("YTV2_REQUESTS", "25"))
    keys = [f"HotVideo-{number:02d}" for number in range(int(os.environ.get("YTV2_KEYS", "10")))]
    deadlocks_before, sessions_before = deadlocks(), sessions()
    with gunicorn(tmp_path / "media", WEB_CONCURRENCY="2", **SECRETS) as server:
        load = mixed_requests(clients, requests_each, keys, server.url, TOKEN)
        listed = requests.get(f"{server.url}/api/filters", timeout=LONGEST_SECONDS).json()
        total = requests.get(f"{server.url}/api/reports?size=1", timeout=LONGEST_SECONDS).json()["pagination"]
    sys.stdout.write(f"{load}\n")
    assert_nothing_lost(load, keys)
    live = Video.objects.live()
    assert total["total_count"] == live.count()
    for facet, column in FACETS.items():
        counted = Counter(value for _, value in live.values_list("pk", column).distinct() if value)
        assert {entry["value"]: entry["count"] for entry in listed[facet]} == counted, facet
    # A session writes what it has counted when it ends.
    assert wait_for(lambda: sessions() <= sessions_before)
    assert deadlocks() == deadlocks_before


def deadlocks() -> int:
    """How many deadlocks there were on this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]
