"""A lock on a connection of its own (ingest/locks.py)."""

from typing import Any

import pytest

from ingest.locks import held

pytestmark = pytest.mark.django_db
LOCK = 7_298_115_230_999


def test_a_lock_is_held_by_one_and_free_for_the_next():
    with held(LOCK) as keeper, held(LOCK) as other:
        assert keeper and other is None
    with held(LOCK) as keeper:
        assert keeper


def test_a_lock_is_given_back_before_its_connection_is_closed():
    """A server notices a closed connection only a while later."""
    said = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        said.append(sql)
        return execute(sql, *rest)

    with held(LOCK) as keeper:
        keeper.execute_wrappers.append(note)
    assert said == ["SELECT pg_advisory_unlock_all()"]
