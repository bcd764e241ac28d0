"""Parts of a file over HTTP (RFC 9110, 14): which bytes a request asks for, and a body that holds them."""

import errno
import re
import select
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.http import HttpRequest
from django.utils.http import parse_http_date_safe

CHUNK_BYTES = 64 * 1024
# A player that is paused takes nothing. It asks for the rest later, and a thread must not wait for it meanwhile.
STALLED_AFTER_SECONDS = 20
# More digits than any size has; int() refuses thousands of them.
MOST_DIGITS = 20


class Unsatisfiable(Exception):
    """The range asked for begins behind the end of the file."""


@dataclass(frozen=True)
class Part:
    """Consecutive bytes of a file of `size` bytes; both ends belong to it."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


def part_asked_for(request: HttpRequest, size: int, etag: str, last_modified: int) -> Part | None:
    """The part of a file that a request asks for; None for all of it. Raises Unsatisfiable.

    As RFC 9110 has it, a range counts for GET only, one that is not understood is passed over, and so is one whose
    If-Range names another content. Several ranges at once are answered with the whole file.
    """
    if request.method != "GET" or "Range" not in request.headers or not same_content(request, etag, last_modified):
        return None
    unit, _, ranges = request.headers["Range"].partition("=")
    # A list can have empty places.
    asked = [text.strip() for text in ranges.split(",") if text.strip()]
    match = re.fullmatch(r"([0-9]*)-([0-9]*)", asked[0]) if len(asked) == 1 else None
    if unit.strip().lower() != "bytes" or match is None or match.group() == "-":
        return None
    first, last = (number(digits) if digits else None for digits in match.groups())
    if first is None:
        first, last = max(0, size - last), size - 1
    elif last is not None and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return Part(first, size - 1 if last is None else min(last, size - 1), size)


def same_content(request: HttpRequest, etag: str, last_modified: int) -> bool:
    """Whether If-Range, if it is there, names the content that would be sent: by its ETag, or its exact date."""
    condition = request.headers.get("If-Range", "").strip()
    if not condition or condition == etag:
        return True
    return parse_http_date_safe(condition) == last_modified


def number(digits: str) -> int:
    return int(digits.lstrip("0")[:MOST_DIGITS] or "0")


class Body:
    """An iterator over some bytes of an open file, which it closes; the memory it takes is one chunk.

    It ends with an error where the file ends too early, or where a client has taken nothing for a while, so that the
    connection is closed and nobody takes what came for the whole.
    """

    def __init__(self, file: BinaryIO, first: int, length: int, socket: Any = None) -> None:
        self.file, self.remaining, self.socket = file, length, socket
        file.seek(first)

    def __iter__(self) -> "Body":
        return self

    def __next__(self) -> bytes:
        if not self.remaining:
            raise StopIteration
        if self.socket is not None and not is_taken(self.socket):
            raise ConnectionResetError(errno.ECONNRESET, "the client takes nothing")
        chunk = self.file.read(min(CHUNK_BYTES, self.remaining))
        if not chunk:
            raise OSError("the file ends before its end")
        self.remaining -= len(chunk)
        return chunk

    def close(self) -> None:
        self.file.close()


def is_taken(socket: Any) -> bool:
    """Whether the client takes more bytes within a while."""
    poll = select.poll()
    poll.register(socket, select.POLLOUT)
    return bool(poll.poll(STALLED_AFTER_SECONDS * 1000))
