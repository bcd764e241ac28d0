"""How gunicorn serves the site: `gunicorn ytv2.wsgi` reads this file. It listens on PORT, if that is set.

WEB_CONCURRENCY sets the number of processes; each keeps one connection to PostgreSQL a thread.
"""

import ctypes
from contextlib import suppress
from typing import Any

# mallopt(3): how many heaps threads may share. glibc's default is 8 for each processor, and each of them keeps what
# the largest body needed that a thread ever read there.
M_ARENA_MAX = -8
HEAPS = 2

threads = 8
timeout = 60
# 500 values of a filter make a long line (contract/api.md: all of them, whole); the proxy in front bounds it.
limit_request_line = 0


def post_fork(server: Any, worker: Any) -> None:
    """Before the worker starts its threads. Other C libraries have no such call, and no such need."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)
