"""How gunicorn serves the site: `gunicorn ytv2.wsgi` reads this file. It listens on PORT, if that is set.

WEB_CONCURRENCY sets the number of processes; each keeps one connection to PostgreSQL a thread.
"""

import ctypes
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

# mallopt(3): how many heaps threads may share. glibc's default is 8 for each processor, and each of them keeps what
# the largest body needed that a thread ever read there.
M_ARENA_MAX = -8
HEAPS = 2

threads = 8
timeout = 60
# After TERM no connection is taken any more, and what is being answered has so long: a large file on a slow line.
# Whatever stops gunicorn should wait a little longer before it kills (docs/deploy.md).
graceful_timeout = 110
# Nothing here uses it, and its place, in the home directory, need not be writable.
control_socket_disable = True
# 500 values of a filter make a long line (contract/api.md: all of them, whole); the proxy in front bounds it.
limit_request_line = 0


def on_starting(server: Any) -> None:
    """Listen only when PostgreSQL answers; end with a sentence if it does not within a minute (ytv2/database.py).

    In a process of its own, so that the workers, which are forked from this one, load the settings afresh.
    """
    # gunicorn has its own handlers only after this, and the first process of a container ignores TERM without one.
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if subprocess.run([sys.executable, "-m", "ytv2.database"], cwd=server.cfg.chdir).returncode:
        sys.exit(1)


def end(number: int, frame: object) -> None:
    """Stop waiting."""
    sys.exit(128 + number)


def post_fork(server: Any, worker: Any) -> None:
    """Before the worker starts its threads. Other C libraries have no such call, and no such need."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)


def post_worker_init(worker: Any) -> None:
    """When the site is loaded: what goes on beside the requests, in a thread of each worker."""
    from ingest.cutover import background

    background.start()
