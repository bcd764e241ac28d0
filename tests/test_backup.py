"""A backup is there whole or not at all, is of one state, and is known to be damaged before it is needed."""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from ingest import backup as backups
from ingest.backup import (
    DUMP,
    MANIFEST,
    MEDIA,
    BackupDamaged,
    BackupError,
    BackupOutdated,
    beside,
    drill,
    last_drill,
    make_backup,
    programs,
    read_backup,
    rendered,
    server_major,
)
from ingest.models import CutoverStep
from ingest.scratch import prefix
from videos.models import Video

from .factories import make_library, new_video
from .sqlite.test_import import start

VIDEOS = 30
SECRET = "a-secret-of-the-database"


def scratch_databases() -> list[str]:
    """Those of this library: tests beside these have a library of their own on the same server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix(connection)])
        return [name for (name,) in cursor.fetchall()]


def resign(folder: Path, **values: Any) -> None:
    """Let a manifest say something else, in due form."""
    document = json.loads((folder / MANIFEST).read_bytes())
    document.pop("sha256")
    document |= values
    for name in (DUMP, MEDIA):
        document["files"][name] = {
            "bytes": (folder / name).stat().st_size,
            "sha256": backups.file_sha256(folder / name),
        }
    (folder / MANIFEST).write_bytes(rendered(document))


@pytest.fixture(scope="module")
def pristine(django_db_setup, django_db_blocker, tmp_path_factory) -> Path:
    """A backup of a small library, which is not there any more."""
    folder = tmp_path_factory.mktemp("backups")
    media = tmp_path_factory.mktemp("media")
    (media / "audio").mkdir()
    (media / "audio" / "one.mp3").write_bytes(b"sound")
    (media / "odd\nname").write_bytes(b"")
    own, settings.MEDIA_ROOT = settings.MEDIA_ROOT, media
    with django_db_blocker.unblock():
        make_library(VIDEOS)
        Video.objects.order_by("pk").first().delete_by("anna", "not wanted")
        try:
            return make_backup(folder).folder
        finally:
            settings.MEDIA_ROOT = own
            call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the backup, to be harmed."""
    return Path(shutil.copytree(pristine, tmp_path / pristine.name))


# Making


def test_a_backup_holds_a_dump_a_list_and_a_manifest_that_only_its_owner_reads(pristine):
    assert sorted(path.name for path in pristine.iterdir()) == [DUMP, MANIFEST, MEDIA]
    assert pristine.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in pristine.iterdir()} == {0o600}
    assert [path.name for path in pristine.parent.iterdir()] == [pristine.name]
    found = read_backup(pristine)
    assert {name: one.count for name, one in found.sets.items()} == {
        "videos": VIDEOS, "deleted": 1, "summaries": 2 * VIDEOS, "triples": 2 * VIDEOS, "decisions": VIDEOS,
    }  # fmt: skip
    assert found.tables["videos_video"] == VIDEOS
    lines = [line.split("\t") for line in (pristine / MEDIA).read_text().splitlines()]
    assert [(size, name) for _, size, name in lines] == [("5", "audio/one.mp3"), ("0", "odd\\nname")]
    assert lines[0][0] == backups.hashlib.sha256(b"sound").hexdigest()
    assert (found.media_files, found.media_bytes) == (2, 5)


@pytest.mark.django_db(transaction=True)
def test_the_dump_and_the_digests_are_of_one_state_whoever_writes_meanwhile(tmp_path):
    make_library(VIDEOS)
    stop, written = threading.Event(), []

    def write() -> None:
        try:
            number = VIDEOS
            while not stop.is_set():
                Video.objects.bulk_create([new_video(number)])
                written.append(number)
                number += 1
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not written:
            time.sleep(0.01)
        before = len(written)
        made = make_backup(tmp_path)
        after = len(written)
    finally:
        stop.set()
        writer.join()
    assert after > before, "nobody wrote meanwhile, so this proves nothing"
    assert drill(made.folder, "anna").sets == made.sets


@pytest.mark.django_db
def test_no_backup_is_made_where_everybody_reads_or_where_there_is_no_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "audio").mkdir()
    with pytest.raises(BackupError, match="MEDIA_DIR"):
        make_backup(tmp_path / "audio")
    settings.MEDIA_ROOT = tmp_path / "audio"
    with pytest.raises(BackupError, match="make it first"):
        make_backup(tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["audio"]


@pytest.mark.django_db
def test_without_programs_of_the_servers_version_it_says_which_package_to_install():
    with pytest.raises(BackupError, match=r"postgresql-client-99; where"):
        programs(99)
    with beside() as database:
        major = server_major(database)
    assert programs(major).major >= major


@pytest.mark.django_db(transaction=True)
def test_a_backup_that_is_killed_leaves_nothing_that_looks_complete_and_tells_no_secret(tmp_path):
    make_library(VIDEOS)
    parameters = connection.get_connection_params()
    url = f"postgres://{parameters['user']}:{SECRET}@/x?host={parameters['host']}"
    if settings.DATABASE_URL:
        pytest.skip("the database of the tests may want another password")
    with psycopg.connect(connection.connection.info.dsn) as other:
        # pg_dump has begun its file, and waits.
        other.execute("LOCK TABLE videos_video IN ACCESS EXCLUSIVE MODE")
        process = start("backup", tmp_path, DATABASE_URL=url)
        try:
            wait_until(lambda: list(tmp_path.glob(f".*/ytv2-*/{DUMP}")) or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            (child,) = children(process.pid)
            shown = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            assert shown[0].endswith("pg_dump") and not any(SECRET in word for word in shown)
            assert f"PGPASSWORD={SECRET}" in Path(f"/proc/{child}/environ").read_text()
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    with pytest.raises(BackupError):
        read_backup(tmp_path)
    with pytest.raises(BackupDamaged, match=MANIFEST):
        read_backup(next(left.iterdir()))
    made = make_backup(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [made.folder.name]
    assert drill(made.folder, "anna").sets["videos"].count == VIDEOS


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(number) for number in found.split()]


# Trying


@pytest.mark.django_db(transaction=True)
def test_a_drill_restores_it_says_so_keeps_a_step_and_drops_its_database(pristine):
    output = StringIO()
    call_command("restore_drill", str(pristine), by="anna", stdout=output, stderr=StringIO())
    assert "can be restored, and is whole" in output.getvalue() and f"{VIDEOS} videos, 1 of them deleted" in (
        output.getvalue()
    )
    step, made = last_drill(), read_backup(pristine)
    assert (step.by, step.verb, step.outcome) == ("anna", "restore_drill", "done")
    assert step.numbers.keys() == {"backup_sha256", "backup_made_at", "folder", "seconds", "videos"}
    assert step.numbers["backup_sha256"] == made.sha256 == backups.file_sha256(pristine / MANIFEST)
    assert step.numbers["backup_made_at"] == made.made_at.isoformat() and step.numbers["videos"] == VIDEOS
    assert scratch_databases() == []
    assert Video.objects.count() == 0


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def spaced(path: Path) -> None:
    """Other bytes that mean the same, where it is JSON."""
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.django_db
@pytest.mark.parametrize("harm", [cut, emptied, flipped, spaced, Path.unlink])
@pytest.mark.parametrize("name", [DUMP, MEDIA, MANIFEST])
def test_a_damaged_backup_is_refused_by_all_and_never_kept_as_done(folder, name, harm):
    harm(folder / name)
    commands = {
        "restore_drill": {"by": "anna"}, "assess": {}, "restore": {"by": "anna", "only_missing": True},
    }  # fmt: skip
    for command, options in commands.items():
        with pytest.raises(CommandError, match=re.escape(name)) as refused:
            call_command(command, str(folder), **options, stdout=StringIO(), stderr=StringIO())
        assert refused.value.returncode == 2
    assert last_drill() is None
    assert [step.outcome for step in CutoverStep.objects.all()] == ["refused"]
    assert scratch_databases() == []


def test_every_single_byte_of_the_manifest_counts(folder):
    path = folder / MANIFEST
    raw = path.read_bytes()
    for place in range(0, len(raw), 7):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(BackupError):
            read_backup(folder)
    path.write_bytes(raw)
    assert read_backup(folder).sets["videos"].count == VIDEOS


@pytest.mark.django_db(transaction=True)
def test_a_dump_that_cannot_be_restored_is_damaged_whatever_its_manifest_says(folder):
    os.truncate(folder / DUMP, (folder / DUMP).stat().st_size // 2)
    resign(folder)
    with pytest.raises(BackupDamaged, match="pg_restore failed"):
        drill(folder, "anna")
    assert last_drill() is None and scratch_databases() == []


@pytest.mark.django_db(transaction=True)
def test_what_was_restored_must_be_what_the_manifest_says(folder):
    document = json.loads((folder / MANIFEST).read_bytes())
    document["sets"]["summaries"]["digest"] = "0" * 64
    document["tables"]["auth_user"] += 1
    resign(folder, sets=document["sets"], tables=document["tables"])
    with pytest.raises(BackupDamaged, match=r"summaries: .* with other values; table auth_user: 1 rows saved, 0"):
        drill(folder, "anna")
    assert last_drill() is None and scratch_databases() == []


@pytest.mark.django_db
def test_a_backup_of_an_unknown_form_is_another_versions(folder):
    resign(folder, format=2)
    with pytest.raises(BackupOutdated):
        read_backup(folder)
    with pytest.raises(CommandError) as refused:
        call_command("restore_drill", str(folder), by="anna", stderr=StringIO())
    assert refused.value.returncode == 4


@pytest.mark.django_db
def test_a_folder_of_backups_is_none_and_a_wrong_path_says_so(pristine, tmp_path):
    for path, sentence in ((pristine.parent, "holds backups"), (tmp_path / "nowhere", "is no folder")):
        with pytest.raises(CommandError, match=sentence) as refused:
            call_command("restore_drill", str(path), by="anna", stderr=StringIO())
        assert refused.value.returncode == 1
    assert not CutoverStep.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_drill_that_is_killed_keeps_no_step_and_the_next_one_drops_its_database(pristine):
    process = start("restore_drill", pristine, "--by", "anna")
    wait_until(lambda: scratch_databases() or process.poll() is not None)
    process.kill()
    process.communicate()
    assert (last_drill() is not None) == (process.returncode == 0)

    def tried() -> bool:
        # The server may need a moment to notice that the other is gone.
        try:
            return bool(drill(pristine, "bert"))
        except backups.ScratchInUse:
            return False

    wait_until(tried)
    assert last_drill().by == "bert" and scratch_databases() == []
