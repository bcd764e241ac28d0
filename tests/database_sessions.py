"""What other sessions of the database do, as a test sees it."""

import time

import psycopg
from django.db import connection


def wait_for(query: str) -> None:
    """Until the query finds a row."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
        deadline = time.monotonic() + 60
        while session.execute(query).fetchone() is None:
            assert time.monotonic() < deadline, query
            time.sleep(0.05)
