"""Files of sound that come along with an import: each goes to the video that its name names, whole and exactly.

A name is `<id>.mp3`, `<id>_<time>.mp3` or `audio_<id>_<time>.mp3`, with a time like 20250901_134325, in UTC. The id is
all of a live video's key or old id; `yt:` may stand before it, written `yt:` or `yt_`. Nothing else is guessed: a name
that fits no video, or two, is reported. A video can have several files: the one with the newest time in its name is
the current one (the first in the order of AudioFile); a name without a time counts as older than any with one.

The folder is only read. A copy appears under its own name only when it is complete and its SHA-256 is the source's,
so a run that was stopped anywhere is completed by the next one.
"""

import errno
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pghistory
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q, TextChoices
from django.utils.text import slugify

from videos.keys import UNSTORABLE
from videos.models import Video

from .models import AudioFile
from .sqlite.importer import import_lock
from .values import printable

FOLDER = "audio"
# What a copy is called until it is complete.
UNFINISHED = ".unfinished"
TIMED = re.compile(r"(.+)_([0-9]{8}_[0-9]{6})", re.DOTALL)
YOUTUBE_PREFIX = re.compile(r"yt[:_](.+)", re.DOTALL)
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
NAMES_A_QUERY = 5000
SHOWN_NAMES = 20

ID3_HEADER_BYTES = 10
LONGEST_PADDING_BYTES = 65_536
# Kilobits a second of MPEG layer III, and samples a second, by their index in a frame's header.
BITRATES = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

Progress = Callable[[str, int], None]


class AudioError(Exception):
    """The files cannot be taken; the message is a sentence with the next step. Files taken before stay."""


class Reason(TextChoices):
    """Why a file was not taken."""

    NO_FORM = "no_form", "its name does not end in .mp3"
    UNKNOWN_VIDEO = "unknown_video", "no video here has the id that its name says"
    AMBIGUOUS = "ambiguous", "its name can mean more than one video"
    DELETED = "deleted", "its video is deleted here"
    EMPTY = "empty", "it is empty (0 bytes)"
    NOT_MP3 = "not_mp3", "its content is no MP3"
    SYMLINK = "symlink", "it is a symbolic link"
    FOLDER = "folder", "it is a folder"
    NO_FILE = "no_file", "it is no ordinary file"
    UNREADABLE = "unreadable", "it cannot be read"
    CHANGED = "changed", "its copy differs from it: it was written to meanwhile, or a disk fails"


@dataclass
class AudioReport:
    """What became of each entry of a folder, by name; names are escaped where they hold what cannot be printed.

    `not_taken` has the names by reason (the values of Reason). A plan says what would be taken.
    """

    folder: str
    is_plan: bool = False
    taken: list[str] = field(default_factory=list)
    taken_bytes: int = 0
    already_there: list[str] = field(default_factory=list)
    not_taken: dict[str, list[str]] = field(default_factory=dict)

    def leave(self, name: str, reason: Reason) -> None:
        self.not_taken.setdefault(reason.value, []).append(printable(name))


def lines(report: AudioReport) -> list[str]:
    """The report as a person reads it."""
    shown = [f"Audio files in {report.folder}:"]
    taken = "would be taken" if report.is_plan else "taken"
    shown.append(f"{len(report.taken):>10,} {taken} ({report.taken_bytes:,} bytes)")
    shown.append(f"{len(report.already_there):>10,} there already")
    for reason, names in report.not_taken.items():
        shown.append(f"{len(names):>10,} not taken: {Reason(reason).label}")
        shown += [f"{'':>13}{name}" for name in names[:SHOWN_NAMES]]
        if len(names) > SHOWN_NAMES:
            shown.append(f"{'':>13}… and {len(names) - SHOWN_NAMES:,} more; --json lists all.")
    return shown


class NotTaken(Exception):
    """A file that stays where it is."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.label)
        self.reason = reason


@dataclass(frozen=True)
class NamedFile:
    """A file of the folder and what its name says: one live video, and a time."""

    path: Path
    video_id: str
    time: datetime


@dataclass(frozen=True)
class Sound:
    """What a file holds."""

    sha256: str
    size_bytes: int


def take_audio_files(folder: Path, progress: Progress = lambda stage, files: None) -> AudioReport:
    """Copy the MP3s of a folder into the default storage, each for its video. Run again, it takes nothing twice.

    Raises AudioError where the folder cannot be read or the storage cannot be written, ImportLocked while another
    run is at it. `progress` is told the stage and how many more files are done.
    """
    report = AudioReport(printable(str(folder)))
    refuse_own_folder(folder)
    with (
        import_lock(),
        storage_failures(report),
        pghistory.context(name="import_sqlite --audio-dir", audio_folder=report.folder),
    ):
        # Nobody else is at it: the lock keeps a second run out.
        remove_unfinished()
        for file, sound in sounds_to_take(folder, report, progress):
            try:
                store(file, sound)
            except NotTaken as problem:
                report.leave(file.path.name, problem.reason)
            else:
                note_taken(report, file, sound)
    return report


def plan_audio_files(folder: Path) -> AudioReport:
    """Say what take_audio_files would do; nothing is written. Raises AudioError where the folder cannot be read."""
    report = AudioReport(printable(str(folder)), is_plan=True)
    refuse_own_folder(folder)
    with storage_failures(report):
        for file, sound in sounds_to_take(folder, report):
            note_taken(report, file, sound)
    return report


def note_taken(report: AudioReport, file: NamedFile, sound: Sound) -> None:
    report.taken.append(printable(file.path.name))
    report.taken_bytes += sound.size_bytes


def sounds_to_take(
    folder: Path,
    report: AudioReport,
    progress: Progress = lambda stage, files: None,
) -> Iterator[tuple[NamedFile, Sound]]:
    """The files that are to be taken, the newest first; the report is told of all others."""
    files = named_files(mp3_paths(folder, report), report)
    seen = set()
    for file in sorted(files, key=lambda file: (-file.time.timestamp(), file.path.name)):
        progress("audio files", 1)
        try:
            sound = read_sound(file.path)
        except NotTaken as problem:
            report.leave(file.path.name, problem.reason)
            continue
        if (file.video_id, sound.sha256) in seen or is_stored(file.video_id, sound):
            report.already_there.append(printable(file.path.name))
        else:
            yield file, sound
            # What is taken is found in the database from now on; what is only planned is not.
            if report.is_plan:
                seen.add((file.video_id, sound.sha256))


# Which file, which video


def mp3_paths(folder: Path, report: AudioReport) -> list[Path]:
    """The ordinary files of a folder whose names end in .mp3. Raises AudioError for a folder that cannot be read."""
    shown = printable(str(folder))
    paths = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_symlink():
                    report.leave(entry.name, Reason.SYMLINK)
                elif entry.is_dir():
                    report.leave(entry.name, Reason.FOLDER)
                elif not entry.is_file():
                    report.leave(entry.name, Reason.NO_FILE)
                elif not entry.name.endswith(".mp3"):
                    report.leave(entry.name, Reason.NO_FORM)
                else:
                    paths.append(Path(entry.path))
    except FileNotFoundError as error:
        raise AudioError(f"The folder {shown} does not exist; check the path.") from error
    except NotADirectoryError as error:
        raise AudioError(f"{shown} is no folder; give the folder that holds the MP3s.") from error
    except OSError as error:
        raise AudioError(f"The folder {shown} cannot be read: {error.strerror}.") from error
    return paths


def named_files(paths: list[Path], report: AudioReport) -> list[NamedFile]:
    """The files whose names say one live video."""
    meanings = {path: readings(path.name) for path in paths}
    owners = owners_of({name for names in meanings.values() for name in names})
    files = []
    for path, times in meanings.items():
        found = {video: time for name, time in times.items() for video in owners[name]}
        if len(found) != 1:
            report.leave(path.name, Reason.AMBIGUOUS if found else Reason.UNKNOWN_VIDEO)
            continue
        [((video_id, is_deleted), time)] = found.items()
        if is_deleted:
            report.leave(path.name, Reason.DELETED)
        else:
            files.append(NamedFile(path, video_id, time))
    return files


def readings(name: str) -> dict[str, datetime]:
    """Every id that a file's name can mean, each with the time that the name says then.

    By position: an id can itself hold `_`, digits, and even `audio_`. A name that PostgreSQL cannot hold means none.
    """
    stem = name.removesuffix(".mp3")
    if UNSTORABLE.search(stem):
        return {}
    found = {stem: NO_TIME}
    if (match := TIMED.fullmatch(stem)) and (time := read_time(match.group(2))):
        found[match.group(1)] = time
        if match.group(1).startswith("audio_"):
            found[match.group(1).removeprefix("audio_")] = time
    for text, time in list(found.items()):
        if match := YOUTUBE_PREFIX.fullmatch(text):
            found |= {match.group(1): time, f"yt:{match.group(1)}": time}
    return found


def read_time(text: str) -> datetime | None:
    """`20250901_134325` as an instant in UTC; None where there is no such time."""
    try:
        return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def owners_of(names: set[str]) -> dict[str, set[tuple[str, bool]]]:
    """The videos that have one of these names as key or old id: by name, (key, whether it is deleted)."""
    owners: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    listed = sorted(names)
    for start in range(0, len(listed), NAMES_A_QUERY):
        part = listed[start : start + NAMES_A_QUERY]
        videos = Video.objects.filter(Q(video_id__in=part) | Q(legacy_id__in=part))
        for video_id, legacy_id, deleted_at in videos.values_list("video_id", "legacy_id", "deleted_at"):
            for name in {video_id, legacy_id} & names:
                owners[name].add((video_id, deleted_at is not None))
    return owners


# What a file holds


def read_sound(path: Path) -> Sound:
    """Read a file to its end. Raises NotTaken for one that is no MP3."""
    try:
        with opened(path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if not size_bytes:
                raise NotTaken(Reason.EMPTY)
            if not is_mp3(file):
                raise NotTaken(Reason.NOT_MP3)
            file.seek(0)
            return Sound(hashlib.file_digest(file, "sha256").hexdigest(), size_bytes)
    except OSError as error:
        raise NotTaken(Reason.UNREADABLE) from error


def opened(path: Path) -> BinaryIO:
    # The entry may have become a link, or a pipe that blocks, since the folder was listed.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def is_mp3(file: BinaryIO) -> bool:
    """Whether a frame of MPEG layer III stands at the start, or behind ID3 tags, and another where it ends."""
    position = 0
    file.seek(position)
    while (header := file.read(ID3_HEADER_BYTES)).startswith(b"ID3") and len(header) == ID3_HEADER_BYTES:
        # Seven bits a byte, so that no size looks like a frame. The flag says that a footer follows.
        size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
        position += ID3_HEADER_BYTES + size + (ID3_HEADER_BYTES if header[5] & 0x10 else 0)
        file.seek(position)
    file.seek(position)
    behind = file.read(LONGEST_PADDING_BYTES)
    position += len(behind) - len(behind.lstrip(b"\x00"))
    file.seek(position)
    first = file.read(4)
    length = frame_bytes(first)
    if not length:
        return False
    file.seek(position + length)
    second = file.read(4)
    # The same version, layer and sample rate; bit rate and padding may differ from frame to frame.
    same = first[1] & 0xFE == second[1] & 0xFE and first[2] & 0x0C == second[2] & 0x0C if len(second) == 4 else False
    return same and frame_bytes(second) > 0


def frame_bytes(header: bytes) -> int:
    """The length of the frame of MPEG layer III that these four bytes begin; 0 where they begin none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate, padding = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in SAMPLE_RATES or bitrate in (0, 15) or rate == 3:
        return 0
    kilobits = BITRATES[1 if version == 3 else 2][bitrate - 1]
    return (144 if version == 3 else 72) * kilobits * 1000 // SAMPLE_RATES[version][rate] + padding


# The copy


def is_stored(video_id: str, sound: Sound) -> bool:
    """Whether the video has this sound, and its copy is still in the storage."""
    row = AudioFile.objects.filter(video_id=video_id, sha256=sound.sha256).first()
    return row is not None and default_storage.exists(row.name) and default_storage.size(row.name) == row.size_bytes


def store(file: NamedFile, sound: Sound) -> None:
    """Copy a file and note it with its video. Raises NotTaken, and OSError where the storage cannot be written."""
    row = AudioFile.objects.filter(video_id=file.video_id, sha256=sound.sha256).first()
    name = row.name if row else stored_name(file.video_id, sound)
    if row is None and default_storage.exists(name) and stored_sha256(name) != sound.sha256:
        # Not of this video's files, so it is left alone.
        name = default_storage.get_available_name(name)
    if not default_storage.exists(name) or stored_sha256(name) != sound.sha256:
        copy(file.path, name, sound)
    with transaction.atomic():
        # Locked, so that a delete at the same time comes before or after, not in between.
        live = Video.objects.live().filter(pk=file.video_id).select_for_update()
        has_audio = live.values_list("has_audio", flat=True).first()
        if has_audio is None:
            default_storage.delete(name)
            raise NotTaken(Reason.DELETED)
        if row is None:
            AudioFile.objects.create(
                video_id=file.video_id, name=name, source_name=file.path.name, size_bytes=sound.size_bytes,
                sha256=sound.sha256, added_at=file.time,
            )  # fmt: skip
        if not has_audio:
            Video.objects.filter(pk=file.video_id).update(has_audio=True)


def stored_name(video_id: str, sound: Sound) -> str:
    """The name in the storage: the video's key, made safe for any disk and address, and the sound's digest."""
    safe = video_id
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", video_id):
        safe = f"{slugify(video_id)[:40]}-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"
    return f"{FOLDER}/{safe}-{sound.sha256[:12]}.mp3"


def copy(path: Path, name: str, sound: Sound) -> None:
    """Copy a file into the storage: under its name only when it is complete, on the disk, and reads back the same."""
    # Another storage than a disk has no paths; what it saves appears whole or not at all.
    is_disk = local_path(name) is not None
    unfinished = name + UNFINISHED if is_disk else name
    try:
        source = opened(path)
    except OSError as error:
        raise NotTaken(Reason.UNREADABLE) from error
    try:
        with source:
            unfinished = default_storage.save(unfinished, File(source))
        if is_disk:
            flush(local_path(unfinished))
        if stored_sha256(unfinished) != sound.sha256:
            raise NotTaken(Reason.CHANGED)
        if is_disk:
            local_path(unfinished).rename(local_path(name))
            flush(local_path(name).parent)
    except BaseException:
        default_storage.delete(unfinished)
        raise


def local_path(name: str) -> Path | None:
    """Where a name of the storage is on this machine's disk, if it is."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stored_sha256(name: str) -> str:
    digest = hashlib.sha256()
    with default_storage.open(name) as file:
        for chunk in file.chunks():
            digest.update(chunk)
    return digest.hexdigest()


def remove_unfinished() -> None:
    """Remove what a run left that was stopped in the middle of a copy."""
    if local_path(FOLDER) is None or not default_storage.exists(FOLDER):
        return
    for name in default_storage.listdir(FOLDER)[1]:
        if name.endswith(UNFINISHED):
            default_storage.delete(f"{FOLDER}/{name}")


def refuse_own_folder(folder: Path) -> None:
    """Raise AudioError for a folder that the copies would be written into."""
    own = local_path(FOLDER)
    if own is not None and own.resolve().is_relative_to(folder.resolve()):
        raise AudioError(
            f"{printable(str(folder))} holds the files of this site itself (MEDIA_DIR); give the one of the old files."
        )


@contextmanager
def storage_failures(report: AudioReport) -> Iterator[None]:
    """Turn an OSError of the storage into AudioError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space is left; free some" if full else f"{error.strerror or error}; mend that"
        taken = f"{len(report.taken):,} files were taken before it" if report.taken else "No file was taken"
        raise AudioError(
            f"A file could not be copied to the media folder (MEDIA_DIR): {reason}, and run this again. "
            f"{taken}; the files there are as they were."
        ) from error
