"""Files of sound and pictures: whom each belongs to, and where it lies. Uploads come in here, and are found here.

A file appears under its name in the default storage only when it is complete, on the disk, and reads back the same.
Its name is ours: the video's key and the digest of the content, so that nothing that comes later takes its place.
A file of a video that is not here yet is kept aside and becomes its own when the video comes (`adopt`); a deleted
video gets nothing; whatever is no MP3 or picture is kept in quarantine. Both are served to nobody.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import pghistory
from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from videos.keys import UNSTORABLE, VideoKey, native_id
from videos.models import Video

from .file_names import NO_TIME, key_part, owners_of, readings, stored_name
from .formats import Format, picture_format, sound_format
from .models import AudioFile, ImageFile
from .tokens import Refused

# Where copies are written until they are complete.
INCOMING = "incoming"
# A copy takes seconds: one that is this old was left by a process that was killed.
ABANDONED_AFTER = timedelta(hours=1)
QUARANTINE = Format("quarantine", ".bin", "application/octet-stream")
# EFBIG: this process may not write files of that size, which is as full.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

StoredRow = AudioFile | ImageFile


class EmptyFile(Refused):
    """A file of 0 bytes, as a retry can send it."""

    status = 400
    code = "empty_file"


class StorageFull(Refused):
    """There is no room for the file; what is there is as it was."""

    status = 507
    code = "storage_full"


class Damaged(OSError):
    """What was written does not read back the same."""


@dataclass(frozen=True)
class Kind:
    """What an upload can be: its rows, its folder in the storage, and how its content is told."""

    model: type[AudioFile] | type[ImageFile]
    folder: str
    format_of: Callable[[BinaryIO], Format | None]
    noun: str


AUDIO = Kind(AudioFile, "audio", sound_format, "MP3")
IMAGE = Kind(ImageFile, "images", picture_format, "whole PNG, JPEG, WebP or GIF picture")


class FileAction(StrEnum):
    """What became of an upload."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    KEPT_ASIDE = "kept_aside"
    QUARANTINED = "quarantined"
    DELETED = "deleted"


@dataclass(frozen=True)
class StoredFile:
    """What became of an upload: its video ("" for none) and its name in the storage ("" where nothing is stored)."""

    action: FileAction
    video_id: str
    name: str
    size_bytes: int
    sha256: str
    message: str = ""

    @property
    def public_url(self) -> str | None:
        """The address that serves it, now or, of a file kept aside, when its video comes; None for others."""
        served = self.action in (FileAction.ADDED, FileAction.UNCHANGED, FileAction.KEPT_ASIDE)
        return settings.MEDIA_URL + self.name if served else None

    def answer(self) -> dict[str, Any]:
        """For the JSON of an upload's answer."""
        answer = {"action": str(self.action), "size": self.size_bytes, "public_url": self.public_url}
        if self.video_id:
            answer["video_id"] = self.video_id
        if self.action is FileAction.QUARANTINED:
            answer |= {"quarantined": "unknown_content", "reason": self.message}
        return answer | ({"message": self.message} if self.message else {})


@dataclass(frozen=True)
class Content:
    """What a file holds, and the name that it came with. No format: it is nothing that is taken."""

    source_name: str
    sha256: str
    size_bytes: int
    format: Format | None


# Uploads


def store_audio_upload(upload: File, sent_id: str, by: str = "") -> dict[str, Any]:
    """Take a file of sound that came along with a report; what became of it, for the answer.

    The report is stored already, so an empty file is no reason to send it again. Raises StorageFull.
    """
    try:
        return store_upload(upload, AUDIO, sent_id, by).answer()
    except EmptyFile as refusal:
        return {"action": "refused", "size": 0, "public_url": None, "message": refusal.message}


def store_upload(upload: File, kind: Kind, sent_id: str, by: str) -> StoredFile:
    """Store an upload, with the video that `sent_id` names in any form, else that its file name names.

    The same file again changes nothing. Raises EmptyFile and StorageFull; then everything is as it was.
    """
    content = examined(upload, kind)
    with pghistory.context(token=by):
        while True:
            video = video_meant(sent_id, content.source_name)
            if video is not None:
                return stored_with(video, kind, content, upload.file)
            if stored := kept_aside(kind, content, upload.file, sent_id):
                return stored


def examined(upload: File, kind: Kind) -> Content:
    """Read an upload through. Raises EmptyFile."""
    file = upload.file
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = file.seek(0, os.SEEK_END)
    if not size_bytes:
        raise EmptyFile("The file is empty (0 bytes). Send it again with its content; what was here before stays.")
    return Content(Path(upload.name or "").name, sha256, size_bytes, kind.format_of(file))


def video_meant(sent_id: str, source_name: str) -> Video | None:
    """The video, deleted or not, that an upload is for; None where nothing names exactly one."""
    if sent_id.strip():
        return video_named(sent_id)
    owners = {video_id for found in owners_of(set(readings(source_name))).values() for video_id, _ in found}
    return Video.objects.get(pk=owners.pop()) if len(owners) == 1 else None


def video_named(sent_id: str) -> Video | None:
    """The video, deleted or not, that an id names in any form."""
    try:
        return Video.objects.named(sent_id)
    except Video.DoesNotExist:
        return None


def key_expected(sent_id: str, source_name: str) -> str:
    """What a video that is not here yet would be called, by the id or the file's name; "" for none."""
    text = sent_id.strip() or min(readings(source_name), key=len, default="")
    return VideoKey.parse(text).expected


def stored_with(video: Video, kind: Kind, content: Content, file: BinaryIO) -> StoredFile:
    """Store an upload with its video, unless that is deleted."""
    if video.deleted_at:
        return turned_away(video, content)
    if content.format is None:
        return quarantined(kind, content, file, video.pk)
    name = put(kind, content, file, stored_name(video.pk, content.sha256, content.format), video)
    with transaction.atomic():
        # Locked, so that a delete at the same time comes before or after, not in between.
        if not is_live_locked(video.pk):
            remove_unless_known(kind, name)
            return turned_away(video, content)
        is_new = attach(kind, video.pk, name, content, time_of(content, video.pk, video.legacy_id))
    action = FileAction.ADDED if is_new else FileAction.UNCHANGED
    return StoredFile(action, video.pk, name, content.size_bytes, content.sha256)


def turned_away(video: Video, content: Content) -> StoredFile:
    message = "This video was deleted here, and a delete is final: the file was not kept."
    return StoredFile(FileAction.DELETED, video.pk, "", content.size_bytes, content.sha256, message)


def is_live_locked(video_id: str) -> bool:
    """Whether a video is not deleted; its row is locked until the transaction ends."""
    return Video.objects.live().filter(pk=video_id).select_for_update().exists()


def attach(kind: Kind, video_id: str, name: str, content: Content, added_at: datetime) -> bool:
    """Note a stored file with its video, whose row the caller has locked; False if it was noted before.

    Of two files of one second, the later one is dated a second on: Last-Modified tells them apart.
    """
    related = list(kind.model.objects.filter(Q(video=video_id) | Q(video=None, name=name)))
    is_new = not any(row.video_id and row.sha256 == content.sha256 for row in related)
    if is_new:
        added_at = free_second(added_at, related)
        # It can have come before its video did.
        if aside := next((row for row in related if not row.video_id), None):
            kind.model.objects.filter(pk=aside.pk).update(video=video_id, added_at=added_at)
        else:
            create_row(kind, content, name, video_id, added_at)
    if kind is AUDIO:
        note_audio(video_id)
    return is_new


def free_second(time: datetime, rows: Iterable[StoredRow]) -> datetime:
    """This time, or the first second after it in which none of the videos' files among these was added."""
    taken = {row.added_at.replace(microsecond=0) for row in rows if row.video_id}
    while time.replace(microsecond=0) in taken:
        time += timedelta(seconds=1)
    return time


def create_row(kind: Kind, content: Content, name: str, video_id: str | None, added_at: datetime) -> None:
    content_type = {"content_type": (content.format or QUARANTINE).content_type} if kind is IMAGE else {}
    kind.model.objects.create(
        video_id=video_id, name=name, source_name=content.source_name, size_bytes=content.size_bytes,
        sha256=content.sha256, added_at=added_at, **content_type,
    )  # fmt: skip


def note_audio(video_id: str) -> None:
    Video.objects.filter(pk=video_id, has_audio=False).update(has_audio=True)


def time_of(content: Content, *keys: str) -> datetime:
    """When a file became current: the time that its name says, as old ones are sent late, else now."""
    times = readings(content.source_name)
    said = max((times.get(key, NO_TIME) for key in keys if key), default=NO_TIME)
    now = timezone.now()
    return now if said == NO_TIME else min(said, now)


# Files of videos that are not here yet


def kept_aside(kind: Kind, content: Content, file: BinaryIO, sent_id: str) -> StoredFile | None:
    """Keep an upload that no video has; None if its video has come meanwhile.

    1. Write the file. 2. Take the lock of the key, which `adopt` takes when the video is created. 3. Look again: the
    video is there, or whoever creates it waits for this transaction and finds the row.
    """
    if content.format is None:
        return quarantined(kind, content, file, "")
    key = key_expected(sent_id, content.source_name)
    name = put(kind, content, file, stored_name(key, content.sha256, content.format))
    with transaction.atomic():
        lock_key(key)
        if video_meant(sent_id, content.source_name) is None:
            if not kind.model.objects.filter(name=name).exists():
                create_row(kind, content, name, None, time_of(content, key))
            message = "No video here has this id yet. The file is kept, and is served once its report has come."
            return StoredFile(FileAction.KEPT_ASIDE, "", name, content.size_bytes, content.sha256, message)
    remove_unless_known(kind, name)
    return None


def quarantined(kind: Kind, content: Content, file: BinaryIO, video_id: str) -> StoredFile:
    """Keep what is no sound and no picture where nobody is served it."""
    name = put(kind, content, file, stored_name("", content.sha256, QUARANTINE))
    with transaction.atomic():
        lock_key(name)
        if not kind.model.objects.filter(name=name).exists():
            create_row(kind, content, name, None, timezone.now())
    message = f"The content is no {kind.noun}. It is kept, but belongs to no video and is not served."
    return StoredFile(FileAction.QUARANTINED, video_id, name, content.size_bytes, content.sha256, message)


def adopt(video_id: str) -> int:
    """Give a video the files that came before it did; the number of them.

    Call it in the transaction that creates the video, and only then: rows are not waited for, a lock is.
    """
    names = names_expected(video_id)
    for name in names:
        lock_key(name)
    adopted = 0
    for kind, name in product((AUDIO, IMAGE), names):
        prefix = f"{kind.folder}/{key_part(name)}-"
        # The same file can have come by both names.
        known = set(kind.model.objects.filter(video=video_id).values_list("sha256", flat=True))
        for row in kind.model.objects.filter(video=None, name__startswith=prefix).order_by("added_at", "pk"):
            # The name of another key can begin in the same way.
            if row.sha256 in known or row.name.rpartition(".")[0] != prefix + row.sha256[:12]:
                continue
            added_at = free_second(row.added_at, kind.model.objects.filter(video=video_id))
            kind.model.objects.filter(pk=row.pk).update(video=video_id, added_at=added_at)
            adopted += 1
            if kind is AUDIO:
                note_audio(video_id)
    return adopted


def adopt_waiting(keys: Iterable[str]) -> int:
    """The same for many videos that were written in this transaction, of which few have files that wait."""
    waiting = {
        name.rpartition("/")[2].rpartition("-")[0]
        for kind in (AUDIO, IMAGE)
        for name in kind.model.objects.filter(video=None).values_list("name", flat=True)
    }
    parts = {key: {key_part(name) for name in (native_id(key), key) if name} for key in keys} if waiting else {}
    return sum(adopt(key) for key, names in parts.items() if not names.isdisjoint(waiting))


def names_expected(video_id: str) -> list[str]:
    """The names under which files of this video may wait: of a Reddit post or a web page also the id alone.

    Unless another video has that for its key: what comes with it is that one's.
    """
    native = native_id(video_id)
    is_free = native and not Video.objects.filter(pk=native).exists()
    return [native, video_id] if is_free else [video_id]


def lock_key(key: str) -> None:
    """Wait for whoever else decides on the files of this key, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"ingest.files {key}"])


# What is served


def file_named(kind: Kind, name: str) -> StoredRow | None:
    """The file of a live video with this name of ours, or with this name that it came with.

    The name is only ever compared. One that files of two videos came with is nobody's, also while one is deleted.
    """
    if UNSTORABLE.search(name):
        return None
    of_videos = kind.model.objects.filter(video__isnull=False)
    for rows in (of_videos.filter(name=f"{kind.folder}/{name}"), of_videos.filter(source_name=name)):
        owners = rows.order_by("video").values_list("video", flat=True).distinct()[:2]
        if owners:
            return rows.filter(video__deleted_at__isnull=True).first() if len(owners) == 1 else None
    return None


def current_audio(sent_id: str) -> AudioFile | None:
    """The newest file of sound of the live video that an id names in any form."""
    video = video_named(sent_id)
    return video.audio_files.first() if video and not video.deleted_at else None


# The storage


def put(kind: Kind, content: Content, file: BinaryIO, name: str, video: Video | None = None) -> str:
    """Have a file in the storage under this name, or under that of its row; the name. Raises StorageFull."""
    known = kind.model.objects.filter(Q(name=name) | Q(video=video, video__isnull=False, sha256=content.sha256)).first()
    name = free_name(known.name if known else name, content.sha256, is_known=known is not None)
    if not holds(name, content.sha256):
        remove_abandoned()
        with full_storage_as_refusal():
            write(file, name, content.sha256, f"{INCOMING}/{uuid4().hex}")
    return name


def free_name(name: str, sha256: str, is_known: bool) -> str:
    """This name, unless another file has it that no row knows: that is somebody's, and left alone."""
    if not is_known and default_storage.exists(name) and stored_sha256(name) != sha256:
        return default_storage.get_available_name(name)
    return name


def holds(name: str, sha256: str) -> bool:
    """Whether the storage has this content under this name."""
    return default_storage.exists(name) and stored_sha256(name) == sha256


def write(source: BinaryIO, name: str, sha256: str, unfinished: str) -> None:
    """Copy a file into the storage: under its name only when it is complete, on the disk, and reads back the same.

    Raises Damaged, and OSError where the storage cannot be written; then the name is as it was.
    """
    # Another storage than a disk has no paths; what it saves appears whole or not at all.
    is_disk = local_path(name) is not None
    written = unfinished if is_disk else name
    source.seek(0)
    try:
        written = default_storage.save(written, File(source))
        if is_disk:
            flush(local_path(written))
        if stored_sha256(written) != sha256:
            raise Damaged(errno.EIO, "the copy does not read back the same")
        if is_disk:
            local_path(name).parent.mkdir(mode=0o700, exist_ok=True)
            local_path(written).rename(local_path(name))
            flush(local_path(name).parent)
    except BaseException:
        if is_disk:
            default_storage.delete(written)
        raise


def remove_unless_known(kind: Kind, name: str) -> None:
    """Remove a file that was stored for nothing."""
    if not kind.model.objects.filter(name=name).exists():
        default_storage.delete(name)


def remove_abandoned() -> None:
    """Remove what processes left that were killed in the middle of a copy."""
    if local_path(INCOMING) is None or not default_storage.exists(INCOMING):
        return
    for name in default_storage.listdir(INCOMING)[1]:
        path = local_path(f"{INCOMING}/{name}")
        # It may be complete by now, and gone from here.
        try:
            is_old = path.stat().st_mtime < (timezone.now() - ABANDONED_AFTER).timestamp()
        except FileNotFoundError:
            continue
        if is_old:
            path.unlink(missing_ok=True)


@contextmanager
def full_storage_as_refusal() -> Iterator[None]:
    """Turn the OSError of a full disk into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull(
            "There is no room for this file on the server's disk. Free some and send it again; "
            "the files that were there are as they were."
        ) from error


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
