"""Where the cut-over stands, for the person at the keyboard: the phase, what is in order, and the next command."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ingest.models import CutoverStep, Phase, QuarantinedRow
from ingest.sqlite.reader import SnapshotError

from . import dual_write
from .archive import FRESH
from .file_library import LegacyFile
from .flags import Flags, current
from .legacy import Unanswered
from .state import Busy, Refused, last_done, only_step, state
from .steps import check_rehearsal, numbers
from .way_back import changed_since

STEPS_SHOWN = 10


@dataclass(frozen=True)
class Check:
    """Something that is in order, or not, in a sentence."""

    is_fine: bool
    text: str


def overview() -> list[str]:
    """What `cutover status` says."""
    now, flags = state(), current()
    lines = [
        f"Phase     {now.phase}: {Phase(now.phase).label}.",
        f"Flags     READ_FROM_POSTGRES {said(flags.read_from_postgres)}, DUAL_WRITE_MODE {said(flags.dual_write)}, "
        f"SHADOW_READS {said(flags.shadow_reads)}; writes are {'frozen' if flags.frozen else 'taken'}.",
        "",
        *(f"{'ok  ' if check.is_fine else 'NOT '} {check.text}" for check in checks(flags)),
        "",
        f"Next: {next_command(flags)}",
    ]
    return lines + list(last_steps())


def last_steps() -> Iterator[str]:
    """The newest steps, and what the newest of them said."""
    steps = list(CutoverStep.objects.all()[:STEPS_SHOWN])
    if not steps:
        return
    yield from ("", "Last steps:")
    for row in steps:
        yield f"  {row.at:%Y-%m-%d %H:%M:%S} UTC  {row.verb:<14} {row.outcome:<8} by {row.by}"
    newest = steps[0]
    if newest.outcome == CutoverStep.Outcome.BEGUN:
        is_over = "was broken off. Run it again" if is_free() else "is under way"
        yield from ("", f"The last one {is_over}: manage.py cutover {newest.verb}")
    elif newest.message:
        yield from ("", f"The last one said: {newest.message}")


def is_free() -> bool:
    """Whether no step is under way."""
    try:
        with only_step():
            return True
    except Busy:
        return False


def said(flag: bool) -> str:
    return "true" if flag else "false"


def checks(flags: Flags) -> Iterator[Check]:
    """Everything that a step may ask for, with its numbers."""
    plan = MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes())
    yield Check(not plan, "The database is up to date." if not plan else "The database is not ready: manage.py migrate")
    found = numbers()
    yield Check(
        True,
        f"{found.total:,} videos, {found.summaries:,} with a summary, {found.categorised:,} with a subcategory.",
    )
    quarantined = QuarantinedRow.objects.open().count()
    yield Check(not quarantined, f"{quarantined:,} rows are quarantined that nobody has accepted.")
    if state().phase == Phase.FINALISED:
        return
    yield old_file()
    if settings.LEGACY_URL:
        yield old_dashboard()
    if not flags.dual_write:
        yield Check(
            False,
            "DUAL_WRITE_MODE is off: the old system is not told what is written here. "
            "The day before: manage.py cutover set DUAL_WRITE_MODE true",
        )
    waiting = dual_write.waiting()
    if flags.dual_write or waiting:
        yield Check(not waiting, f"{waiting:,} changes wait for the old system (manage.py dual_write status).")
    yield rehearsed()
    yield backed_up()
    if state().phase == Phase.LIVE:
        yield Check(True, f"{len(changed_since(state().live_since)):,} videos changed since this system is in charge.")


def old_file() -> Check:
    if not settings.LEGACY_SQLITE:
        return Check(state().phase == Phase.LIVE, "LEGACY_SQLITE is not set: no old file is known here.")
    try:
        contents = LegacyFile(Path(settings.LEGACY_SQLITE)).contents
    except SnapshotError as error:
        return Check(False, f"The old file: {error}")
    return Check(True, f"The old file has {len(contents.videos):,} videos.")


def old_dashboard() -> Check:
    try:
        total = dual_write.dashboard().total()
    except Unanswered as error:
        return Check(False, f"The old dashboard: {error}")
    return Check(True, f"The old dashboard at {settings.LEGACY_URL} answers, with {total:,} videos.")


def rehearsed() -> Check:
    try:
        check_rehearsal(state().snapshot_sha256)
    except Refused as error:
        return Check(False, str(error))
    done = last_done("rehearse")
    return Check(
        True,
        f"Rehearsed on {done.at:%Y-%m-%d %H:%M} UTC in {done.numbers.get('seconds')} seconds, with this program and "
        f"the data {done.numbers.get('snapshot_sha256', '')[:16]}…",
    )


def backed_up() -> Check:
    drill = last_done("restore_drill")
    made_at = parse_datetime(drill.numbers.get("backup_made_at", "")) if drill else None
    if not made_at:
        return Check(False, "No backup was tried: manage.py backup DIR; manage.py restore_drill DIR/ytv2-…")
    is_fresh = timezone.now() - made_at <= FRESH
    age = "" if is_fresh else ", which is not fresh: manage.py backup DIR; manage.py restore_drill DIR/ytv2-…"
    return Check(is_fresh, f"The last backup that was tried is of {made_at:%Y-%m-%d %H:%M} UTC{age}")


def next_command(flags: Flags) -> str:
    """The command that leads one step on."""
    now = state()
    is_rehearsed = rehearsed().is_fine
    match now.phase:
        case Phase.PARALLEL if flags.frozen:
            return (
                "does the old system run, with the file that rollback wrote, if it named one? "
                "Then take writes again: manage.py cutover unfreeze. Forward again: manage.py cutover freeze"
            )
        case Phase.PARALLEL:
            return "manage.py cutover freeze" if is_rehearsed else "manage.py cutover rehearse"
        case Phase.FROZEN:
            return "manage.py cutover sync"
        case Phase.SYNCED:
            return "manage.py cutover verify"
        case Phase.VERIFIED:
            return "manage.py cutover go-live" if is_rehearsed else "manage.py cutover rehearse"
        case Phase.LIVE | Phase.FINALISED if flags.frozen:
            return "manage.py cutover unfreeze"
        case Phase.LIVE:
            return "watch it for as long as you like, then manage.py cutover finalise --archive DIR; back with rollback"
        case _:
            return "nothing; manage.py check --tag cutover shows that no path leads back"
