"""Audio files that come along: to exactly the video that the name says, whole, once, and nothing else."""

import hashlib
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest import audio
from ingest.audio import AudioError, Reason, lines, plan_audio_files, readings, take_audio_files
from ingest.models import AudioFile
from ingest.sqlite import importer
from ingest.sqlite.importer import ImportLocked, import_lock
from videos.models import Video

from .factories import make_video

KEY = "AbC-dE_f123"
TIME = "20250901_134325"


def mp3(content: bytes = b"a", frames: int = 3, header: bytes = b"\xff\xfb\x90\x00", tag: bytes = b"") -> bytes:
    """An MP3 of so many frames of 417 bytes: MPEG 1, layer III, 128 kbit/s, 44,100 Hz."""
    return tag + (header + content.ljust(413, b"\x55")) * frames


def tag(size: int = 100, footer: bool = False) -> bytes:
    """An ID3 tag whose content of so many bytes looks like frames."""
    sizes = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    head = b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + sizes
    return head + b"\xff\xfb\x90\x00".ljust(size, b"\xff") + (b"3DI".ljust(10, b"\x00") if footer else b"")


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "exports"
    path.mkdir()
    return path


@pytest.fixture
def put(folder):
    """Writes files into the folder: names with their content."""

    def write(**files: bytes) -> None:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)

    return write


def state(path: Path) -> dict[str, tuple[bytes, float]]:
    return {str(file): (file.read_bytes(), file.stat().st_mtime) for file in path.rglob("*") if file.is_file()}


class TestNames:
    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize(
        "name",
        [f"{KEY}.mp3", f"{KEY}_{TIME}.mp3", f"audio_{KEY}_{TIME}.mp3", f"yt:{KEY}.mp3", f"yt_{KEY}_{TIME}.mp3",
         f"audio_yt:{KEY}_{TIME}.mp3", f"yt:{KEY.lower()}.mp3", f"yt_{KEY.lower()}.mp3"],
    )  # fmt: skip
    def test_each_form_finds_its_video(self, folder, name):
        video = make_video(video_id=KEY, legacy_id=f"yt:{KEY.lower()}", has_audio=False)
        (folder / name).write_bytes(mp3())
        report = take_audio_files(folder)
        assert report.taken == [name]
        file = video.audio_files.get()
        assert (file.source_name, file.size_bytes) == (name, 3 * 417)
        assert file.sha256 == hashlib.sha256(mp3()).hexdigest()
        assert default_storage.open(file.name).read() == mp3()
        video.refresh_from_db()
        assert video.has_audio

    @pytest.mark.parametrize(
        "name",
        [f"{KEY.lower()}.mp3", f"{KEY.upper()}.mp3", f"{KEY[:-1]}.mp3", f"{KEY}4.mp3", f"title_words_{KEY}.mp3",
         f"audio_{KEY}.mp3", f"{KEY}_1.mp3", f"{KEY}_0056c1.mp3", f"{KEY}_{TIME}_1.mp3", f"{KEY}_2025091_134325.mp3",
         f"{KEY}_20251301_134325.mp3", f"AUDIO_{KEY}_{TIME}.mp3", f" {KEY}.mp3", f"{KEY} .mp3", f"{KEY}.mp3.mp3",
         f"{KEY}_٢٠٢٥٠٩٠١_134325.mp3", ".mp3", "%.mp3", "___________.mp3", f"{TIME}.mp3", f"audio__{TIME}.mp3"],
    )  # fmt: skip
    def test_nothing_else_finds_it(self, folder, name):
        make_video(video_id=KEY, legacy_id=f"yt:{KEY.lower()}")
        (folder / name).write_bytes(mp3())
        assert take_audio_files(folder).not_taken == {Reason.UNKNOWN_VIDEO: [name]}
        assert not AudioFile.objects.exists()

    @pytest.mark.parametrize(
        ("video_id", "name"),
        [("_20250901_1", f"_20250901_1_{TIME}.mp3"), ("audio_ABCDE", "audio_ABCDE.mp3"),
         ("audio_ABCDE", f"audio_ABCDE_{TIME}.mp3"), ("12345678_12", f"audio_12345678_12_{TIME}.mp3"),
         ("-x1d-K2l6oU", "-x1d-K2l6oU.mp3"), ("reddit:1abc", f"reddit:1abc_{TIME}.mp3"), ("reddit:1abc", "1abc.mp3"),
         ("reddit:1abc", f"audio_1abc_{TIME}.mp3"), ("web:" + "0f" * 12, f"yt_{'0f' * 12}.mp3"), (TIME, f"{TIME}.mp3")],
    )  # fmt: skip
    def test_ids_that_look_like_parts_of_a_name_are_read_by_position(self, folder, video_id, name):
        make_video(video_id=video_id)
        (folder / name).write_bytes(mp3())
        assert take_audio_files(folder).taken == [name]
        assert AudioFile.objects.get().video_id == video_id

    def test_two_ids_that_differ_by_case_are_two_videos(self, folder, put):
        make_video(1, video_id=KEY)
        make_video(2, video_id=KEY.lower())
        put(**{f"{KEY}.mp3": mp3(b"upper"), f"{KEY.lower()}.mp3": mp3(b"lower")})
        take_audio_files(folder)
        for key, content in ((KEY, b"upper"), (KEY.lower(), b"lower")):
            assert default_storage.open(AudioFile.objects.get(video_id=key).name).read() == mp3(content)

    def test_a_name_that_can_mean_two_videos_is_not_taken(self, folder, put):
        make_video(1, video_id="audio_ABCDE")
        make_video(2, video_id="ABCDE")
        put(**{f"audio_ABCDE_{TIME}.mp3": mp3()})
        assert take_audio_files(folder).not_taken == {Reason.AMBIGUOUS: [f"audio_ABCDE_{TIME}.mp3"]}

    def test_a_deleted_video_gets_nothing(self, folder, put, django_user_model):
        make_video(video_id=KEY, has_audio=False, deleted_at=datetime.now(UTC))
        put(**{f"{KEY}.mp3": mp3()})
        assert take_audio_files(folder).not_taken == {Reason.DELETED: [f"{KEY}.mp3"]}
        assert not Video.objects.get().has_audio

    @given(text=st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), max_size=30))
    @hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_a_name_means_is_written_out_in_it(self, text):
        for name in readings(f"{text}.mp3"):
            assert re.sub("^(yt|reddit|web):", "", name) in text


class TestContent:
    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize(
        "content",
        [mp3(), mp3(frames=2), mp3() + b"cut", mp3(tag=tag()), mp3(tag=tag(200) + tag(50)), mp3(tag=tag(footer=True)),
         mp3(tag=tag() + bytes(5000)),
         # MPEG 2 at 22,050 Hz and 64 kbit/s: 208 bytes.
         (b"\xff\xf3\x80\x00".ljust(208, b"\x00")) * 2,
         # A frame with padding, then one without.
         b"\xff\xfb\x92\x00".ljust(418, b"\x55") + mp3(frames=1),
         # A tag of a wrong size, and something between it and the first frame.
         b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f" + mp3(), mp3(tag=tag() + b"junk"), mp3(tag=tag()[:80]), bytes(300) + mp3()],
    )  # fmt: skip
    def test_mp3s_are_taken(self, folder, put, content):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": content})
        assert take_audio_files(folder).taken == [f"{KEY}.mp3"]
        assert default_storage.open(AudioFile.objects.get().name).read() == content

    @pytest.mark.parametrize(
        "content",
        [b"<!doctype html><p>502 Bad Gateway", b"ID", b"{}", b"\xff\xfb\x90", "\ufeffwords".encode("utf-16"),
         b"\x89PNG\r\n\x1a\n", b"OggS".ljust(100, b"\x00"), b"\x00\x00\x00\x20ftypM4A ", b"x" + mp3(),
         b"RIFF\x24\x00\x00\x00WAVEfmt ", bytes(100_000), b"\xff" * 5000,
         # A tag alone, or cut off; a frame alone.
         b"ID3", tag(), tag()[:50], b"ID3".ljust(5000, b"\xff"), mp3(frames=1), mp3(frames=1) + b"\x00" * 1000,
         mp3(frames=1, tag=tag()), b"\xff\xfb\x90\x00" + b"\x55" * 2000,
         # AAC has the same sync, another layer; a free bit rate; a reserved version and sample rate; another sample
         # rate behind the first frame.
         mp3(header=b"\xff\xf1\x90\x00"), mp3(header=b"\xff\xfb\x00\x00"), mp3(header=b"\xff\xeb\x90\x00"),
         mp3(header=b"\xff\xfb\x9c\x00"), mp3(frames=1) + b"\xff\xfb\x94\x00" * 300],
    )  # fmt: skip
    def test_what_is_no_mp3_is_not_taken(self, folder, put, content):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": content})
        assert take_audio_files(folder).not_taken == {Reason.NOT_MP3: [f"{KEY}.mp3"]}

    @given(content=st.binary(max_size=2000) | st.binary(max_size=400).map(lambda end: tag(20) + b"\xff\xfb" + end))
    @hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_bytes_can_be_looked_at(self, tmp_path, content):
        path = tmp_path / "bytes"
        path.write_bytes(content)
        with path.open("rb") as file:
            assert audio.is_mp3(file) in (True, False)

    def test_other_entries_of_the_folder_are_reported_each_with_its_reason(self, folder, put):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": b"", "notes.txt": b"x", f"{KEY}.MP3": mp3()})
        (folder / f"yt:{KEY}.mp3").symlink_to("/dev/zero")
        (folder / f"{KEY}_{TIME}.mp3").mkdir()
        os.mkfifo(folder / f"yt_{KEY}.mp3")
        (folder / os.fsdecode(b"\xff\n.mp3")).write_bytes(mp3())
        report = take_audio_files(folder)
        assert report.taken == []
        assert report.not_taken == {
            Reason.EMPTY: [f"{KEY}.mp3"],
            Reason.NO_FORM: [f"{KEY}.MP3", "notes.txt"],
            Reason.SYMLINK: [f"yt:{KEY}.mp3"],
            Reason.FOLDER: [f"{KEY}_{TIME}.mp3"],
            Reason.NO_FILE: [f"yt_{KEY}.mp3"],
            Reason.UNKNOWN_VIDEO: ["\\udcff\\n.mp3"],
        }
        assert not any("\n" in line or "\udcff" in line for line in lines(report))

    def test_an_empty_file_leaves_the_good_one(self, folder, put):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        take_audio_files(folder)
        put(**{f"{KEY}.mp3": b""})
        assert take_audio_files(folder).not_taken == {Reason.EMPTY: [f"{KEY}.mp3"]}
        assert default_storage.open(AudioFile.objects.get().name).read() == mp3()


class TestCopies:
    pytestmark = pytest.mark.django_db

    def test_of_several_files_the_newest_by_name_is_the_current_one(self, folder, put):
        video = make_video(video_id=KEY)
        put(
            **{f"{KEY}_20250901_000000.mp3": mp3(b"1"), f"audio_{KEY}_20250903_000000.mp3": mp3(b"3"),
               f"{KEY}_20250902_000000.mp3": mp3(b"2"), f"{KEY}.mp3": mp3(b"0")}
        )  # fmt: skip
        os.utime(folder / f"{KEY}.mp3", (4e9, 4e9))
        assert len(take_audio_files(folder).taken) == 4
        contents = [default_storage.open(file.name).read() for file in video.audio_files.all()]
        assert contents == [mp3(b"3"), mp3(b"2"), mp3(b"1"), mp3(b"0")]
        assert video.audio_files.first().added_at == datetime(2025, 9, 3, tzinfo=UTC)

    def test_a_second_run_changes_nothing_and_the_folder_is_never_written(self, folder, put, media):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3(), f"{KEY}_{TIME}.mp3": mp3(), "other.mp3": mp3()})
        source = state(folder)
        first = take_audio_files(folder)
        # The same sound twice is one file, with the newest time.
        assert (first.taken, first.already_there) == ([f"{KEY}_{TIME}.mp3"], [f"{KEY}.mp3"])
        rows, files = list(AudioFile.objects.values()), state(media)
        second = take_audio_files(folder)
        assert (second.taken, len(second.already_there), second.not_taken) == ([], 2, first.not_taken)
        assert (list(AudioFile.objects.values()), state(media)) == (rows, files)
        assert state(folder) == source
        assert folder.stat().st_mtime < time.time()

    def test_a_plan_says_the_same_and_writes_nothing(self, folder, put, media):
        make_video(video_id=KEY, has_audio=False)
        put(**{f"{KEY}.mp3": mp3(), f"{KEY}_{TIME}.mp3": mp3(), "other.mp3": mp3(), "new_video_1.mp3": mp3(b"new")})
        make_video(2, video_id="new_video_1", has_audio=False)
        plan = plan_audio_files(folder)
        assert not media.exists() and not AudioFile.objects.exists() and not Video.objects.filter(has_audio=True)
        assert "2 would be taken (2,502 bytes)" in "\n".join(lines(plan))
        report = take_audio_files(folder)
        assert (report.taken, report.already_there, report.not_taken, report.taken_bytes) == (
            plan.taken, plan.already_there, plan.not_taken, plan.taken_bytes,
        )  # fmt: skip

    @pytest.mark.parametrize("video_id", ["reddit:1abc", "../../etc/passwd", "a/b", "a:b", ".", "é" * 80, "x" * 400])
    def test_the_stored_name_is_safe_whatever_the_key(self, media, video_id):
        name = audio.stored_name(video_id, audio.Sound("0123456789abcdef" * 4, 1))
        assert Path(default_storage.path(name)).parent == media / "audio"
        assert len(name) < 150 and name.endswith("-0123456789ab.mp3") and name.isascii()

    def test_keys_that_are_made_safe_do_not_meet(self):
        keys = ["a:b", "a/b", "A:b", "a.b", "a b", "a-b"]
        assert len({audio.stored_name(key, audio.Sound("0" * 64, 1)) for key in keys}) == len(keys)

    def test_copies_are_the_owners_only(self, folder, put, media):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        take_audio_files(folder)
        path = Path(default_storage.path(AudioFile.objects.get().name))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_lost_or_damaged_copy_is_made_again(self, folder, put):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        take_audio_files(folder)
        file = AudioFile.objects.get()
        path = Path(default_storage.path(file.name))
        for damage in (path.unlink, lambda: path.write_bytes(b"cut")):
            damage()
            assert take_audio_files(folder).taken == [f"{KEY}.mp3"]
            assert path.read_bytes() == mp3()
            assert AudioFile.objects.get() == file

    def test_a_file_of_that_name_that_nobody_knows_is_left_alone(self, folder, put):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        name = audio.stored_name(KEY, audio.Sound(hashlib.sha256(mp3()).hexdigest(), 1))
        other = Path(default_storage.path(name))
        other.parent.mkdir(parents=True)
        other.write_bytes(b"somebody's")
        take_audio_files(folder)
        assert other.read_bytes() == b"somebody's"
        assert default_storage.open(AudioFile.objects.get().name).read() == mp3()

    @pytest.mark.parametrize("content", [mp3(), b"half"])
    def test_a_complete_copy_that_no_row_has_yet_is_used(self, folder, put, content):
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        name = audio.stored_name(KEY, audio.Sound(hashlib.sha256(mp3()).hexdigest(), 1))
        path = Path(default_storage.path(name))
        path.parent.mkdir(parents=True)
        (path if content == mp3() else path.with_name(path.name + audio.UNFINISHED)).write_bytes(content)
        take_audio_files(folder)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert AudioFile.objects.get().name == name

    def test_a_disk_that_takes_no_more_is_a_sentence(self, folder, put, media):
        make_video(1, video_id=KEY)
        make_video(2, video_id="large_file1", has_audio=False)
        put(**{f"{KEY}_{TIME}.mp3": mp3()})
        take_audio_files(folder)
        before = state(media)
        put(**{"large_file1.mp3": mp3(frames=500)})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(
                AudioError, match=r"MEDIA_DIR\): File too large; mend that, and run this again\. No file"
            ):
                take_audio_files(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert state(media) == before
        assert not Video.objects.get(pk="large_file1").has_audio
        assert take_audio_files(folder).taken == ["large_file1.mp3"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    def test_a_full_disk_is_a_sentence(self, folder, put, media):
        media.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(media)], capture_output=True)
        if mounted.returncode:
            pytest.skip("this machine lets nobody mount a small disk")
        try:
            make_video(1, video_id=KEY)
            make_video(2, video_id="large_file1")
            put(**{f"{KEY}_{TIME}.mp3": mp3(), "large_file1.mp3": mp3(frames=500)})
            with pytest.raises(AudioError, match=r"no space is left; free some, and run this again\. 1 files were"):
                take_audio_files(folder)
            assert [content for content, _ in state(media).values()] == [mp3()]
            assert AudioFile.objects.get().video_id == KEY
        finally:
            subprocess.run(["umount", str(media)], check=True)

    def test_a_folder_that_cannot_be_read_is_a_sentence(self, tmp_path, media):
        (tmp_path / "file").write_bytes(b"x")
        for path, sentence in ((tmp_path / "none", "does not exist"), (tmp_path / "file", "is no folder")):
            with pytest.raises(AudioError, match=sentence):
                take_audio_files(path)
        for path in (tmp_path, media, media / "audio"):
            (media / "audio").mkdir(parents=True, exist_ok=True)
            with pytest.raises(AudioError, match="files of this site itself"):
                take_audio_files(path)

    def test_the_number_of_queries_per_file_is_fixed(self, folder, put, django_assert_max_num_queries):
        for number in range(20):
            make_video(number)
            put(**{f"video_{number:05d}.mp3": mp3()})
        with django_assert_max_num_queries(20 * 8 + 10):
            assert len(take_audio_files(folder).taken) == 20
        with django_assert_max_num_queries(20 + 10):
            assert len(take_audio_files(folder).already_there) == 20


@pytest.mark.django_db(transaction=True)
class TestSeveralConnections:
    def test_a_second_run_at_the_same_time_is_kept_out(self, folder, put, monkeypatch):
        monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0.1)
        make_video(video_id=KEY)
        put(**{f"{KEY}.mp3": mp3()})
        refused = []

        def second() -> None:
            try:
                take_audio_files(folder)
            except ImportLocked as error:
                refused.append(str(error))
            connections.close_all()

        with import_lock():
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
        assert refused == ["Another import is running; wait until it is done."]
        assert take_audio_files(folder).taken == [f"{KEY}.mp3"]

    def test_a_video_deleted_meanwhile_gets_nothing(self, folder, put, media):
        make_video(video_id=KEY, has_audio=False)
        put(**{f"{KEY}.mp3": mp3()})
        reports = []

        def take() -> None:
            reports.append(take_audio_files(folder))
            connections.close_all()

        with transaction.atomic():
            Video.objects.filter(pk=KEY).update(deleted_at=datetime.now(UTC))
            thread = threading.Thread(target=take)
            thread.start()
            deadline = time.monotonic() + 10
            while not any((media / "audio").glob("*.mp3")) and time.monotonic() < deadline:
                time.sleep(0.01)
        thread.join()
        assert reports[0].not_taken == {Reason.DELETED: [f"{KEY}.mp3"]}
        assert not AudioFile.objects.exists() and not Video.objects.get().has_audio
        assert not any((media / "audio").iterdir())

    def test_a_run_killed_in_the_middle_leaves_no_half_file_and_the_next_completes_it(self, folder, put, media):
        videos = [make_video(number).pk for number in range(3)]
        put(**{f"{key}.mp3": mp3(key.encode(), frames=30_000) for key in videos})
        code = (
            "import sys, django; django.setup(); from django.conf import settings; from django.db import connection;"
            "settings.MEDIA_ROOT = sys.argv[1]; connection.settings_dict['NAME'] = sys.argv[3];"
            "from ingest.audio import take_audio_files; from pathlib import Path; take_audio_files(Path(sys.argv[2]))"
        )
        database = connections["default"].settings_dict["NAME"]
        run = subprocess.Popen(
            [sys.executable, "-c", code, str(media), str(folder), database],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "ytv2.settings"}, stderr=subprocess.PIPE,
        )  # fmt: skip
        while run.poll() is None and not any(media.rglob(f"*{audio.UNFINISHED}")):
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert run.returncode == -signal.SIGKILL, run.stderr.read()
        whole = {mp3(key.encode(), frames=30_000) for key in videos}
        assert all(path.read_bytes() in whole for path in media.rglob("*.mp3"))
        # The server lets go of the dead run's lock as soon as it sees the closed connection.
        for _ in range(100):
            try:
                take_audio_files(folder)
                break
            except ImportLocked:
                time.sleep(0.05)
        assert AudioFile.objects.count() == 3
        assert {path.read_bytes() for path in (media / "audio").iterdir()} == whole
