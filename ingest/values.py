"""Values of an old database as people read them: on a line of a terminal, and on a page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from .sqlite.codec import Text, Value

# What is shown of a value in a line.
LINE_CHARACTERS = 48
# What is shown in hex of the offending value.
HEX_BYTES = 512
# A word may be broken behind this, so that it fits a narrow screen.
LONG_WORD = re.compile(r"(\S{12})(?=\S)")


# In a line


def one_line(value: Value) -> str:
    """A value for people: one line, cut, and without anything that a terminal would obey."""
    match value:
        case None:
            return "NULL"
        case Text():
            text = bytes(value[: 4 * LINE_CHARACTERS + 4]).decode(errors="backslashreplace")
            shortened = printable(text[:LINE_CHARACTERS])
            return f"'{shortened}'" + ("…" if len(text) > LINE_CHARACTERS else "")
        case bytes():
            return f"x'{value[: LINE_CHARACTERS // 2].hex()}'" + ("…" if len(value) > LINE_CHARACTERS // 2 else "")
        case _:
            return str(value)


def printable(text: str) -> str:
    """A text without control characters and marks that turn the direction of writing: they are escaped."""
    return "".join([char if char.isprintable() else escaped(char) for char in text])


def escaped(char: str) -> str:
    """`\\x00` for a NUL, `\\u202e` for a mark that turns the writing round."""
    return char.encode("unicode_escape").decode()


# On a page


@dataclass(frozen=True)
class ShownValue:
    """A value of a row for a page: its text with marked escapes, and what is left out."""

    column: str
    kind: str
    text: SafeString
    note: str = ""
    download: str = ""
    hex_dump: str = ""
    hex_note: str = ""


def shown(value: Value, column: str, limit: int, download: str = "", with_hex: bool = False) -> ShownValue:
    """A value as it is shown in at most so many bytes, from its first byte that is no good text if that lies beyond.

    `download` is the address of the exact bytes, for a note that says what is left out.
    """
    if value is None or isinstance(value, int | float):
        kind = {type(None): "NULL", int: "integer", float: "real"}[type(value)]
        return ShownValue(column, kind, SafeString("" if value is None else repr(value)))
    size = len(value)
    start = excerpt_start(value, min(limit, HEX_BYTES) if with_hex else limit) if isinstance(value, Text) else 0
    part = value[start : start + limit]
    if isinstance(value, Text):
        text = marked(excerpt(part, start, size))
    else:
        text = SafeString("") if with_hex else escape(part.hex(" "))
    return ShownValue(
        column,
        f"{'text' if isinstance(value, Text) else 'blob'}, {size:,} bytes",
        text,
        cut_note(start, len(part), size),
        download,
        "\n".join(hex_lines(value, start, HEX_BYTES)) if with_hex else "",
        cut_note(start, min(HEX_BYTES, size - start), size) if with_hex else "",
    )


def cut_note(start: int, shown_bytes: int, size: int) -> str:
    return "" if shown_bytes == size else f"Bytes {start:,} to {start + shown_bytes:,} of {size:,}."


def excerpt_start(value: bytes, limit: int) -> int:
    """Where to begin, so that the first byte that PostgreSQL refuses in a text is within the limit."""
    try:
        value.decode()
        odd = value.find(b"\x00")
    except UnicodeDecodeError as error:
        odd = error.start if b"\x00" not in value[: error.start] else value.find(b"\x00")
    return max(odd - limit // 2, 0) // 16 * 16 if odd >= limit else 0


def excerpt(part: bytes, start: int, size: int) -> str:
    """The text of a part of a value, less the halves of characters at a cut."""
    text = part.decode(errors="surrogateescape")
    if start:
        text = text.lstrip("".join(map(chr, range(0xDC80, 0xDCC0))))
    if start + len(part) < size:
        text = text.rstrip("".join(map(chr, range(0xDC80, 0xDD00))))
    return text


def marked(text: str) -> SafeString:
    """A text as HTML, with escapes, marked as such, for what a page does not show: control characters, bad bytes."""
    parts = []
    for is_readable, group in groupby(text, lambda char: char.isprintable() or char in "\n\t"):
        if is_readable:
            # A zero-width space is none of the readable ones, so it can stand for the tag.
            parts.append(escape(LONG_WORD.sub("\\1\u200b", "".join(group))).replace("\u200b", "<wbr>"))
        else:
            parts.append(f"<wbr><mark>{'<wbr>'.join(map(page_escaped, group))}</mark><wbr>")
    return mark_safe("".join(parts).replace("\n", "<br>"))


def page_escaped(char: str) -> str:
    """`\\xff` for a byte that is no UTF-8 (half of a surrogate pair stands for it), else as in a line."""
    return f"\\x{ord(char) - 0xDC00:02x}" if 0xDC80 <= ord(char) <= 0xDCFF else escaped(char)


def hex_lines(value: bytes, start: int, limit: int) -> Iterator[str]:
    for offset in range(start, min(start + limit, len(value)), 16):
        part = value[offset : offset + 16]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{offset:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  {letters}"
