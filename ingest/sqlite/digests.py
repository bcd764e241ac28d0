"""Digests of what a SQLite file holds, whatever its pages look like.

Two files have the same digests if and only if they have the same schema and the same rows, byte for
byte, under the same keys.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping

from .codec import Row, encode

KEY = struct.Struct(">q")


def row_digest(content: bytes) -> bytes:
    """The SHA-256 of a row's canonical bytes."""
    return hashlib.sha256(content).digest()


class TableDigest:
    """SHA-256 over each row's key and digest, in order of the key."""

    def __init__(self) -> None:
        self.rows = 0
        self.sha256 = hashlib.sha256()

    def add(self, key: int, digest: bytes) -> None:
        """Add the next row by the digest of its canonical bytes."""
        self.rows += 1
        self.sha256.update(KEY.pack(key) + digest)

    def hexdigest(self) -> str:
        return self.sha256.hexdigest()


def schema_digest(rows: Iterable[Row]) -> str:
    """The digest of rows (type, name, tbl_name, sql) of sqlite_master, in whatever order."""
    return hashlib.sha256(b"".join(sorted(encode(row) for row in rows))).hexdigest()


def library_digest(schema: str, tables: Mapping[str, str]) -> str:
    """One digest of a whole file, of the digests of its schema and of its tables by name."""
    lines = [f"schema {schema}", *(f"table {name} {digest}" for name, digest in sorted(tables.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
