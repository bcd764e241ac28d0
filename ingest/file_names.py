"""Names of files: which video and which time one says, and the names that files are stored under.

A name is `<id>.mp3`, `<id>_<time>.mp3` or `audio_<id>_<time>.mp3`, with a time like 20250901_134325, in UTC. The id is
all of a video's key or old id, also without `reddit:` or `web:`; `yt:` may stand before it, written `yt:` or `yt_`.
Nothing else is guessed.
"""

import hashlib
import re
from collections import defaultdict
from datetime import UTC, datetime

from django.db.models import Q
from django.utils.text import slugify

from videos.keys import UNSTORABLE, native_keys
from videos.models import Video

from .formats import Format

TIMED = re.compile(r"(.+)_([0-9]{8}_[0-9]{6})", re.DOTALL)
YOUTUBE_PREFIX = re.compile(r"yt[:_](.+)", re.DOTALL)
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
NAMES_A_QUERY = 5000
# No key is written with a dot in a stored name, so no video ever takes these for its own.
UNASSIGNED = "unassigned.file"


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
    for text, time in list(found.items()):
        found |= dict.fromkeys(native_keys(text), time)
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


def stored_name(video_id: str, sha256: str, kind: Format) -> str:
    """The name in the storage: of the video's key, or of none, and the content's digest."""
    return f"{kind.folder}/{key_part(video_id)}-{sha256[:12]}{kind.suffix}"


def key_part(video_id: str) -> str:
    """A video's key, made safe for any disk and address."""
    if not video_id:
        return UNASSIGNED
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", video_id):
        return video_id
    return f"{slugify(video_id)[:40]}-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"
