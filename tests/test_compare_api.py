"""Two libraries that hold the same answer the same; where they do not, compare_api says so."""

import json
import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.http import QueryDict

from ingest.cutover.comparison import Comparison, Database, compare, side_of
from ingest.cutover.requests import generate
from ingest.cutover.snapshot_library import SnapshotLibrary
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.synthetic import write_snapshot
from tests.sqlite.conftest import video, write_file
from videos.models import Video
from videos.search import ALIASES, LISTS, ORDERINGS

__all__ = ("video", "write_file")

pytestmark = pytest.mark.django_db

# More of both for a release: YTV2_REQUESTS=1000 YTV2_VIDEOS=5000.
REQUESTS = int(os.environ.get("YTV2_REQUESTS", "200"))
VIDEOS = int(os.environ.get("YTV2_VIDEOS", "300"))
SNAPSHOTS = ("snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db")


def compared(path: Path, count: int = REQUESTS, seed: int = 1) -> Comparison:
    """The snapshot beside the database."""
    old = side_of(str(path))
    return compare(old, Database(), generate(count, seed, old.answer))


def run(*arguments: object, **options: object) -> str:
    out = StringIO()
    call_command("compare_api", *map(str, arguments), stdout=out, **options)
    return out.getvalue()


def refused(*arguments: object, **options: object) -> tuple[int, str, str]:
    """The exit code, the message and what was printed before."""
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("compare_api", *map(str, arguments), stdout=out, **options)
    return error.value.returncode, str(error.value), out.getvalue()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A snapshot of 40 videos, and all of it in the database."""
    path = tmp_path / "small.db"
    write_snapshot(path, 40, seed=3)
    import_snapshot(path, accept_quarantine=True)
    return path


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_database_answers_generated_requests_as_the_real_snapshot_does(name: str, shared: Path):
    path = shared / "data" / name
    import_snapshot(path)
    comparison = compared(path)
    assert comparison.requests >= REQUESTS * 0.9
    assert not comparison.differences
    assert not comparison.permitted


def test_the_database_answers_generated_requests_as_a_made_up_snapshot_does(tmp_path: Path):
    path = tmp_path / "synthetic.db"
    write_snapshot(path, VIDEOS, seed=7)
    import_snapshot(path, accept_quarantine=True)
    comparison = compared(path)
    assert comparison.requests == REQUESTS
    assert not comparison.differences
    assert not comparison.permitted


# What differs is found


CHANGES = {
    "title": ("UPDATE content SET title = 'Another title' WHERE video_id = ?", "title"),
    "time": ("UPDATE content SET indexed_at = '2020-01-01T00:00:00' WHERE video_id = ?", "indexed_at"),
    "flag": ("UPDATE content SET has_audio = 1 - has_audio WHERE video_id = ?", "media.has_audio"),
    "category": ("UPDATE content SET category = '[\"Elsewhere\"]' WHERE video_id = ?", "analysis.category"),
    "text": ("UPDATE summary_variants SET content = 'Other words' WHERE video_id = ?", "summary_variants["),
    "row": ("DELETE FROM content WHERE video_id = ?", "status"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_was_changed_is_found_and_named(change: str, small: Path):
    statement, place = CHANGES[change]
    with closing(sqlite3.connect(small)) as connection:
        (key,) = connection.execute("SELECT video_id FROM summary_variants WHERE is_latest ORDER BY id").fetchone()
        assert connection.execute(statement, [key]).rowcount
        connection.commit()
    requests = small.with_name("requests.txt")
    requests.write_text(f"# one video\n\n/api/reports/{key}\n")
    code, message, shown = refused(small, "database", requests=requests)
    assert code == 2 and message.startswith("Unexplained differences: ")
    assert f"\n  /api/reports/{key}\n" in shown and f"\n    {place}" in shown
    assert "\n      old: " in shown and "\n      new: " in shown


def test_a_video_that_is_deleted_here_is_found_by_generated_requests(small: Path):
    Video.objects.order_by("pk")[0].delete_by("anna", "a test")
    code, _, shown = refused(small, "database", generate=40)
    assert code == 2 and "UNEXPLAINED: " in shown and "pagination.total" in shown


def test_a_report_is_one_json_document_and_never_replaces_a_file(small: Path, tmp_path: Path):
    report = tmp_path / "report.json"
    shown = run(small, "database", generate=30, report=report)
    assert "30 requests (" in shown and shown.rstrip().endswith("No unexplained difference.")
    document = json.loads(report.read_text())
    assert document["holds"] and document["requests"] == document["same"] == 30
    assert sum(document["by_kind"].values()) == 30
    code, message, _ = refused(small, "database", generate=30, report=report)
    assert code == 1 and "exists already" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "small.db"]


# Every kind of side


def test_a_server_is_asked_over_http(small: Path, live_server):
    shown = run(small, live_server.url, generate=40)
    assert f"New: {live_server.url}" in shown
    assert shown.rstrip().endswith("No unexplained difference.")
    assert run(live_server.url, "database", generate=20).rstrip().endswith("No unexplained difference.")


def test_recorded_requests_of_the_contract_are_read_as_they_are(shared: Path):
    path = shared / "data" / SNAPSHOTS[1]
    import_snapshot(path)
    for samples in ("real", "enriched"):
        shown = run(path, "database", requests=shared / "contract" / "samples" / samples / "requests.json")
        assert "No unexplained difference." in shown and "Left out" not in shown


def test_addresses_that_are_no_read_api_are_left_out_and_counted(small: Path, tmp_path: Path):
    requests = tmp_path / "requests.txt"
    requests.write_text("/\n/health\n/exports/a.mp3\n/abc.json?v=2\n/api/reports\n")
    shown = run(small, "database", requests=requests)
    assert "1 requests" in shown and "Left out, no address of the read API: 4 (/, /health," in shown


def test_what_cannot_be_asked_is_a_sentence_and_1(small: Path, tmp_path: Path, live_server):
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    relative = tmp_path / "relative.txt"
    relative.write_text("api/reports\n")
    for arguments, options, expected in (
        ((tmp_path / "none.db", "database"), {}, "does not exist"),
        ((small, tmp_path), {}, "is a folder"),
        (("http://127.0.0.1:9", small), {}, "Start the server"),
        ((f"{live_server.url}/nowhere", small), {}, "not those of the read API"),
        ((small, "database"), {"requests": tmp_path / "none.txt"}, "cannot be read"),
        ((small, "database"), {"requests": empty}, "holds no request"),
        ((small, "database"), {"requests": relative}, "begins with /"),
        ((small, "database"), {"generate": 0}, "from 1 on"),
    ):
        code, message, _ = refused(*arguments, **options)
        assert code == 1
        assert expected in message


def test_a_database_that_is_not_ready_is_4(small: Path):
    MigrationRecorder.Migration.objects.filter(app="videos").latest("pk").delete()
    code, message, _ = refused(small, "database")
    assert code == 4 and "manage.py migrate" in message


# What is permitted


@pytest.fixture
def old_dashboard() -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """Serves answers as the old dashboard gave them, by path, and its HTML page of an error for any other."""
    servers = []

    def serve(answers: Mapping[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path in answers
                answer = answers.get(self.path)
                content = json.dumps(answer() if callable(answer) else answer) if known else "<h1>File not found</h1>"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/json" if known else "text/html")
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("samples", "snapshot"), [("real", SNAPSHOTS[0]), ("enriched", SNAPSHOTS[1])])
def test_the_recorded_old_dashboard_differs_only_by_permitted_changes(
    samples: str, snapshot: str, shared: Path, old_dashboard
):
    import_snapshot(shared / "data" / snapshot)
    folder = shared / "contract" / "samples" / samples
    listed = json.loads((folder / "requests.json").read_text())
    answers = {entry["path"]: json.loads((folder / f"{entry['name']}.json").read_text()) for entry in listed}
    first_list = next(answer for answer in answers.values() if "reports" in answer)
    url = old_dashboard({"/api/reports": first_list} | answers)
    comparison = compare(side_of(url), Database(), [entry["path"] for entry in listed])
    assert comparison.old_is_the_old_dashboard and comparison.requests == len(listed)
    assert not comparison.differences
    assert {one.name for one in comparison.permitted} <= {
        "equal_counts_by_name",
        "equal_ones_in_other_order",
        "no_deployment_version",
    }


def test_the_changes_of_the_contract_are_permitted_by_name_and_counted_beside_the_old_dashboard_only(
    small: Path, old_dashboard
):
    library = SnapshotLibrary(small)
    ignored = "/api/reports?source=nothing", "/api/filters?source=nothing"
    requests = [*ignored, "/api/reports/nowhere", "/api/reports"]
    answers = {path: library.answer(path).body for path in ("/api/reports", "/api/filters")}
    for name in ("total", "pages"):
        del answers["/api/reports"]["pagination"][name]
    url = old_dashboard(answers | {path: answers[path.partition("?")[0]] for path in ignored})
    comparison = compare(side_of(url), Database(), requests)
    assert comparison.holds and comparison.same == 1
    assert {one.name: one.requests for one in comparison.permitted} == {
        "source_topics_dates_filter": 1,
        "facets_under_filters": 1,
        "errors_in_one_shape": 1,
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", one.since) and one.reason for one in comparison.permitted)
    # Two that both answer as the contract says have no such excuse.
    new = old_dashboard(
        {path: library.answer(path).body for path in requests[::3]} | {ignored[0]: library.answer("/api/reports").body}
    )
    assert not compare(side_of(new), Database(), ignored[:1]).holds


def test_no_change_permits_an_item_that_says_something_else(small: Path, old_dashboard):
    answers = {path: SnapshotLibrary(small).answer("/api/reports").body for path in ("/api/reports?q=the&source=x",)}
    answers["/api/reports"] = SnapshotLibrary(small).answer("/api/reports").body
    for answer in answers.values():
        del answer["pagination"]["total"]
        for item in answer["reports"]:
            item["title"] += "!"
    comparison = compare(side_of(old_dashboard(answers)), Database(), ["/api/reports"])
    assert {found.path.partition("]")[2] for found in comparison.differences} == {".title"}
    assert comparison.unexplained == 20


def test_a_missing_key_and_another_kind_of_value_are_differences(small: Path, old_dashboard):
    answers = {
        path: SnapshotLibrary(small).answer("/api/reports").body for path in ("/api/reports", "/api/reports?page=1")
    }
    first = answers["/api/reports?page=1"]["reports"][0]
    first["media"]["has_audio"] = int(first["media"]["has_audio"])
    first["subcategories_json"] = "" if first["subcategories_json"] is None else None
    first["what_nobody_has"] = 1
    comparison = compare(side_of(old_dashboard(answers)), Database(), ["/api/reports?page=1"])
    assert {found.path.partition("].")[2] for found in comparison.differences} == {
        "media.has_audio",
        "subcategories_json",
        "what_nobody_has",
    }


def test_a_run_that_is_stopped_says_so_and_leaves_no_report(small: Path, tmp_path: Path, old_dashboard):
    body = SnapshotLibrary(small).answer("/api/reports").body
    url = old_dashboard({"/api/reports": body, "/api/reports?page=1": lambda: os.kill(os.getpid(), signal.SIGTERM)})
    requests = tmp_path / "requests.txt"
    requests.write_text("/api/reports\n/api/reports?page=1\n" * 50)
    code, message, _ = refused(url, "database", requests=requests, report=tmp_path / "report.json")
    assert code == 75 and "Run it again" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["requests.txt", "small.db"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [
        {"category": '["A – B", "A - B"]'},
        {"subcategories_json": '{"categories":[{"category":"P","subcategories":["x – y","x - y"]}]}'},
    ],
    ids=["two spellings", "two spellings below"],
)
def test_a_video_with_two_spellings_of_a_category_is_counted_once(values, write_file, video):
    path = write_file(content=[video(1, **values), video(2)])
    import_snapshot(path)
    requests = ["/api/filters", "/api/filters?language=en", "/api/reports?category=A+-+B"]
    assert not compare(side_of(str(path)), Database(), requests).differences


# Requests


def test_the_same_seed_gives_the_same_requests_and_every_kind_has_its_turn(tmp_path: Path):
    path = tmp_path / "library.db"
    write_snapshot(path, 60, seed=5)
    ask = SnapshotLibrary(path).answer
    requests = generate(400, 1, ask)
    assert requests == generate(400, 1, ask) != generate(400, 2, ask)
    assert len(requests) == len(set(requests)) == 400
    asked = [QueryDict(request.partition("?")[2]) for request in requests]
    for name in (*LISTS, "q", "has_audio", "uncategorised", "date_from", "date_to", "page", "size", "sort"):
        assert any(name in query for query in asked), name
    assert {query["sort"] for query in asked if "sort" in query} >= {*ORDERINGS, *ALIASES, "bad", ""}
    pages = {(request.partition("?")[0]) for request in requests}
    assert {"/api/reports", "/api/filters"} < pages and any(page.endswith(".json") for page in pages)
    assert {ask(request).status for request in requests} == {200, 400, 404}


def test_an_empty_library_can_be_asked_as_well(tmp_path: Path):
    path = tmp_path / "empty.db"
    write_snapshot(path, 1, seed=5)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("content", "content_summaries", "summary_variants"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    comparison = compared(path, 60)
    assert comparison.holds and comparison.requests == comparison.same == 60
