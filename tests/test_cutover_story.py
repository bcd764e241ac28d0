"""The whole way, as docs/cutover.md tells it: its boxes are run by a shell, beside the old dashboard and the worker."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from django.conf import settings as project

from ingest.cutover.state import state
from ingest.models import CutoverStep, OutboxEntry, Phase
from ingest.sqlite.reader import file_sha256
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from videos.models import Video

from .gunicorn_server import Server, database_url, gunicorn, wait_for
from .old_dashboard import SECRET, OldDashboard, old_dashboard

RUNBOOK = (project.BASE_DIR / "docs" / "cutover.md").read_text()
NEW, CHANGED, DELETED = 100, 20, 40
HEADERS = {"X-Sync-Secret": SECRET, "Content-Type": "application/json"}


@dataclass
class Runbook:
    """The boxes below each heading of the document, for a shell with these variables."""

    environment: dict[str, str]
    done: list[str] = field(default_factory=list)

    @staticmethod
    def sections() -> dict[str, list[str]]:
        found = {}
        for section in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]:
            if boxes := re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
                found[section.partition("\n")[0]] = boxes
        return found

    def run(self, heading: str, between: Callable[[], None] = lambda: None) -> str:
        """Run the boxes of a section, and call `between` after the first; what they said."""
        said = []
        for number, box in enumerate(self.sections()[heading]):
            if number == 1:
                between()
            done = subprocess.run(
                ["sh", "-ec", box], env=os.environ | self.environment, capture_output=True, text=True, timeout=200
            )
            assert done.returncode == 0, (box, done.stdout, done.stderr)
            said.append(done.stdout + done.stderr)
        self.done.append(heading)
        return "\n".join(said)


def ask(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url + path, content, HEADERS, method=method), timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def report(key: str, **values: Any) -> dict[str, Any]:
    """What the worker sends of a video."""
    return {
        "video_id": key,
        "title": f"Title of {key}",
        "channel_name": "A channel",
        "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "summary_text": f"What {key} says.",
        "summary_variant": "comprehensive",
        "subcategories_json": {"categories": [{"category": "History", "subcategories": ["Ancient Civilizations"]}]},
    } | values


def categories(item: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (entry["category"], name) for entry in item["analysis"]["categories"] for name in entry["subcategories"]
    }  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldDashboard]:
    """The old dashboard over a copy of the real snapshot, or of a made-up one where that is not here."""
    path = tmp_path / "old.db"
    real = project.SHARED_DIR / "data" / "snapshot-2025-09-13-categorised.db"
    if real.is_file():
        shutil.copyfile(real, path)
    else:
        write_snapshot(path, 60, 3, Generation.LAST)
    with old_dashboard(path) as dashboard:
        yield dashboard


@pytest.fixture
def runbook(tmp_path: Path, old: OldDashboard) -> Runbook:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "manage.py"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{project.BASE_DIR / "manage.py"}" "$@"\n')
    command.chmod(0o755)
    for name in ("backups", "archive"):
        (tmp_path / name).mkdir()
    return Runbook(
        {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "DATABASE_URL": database_url(),
            "MEDIA_DIR": str(tmp_path / "media"),
            "CUTOVER_DIR": str(tmp_path / "cutover"),
            "LEGACY_SQLITE": str(old.path),
            "LEGACY_URL": old.url,
            "SYNC_SECRET": SECRET,
            "BACKUPS": str(tmp_path / "backups"),
            "ARCHIVE": str(tmp_path / "archive"),
            "COLUMNS": "200",
        }
    )


def site(tmp_path: Path, runbook: Runbook, **changed: str) -> Any:
    names = ("CUTOVER_DIR", "LEGACY_SQLITE", "LEGACY_URL", "SYNC_SECRET")
    environment = {name: runbook.environment[name] for name in names} | changed
    return gunicorn(tmp_path / "media", "--workers", "2", **environment)


def both_say_the_same(old: OldDashboard, server: Server) -> None:
    """Every video of this side is on the other, and none besides."""
    live = {video.pk: video.legacy_id or video.pk for video in Video.objects.live()}
    status, listed = ask(old.url, "GET", "/api/reports?size=1")
    assert (status, listed["pagination"]["total_count"]) == (200, len(live))
    for key, old_id in live.items():
        there = old.report(quote(old_id, safe=":"))
        status, here = ask(server.url, "GET", f"/api/reports/{quote(key)}")
        assert there is not None and status == 200, key
        assert (there["title"], categories(there)) == (here["title"], categories(here)), key
        assert set(there["analysis"]["category"]) == set(here["analysis"]["category"]), key


@pytest.mark.django_db(transaction=True)
def test_the_way_of_the_runbook_forward_back_forward_and_to_the_end(tmp_path, old, runbook):
    before = {"total": 0}

    # Beside the old dashboard

    with site(tmp_path, runbook) as server:
        sha256 = file_sha256(old.path)
        said = runbook.run("Some days before: bring it over, and rehearse")
        assert "Rehearsed the whole way" in said and file_sha256(old.path) == sha256
        before["total"] = Video.objects.live().count()
        assert before["total"] > 20

        runbook.run("The day before: dual write, and DNS")
        for number in range(5):
            assert ask(server.url, "POST", "/ingest/report", report(f"evening-{number:03}"))[0] == 200
        assert wait_for(lambda: not OutboxEntry.objects.exists())
        assert old.report("evening-004")["title"] == "Title of evening-004"

        # The night

        def while_frozen() -> None:
            assert ask(server.url, "POST", "/ingest/report", report("too-late-01"))[0] == 503
            assert ask(server.url, "GET", "/api/reports?size=1")[1]["pagination"]["total"] == before["total"] + 5

        said = runbook.run("The night: freeze, sync, verify, go", between=while_frozen)
        assert "This system is in charge" in said and "1,000 requests have the same answers" in said
        assert state().phase == Phase.LIVE

        # 160 writes and 40 deletes, some while the old dashboard is down

        stored = sorted(Video.objects.live().exclude(pk__startswith="evening").values_list("pk", flat=True))
        writes = [("POST", "/ingest/report", report(f"new-video-{number:03}")) for number in range(NEW)]
        writes += [
            ("POST", "/ingest/report", report(key, title=f"Now {key}", processed_at="2030-01-01T00:00:00Z"))
            for key in [*stored[:CHANGED], *(f"new-video-{number:03}" for number in range(40))]
        ]
        deletes = [*stored[-DELETED // 2 :], *(f"new-video-{number:03}" for number in range(NEW - DELETED // 2, NEW))]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda write: ask(server.url, *write), writes[:NEW]))
            old.stop()
            answers += list(pool.map(lambda write: ask(server.url, *write), writes[NEW:]))
            answers += list(pool.map(lambda key: ask(server.url, "DELETE", f"/api/delete/{key}"), deletes))
            old.start()
        assert len(answers) == 200 and {status for status, _ in answers} == {200}
        total = before["total"] + 5 + NEW - len(deletes)
        assert Video.objects.live().count() == total

        # Back, with nothing lost on either side

        said = runbook.run("When to go back")
        assert "It has all" in said, said
        assert state().phase == Phase.PARALLEL
        both_say_the_same(old, server)
        for key in deletes:
            assert old.report(key) is None, "deleted stays deleted there"
        for number in (0, 1):
            body = {"id": f"yt:there-{number:05}", "video_id": f"there-{number:05}", "title": "Written there"}
            assert ask(old.url, "POST", "/api/content", body)[0] == 200
        old_id = quote(old.report("new-video-001")["id"], safe=":")
        assert ask(old.url, "DELETE", f"/api/delete/{old_id}")[1]["idempotent"] is False

        # Forward again

        runbook.run("Forward again")
        assert state().phase == Phase.LIVE
        assert Video.objects.get(pk="there-00001").title == "Written there"
        assert Video.objects.get(pk="new-video-001").deleted_reason == "deleted in the old dashboard"
        assert Video.objects.live().count() == total + 1
        for key in deletes:
            assert Video.objects.get(pk=key).deleted_at, "deleted stays deleted here"
        assert wait_for(lambda: not OutboxEntry.objects.exists())
        both_say_the_same(old, server)

    # The end

    said = runbook.run("The end")
    assert "The old system is given up" in said and "no issues" in said
    assert state().phase == Phase.FINALISED
    with site(tmp_path, runbook, LEGACY_SQLITE="", LEGACY_URL="") as server:
        old.stop()
        assert ask(server.url, "POST", "/ingest/report", report("after-all-01"))[0] == 200
        assert ask(server.url, "GET", "/api/reports?size=1")[1]["pagination"]["total"] == total + 2
    assert not OutboxEntry.objects.exists()
    [archive] = Path(runbook.environment["ARCHIVE"]).glob("ytv2-archive-*")
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=archive, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    for folder in [archive, *(path for path in archive.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    assert runbook.done == list(Runbook.sections()), "every box of the document was run"
    assert not CutoverStep.objects.exclude(outcome="done").exists()
