"""Where the cut-over stands: a phase in the database, and a row of the audit for each step.

    parallel → frozen → synced → verified → live → finalised        (and back to parallel from all but the last)

A step checks the phase first, does what can be done again, and enters the next phase last, in one transaction. So
whoever is killed in the middle runs the same step again.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ingest.locks import held
from ingest.models import Cutover, CutoverStep, Phase
from ingest.scratch import ScratchError
from ingest.sqlite.importer import ImportLocked
from ingest.sqlite.manifest import SnapshotLocked
from ingest.sqlite.publishing import ExportError
from ingest.sqlite.reader import SnapshotError
from ingest.sqlite.vault import VaultDiffers

from .freeze import FreezeTimeout

STEPS_LOCK = 7_298_115_230_117
# What this program is made of; two runs of the same have the same digest.
CODE = ("ytv2", "videos", "summaries", "ingest", "templates", "static", "requirements.txt")


class Refused(Exception):
    """A step cannot be done as things are; the message says what it waits for, and the command that helps."""


class Differs(Exception):
    """A proof failed; the message says which, and where to look."""


class Busy(Exception):
    """Another step is under way."""


# What stops a step, and says why.
SENTENCES = (
    Refused, Differs, FreezeTimeout, SnapshotError, SnapshotLocked, ImportLocked, VaultDiffers, ExportError,
    ScratchError, OSError,
)  # fmt: skip


@dataclass
class Done:
    """What a step did: a sentence for a person, its numbers, and how it ends, in the transaction that keeps it."""

    message: str
    numbers: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Run:
    """Who does a step, where its files go, where the old file is, and who is told of what goes on."""

    by: str
    folder: Path
    source: Path | None
    say: Callable[[str], None] = lambda sentence: None
    is_rehearsal: bool = False


def state() -> Cutover:
    """Where the cut-over stands now."""
    return Cutover.objects.first() or Cutover()


def enter(phase: Phase, **values: Any) -> None:
    """Enter a phase, or stay in it."""
    before = state()
    if before.phase != phase:
        values["since"] = timezone.now()
    Cutover.objects.update_or_create(pk=1, defaults={"phase": phase, **values})


def require(*phases: Phase, next_step: dict[str, str]) -> Cutover:
    """The state, if it is in one of these phases. Raises Refused, with the step that comes first."""
    now = state()
    if now.phase not in phases:
        advice = next_step.get(now.phase, "Look at: manage.py cutover status")
        raise Refused(f"The cut-over is in the phase {now.phase} ({Phase(now.phase).label}). {advice}")
    return now


@contextmanager
def step(verb: str, by: str) -> Iterator[Callable[[Done], None]]:
    """Around a step: it is the only one, and has a row of the audit. Raises Busy.

    What it calls with what was done ends the row; whatever stops the step with a sentence does as well. A row that
    stays begun is one of a step that was killed, or failed in a way that the log tells.
    """
    with only_step():
        row = CutoverStep.objects.create(by=by, verb=verb, outcome=CutoverStep.Outcome.BEGUN, message="")

        def end(done: Done, outcome: CutoverStep.Outcome = CutoverStep.Outcome.DONE) -> None:
            with transaction.atomic():
                done.finish()
                CutoverStep.objects.filter(pk=row.pk).update(
                    outcome=outcome, message=done.message, numbers=done.numbers
                )

        try:
            yield end
        except SENTENCES as error:
            end(Done(str(error)), CutoverStep.Outcome.REFUSED)
            raise
        except KeyboardInterrupt:
            end(Done("Interrupted."), CutoverStep.Outcome.REFUSED)
            raise


@contextmanager
def only_step() -> Iterator[None]:
    """Within this no other process does a step. Raises Busy."""
    with held(STEPS_LOCK) as keeper:
        if keeper is None:
            raise Busy("Another step of the cut-over is under way. Wait until it has ended.")
        yield


def last_done(verb: str, **numbers: str) -> CutoverStep | None:
    """The last time that a step was done, with these among its numbers."""
    done = CutoverStep.objects.filter(verb=verb, outcome=CutoverStep.Outcome.DONE)
    return done.filter(**{f"numbers__{name}": value for name, value in numbers.items()}).first()


def code_sha256() -> str:
    """The digest of this program's own files, so that a rehearsal holds for these only."""
    digest = hashlib.sha256()
    for name in CODE:
        root = settings.BASE_DIR / name
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(settings.BASE_DIR)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
