"""Files under /exports/: old addresses, HEAD, parts, conditions; of live videos only, and never by a path."""

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.http import http_date
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest import ranges
from ingest.files import AUDIO, IMAGE, StoredFile, store_upload
from ingest.models import AudioFile
from ingest.ranges import Body
from videos.models import Video

from .factories import make_video
from .gunicorn_server import Server, gunicorn, wait_for
from .test_audio_files import KEY, TIME, mp3
from .test_files import PNG_BYTES, TOKEN, form_body

SOUND = mp3(bytes(range(256)))
SIZE = len(SOUND)
NAME = f"audio_{KEY}_{TIME}.mp3"


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def add(content: bytes = SOUND, video_id: str = KEY, name: str = NAME, kind=AUDIO) -> StoredFile:
    return store_upload(SimpleUploadedFile(name, content), kind, video_id, "worker")


@pytest.fixture
def url() -> str:
    make_video(video_id=KEY, legacy_id=f"yt:{KEY.lower()}")
    return add().public_url


@pytest.mark.django_db
class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [f"/exports/{NAME}", f"/exports/audio/{NAME}", f"/exports/by_video/{KEY}", f"/exports/by_video/{KEY}.mp3",
         f"/exports/by_video/yt:{KEY}", f"/exports/by_video/yt:{KEY.lower()}.mp3", f"/exports/{NAME}?v=1761408780",
         f"/exports/by_video/{KEY}?x=../../etc/passwd&y=%00"],
    )  # fmt: skip
    def test_old_and_new_addresses_of_sound(self, url, client, address):
        for asked in (address, url, url.replace("/audio/", "/")):
            answer = client.get(asked)
            assert answer.status_code == 200
            assert answer.getvalue() == SOUND
            assert answer["Content-Type"] == "audio/mpeg"
            assert answer["Content-Length"] == str(SIZE)
            assert answer["Accept-Ranges"] == "bytes"
            assert answer["ETag"] == f'"{hashlib.sha256(SOUND).hexdigest()}"'
            assert answer["Last-Modified"] == "Mon, 01 Sep 2025 13:43:25 GMT"
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Content-Disposition"].startswith("inline; filename=")
            assert answer["Cache-Control"] == "no-cache"

    def test_pictures(self, client):
        make_video(video_id=KEY)
        url = add(PNG_BYTES, name="chart one.png", kind=IMAGE).public_url
        for asked in (url, "/exports/images/chart%20one.png", f"{url}?v=1"):
            answer = client.get(asked)
            assert (answer.getvalue(), answer["Content-Type"]) == (PNG_BYTES, "image/png")
        assert client.get("/exports/chart%20one.png").status_code == 404
        assert client.get(url.replace("images", "audio")).status_code == 404

    def test_head_says_what_get_says(self, url, client):
        get, head = client.get(url), client.head(url)
        assert head.status_code == 200 and head.content == b""
        said = dict(get.headers)
        # What is not streamed and has no content passes by the compression without a word.
        said.pop("Vary")
        assert head.headers == said
        assert client.head(url, headers={"Range": "bytes=0-1"}).headers == said
        assert client.head("/exports/nothing.mp3").status_code == 404

    def test_nothing_but_reading(self, url, client):
        for method in (client.post, client.put, client.delete, client.patch):
            answer = method(url)
            assert answer.status_code == 405 and answer.json()["error"] == "method_not_allowed"
            assert "GET" in answer["Allow"]

    @pytest.mark.parametrize(
        "address",
        ["/exports/", "/exports/audio/", "/exports/images/", "/exports/by_video/", "/exports/nothing.mp3",
         "/exports/by_video/nothing", "/exports/../manage.py", "/exports/%2e%2e/manage.py", "/exports/..%2fmanage.py",
         "/exports/audio/../../manage.py", "/exports/audio/%2e%2e%2f%2e%2e%2fmanage.mp3", "/exports//etc/passwd",
         "/exports/audio//etc/passwd.mp3", "/exports/%2fetc%2fpasswd.mp3", "/exports/a%00.mp3",
         "/exports/by_video/a%00", "/exports/images/%00", "/exports/images/..%5c..%5cmanage.py",
         "/exports/%ff%fe.mp3", "/exports/images/..",
         "/exports/incoming/x", "/exports/quarantine/x.bin", "/exports/%25.mp3", "/exports/_____.mp3",
         "/exports/images/" + "x" * 5000, f"/exports/{NAME[:-5]}.mp3", f"/exports/x{NAME}", f"/exports/{NAME.upper()}",
         f"/exports/{KEY[:5]}.mp3", "/exports/by_video/m", f"/exports/by_video/{KEY.lower()}", "/exports/.mp3"],
    )  # fmt: skip
    def test_anything_else_is_404(self, url, client, address):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.json().keys() == {"error", "message"}

    def test_a_deleted_videos_files_are_gone_at_once(self, url, client):
        image = add(PNG_BYTES, kind=IMAGE).public_url
        Video.objects.update(deleted_at=datetime.now(UTC))
        for address in (url, image, f"/exports/{NAME}", f"/exports/by_video/{KEY}", f"/exports/by_video/yt:{KEY}.mp3"):
            assert client.get(address).status_code == 404
            assert client.head(address).status_code == 404

    def test_a_name_that_two_videos_files_came_with_is_nobodys(self, client):
        make_video(1, video_id=KEY)
        make_video(2, video_id="another_id1")
        urls = [add(mp3(b"1"), KEY, "audio.mp3").public_url, add(mp3(b"2"), "another_id1", "audio.mp3").public_url]
        assert [client.get(url).getvalue() for url in urls] == [mp3(b"1"), mp3(b"2")]
        assert client.get("/exports/audio.mp3").status_code == 404
        Video.objects.filter(pk=KEY).update(deleted_at=datetime.now(UTC))
        assert client.get("/exports/audio.mp3").status_code == 404

    def test_of_several_files_of_a_name_and_video_the_newest(self, client):
        make_video(video_id=KEY)
        for content in (b"1", b"2"):
            add(mp3(content), KEY, "audio.mp3")
        assert client.get("/exports/audio.mp3").getvalue() == mp3(b"2")

    def test_an_outage_of_the_disk_is_no_404(self, url, client, media):
        """It has happened: an outage made a tool delete every card whose MP3 did not answer HEAD."""
        shutil.move(media, media.with_name("away"))
        for ask in (client.get, client.head):
            answer = ask(url)
            assert answer.status_code == 503
            assert answer["Retry-After"] == "60"
        assert client.get(url).json()["error"] == "file_unavailable"
        shutil.move(media.with_name("away"), media)
        assert client.head(url).status_code == 200

    def test_a_file_of_another_size_is_not_passed_off_as_it(self, url, client):
        Path(default_storage.path(AudioFile.objects.get().name)).write_bytes(SOUND[:-1])
        assert client.get(url).status_code == 503

    def test_the_number_of_queries(self, url, client, django_assert_num_queries):
        with django_assert_num_queries(2):
            client.get(url)
        with django_assert_num_queries(3):
            client.get(f"/exports/{NAME}")
        with django_assert_num_queries(2):
            client.get(f"/exports/by_video/{KEY}")


@pytest.mark.django_db
class TestParts:
    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [("bytes=0-0", 0, 0), ("bytes=0-99", 0, 99), ("bytes=100-", 100, SIZE - 1), ("bytes=-1", SIZE - 1, SIZE - 1),
         ("bytes=-100", SIZE - 100, SIZE - 1), (f"bytes=-{SIZE * 2}", 0, SIZE - 1), ("bytes=0-", 0, SIZE - 1),
         (f"bytes=5-{SIZE * 9}", 5, SIZE - 1), (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1), ("Bytes=1-2", 1, 2),
         ("bytes= 1-2 ", 1, 2), ("bytes=,1-2,", 1, 2), ("bytes=0001-00002", 1, 2),
         ("bytes=1-" + "9" * 5000, 1, SIZE - 1)],
    )  # fmt: skip
    def test_a_part(self, url, client, asked, first, last):
        answer = client.get(url, headers={"Range": asked})
        assert answer.status_code == 206
        assert answer["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer["Content-Length"] == str(last - first + 1)
        assert answer["ETag"] and answer["Last-Modified"] and answer["Content-Type"] == "audio/mpeg"
        assert answer.getvalue() == SOUND[first : last + 1]

    @pytest.mark.parametrize(
        "asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 9}", "bytes=-0", "bytes=" + "9" * 5000 + "-"]
    )
    def test_a_part_behind_the_end_is_416(self, url, client, asked):
        answer = client.get(url, headers={"Range": asked})
        assert answer.status_code == 416
        assert answer["Content-Range"] == f"bytes */{SIZE}"
        assert answer.json()["error"] == "range_not_satisfiable"

    @pytest.mark.parametrize(
        "asked",
        ["bytes=0-1,5-9", "bytes=9-5", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=--1", "bytes=1-2-3",
         "items=0-1", "bytes=+1-2", "bytes=0x1-2", "bytes=1.0-2", "bytes=٠-١", "bytes:0-1", "=0-1", "", "bytes=,"],
    )  # fmt: skip
    def test_what_is_not_understood_is_passed_over(self, url, client, asked):
        answer = client.get(url, headers={"Range": asked})
        assert answer.status_code == 200
        assert answer.getvalue() == SOUND
        assert "Content-Range" not in answer

    def test_if_range(self, url, client):
        whole = client.get(url)
        etag, date = whole["ETag"], whole["Last-Modified"]
        for condition, status in (
            (etag, 206), (date, 206), ('"other"', 200), (f"W/{etag}", 200), (etag.strip('"'), 200), ("garbage", 200),
            (http_date(datetime(2025, 9, 1, 13, 43, 24, tzinfo=UTC).timestamp()), 200),
            (http_date(datetime(2025, 9, 1, 13, 43, 26, tzinfo=UTC).timestamp()), 200),
        ):  # fmt: skip
            answer = client.get(url, headers={"Range": "bytes=1-2", "If-Range": condition})
            assert answer.status_code == status, condition
            assert answer.getvalue() == (SOUND[1:3] if status == 206 else SOUND)
        assert client.get(url, headers={"If-Range": etag}).status_code == 200
        behind = {"Range": f"bytes={SIZE}-"}
        assert client.get(url, headers=behind | {"If-Range": '"other"'}).status_code == 200
        assert client.get(url, headers=behind | {"If-Range": etag}).status_code == 416

    def test_conditions(self, url, client):
        etag, date = client.get(url)["ETag"], client.get(url)["Last-Modified"]
        for headers, status in (
            ({"If-None-Match": etag}, 304), ({"If-None-Match": f"W/{etag}"}, 304), ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": f'"a", {etag}'}, 304), ({"If-None-Match": '"a"'}, 200),
            ({"If-Modified-Since": date}, 304), ({"If-Modified-Since": "Mon, 01 Sep 2025 13:43:24 GMT"}, 200),
            ({"If-None-Match": '"a"', "If-Modified-Since": date}, 200), ({"If-Modified-Since": "yesterday"}, 200),
            ({"If-Match": etag}, 200), ({"If-Match": '"a"'}, 412), ({"If-Unmodified-Since": date}, 200),
            ({"If-Unmodified-Since": "Mon, 01 Sep 2025 13:43:24 GMT"}, 412),
            ({"If-None-Match": etag, "Range": "bytes=0-1"}, 304), ({"If-None-Match": '"a"', "Range": "bytes=0-1"}, 206),
            ({"If-None-Match": etag, "Range": f"bytes={SIZE}-"}, 304),
        ):  # fmt: skip
            for ask in (client.get, client.head):
                answer = ask(url, headers=headers)
                expected = 200 if status == 206 and ask == client.head else status
                assert answer.status_code == expected, headers
                if status == 304:
                    assert answer.content == b"" and answer["ETag"] == etag and answer["Last-Modified"] == date

    def test_a_date_in_the_future_is_not_said(self, url, client):
        AudioFile.objects.update(added_at=datetime.now(UTC) + timedelta(days=9))
        said = datetime.strptime(client.get(url)["Last-Modified"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        assert said <= datetime.now(UTC)

    @pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-999"}])
    def test_nothing_is_compressed(self, url, client, asked):
        answer = client.get(url, headers={"Accept-Encoding": "gzip, br", **asked})
        assert "Content-Encoding" not in answer
        assert answer.getvalue() == SOUND[:1000] if asked else SOUND
        assert answer["ETag"].startswith('"')

    @given(
        first=st.integers(0, SIZE + 5), last=st.integers(0, SIZE + 5), form=st.sampled_from(["{}-{}", "{}-", "-{1}"])
    )
    @hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_any_range_is_the_slice_that_it_says(self, rf, first, last, form):
        request = rf.get("/", headers={"Range": "bytes=" + form.format(first, last)})
        try:
            part = ranges.part_asked_for(request, SIZE, '"e"', 1)
        except ranges.Unsatisfiable:
            assert (last == 0) if form == "-{1}" else first >= SIZE
            return
        if part is None:
            assert form == "{}-{}" and last < first
            return
        wanted = {"{}-{}": SOUND[first : last + 1], "{}-": SOUND[first:], "-{1}": SOUND[max(0, SIZE - last) :]}[form]
        assert b"".join(Body(BytesIO(SOUND), part.first, part.length)) == wanted


class TestBody:
    def test_a_file_that_ends_too_early_is_an_error(self):
        with pytest.raises(OSError, match="ends before"):
            list(Body(BytesIO(b"123"), 0, 5))

    def test_it_closes_its_file_also_when_nothing_was_read(self):
        file = BytesIO(SOUND)
        Body(file, 0, SIZE).close()
        assert file.closed


# Over a socket ------------------------------------------------------------------------------------


@pytest.fixture
def server(transactional_db, media) -> Iterator[Server]:
    """A gunicorn with four threads, which gives up on a paused player after a second."""
    shorter = "from ingest import ranges; ranges.STALLED_AFTER_SECONDS = 1"
    with gunicorn(media, "--threads", "4", before=shorter, INGEST_TOKEN=TOKEN) as running:
        yield running


def open_files(process: Path) -> list[str]:
    """What a process has open."""
    names = []
    for link in process.joinpath("fd").iterdir():
        # It may be closed by now.
        with contextlib.suppress(FileNotFoundError):
            names.append(str(link.readlink()))
    return names


def open_media(process: Path, media: Path) -> int:
    """How many files of the media folder a process has open."""
    return sum(name.startswith(str(media)) for name in open_files(process))


def memory_kilobytes(process: Path, name: str) -> int:
    status = process.joinpath("status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name)))


def ask(port: int, address: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, address, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def send(port: int, content: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "multipart/form-data; boundary=b"}
    connection.request("POST", "/ingest/audio", form_body(content, KEY), headers)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
class TestOverASocket:
    def test_gunicorn(self, server, media):
        port = server.port
        make_video(video_id=KEY)
        sound = mp3(os.urandom(413), frames=150_000)
        process = server.worker()
        ask(port, "/health")
        before = memory_kilobytes(process, "VmRSS")

        # An upload of 60 MB, and the same back, in memory that does not depend on the size.
        status, body = send(port, sound)
        assert status == 200, body
        url = f"/exports/by_video/{KEY}"
        response, content = ask(port, url, Accept_Encoding="gzip")
        assert (response.status, content == sound) == (200, True)
        assert response.getheader("Content-Encoding") is None
        assert response.getheader("Transfer-Encoding") is None
        assert memory_kilobytes(process, "VmHWM") - before < 30_000

        # Parts and HEAD.
        response, content = ask(port, url, Range="bytes=1000000-1000999")
        assert (response.status, content) == (206, sound[1_000_000:1_001_000])
        assert response.getheader("Content-Range") == f"bytes 1000000-1000999/{len(sound)}"
        response, content = ask(port, url, "HEAD")
        assert (response.status, content, response.getheader("Content-Length")) == (200, b"", str(len(sound)))
        for address in ("/exports/../manage.py", "/exports/%2e%2e/manage.py", "/exports/a%00b.mp3", "//etc/passwd.mp3"):
            assert ask(port, address)[0].status == 404
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(lambda n: ask(port, url, Range=f"bytes={n}000-{n}999")[1], range(1, 80)))
        assert parts == [sound[n * 1000 : n * 1000 + 1000] for n in range(1, 80)]
        assert wait_for(lambda: open_media(process, media) == 0)

        # Players that are paused, one for each thread and more, hold up nobody else.
        stalled = []
        for _ in range(8):
            player = socket.create_connection(("127.0.0.1", port))
            player.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            player.sendall(f"GET {url} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-\r\n\r\n".encode())
            stalled.append(player)
        assert wait_for(lambda: open_media(process, media) > 0)
        started = time.monotonic()
        assert ask(port, "/health")[0].status == 200
        assert time.monotonic() - started < 10
        for player in stalled:
            player.close()
        assert wait_for(lambda: open_media(process, media) == 0)

        # A file that is too large is told so before it is read.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest("POST", "/ingest/audio")
        connection.putheader("X-Sync-Secret", TOKEN)
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", str(10**10))
        connection.endheaders(b"--b\r\n")
        response = connection.getresponse()
        assert (response.status, b"too_large" in response.read()) == (413, True)
        connection.close()

        # A client that goes away in the middle.
        gone = socket.create_connection(("127.0.0.1", port))
        gone.sendall(f"GET {url} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        gone.recv(1000)
        gone.close()
        assert wait_for(lambda: open_media(process, media) == 0)

    def test_a_process_that_is_killed_during_an_upload_leaves_nothing(self, server, media):
        port = server.port
        make_video(video_id=KEY)
        body = form_body(mp3(frames=50_000), KEY)
        process = server.worker()
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(
            b"POST /ingest/audio HTTP/1.1\r\nHost: localhost\r\nX-INGEST-TOKEN: " + TOKEN.encode()
            + b"\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2]
        )  # fmt: skip
        assert wait_for(lambda: any("(deleted)" in target for target in open_files(process)))
        os.kill(int(process.name), 9)
        client.close()
        assert [path for path in media.rglob("*") if path.is_file()] == []
        assert not AudioFile.objects.exists()
        # The next process takes the whole file.
        assert wait_for(server.answers)
        assert send(port, mp3())[0] == 200
