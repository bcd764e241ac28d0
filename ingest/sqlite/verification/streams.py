"""Rows in order of their keys, in parts, so that memory stays flat."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models.expressions import RawSQL

ROWS_AT_ONCE = 1000


class Following:
    """Rows of a query, the first column of which grows, asked for by growing keys."""

    def __init__(self, rows: Iterator[tuple]) -> None:
        self.rows = rows
        self.next = next(rows, None)

    def before(self, key: int | None) -> Iterator[tuple]:
        """The rows with smaller keys that were not taken; all that are left for None."""
        while self.next is not None and (key is None or self.next[0] < key):
            row, self.next = self.next, next(self.rows, None)
            yield row

    def take(self, key: int) -> tuple | None:
        """The row with this key."""
        if self.next is None or self.next[0] != key:
            return None
        row, self.next = self.next, next(self.rows, None)
        return row


def stream(statement: str, parameters: Sequence[Any]) -> Iterator[tuple]:
    """The rows of a query through a cursor of the server's, so that memory stays flat."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(2 * ROWS_AT_ONCE):
            yield from rows


def among(names: Iterable[str]) -> RawSQL:
    """What `__in` compares with: one parameter, where Django would make one of each name."""
    return RawSQL("SELECT unnest(%s::text[])", [list(names)])


def batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
