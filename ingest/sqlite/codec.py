"""SQLite values as canonical bytes and back, without loss (design.md, Lossless import).

A value is one tag and, except for NULL, its content; text and blobs carry their length, so no byte
inside them can be mistaken for anything else. Integers, reals, text and blobs stay apart; NUL bytes,
invalid UTF-8 and -0.0 survive. A row is the number of its values, then the values.
"""

import struct

LENGTH = struct.Struct(">Q")
INTEGER = struct.Struct(">q")
REAL = struct.Struct(">d")
NULL, WHOLE, FRACTION, TEXT = b"NIRT"
SMALLEST, LARGEST = -(2**63), 2**63 - 1


class Text(bytes):
    """The bytes of an SQLite TEXT value; plain `bytes` are a BLOB."""

    __slots__ = ()


Value = None | int | float | Text | bytes
Row = tuple[Value, ...]


def encode(row: Row) -> bytes:
    """The canonical bytes of a row. Raises TypeError for what is no SQLite value."""
    parts = [LENGTH.pack(len(row))]
    for value in row:
        kind = type(value)
        if kind is Text:
            parts += (b"T", LENGTH.pack(len(value)), value)
        elif value is None:
            parts.append(b"N")
        elif kind is int:
            if not SMALLEST <= value <= LARGEST:
                raise TypeError(f"{value} is no SQLite integer: it has more than 64 bits")
            parts += (b"I", INTEGER.pack(value))
        elif kind is float:
            parts += (b"R", REAL.pack(value))
        elif kind is bytes:
            parts += (b"B", LENGTH.pack(len(value)), value)
        else:
            raise TypeError(f"{kind.__name__} is no SQLite value")
    return b"".join(parts)


def decode(content: bytes) -> Row:
    """The row of canonical bytes. Raises ValueError where they are damaged: cut short, or with a rest."""
    values: list[Value] = []
    try:
        (count,) = LENGTH.unpack_from(content)
        if count > len(content):
            raise ValueError(f"the row claims {count} values in {len(content)} bytes")
        position = LENGTH.size
        for _ in range(count):
            tag, position = content[position], position + 1
            if tag in b"TB":
                (size,) = LENGTH.unpack_from(content, position)
                position += LENGTH.size
                part = content[position : position + size]
                if len(part) != size:
                    raise ValueError(f"the bytes of the row end early, at {len(content)}")
                position += size
                values.append(Text(part) if tag == TEXT else part)
            elif tag == NULL:
                values.append(None)
            elif tag == WHOLE:
                values.append(INTEGER.unpack_from(content, position)[0])
                position += INTEGER.size
            elif tag == FRACTION:
                values.append(REAL.unpack_from(content, position)[0])
                position += REAL.size
            else:
                raise ValueError(f"unknown tag {bytes([tag])!r} at {position - 1}")
    except (struct.error, IndexError) as error:
        raise ValueError(f"the bytes of the row end early, at {len(content)}") from error
    if position != len(content):
        raise ValueError(f"{len(content) - position} bytes follow the row")
    return tuple(values)
