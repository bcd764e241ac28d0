"""Uploads of sound and pictures: to exactly the video meant, whole or not at all, and never over a good file."""

import errno
import hashlib
import http.client
import os
import resource
import struct
import subprocess
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections, transaction
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest import file_routes, files
from ingest.audio import take_audio_files
from ingest.files import AUDIO, FileAction, adopt, adopt_waiting, store_audio_upload, store_upload
from ingest.formats import GIF, JPEG, PNG, WEBP, picture_format
from ingest.models import AudioFile, ImageFile, IngestLogEntry, IngestOutcome
from videos.models import Video, VideoEvent

from .factories import make_video
from .test_audio_files import KEY, TIME, mp3

TOKEN = "a-secret-of-the-worker"
PNG_BYTES = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d4944415478da63606060f80f00010401005fe5c34b0000000049454e44ae426082"
)
JPEG_BYTES = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x55\xff\xd9"
)
GIF_BYTES = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
WEBP_BYTES = b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8L" + struct.pack("<I", 18) + b"\x2f".ljust(18, b"\x00")
PICTURES = {PNG: PNG_BYTES, JPEG: JPEG_BYTES, GIF: GIF_BYTES, WEBP: WEBP_BYTES}


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def worker(settings) -> Client:
    settings.INGEST_TOKEN = TOKEN
    return Client(headers={"X-INGEST-TOKEN": TOKEN})


@pytest.fixture
def send(worker):
    """Sends an upload as the worker does, and returns the answer."""

    def send(content: bytes, sent_id: str = "", *, address="/ingest/audio", name="sound.mp3", part="", client=worker):
        part = part or ("image" if address.endswith("image") else "audio")
        file = SimpleUploadedFile(name, content)
        return client.post(address, {part: file} | ({"video_id": sent_id} if sent_id else {}))

    return send


def stored_files(media: Path) -> dict[str, bytes]:
    return {str(path.relative_to(media)): path.read_bytes() for path in media.rglob("*") if path.is_file()}


def entry() -> IngestLogEntry:
    return IngestLogEntry.objects.latest("pk")


@pytest.mark.django_db
class TestAnswers:
    def test_ingest_audio(self, send, client):
        video = make_video(video_id=KEY, has_audio=False)
        answer = send(mp3(), KEY)
        assert answer.status_code == 200
        body = answer.json()
        digest = hashlib.sha256(mp3()).hexdigest()
        assert body["saved"] is True and body["size"] == len(mp3()) and body["action"] == "added"
        assert body["public_url"] == f"/exports/audio/{KEY}-{digest[:12]}.mp3"
        assert client.get(body["public_url"]).getvalue() == mp3()
        video.refresh_from_db()
        assert video.has_audio
        assert VideoEvent.objects.latest("pgh_id").pgh_context.metadata["token"] == "INGEST_TOKEN"
        assert (entry().outcome, entry().video_id, entry().status) == (IngestOutcome.UPDATED, KEY, 200)

    def test_upload_audio(self, worker):
        make_video(video_id=KEY)
        form = {"audio": SimpleUploadedFile("a.mp3", mp3()), "content_id": f"yt:{KEY}"}
        body = worker.post("/api/upload-audio", form).json()
        assert body["success"] is True and body["size"] == len(mp3())
        assert body["relative_path"] == f"audio/{body['filename']}"
        assert body["public_url"] == f"/exports/audio/{body['filename']}"
        assert worker.get(body["public_url"]).status_code == 200

    @pytest.mark.parametrize("format_", PICTURES)
    def test_upload_image(self, worker, format_):
        make_video(video_id=KEY)
        # The name and the type that a client claims say nothing.
        form = {"image": SimpleUploadedFile("page.html", PICTURES[format_], "text/html"), "content_id": KEY}
        body = worker.post("/api/upload-image", form).json()
        assert body["public_url"].startswith("/exports/images/") and body["public_url"].endswith(format_.suffix)
        answer = worker.get(body["public_url"])
        assert answer.getvalue() == PICTURES[format_]
        assert answer["Content-Type"] == format_.content_type
        assert not Video.objects.filter(has_audio=False)

    def test_the_same_file_again_changes_nothing(self, send, media):
        make_video(video_id=KEY)
        first = send(mp3(), KEY).json()
        rows, before = list(AudioFile.objects.values()), stored_files(media)
        second = send(mp3(), KEY, name="other.mp3").json()
        assert (second["action"], second["public_url"]) == ("unchanged", first["public_url"])
        assert (list(AudioFile.objects.values()), stored_files(media)) == (rows, before)
        assert entry().outcome == IngestOutcome.UNCHANGED

    def test_who_may_not_write_is_told_so_in_json(self, send, client, settings):
        make_video(video_id=KEY)
        for address in ("/ingest/audio", "/api/upload-audio", "/api/upload-image"):
            answer = send(mp3(), KEY, address=address, client=client)
            assert answer.status_code == 401 and answer.json().keys() == {"error", "message"}
            assert client.get(address).status_code == 405
        assert not AudioFile.objects.exists()

    def test_staff_may_upload_from_a_page_of_ours_only(self, send, admin_user):
        make_video(video_id=KEY)
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(admin_user)
        assert send(mp3(), KEY, client=browser).status_code == 403
        browser.cookies["csrftoken"] = "a" * 32
        form = {"audio": SimpleUploadedFile("a.mp3", mp3()), "video_id": KEY}
        assert browser.post("/ingest/audio", form | {"csrfmiddlewaretoken": "a" * 32}).status_code == 200
        assert AudioFile.objects.get().video_id == KEY


@pytest.mark.django_db
class TestWhichVideo:
    @pytest.mark.parametrize(
        "sent_id",
        [KEY, f"yt:{KEY}", f"yt:{KEY.lower()}", f"some_title_words_{KEY}", f"some_title_words_{KEY}_1",
         f"{KEY}_{TIME}", f"{KEY}_0056c1"],
    )  # fmt: skip
    def test_every_form_of_an_id_finds_it(self, send, sent_id):
        make_video(1, video_id=KEY, legacy_id=f"yt:{KEY.lower()}")
        make_video(2, video_id=KEY.upper())
        assert send(mp3(), sent_id).json()["video_id"] == KEY
        assert AudioFile.objects.get().video_id == KEY

    def test_the_name_of_the_file_counts_where_no_id_is_sent(self, send):
        make_video(video_id=KEY)
        assert send(mp3(), name=f"audio_{KEY}_{TIME}.mp3").json()["video_id"] == KEY
        assert AudioFile.objects.get().added_at == datetime(2025, 9, 1, 13, 43, 25, tzinfo=UTC)

    def test_the_newest_mp3_is_not_attached_to_the_wrong_video(self, send):
        """It has happened: the "newest MP3" was attached to the wrong video."""
        make_video(1, video_id="audio_ABCDE", has_audio=False)
        make_video(2, video_id="ABCDE", has_audio=False)
        for sent_id, name in (("", "sound.mp3"), ("", f"audio_ABCDE_{TIME}.mp3"), ("ABCD", "ABCDE.mp3"), ("%", "a")):
            assert send(mp3(name.encode()), sent_id, name=name).json()["action"] == "kept_aside"
        assert not AudioFile.objects.filter(video__isnull=False)
        assert not Video.objects.filter(has_audio=True)

    def test_a_file_kept_aside_is_served_to_nobody(self, send, client):
        body = send(mp3(), KEY).json()
        assert body["saved"] is True and body["action"] == "kept_aside"
        assert AudioFile.objects.get().video is None
        assert client.get(body["public_url"]).status_code == 404
        assert client.get("/exports/sound.mp3").status_code == 404
        assert send(mp3(), KEY).json() == body
        assert AudioFile.objects.count() == 1

    @pytest.mark.parametrize(
        ("sent_id", "key"),
        [(KEY, KEY), (f"yt:{KEY}", KEY), (f"title_words_{KEY}", KEY), (f"{KEY}_0056c1", KEY),
         ("reddit:1abc", "reddit:1abc"), ("1abc", "reddit:1abc"), ("yt:1abc", "reddit:1abc"),
         ("web:" + "0f" * 12, "web:" + "0f" * 12), ("0f" * 12, "web:" + "0f" * 12), ("1abc", "1abc"),
         ("yt:a-page", "a-page")],
    )  # fmt: skip
    def test_a_video_that_comes_later_gets_what_came_before_it(self, send, client, sent_id, key):
        urls = [send(mp3(b"sound"), sent_id).json()["public_url"]]
        urls.append(send(PNG_BYTES, sent_id, address="/api/upload-image").json()["public_url"])
        send(mp3(b"other"), "AbC-dE_f124")
        video = make_video(video_id=key, has_audio=False)
        with transaction.atomic():
            assert adopt(video.pk) == 2
        assert adopt(video.pk) == 0
        video.refresh_from_db()
        assert video.has_audio
        assert [client.get(url).status_code for url in urls] == [200, 200]
        assert AudioFile.objects.get(video=None).name.startswith("audio/AbC-dE_f124-")

    def test_what_came_with_the_whole_key_of_another_video_is_left_to_that(self, send):
        send(mp3(), "1abc")
        for key, adopted in (("reddit:1abcd", 0), ("web:1abc", 0), ("1abc", 1), ("reddit:1abc", 0)):
            make_video(video_id=key)
            with transaction.atomic():
                assert adopt(key) == adopted, key
        AudioFile.objects.update(video=None)
        assert adopt_waiting(["reddit:1abc"]) == 0
        assert adopt_waiting(["reddit:1abcd", "1abc"]) == 1

    def test_the_same_file_by_two_names_of_a_video_is_one(self, send):
        for sent_id in ("1abc", "reddit:1abc", "yt:1abc"):
            send(mp3(), sent_id)
        video = make_video(video_id="reddit:1abc")
        with transaction.atomic():
            assert adopt(video.pk) == 1
        assert video.audio_files.get().sha256 == AudioFile.objects.get(video=None).sha256

    def test_sent_again_when_its_video_is_there_it_is_attached(self, send, client):
        body = send(mp3(), KEY).json()
        make_video(video_id=KEY)
        assert send(mp3(), KEY).json()["action"] == "added"
        assert client.get(body["public_url"]).getvalue() == mp3()
        assert AudioFile.objects.get().video_id == KEY

    def test_an_import_takes_over_what_was_kept_aside(self, send, tmp_path):
        send(mp3(), KEY)
        make_video(video_id=KEY)
        folder = tmp_path / "exports"
        folder.mkdir()
        (folder / f"{KEY}.mp3").write_bytes(mp3())
        assert take_audio_files(folder).taken == [f"{KEY}.mp3"]
        assert AudioFile.objects.get().video_id == KEY

    def test_a_deleted_video_gets_nothing(self, send, media):
        make_video(video_id=KEY, has_audio=False, deleted_at=datetime.now(UTC))
        answer = send(mp3(), KEY)
        assert answer.status_code == 200
        assert (answer.json()["action"], answer.json()["saved"]) == ("deleted", False)
        assert answer.json()["public_url"] is None
        assert not AudioFile.objects.exists() and stored_files(media) == {}
        assert not Video.objects.get().has_audio
        assert (entry().outcome, entry().video_id) == (IngestOutcome.DELETED, KEY)

    def test_a_late_upload_of_an_old_file_does_not_become_the_current_one(self, send, client):
        make_video(video_id=KEY)
        send(mp3(b"new"), KEY, name=f"audio_{KEY}_20250903_000000.mp3")
        send(mp3(b"old"), KEY, name=f"audio_{KEY}_20250901_000000.mp3")
        assert client.get(f"/exports/by_video/{KEY}").getvalue() == mp3(b"new")
        send(mp3(b"now"), KEY)
        assert client.get(f"/exports/by_video/{KEY}").getvalue() == mp3(b"now")

    def test_two_files_of_one_second_have_two_dates(self, send):
        make_video(video_id=KEY)
        for number in range(3):
            send(mp3(b"%d" % number), KEY, name=f"{KEY}_{TIME}.mp3")
        seconds = {file.added_at.replace(microsecond=0) for file in AudioFile.objects.all()}
        assert len(seconds) == 3
        with default_storage.open(AudioFile.objects.first().name) as file:
            assert file.read() == mp3(b"2")

    def test_no_name_of_a_client_becomes_a_path(self, worker, media):
        make_video(video_id="../../etc/passwd")
        for name in ("../../evil.mp3", "/etc/cron.d/evil.mp3", "..\\evil.mp3", "a\x00b.mp3", "é" * 300 + ".mp3"):
            content = mp3(name.encode()[:400])
            file = BytesIO(content)
            file.name = name
            form = {"audio": file, "content_id": "../../etc/passwd"}
            assert worker.post("/api/upload-audio", form).json()["action"] == "added", name
        assert {path.parent for path in map(Path, stored_files(media))} == {Path("audio")}
        assert all(name.isascii() for name in stored_files(media))


@pytest.mark.django_db
class TestContent:
    def test_a_zero_byte_mp3_does_not_replace_a_good_one(self, send, media, client):
        """It has happened: a zero-byte MP3 replaced a good one on a full disk."""
        make_video(video_id=KEY)
        url = send(mp3(), KEY, name=f"{KEY}.mp3").json()["public_url"]
        before = stored_files(media)
        answer = send(b"", KEY, name=f"{KEY}.mp3")
        assert answer.status_code == 400
        assert answer.json()["error"] == "empty_file" and "0 bytes" in answer.json()["message"]
        assert stored_files(media) == before and AudioFile.objects.count() == 1
        assert client.get(url).getvalue() == mp3()
        assert client.get(f"/exports/by_video/{KEY}.mp3").getvalue() == mp3()
        assert (entry().outcome, entry().status) == (IngestOutcome.REFUSED, 400)

    @pytest.mark.parametrize("content", [b"<!doctype html><p>502 Bad Gateway", b"ID3", b"RIFF\x24\x00\x00\x00WAVEfmt "])
    def test_what_is_no_mp3_is_kept_in_quarantine(self, send, client, content):
        make_video(video_id=KEY, has_audio=False)
        answer = send(content, KEY)
        assert answer.status_code == 200
        body = answer.json()
        assert (body["action"], body["saved"], body["quarantined"]) == ("quarantined", False, "unknown_content")
        assert body["public_url"] is None
        file = AudioFile.objects.get()
        assert file.video is None
        with default_storage.open(file.name) as stored:
            assert stored.read() == content
        assert not Video.objects.get().has_audio
        for url in (f"/exports/by_video/{KEY}", "/exports/sound.mp3", f"/exports/audio/{Path(file.name).name}"):
            assert client.get(url).status_code == 404
        assert adopt(KEY) == 0
        assert (entry().outcome, entry().video_id) == (IngestOutcome.QUARANTINED, KEY)

    @pytest.mark.parametrize("format_", PICTURES)
    def test_a_picture_that_was_cut_is_none(self, format_):
        whole = PICTURES[format_]
        assert picture_format(BytesIO(whole)) == format_
        for length in range(len(whole) - 1):
            assert picture_format(BytesIO(whole[:length])) is None, length

    def test_pictures_that_other_programs_write(self):
        text = b"tEXtComment\x00" + b"x" * 300
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        assert picture_format(BytesIO(PNG_BYTES[:33] + chunk + PNG_BYTES[33:] + b"trailing")) == PNG
        exif = b"\xff\xe1" + struct.pack(">H", 2 + 500) + b"\xff\xd9" * 250
        assert picture_format(BytesIO(JPEG_BYTES[:2] + exif + JPEG_BYTES[2:] + b"\x00" * 20)) == JPEG
        assert picture_format(BytesIO(JPEG_BYTES[:2] + b"\xff\xff" + JPEG_BYTES[2:])) == JPEG

    @pytest.mark.parametrize(
        "content",
        [b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", b"GIF89a<script>alert(1)</script>", mp3()],
    )
    def test_what_is_no_picture_is_kept_in_quarantine(self, send, content):
        make_video(video_id=KEY)
        assert send(content, KEY, address="/api/upload-image").json()["action"] == "quarantined"
        assert ImageFile.objects.get().video is None

    @given(st.binary(max_size=300) | st.sampled_from(list(PICTURES.values())).flatmap(
        lambda whole: st.tuples(st.integers(0, len(whole)), st.binary(max_size=30)).map(
            lambda cut: whole[: cut[0]] + cut[1] + whole[cut[0] + len(cut[1]) :])))  # fmt: skip
    @hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_bytes_can_be_looked_at(self, content):
        assert picture_format(BytesIO(content)) in (None, PNG, JPEG, GIF, WEBP)

    @pytest.mark.parametrize(
        ("setting", "address"),
        [("MAX_AUDIO_BYTES", "/ingest/audio"), ("MAX_AUDIO_BYTES", "/api/upload-audio"),
         ("MAX_IMAGE_BYTES", "/api/upload-image")],
    )  # fmt: skip
    def test_a_file_that_is_too_large_is_413(self, send, media, settings, setting, address):
        make_video(video_id=KEY)
        content = PNG_BYTES if address.endswith("image") else mp3()
        setattr(settings, setting, len(content))
        assert send(content, KEY, address=address).json()["action"] == "added"
        before = stored_files(media)
        for too_much in (1, file_routes.FORM_BYTES * 2):
            answer = send(content + b"x" * too_much, KEY, address=address)
            assert answer.status_code == 413
            assert answer.json()["error"] == "too_large" and "larger than" in answer.json()["message"]
        assert stored_files(media) == before
        assert (entry().outcome, entry().status) == (IngestOutcome.REFUSED, 413)


@pytest.mark.django_db
class TestBodies:
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [("multipart/form-data", b"x"), ("multipart/form-data; boundary=", b"x"), ("application/json", b"{}"),
         ("multipart/form-data; boundary=b", b""), ("multipart/form-data; boundary=b", b"--b--\r\n"),
         ("multipart/form-data; boundary=\xe9", b"x"), ("multipart/form-data; boundary=b", b"\x00" * 5000),
         ("multipart/form-data; boundary=b",
          b'--b\r\nContent-Disposition: form-data; name="audio"\r\n\r\nno file\r\n--b--\r\n'),
         ("multipart/form-data; boundary=b", b"".join(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n'
                                                      for _ in range(2000)) + b"--b--\r\n")],
    )  # fmt: skip
    def test_a_body_without_a_file_is_400(self, worker, content_type, body):
        answer = worker.generic("POST", "/ingest/audio", body, content_type)
        assert answer.status_code == 400 and answer.json().keys() == {"error", "message"}
        assert not AudioFile.objects.exists()

    def test_a_file_that_was_cut_off_is_not_stored(self, worker, media):
        make_video(video_id=KEY, has_audio=False)
        body = form_body(mp3(frames=20), KEY)
        for length in (len(body) - 5, len(body) // 2, len(body) - 4000):
            answer = worker.generic("POST", "/ingest/audio", body[:length], "multipart/form-data; boundary=b")
            assert answer.status_code == 400
            assert answer.json()["error"] == "cut_off"
        assert stored_files(media) == {} and not AudioFile.objects.exists()
        assert worker.generic("POST", "/ingest/audio", body, "multipart/form-data; boundary=b").json()["saved"]

    def test_what_comes_in_is_on_the_disk_without_a_name(self, worker, tmp_path, settings, monkeypatch):
        settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "temporary"
        settings.FILE_UPLOAD_TEMP_DIR.mkdir()
        make_video(video_id=KEY)
        original, seen = files.examined, []

        def look(upload, kind):
            seen.append((list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()), os.fstat(upload.file.fileno()).st_nlink))
            return original(upload, kind)

        monkeypatch.setattr(files, "examined", look)
        form = {"audio": SimpleUploadedFile("a.mp3", mp3()), "video_id": KEY}
        assert worker.post("/ingest/audio", form).status_code == 200
        assert seen == [([], 0)]


def form_body(content: bytes, video_id: str) -> bytes:
    """A form as the worker sends it, with the boundary b."""
    return (
        b'--b\r\nContent-Disposition: form-data; name="video_id"\r\n\r\n' + video_id.encode() + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="audio"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
        + content + b"\r\n--b--\r\n"
    )  # fmt: skip


@pytest.mark.django_db
class TestStorage:
    def test_a_full_disk_is_507_and_the_old_file_stays(self, send, media, client):
        make_video(video_id=KEY, has_audio=False)
        make_video(2, video_id="large_file1", has_audio=False)
        url = send(mp3(), KEY).json()["public_url"]
        before = stored_files(media)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            answers = [send(mp3(frames=500), "large_file1"), send(mp3(frames=500), KEY)]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        for answer in answers:
            assert answer.status_code == 507
            assert answer.json()["error"] == "storage_full" and "no room" in answer.json()["message"]
        assert stored_files(media) == before
        assert not Video.objects.get(pk="large_file1").has_audio
        assert client.get(url).getvalue() == mp3()
        assert entry().status == 507
        assert send(mp3(frames=500), "large_file1").json()["action"] == "added"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    def test_a_full_media_disk_is_507(self, send, media):
        media.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(media)], capture_output=True)
        if mounted.returncode:
            pytest.skip("this machine lets nobody mount a small disk")
        try:
            make_video(video_id=KEY)
            assert send(mp3(), KEY).status_code == 200
            assert send(mp3(frames=500), KEY).status_code == 507
            assert list(stored_files(media).values()) == [mp3()]
            assert AudioFile.objects.count() == 1
        finally:
            subprocess.run(["umount", str(media)], check=True)

    @pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"cut")])
    def test_sent_again_a_lost_or_damaged_file_is_whole_again(self, send, client, damage):
        make_video(video_id=KEY)
        url = send(mp3(), KEY).json()["public_url"]
        damage(Path(default_storage.path(AudioFile.objects.get().name)))
        assert client.get(url).status_code == 503
        assert send(mp3(), KEY).json() == {
            "saved": True, "public_url": url, "size": len(mp3()), "action": "unchanged", "video_id": KEY,
        }  # fmt: skip
        assert client.get(url).getvalue() == mp3()

    def test_a_copy_that_does_not_read_back_the_same_is_not_taken(self, send, media, monkeypatch):
        make_video(video_id=KEY, has_audio=False)
        monkeypatch.setattr(files, "flush", lambda path: path.is_file() and path.write_bytes(b"other"))
        with pytest.raises(files.Damaged):
            send(mp3(), KEY)
        assert stored_files(media) == {} and not AudioFile.objects.exists()

    def test_what_a_killed_process_left_is_removed_after_an_hour(self, send, media):
        make_video(video_id=KEY)
        (media / "incoming").mkdir(parents=True)
        for name, age in (("old", timedelta(hours=2)), ("new", timedelta(minutes=30))):
            path = media / "incoming" / name
            path.write_bytes(b"half")
            moment = (datetime.now(UTC) - age).timestamp()
            os.utime(path, (moment, moment))
        send(mp3(), KEY)
        assert [path.name for path in (media / "incoming").iterdir()] == ["new"]

    def test_copies_are_the_owners_only(self, send, media):
        make_video(video_id=KEY)
        send(mp3(), KEY)
        path = Path(default_storage.path(AudioFile.objects.get().name))
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

    def test_sound_that_comes_with_a_report(self):
        make_video(video_id=KEY)
        assert store_audio_upload(SimpleUploadedFile("a.mp3", mp3()), KEY)["action"] == "added"
        assert store_audio_upload(SimpleUploadedFile("a.mp3", b""), KEY)["action"] == "refused"
        assert AudioFile.objects.count() == 1

    def test_the_number_of_queries_is_fixed(self, send, django_assert_max_num_queries):
        make_video(video_id=KEY)
        for number in range(20):
            with django_assert_max_num_queries(16):
                send(mp3(b"%d" % number), KEY)

    def test_an_error_of_the_disk_that_is_not_fullness_is_no_507(self):
        with pytest.raises(PermissionError), files.full_storage_as_refusal():
            raise PermissionError(errno.EACCES, "no")


def in_threads(*functions) -> list:
    """Run functions at the same time, each with its own connection; their results."""
    barrier, results = threading.Barrier(len(functions)), [None] * len(functions)

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = functions[number]()
        except BaseException as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def upload(content: bytes, sent_id: str, name: str = "a.mp3"):
    return store_upload(SimpleUploadedFile(name, content), AUDIO, sent_id, "worker")


@pytest.mark.django_db(transaction=True)
class TestSeveralConnections:
    def test_the_same_file_from_many_at_once_is_one(self, media):
        make_video(video_id=KEY, has_audio=False)
        results = in_threads(*[lambda: upload(mp3(), KEY)] * 6)
        assert sorted(result.action for result in results) == [FileAction.ADDED] + [FileAction.UNCHANGED] * 5
        assert list(stored_files(media).values()) == [mp3()]
        assert AudioFile.objects.get().video_id == KEY

    def test_different_files_at_once_are_all_kept(self, media):
        make_video(video_id=KEY)
        contents = [mp3(b"%d" % number) for number in range(6)]
        results = in_threads(*[lambda content=content: upload(content, KEY) for content in contents])
        assert {result.action for result in results} == {FileAction.ADDED}
        assert sorted(stored_files(media).values()) == sorted(contents)

    def test_kept_aside_by_many_at_once_is_one(self, media):
        results = in_threads(*[lambda: upload(mp3(), KEY)] * 4, *[lambda: upload(b"no sound", KEY)] * 4)
        assert {result.action for result in results} == {FileAction.KEPT_ASIDE, FileAction.QUARANTINED}
        assert AudioFile.objects.count() == 2 and len(stored_files(media)) == 2

    def test_a_video_deleted_meanwhile_gets_nothing(self, media):
        make_video(video_id=KEY, has_audio=False)
        results = []
        with transaction.atomic():
            Video.objects.filter(pk=KEY).update(deleted_at=datetime.now(UTC))
            thread = threading.Thread(target=lambda: results.extend(in_threads(lambda: upload(mp3(), KEY))))
            thread.start()
            deadline = time.monotonic() + 10
            while not any((media / "audio").glob("*.mp3")) and time.monotonic() < deadline:
                time.sleep(0.01)
        thread.join()
        assert results[0].action == FileAction.DELETED
        assert not AudioFile.objects.exists() and stored_files(media) == {}
        assert not Video.objects.get().has_audio

    @pytest.mark.parametrize("pause", [0, 0.005, 0.01, 0.02])
    def test_a_report_and_its_sound_at_the_same_time_find_each_other(self, pause):
        for number in range(4):
            key = f"video_{number:05d}"

            def create(number: int = number, key: str = key) -> None:
                time.sleep(pause)
                with transaction.atomic():
                    make_video(number, has_audio=False)
                    adopt(key)
                    time.sleep(0.005)

            result = in_threads(lambda key=key: upload(mp3(key.encode()), key), create)
            assert result[1] is None and not isinstance(result[0], BaseException), result
            assert AudioFile.objects.get(name=result[0].name).video_id == key
            assert Video.objects.get(pk=key).has_audio

    def test_a_report_that_waits_for_its_sound_gets_it(self, monkeypatch):
        """The upload looks for the video before it is there, and writes its row after the video's transaction began."""
        waiting, go = threading.Event(), threading.Event()
        original = files.create_row

        def slow(*args, **kwargs):
            waiting.set()
            go.wait(10)
            return original(*args, **kwargs)

        def create() -> None:
            waiting.wait(10)
            with transaction.atomic():
                make_video(video_id=KEY, has_audio=False)
                threading.Timer(0.2, go.set).start()
                assert adopt(KEY) == 1

        monkeypatch.setattr(files, "create_row", slow)
        aside, created = in_threads(lambda: upload(mp3(), KEY), create)
        assert (aside.action, created) == (FileAction.KEPT_ASIDE, None)
        assert AudioFile.objects.get().video_id == KEY

    def test_a_client_that_goes_away_leaves_nothing(self, live_server, settings, media):
        settings.INGEST_TOKEN = TOKEN
        make_video(video_id=KEY, has_audio=False)
        body = form_body(mp3(frames=1000), KEY)
        connection = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=10)
        connection.putrequest("POST", "/ingest/audio")
        connection.putheader("X-Sync-Secret", TOKEN)
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2])
        connection.close()
        deadline = time.monotonic() + 10
        while not IngestLogEntry.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (entry().outcome, entry().status) == (IngestOutcome.REFUSED, 400)
        assert stored_files(media) == {} and not AudioFile.objects.exists()
