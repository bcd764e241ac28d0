"""What all tests share: where the recorded contract lies, and a clean environment."""

import signal
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings

from videos.search import remembered

# A shell lets what it runs in the background ignore Ctrl-C, and so would the processes that tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("ytv2", deadline=None)
hypothesis.settings.load_profile("ytv2")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the recorded contract and the real snapshots (setting YTV2_SHARED)."""
    if not settings.SHARED_DIR.is_dir():
        pytest.skip(f"the recorded contract is not here: set YTV2_SHARED (looked in {settings.SHARED_DIR})")
    return settings.SHARED_DIR


@pytest.fixture(autouse=True, scope="session")
def _no_snapshot_from_the_environment() -> None:
    """A person's SQLITE_SNAPSHOT must not be imported into the test database."""
    settings.SQLITE_SNAPSHOT = ""


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Tests empty their tables, so revisions of the library come again."""
    remembered.cache_clear()
