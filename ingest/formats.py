"""What a file holds, told by its bytes: its name and the type that a client claims say nothing."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

ID3_HEADER_BYTES = 10
LONGEST_PADDING_BYTES = 65_536
RESERVED_VERSION = 1

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# More parts than any real picture has before its pixels.
MOST_PARTS = 100_000
# Some programs write a little behind the end of a picture.
TAIL_BYTES = 1024
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Format:
    """A kind of file that is taken: the folder it is stored in, the end of its name, and its type over HTTP."""

    folder: str
    suffix: str
    content_type: str


MP3 = Format("audio", ".mp3", "audio/mpeg")
PNG = Format("images", ".png", "image/png")
JPEG = Format("images", ".jpg", "image/jpeg")
GIF = Format("images", ".gif", "image/gif")
WEBP = Format("images", ".webp", "image/webp")


def sound_format(file: BinaryIO) -> Format | None:
    """The format of a file of sound; None for whatever is no MP3."""
    return MP3 if is_mp3(file) else None


def picture_format(file: BinaryIO) -> Format | None:
    """The format of a picture; None for whatever is no whole picture of a known format."""
    for format_, is_whole in PICTURES.items():
        file.seek(0)
        if is_whole(file):
            return format_
    return None


def is_mp3(file: BinaryIO) -> bool:
    """Whether a file begins as an MP3: with an ID3 tag, or with a frame of MPEG layer III, maybe behind zeros.

    So a browser tells it (https://mimesniff.spec.whatwg.org/#matching-an-audio-or-video-type-pattern). What is behind a
    tag is not looked at: programs write wrong sizes into it, and players look for the first frame themselves, as they
    look for the second one behind a damaged first.
    """
    file.seek(0)
    head = file.read(LONGEST_PADDING_BYTES)
    if head.startswith(b"ID3"):
        return len(head) > ID3_HEADER_BYTES
    return is_frame(head.lstrip(b"\x00")[:4])


def is_frame(header: bytes) -> bool:
    """Whether four bytes begin a frame of MPEG layer III of a known version, bit rate and sample rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return False
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    return version != RESERVED_VERSION and bitrate not in (0, 15) and rate != 3


def is_png(file: BinaryIO) -> bool:
    """Whether the parts of a PNG follow each other: size first, pixels, and the end."""
    if file.read(8) != PNG_SIGNATURE:
        return False
    has_pixels = False
    for number in range(MOST_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return False
        length, name = struct.unpack(">I4s", head)
        if number == 0:
            width, height = struct.unpack(">II", file.read(8).ljust(8, b"\x00"))
            if name != b"IHDR" or length != 13 or not width or not height:
                return False
            file.seek(-8, 1)
        has_pixels = has_pixels or name == b"IDAT"
        if name == b"IEND":
            return has_pixels and length == 0 and len(file.read(4)) == 4
        file.seek(length + 4, 1)
    return False


def is_jpeg(file: BinaryIO) -> bool:
    """Whether the segments of a JPEG follow each other up to its pixels, one says a size, and it has an end."""
    if file.read(2) != b"\xff\xd8":
        return False
    has_size = False
    for _ in range(MOST_PARTS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xC0:
            return False
        marker, length = head[1], int.from_bytes(head[2:], "big")
        if marker == 0xFF:
            # Fill bytes may stand before a marker.
            file.seek(-3, 1)
            continue
        if marker == 0xDA:
            return has_size and b"\xff\xd9" in tail(file)
        if length < 2:
            return False
        if marker in JPEG_SIZES:
            width = int.from_bytes(file.read(5)[3:], "big")
            # A height of 0 is said later, behind the pixels.
            has_size = width > 0
            file.seek(-5, 1)
        file.seek(length - 2, 1)
    return False


def is_gif(file: BinaryIO) -> bool:
    """Whether a GIF's head says a size, and its end is there."""
    head = file.read(10)
    if len(head) < 10 or head[:6] not in (b"GIF87a", b"GIF89a"):
        return False
    width, height = struct.unpack("<HH", head[6:])
    return width > 0 and height > 0 and tail(file).rstrip(b"\x00").endswith(b";")


def is_webp(file: BinaryIO) -> bool:
    """Whether a WebP is as long as it says, and begins with a picture."""
    head = file.read(20)
    if len(head) < 20 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return False
    length, first = struct.unpack("<I", head[4:8])[0], struct.unpack("<I", head[16:20])[0]
    size = file.seek(0, 2)
    return head[12:16] in (b"VP8 ", b"VP8L", b"VP8X") and 20 + first <= length + 8 <= size and first > 0


def tail(file: BinaryIO) -> bytes:
    """The last bytes of a file."""
    file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
    return file.read(TAIL_BYTES)


PICTURES: dict[Format, Callable[[BinaryIO], bool]] = {PNG: is_png, JPEG: is_jpeg, GIF: is_gif, WEBP: is_webp}
