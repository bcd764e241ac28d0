"""Sends what came in once more, line by line (way_back.py): a write is a POST, a delete a DELETE, a file a form."""

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4

from django.conf import settings
from django.core.files.storage import default_storage

TIMEOUT_SECONDS = 60
# The name of a route's field with the file, and of the one with the video's id.
FIELDS = {"/ingest/audio": ("audio", "video_id"), "/api/upload-image": ("image", "content_id")}


class ReplayError(Exception):
    """A request was not taken; the message says which, and why."""


def replay(file: Path, url: str, first: int = 1) -> Iterator[dict[str, Any]]:
    """Send the lines from `first` on, and yield each that was taken. Raises ReplayError, OSError and ValueError."""
    with file.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            if number >= first:
                line = json.loads(text)
                send(number, line, url.rstrip("/"))
                yield line


def send(number: int, line: dict[str, Any], url: str) -> None:
    content, kind = body_of(line)
    headers = {"X-Sync-Secret": settings.SYNC_SECRET, "Accept": "application/json", "Content-Type": kind}
    request = Request(url + quote(line["path"], safe="/:%"), data=content, headers=headers, method=line["method"])
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            if answer.status != 200:
                raise ReplayError(f"Line {number}, {line['path']}, was answered with {answer.status}.")
    except HTTPError as error:
        with error:
            said = error.read(300).decode(errors="replace")
        if error.code == 404 and line["path"].startswith("/ingest/"):
            said = "it has no such address. An old dashboard needs the file beside this one, library.db, instead."
        raise ReplayError(f"Line {number}, {line['path']}, was answered with {error.code}: {said}") from error
    except (URLError, OSError) as error:
        raise ReplayError(f"Line {number}, {line['path']}, was not answered ({error}).") from error


def body_of(line: dict[str, Any]) -> tuple[bytes | None, str]:
    """The body of a line's request, and its content type."""
    if "body_base64" in line:
        return b64decode(line["body_base64"]), "application/json"
    if "file" not in line:
        return (line["body"].encode() if "body" in line else None), "application/json"
    field, id_field = FIELDS[line["path"]]
    with default_storage.open(line["file"]) as stored:
        content = stored.read()
    boundary = uuid4().hex
    name = Path(line["file"]).name
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{id_field}"\r\n\r\n{line["video_id"]}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
