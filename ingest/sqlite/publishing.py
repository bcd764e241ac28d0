"""Files that are there whole, or not at all: made in a hidden folder beside the target, then renamed."""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .writer import WriteError

WORKSPACE = ".export-"


class ExportError(Exception):
    """The file cannot be written; the message is a sentence for the person who asked for it."""


@contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target to write in. Raises ExportError where the target cannot be written."""
    if os.path.lexists(target):
        raise ExportError(f"{target} exists already; give another name, or remove it first.")
    if not target.parent.is_dir():
        raise ExportError(f"{target.parent} is no folder; make it first.")
    try:
        remove_leftovers(target.parent)
        folder = Path(tempfile.mkdtemp(prefix=WORKSPACE, dir=target.parent))
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror}.") from error
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}.") from error
    except WriteError as error:
        raise ExportError(f"{target} was not written. {error}") from error
    except sqlite3.Error as error:
        raise ExportError(f"{target} cannot be written (SQLite says: {error}).") from error
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of runs that were killed: nobody holds them any more."""
    for folder in parent.glob(f"{WORKSPACE}*/"):
        with suppress(OSError):
            held = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)


def publish(files: Mapping[Path, Path]) -> None:
    """Put finished files where they belong, in order: whoever sees the last one sees all of them, whole.

    Raises ExportError if that is there by now.
    """
    for made in files:
        with made.open("rb") as file:
            os.fsync(file.fileno())
    *_, last = files.values()
    if os.path.lexists(last):
        raise ExportError(f"{last} appeared while it was being written; it was left alone.")
    for made, target in files.items():
        made.rename(target)
    folder = os.open(last.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
