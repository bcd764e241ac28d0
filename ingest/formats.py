"""What a file holds, told by its bytes: its name and the type that a client claims say nothing."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

ID3_HEADER_BYTES = 10
LONGEST_PADDING_BYTES = 65_536
# Kilobits a second of MPEG layer III, and samples a second, by their index in a frame's header.
BITRATES = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
FRAME_SYNC = re.compile(rb"\xff(?=[\xe2-\xff])")

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
    """Whether two frames of MPEG layer III stand one behind the other, at the start or behind ID3 tags.

    Programs write wrong sizes into tags. Where such a size leads to no frames, the first ones behind the beginning of
    the tag are looked for, as players do.
    """
    position = end_of_tags(file)
    file.seek(position)
    behind = file.read(LONGEST_PADDING_BYTES)
    if has_frames(file, position + len(behind) - len(behind.lstrip(b"\x00"))):
        return True
    if not position:
        return False
    file.seek(0)
    head = file.read(LONGEST_PADDING_BYTES)
    return any(has_frames(file, found.start()) for found in FRAME_SYNC.finditer(head, ID3_HEADER_BYTES))


def end_of_tags(file: BinaryIO) -> int:
    """Where the ID3 tags at the start of a file end, as they say; 0 for none."""
    position = 0
    file.seek(position)
    while (header := file.read(ID3_HEADER_BYTES)).startswith(b"ID3") and len(header) == ID3_HEADER_BYTES:
        # Seven bits a byte, so that no size looks like a frame. The flag says that a footer follows.
        size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
        position += ID3_HEADER_BYTES + size + (ID3_HEADER_BYTES if header[5] & 0x10 else 0)
        file.seek(position)
    return position


def has_frames(file: BinaryIO, position: int) -> bool:
    """Whether a frame begins at this byte, and another one where it ends."""
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
