"""What came in can be sent again, from the file that the way back leaves, to whoever takes its place."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from ingest.cutover.state import enter
from ingest.cutover.way_back import write_way_back
from ingest.log import forget_old_bodies
from ingest.models import AudioFile, IngestLogEntry, Phase
from summaries.models import Summary
from videos.models import Categorization, Video

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a-secret"
HEADERS = {"X-Sync-Secret": SECRET}
# An MPEG 1 layer III frame of 128 kbit/s at 44.1 kHz has 417 bytes.
SILENCE = (bytes.fromhex("fffb9000") + bytes(413)) * 20


@pytest.fixture(autouse=True)
def _settings(settings, tmp_path) -> None:
    settings.SYNC_SECRET = SECRET
    settings.MEDIA_ROOT = str(tmp_path / "media")


def post(client, path: str, body: dict) -> None:
    answer = client.post(path, json.dumps(body), content_type="application/json", headers=HEADERS)
    assert answer.status_code == 200, answer.content


def work(client) -> None:
    """What a worker may do in an evening."""
    for number in range(6):
        body = {"video_id": f"new-video-{number}", "title": f"Ünïcode “{number}”", "summary_text": f"Text {number}."}
        pairs = {"categories": [{"category": "History", "subcategories": ["Ancient"]}]}
        post(client, "/ingest/report", body | {"summary_variant": "comprehensive", "subcategories_json": pairs})
    post(client, "/api/content", {"id": "yt:new-video-1", "video_id": "new-video-1", "title": "A better title"})
    body = json.dumps({"video_id": "new-video-5", "title": "In another encoding: é"}, ensure_ascii=False)
    answer = client.post("/ingest/report", body.encode("utf-16"), content_type="application/json", headers=HEADERS)
    assert answer.status_code == 200, answer.content
    sound = SimpleUploadedFile("sound.mp3", SILENCE, "audio/mpeg")
    answer = client.post("/ingest/audio", {"audio": sound, "video_id": "new-video-2"}, headers=HEADERS)
    assert answer.status_code == 200, answer.content
    report = {"video_id": "new-video-9", "title": "As a file", "summary": "Of a file."}
    stored = SimpleUploadedFile("new-video-9.json", json.dumps(report).encode(), "application/json")
    answer = client.post("/api/upload-report", {"report": stored}, headers=HEADERS)
    assert answer.status_code == 200, answer.content
    assert client.delete("/api/delete/new-video-3", headers=HEADERS).status_code == 200
    Video.objects.get(pk="new-video-4").delete_by("ada", "no use")


def library() -> dict[str, list]:
    live = Video.objects.live().order_by("pk")
    return {
        "videos": list(live.values_list("pk", "title", "has_audio")),
        "texts": list(Summary.objects.filter(video__in=live).order_by("video", "variant").values_list("video", "text")),
        "pairs": list(
            Categorization.objects.filter(video__in=live)
            .order_by("video", "position")
            .values_list("video", "category__name", "subcategory__name")
        ),
        "sound": list(AudioFile.objects.filter(video__in=live).values_list("video", "sha256")),
    }


def replay(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_ingests", *arguments, stdout=out)
    return out.getvalue()


def test_a_library_that_was_emptied_is_the_same_after_it(client, live_server, tmp_path):
    since = timezone.now()
    work(client)
    before = library()
    assert len(before["videos"]) == 5 and before["sound"]
    file = write_way_back(tmp_path / "back", since).folder / "ingests.jsonl"
    call_command("flush", "--no-input", verbosity=0)
    said = replay(str(file), live_server.url)
    assert f"{len(file.read_text().splitlines())} requests were taken" in said
    assert library() == before
    replay(str(file), live_server.url)
    assert library() == before, "sending it twice does no harm"


def test_it_stops_at_what_is_not_taken_and_goes_on_from_there(client, live_server, tmp_path, settings):
    since = timezone.now()
    work(client)
    before = library()
    file = write_way_back(tmp_path / "back", since).folder / "ingests.jsonl"
    lines = file.read_text().splitlines()
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join([*lines[:3], json.dumps(json.loads(lines[3]) | {"body": "no JSON"}), *lines[4:]]))
    call_command("flush", "--no-input", verbosity=0)
    with pytest.raises(CommandError, match=r"Line 4, /ingest/report, was answered with 400.*--from 4") as stopped:
        replay(str(broken), live_server.url)
    assert stopped.value.returncode == 2 and Video.objects.count() == 3
    replay(str(file), live_server.url, "--from", "4")
    assert library() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.jsonl", "http://127.0.0.1:9"), "cannot be read"),
        (("{file}", "127.0.0.1"), "begins with http"),
        (("{file}", "http://127.0.0.1:9"), "was not answered"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(arguments, said, tmp_path):
    file = tmp_path / "ingests.jsonl"
    file.write_text('{"method": "DELETE", "path": "/api/delete/x", "video_id": "x", "at": ""}\n')
    with pytest.raises(CommandError, match=said):
        replay(*(argument.format(file=Path(file)) for argument in arguments))


def test_without_the_secret_nothing_is_sent(tmp_path, settings):
    settings.SYNC_SECRET = ""
    with pytest.raises(CommandError, match="SYNC_SECRET is not set"):
        replay(str(tmp_path / "x"), "http://127.0.0.1:9")


def test_an_old_dashboard_that_lacks_an_address_is_told_apart(live_server, tmp_path):
    file = tmp_path / "ingests.jsonl"
    file.write_text('{"method": "POST", "path": "/ingest/nothing", "video_id": "x", "at": "", "body": "{}"}\n')
    with pytest.raises(CommandError, match=r"no such address\. An old dashboard needs .* library\.db"):
        replay(str(file), live_server.url)


def test_what_came_since_this_system_is_in_charge_is_kept_until_the_old_one_is_given_up(tmp_path):
    now = timezone.now()
    for days in (50, 40):
        IngestLogEntry.objects.create(
            at=now - timedelta(days=days), route="/ingest/report", outcome="created", status=200, body=b"{}"
        )
    since = now - timedelta(days=45)
    enter(Phase.LIVE, live_since=since)
    assert forget_old_bodies() == 1
    assert write_way_back(tmp_path / "back", since).numbers["requests"] == 1
    enter(Phase.FINALISED)
    assert forget_old_bodies() == 1
