"""What has happened before, one test each (contract/ingest.md, "It has happened, and must not again")."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from ingest.audio import take_audio_files
from ingest.models import AudioFile, IngestLogEntry, IngestOutcome, QuarantinedRow, Snapshot, VaultRow
from ingest.sqlite.codec import Text
from ingest.sqlite.schema import Generation
from ingest.sqlite.verifier import verify_snapshot
from ingest.tokens import create_token
from summaries.models import Summary
from videos.curation import decide
from videos.models import Categorization, Video

from .factories import make_video
from .sqlite.conftest import insert
from .test_audio_files import mp3
from .test_files import PNG_BYTES

KEY, OTHER = "AbC-dE_f123", "Zzz-zz_z999"
EARLIER, NOON, LATER = "2025-09-01T12:00:00Z", "2025-09-11T12:00:00Z", "2030-01-01T12:00:00Z"
PAIR = ("Technology", "Web Development")
CURATED = ("History", "Modern History")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


class Worker:
    """The program on the other side."""

    def __init__(self) -> None:
        self.client = Client(headers={"X-INGEST-TOKEN": create_token("worker", ["ingest", "delete", "read"])})

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(path, json.dumps(body), content_type="application/json")

    def send(self, body: dict[str, Any], path: str = "/ingest/report") -> dict[str, Any]:
        """A report by one of its routes; the worker takes nothing but 200 with an object for success."""
        if path == "/api/upload-report":
            file = SimpleUploadedFile("report.json", json.dumps(body).encode(), "application/json")
            answer = self.client.post(path, {"report": file})
        else:
            answer = self.post(path, body)
        assert answer.status_code == 200 and answer.json(), answer.content
        return answer.json()

    def upload(self, content: bytes, path: str = "/ingest/audio", name: str = "sound.mp3", **form: str) -> Any:
        part = "image" if path.endswith("image") else "audio"
        return self.client.post(path, {part: SimpleUploadedFile(name, content), **form})


@pytest.fixture
def worker() -> Worker:
    return Worker()


ROUTES = ("/ingest/report", "/api/content", "/api/upload-report")


def report(**values: Any) -> dict[str, Any]:
    key = values.get("video_id", KEY)
    return {
        "id": f"yt:{key.lower()}",
        "video_id": key,
        "title": "A title",
        "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "channel_name": "A channel",
        "duration_seconds": 60,
        "processed_at": NOON,
        "analysis": {"categories": [{"category": PAIR[0], "subcategories": [PAIR[1]]}], "language": "en"},
        "summary_variants": [{"variant": "comprehensive", "text": "What the video says."}],
        "images": ["/exports/images/chart.png"],
    } | values


def pairs(key: str = KEY) -> list[tuple[str, str | None]]:
    rows = Categorization.objects.filter(video=key).order_by("position")
    return list(rows.values_list("category__name", "subcategory__name"))


def library() -> list[Any]:
    """All that is stored of videos, as it is."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Video, Categorization, Summary, AudioFile, Snapshot, QuarantinedRow)
    ] + [VaultRow.objects.count()]


def content_row(key: str, **values: Any) -> dict[str, Any]:
    """A row of the old table `content`."""
    return {
        "id": f"yt:{key.lower()}",
        "video_id": key,
        "title": "A title",
        "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "channel_name": "A channel",
        "category": json.dumps(["Business"]),
        "updated_at": EARLIER,
    } | values


def write_snapshot(path: Path, rows: Iterable[dict[str, Any]], texts: Iterable[dict[str, Any]] = ()) -> Path:
    """A file of the old database with these rows of `content` and `content_summaries`."""
    with closing(sqlite3.connect(path)) as database:
        for statement in Generation.LAST.statements():
            database.execute(statement)
        for table, listed in (("content", rows), ("content_summaries", texts)):
            for row in listed:
                insert(database, table, row)
        database.commit()
    return path


def command(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*map(str, arguments), stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def test_a_whole_database_overwrite_brings_no_deleted_video_back_and_loses_no_curated_categories(worker, tmp_path):
    keys = [f"video-{number:05d}" for number in range(10)]
    old = write_snapshot(tmp_path / "old.db", [content_row(key) for key in keys])
    command("import_sqlite", old)
    for key in keys[:6]:
        decide({key: [CURATED]}, "curator")
    for key in keys[4:8]:
        assert worker.client.delete(f"/api/delete/{key}").json()["idempotent"] is False
    before = library()

    upload = SimpleUploadedFile("ytv2.db", old.read_bytes(), "application/octet-stream")
    for answer in (
        worker.client.post("/api/upload-database", {"database": upload}),
        worker.client.post("/api/upload-database", old.read_bytes(), content_type="application/octet-stream"),
    ):
        assert answer.status_code == 410 and "brought deleted videos back" in answer.json()["message"]
    assert library() == before

    # The same file by the way that is left, and one that claims to be newer than everything.
    newer = [content_row(key, title="Back", category='["Science"]', updated_at=LATER) for key in keys]
    command("import_sqlite", old)
    assert library() == before
    command("import_sqlite", write_snapshot(tmp_path / "newer.db", newer))
    assert {video.pk for video in Video.objects.deleted()} == set(keys[4:8])
    assert {video.title for video in Video.objects.deleted()} == {"A title"}, "nothing is written to them"
    assert [pairs(key) for key in keys[:6]] == [[CURATED]] * 6
    assert Client().get(f"/api/reports/{keys[5]}").status_code == 404
    assert Client().get("/api/reports").json()["pagination"]["total_count"] == 6


def test_a_deploy_does_not_reset_the_library(worker, tmp_path, settings, capsys):
    """The release command is `migrate`, and the snapshot's file is what the deploy left of it."""
    path = write_snapshot(tmp_path / "library.db", [content_row(KEY), content_row(OTHER)])
    settings.SQLITE_SNAPSHOT = str(path)
    command("migrate")
    assert Video.objects.count() == 2
    worker.send(report(title="Sent since", video_id="New-vide_o1"))
    worker.client.delete(f"/api/delete/{OTHER}")
    decide({KEY: [CURATED]}, "curator")
    before = library()

    capsys.readouterr()
    command("migrate")
    assert capsys.readouterr().out == "", "nothing is imported again"
    assert library() == before
    path.unlink()
    with pytest.raises(CommandError, match="does not exist"):
        command("migrate")
    path.touch()
    with pytest.raises(CommandError, match="is empty"):
        command("migrate")
    assert library() == before
    # A fresh file with the schema and no rows, as a program makes it that finds none.
    path.unlink()
    write_snapshot(path, [])
    command("migrate")
    assert library()[:4] == before[:4]


@pytest.mark.parametrize("path", ROUTES)
def test_a_report_sent_again_clears_no_audio_images_or_categories(worker, path):
    worker.send(report())
    sound = worker.upload(mp3(), video_id=KEY).json()["public_url"]
    picture = worker.upload(PNG_BYTES, "/api/upload-image", "chart.png", content_id=KEY).json()["public_url"]
    nothing = {
        "has_audio": False, "media": {"has_audio": False, "audio_duration_seconds": 0}, "audio_url": "", "images": [],
        "audio": None, "thumbnail_url": None, "analysis": {"categories": []}, "category": [], "subcategories_json": "",
    }  # fmt: skip
    for again in (report(), report(**nothing, processed_at=LATER), {"video_id": KEY, "processed_at": LATER}):
        worker.send(again, path)
        reader = Client()
        assert [reader.get(url).getvalue() for url in (sound, picture)] == [mp3(), PNG_BYTES]
        assert reader.head(f"/exports/by_video/{KEY}.mp3").status_code == 200
        video = Video.objects.get()
        assert (video.has_audio, video.audio_files.count(), video.image_files.count()) == (True, 1, 1)
        assert video.extra["images"] == ["/exports/images/chart.png"]
        assert pairs() == [PAIR]
        assert reader.get("/api/reports?has_audio=true").json()["pagination"]["total_count"] == 1
    worker.client.put(f"/api/content/{KEY}", {"has_audio": False}, content_type="application/json")
    assert Video.objects.get().has_audio


@pytest.mark.parametrize("title", ["temp", "Temp", " temp ", "Untitled", "(untitled)", "", " ", None, f"Content {KEY}"])
def test_a_title_temp_is_not_written_over_a_real_one(worker, tmp_path, title):
    worker.send(report())
    for path in ROUTES:
        worker.send(report(title=title, processed_at=LATER), path)
    answer = worker.client.put(f"/api/content/{KEY}", json.dumps({"title": title}), content_type="application/json")
    assert answer.status_code == 200
    row = content_row(KEY, title=title or "", updated_at=LATER)
    path = write_snapshot(tmp_path / "repaired.db", [row])
    command("import_sqlite", path)
    assert Video.objects.get().title == "A title"
    assert verify_snapshot(path).holds
    assert Client().get(f"/api/reports/{KEY}").json()["title"] == "A title"


# Categories as some conversion could write them: without any, under other keys, or of another form.
WRONG_KEYS: list[dict[str, Any]] = [
    {"analysis": None},
    {"analysis": {}},
    {"analysis": "a text"},
    {"analysis": {"categories": None}},
    {"analysis": {"categories": {}}},
    {"analysis": {"categories": ""}},
    {"analysis": {"categories": [{}]}},
    {"analysis": {"categories": [None]}},
    {"analysis": {"categories": [[PAIR[0], PAIR[1]]]}},
    {"analysis": {"categories": [{"name": PAIR[0], "children": [PAIR[1]]}]}},
    {"analysis": {"categories": [{"category": "", "subcategories": []}]}},
    {"analysis": {"Categories": [{"category": "History"}]}},
    {"analysis": {"category": [""], "subcategory": [None]}},
    {"analysis": {}, "category": "null"},
    {"analysis": {}, "category": "{}"},
    {"analysis": {}, "category": [], "subcategory": "Modern History"},
    {"analysis": {}, "subcategories_json": "{}"},
    {"analysis": {}, "subcategories_json": '{"categories": []}'},
    {"analysis": {}, "subcategories_json": "{cut off"},
    {"analysis": {}, "subcategories_json": {"Technology": ["Web Development"]}},
    # The category was read, and its subcategories were not.
    {"analysis": {"categories": [{"category": PAIR[0], "subs": [PAIR[1]]}]}},
    {"analysis": {"categories": [{"category": PAIR[0], "subcategories": []}]}},
    {"analysis": {"category": [PAIR[0]]}},
    {"analysis": {}, "category": PAIR[0]},
    {"analysis": {"categories": [{"category": "Unknown", "subcategories": []}]}},
    {"analysis": {}, "category": "Untitled"},
]


@pytest.mark.parametrize("wrong", WRONG_KEYS, ids=json.dumps)
@pytest.mark.parametrize("is_curated", [False, True])
def test_a_conversion_that_reads_the_wrong_keys_empties_no_categories(worker, wrong, is_curated):
    worker.send(report())
    if is_curated:
        decide({Video.objects.get().pk: [PAIR]}, "curator")
    for path in ROUTES:
        worker.send(report(**wrong, processed_at=LATER), path)
        assert pairs() == [PAIR], path


@pytest.mark.parametrize("path", ROUTES)
def test_a_backfill_of_old_data_that_comes_after_newer_fills_blanks_only(worker, path):
    worker.send(report(language=""))
    before = Client().get(f"/api/reports/{KEY}").json()
    old = report(
        title="Old title", channel_name="Old channel", duration_seconds=1, view_count=77, processed_at=EARLIER,
        analysis={"categories": [{"category": "Business"}], "language": "fr", "content_type": "News"},
        summary_variants=[{"variant": "comprehensive", "text": "Old."}, {"variant": "audio", "text": "Old sound."}],
    )  # fmt: skip
    timed = {"generated_at": EARLIER}, {"updated_at": EARLIER, "indexed_at": LATER}, {"indexed_at": EARLIER}
    for times in ({"processed_at": EARLIER}, *timed):
        worker.send({name: value for name, value in old.items() if name != "processed_at"} | times, path)
        video = Video.objects.get()
        assert (video.title, video.channel_name, video.duration_seconds) == ("A title", "A channel", 60)
        assert (video.language, video.updated_at.isoformat()) == ("en", "2025-09-11T12:00:00+00:00")
        assert pairs() == [PAIR]
        assert (video.view_count, video.content_type) == (77, "News"), "what was blank is filled"
        texts = dict(Summary.objects.values_list("variant", "text"))
        assert texts == {"comprehensive": "What the video says.", "audio": "Old sound."}
        assert Summary.objects.count() == 2
    after = Client().get(f"/api/reports/{KEY}").json()
    said = ("category", "subcategory", "categories", "language")
    assert after["title"] == before["title"]
    assert [after["analysis"][name] for name in said] == [before["analysis"][name] for name in said]


def test_an_outage_that_takes_the_mp3_away_deletes_no_card(worker, tmp_path, media):
    worker.send(report())
    worker.send(report(video_id=OTHER))
    url = worker.upload(mp3(), video_id=KEY).json()["public_url"]
    reader = Client()
    assert reader.head(url).status_code == 200
    before = library()
    away = tmp_path / "away"
    media.rename(away)
    (empty := tmp_path / "exports").mkdir()

    for address in (url, f"/exports/by_video/{KEY}.mp3"):
        answer = reader.head(address)
        # Not a 404: that would say that there never was a file.
        assert answer.status_code == 503 and answer["Retry-After"]
    assert take_audio_files(empty).taken == []
    command("purge_deleted", "--older-than=0d")
    assert worker.send(report())["action"] == "unchanged"
    command("import_sqlite", write_snapshot(tmp_path / "old.db", [content_row(KEY, has_audio=0), content_row(OTHER)]))
    assert reader.get("/api/reports").json()["pagination"]["total_count"] == 2
    assert reader.get(f"/api/reports/{KEY}").status_code == 200
    video = Video.objects.get(pk=KEY)
    assert video.has_audio and video.audio_files.count() == 1 and not Video.objects.deleted().exists()

    away.rename(media)
    assert reader.get(url).getvalue() == mp3()
    assert library()[3] == before[3]


def test_an_id_cut_to_57_characters_matches_nothing_and_is_not_reported_as_deleted(worker):
    stem = f"a_title_of_so_many_words_that_it_does_not_fit_into_the_old_column_{KEY}"
    web = "web:" + "0123456789abcdef" * 4
    worker.send(report())
    make_video(1, video_id=web)
    assert len(stem) > len(web) > 57
    for whole in (stem, web, KEY, f"yt:{KEY}"):
        for length in {57, *range(1, len(whole))}:
            cut = whole[:length]
            if cut == whole:
                continue
            answer = worker.client.delete(f"/api/delete/{cut}")
            body = answer.json()
            assert answer.status_code == 200 and body["status"] == "success"
            assert (body["idempotent"], body["deleted_files"], body["errors"]) == (True, 0, [])
            assert "nothing was done" in body["message"], cut
    assert not Video.objects.deleted().exists()
    assert not IngestLogEntry.objects.filter(outcome=IngestOutcome.DELETED).exists()
    # Whole, it is found, and said to be deleted.
    assert worker.client.delete(f"/api/delete/{stem}").json()["idempotent"] is False
    assert Video.objects.deleted().get().pk == KEY


def test_id_m_deletes_none_of_63_videos(worker):
    """22 of them have an m in their id."""
    for number in range(63):
        make_video(number, video_id=f"{'m' if number < 22 else 'k'}ore_{number:05d}"[:11].ljust(11, "x"))
    for part in ("m", "M", "%", "_", "*", "m%", "mor", "more_0000", "x", "yt:m", "yt:", "'", "ore_00001xx"):
        for answer in (
            worker.client.post("/api/delete", query_params={"id": part}),
            worker.post("/api/delete", {"id": part}),
        ):
            assert answer.status_code == 200 and answer.json()["idempotent"] is True, part
    for nothing in ("", " "):
        assert worker.client.post("/api/delete", query_params={"id": nothing}).status_code == 400
        assert worker.post("/api/delete", {"id": nothing}).status_code == 400
    assert Video.objects.live().count() == 63
    assert Client().get("/api/reports").json()["pagination"]["total_count"] == 63


def test_a_zero_byte_mp3_does_not_replace_a_good_one(worker, media):
    worker.send(report())
    url = worker.upload(mp3(), name=f"{KEY}.mp3", video_id=KEY).json()["public_url"]
    stored = AudioFile.objects.values().get()
    files = {path: path.read_bytes() for path in media.rglob("*") if path.is_file()}
    for path, name in (("/ingest/audio", "video_id"), ("/api/upload-audio", "content_id")):
        answer = worker.upload(b"", path, f"{KEY}.mp3", **{name: KEY})
        assert answer.status_code == 400 and answer.json()["error"] == "empty_file"
    body = SimpleUploadedFile("report.json", json.dumps(report()).encode(), "application/json")
    with_report = {"report": body, "audio": SimpleUploadedFile(f"{KEY}.mp3", b"")}
    answer = worker.client.post("/api/upload-report", with_report)
    assert answer.status_code == 200 and answer.json()["audio"]["action"] == "refused"
    assert AudioFile.objects.values().get() == stored
    assert {path: path.read_bytes() for path in media.rglob("*") if path.is_file()} == files
    for address in (url, f"/exports/by_video/{KEY}.mp3", f"/exports/{KEY}.mp3"):
        assert Client().get(address).getvalue() == mp3()


def test_the_newest_mp3_is_not_attached_to_the_wrong_video(worker, tmp_path):
    worker.send(report())
    worker.send(report(video_id=OTHER))
    (exports := tmp_path / "exports").mkdir()
    for number, name in enumerate(("newest.mp3", "audio_20300101_000000.mp3", f"{KEY[:-1]}.mp3", f"{OTHER}x.mp3")):
        answer = worker.upload(mp3(b"%d" % number), name=name)
        assert answer.status_code == 200 and answer.json()["action"] == "kept_aside", name
        (exports / name).write_bytes(mp3(b"%d" % number))
    assert worker.upload(mp3(b"of another"), name=f"{KEY}.mp3", video_id="Not-here_00").json()["action"] == "kept_aside"
    assert take_audio_files(exports).taken == []
    assert not AudioFile.objects.filter(video__isnull=False).exists()
    assert not Video.objects.filter(has_audio=True).exists()

    assert worker.upload(mp3(b"right"), name="newest.mp3", video_id=OTHER).json()["video_id"] == OTHER
    assert Client().get(f"/exports/by_video/{OTHER}.mp3").getvalue() == mp3(b"right")
    assert Client().head(f"/exports/by_video/{KEY}.mp3").status_code == 404
    assert list(Video.objects.filter(has_audio=True).values_list("pk", flat=True)) == [OTHER]


def test_one_failed_row_of_a_file_aborts_no_batch_and_is_not_swallowed(tmp_path):
    """Nobody has accepted it yet: the exit code says so, and nothing is half imported. Then all others come."""
    keys = [f"video-{number:05d}" for number in range(5)]
    rows = [content_row(key) for key in keys]
    rows[2] |= {"title": Text(b"a\x00b")}
    texts = [{"content_id": row["id"], "summary_text": f"Text of {row['video_id']}."} for row in rows]
    path = write_snapshot(tmp_path / "old.db", rows, texts)
    with pytest.raises(CommandError, match="2 rows are quarantined that nobody has accepted") as stopped:
        command("import_sqlite", path)
    assert stopped.value.returncode == 3
    assert not Video.objects.exists()
    assert set(QuarantinedRow.objects.values_list("row__table", "row__key", "code")) == {
        ("content", 3, "nul_in_text"), ("content_summaries", 3, "orphan"),
    }  # fmt: skip

    out = command("import_sqlite", path, "--accept-quarantine")
    assert "2 rows are quarantined" in out and "content 3" in out
    good = {*keys} - {keys[2]}
    assert set(Video.objects.values_list("pk", flat=True)) == good
    assert set(Summary.objects.values_list("video", "text")) == {(key, f"Text of {key}.") for key in good}
    assert VaultRow.objects.filter(table="content").count() == 5


@pytest.mark.parametrize("odd", [{"variant": "audio", "text": 5}, "a bare text", 7, {"variant": "audio", "text": True}])
def test_one_odd_summary_aborts_no_report_and_is_not_swallowed_with_a_200(worker, odd):
    variants = [{"variant": "executive", "text": "First."}, odd, {"variant": "key-points", "text": "Last."}]
    for path in ROUTES:
        answer = worker.send(report(summary_variants=variants), path)
        assert answer["quarantined"] and "summary_variants" in answer["reason"], path
        assert dict(Summary.objects.values_list("variant", "text")) == {"executive": "First.", "key-points": "Last."}
        assert Video.objects.get().extra["summary_variants"] == [odd], "kept as it was sent"
        entry = IngestLogEntry.objects.latest("pk")
        assert answer["reason"] in entry.message


def test_a_report_that_cannot_be_stored_is_kept_and_said_and_stops_no_other(worker):
    bodies = [report(video_id=f"video-{number:05d}") for number in range(5)]
    bodies[2]["summary_variants"].append({"variant": "audio", "text": "a\x00b"})
    answers = [worker.send(body) for body in bodies]
    assert [answer["action"] for answer in answers] == ["created", "created", "quarantined", "created", "created"]
    assert (answers[2]["upserted"], answers[2]["summaries_upserted"]) == (0, 0) and answers[2]["reason"]
    assert not Video.objects.filter(pk="video-00002").exists()
    kept = IngestLogEntry.objects.get(outcome=IngestOutcome.QUARANTINED)
    assert kept.video_id == "video-00002" and json.loads(bytes(kept.body)) == bodies[2]
