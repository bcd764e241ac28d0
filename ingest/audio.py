"""Files of sound that come along with an import: each goes to the video that its name names, whole and exactly.

What a name can say is in file_names.py; one that fits no live video, or two, is reported. A video can have several
files: the one with the newest time in its name is the current one (the first in the order of AudioFile); a name
without a time counts as older than any with one.

The folder is only read. A copy appears under its own name only when it is complete and its SHA-256 is the source's,
so a run that was stopped anywhere is completed by the next one.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pghistory
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import TextChoices

from . import file_names
from .file_names import owners_of, readings
from .files import AUDIO, Content, Damaged, attach, free_name, holds, is_live_locked, local_path, write
from .formats import MP3, is_mp3
from .models import AudioFile
from .sqlite.importer import import_lock
from .values import printable

FOLDER = AUDIO.folder
# What a copy is called until it is complete.
UNFINISHED = ".unfinished"
SHOWN_NAMES = 20

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


# The copy


def is_stored(video_id: str, sound: Sound) -> bool:
    """Whether the video has this sound, and its copy is still in the storage."""
    row = AudioFile.objects.filter(video_id=video_id, sha256=sound.sha256).first()
    return row is not None and default_storage.exists(row.name) and default_storage.size(row.name) == row.size_bytes


def store(file: NamedFile, sound: Sound) -> None:
    """Copy a file and note it with its video. Raises NotTaken, and OSError where the storage cannot be written."""
    row = AudioFile.objects.filter(video_id=file.video_id, sha256=sound.sha256).first()
    name = row.name if row else stored_name(file.video_id, sound)
    # Of a name that is not of this video's files, the file is left alone.
    name = free_name(name, sound.sha256, is_known=row is not None)
    if not holds(name, sound.sha256):
        copy(file.path, name, sound)
    with transaction.atomic():
        # Locked, so that a delete at the same time comes before or after, not in between.
        if not is_live_locked(file.video_id):
            default_storage.delete(name)
            raise NotTaken(Reason.DELETED)
        content = Content(file.path.name, sound.sha256, sound.size_bytes, MP3)
        attach(AUDIO, file.video_id, name, content, file.time)


def stored_name(video_id: str, sound: Sound) -> str:
    """The name in the storage."""
    return file_names.stored_name(video_id, sound.sha256, MP3)


def copy(path: Path, name: str, sound: Sound) -> None:
    """Copy a file into the storage (files.write). Raises NotTaken for one that has changed or cannot be read."""
    try:
        source = opened(path)
    except OSError as error:
        raise NotTaken(Reason.UNREADABLE) from error
    with source:
        try:
            write(source, name, sound.sha256, name + UNFINISHED)
        except Damaged as error:
            raise NotTaken(Reason.CHANGED) from error


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
