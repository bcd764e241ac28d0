"""The end: what the old system was is kept, read-only and with checksums, and no way leads from it any more."""

import shutil
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ingest.models import CutoverStep, FlagName, OutboxEntry, Phase
from ingest.sqlite.reader import file_sha256

from . import dual_write
from .flags import set_flag
from .reports import stamp, write_whole
from .state import Done, Refused, Run, enter, last_done, require, state
from .steps import NEXT, numbers

# A backup that is older than this is not fresh.
FRESH = timedelta(hours=24)
# The settings that lead to the old system.
PATHS = ("LEGACY_SQLITE", "LEGACY_URL", "SQLITE_SNAPSHOT")
ARCHIVED = ("snapshots", "rehearsals", "reports", "rollbacks")


def finalise(run: Run, *, target: Path, abandon: bool = False) -> Done:
    """Give the old system up: archive its snapshots into a new folder below `target`, and end dual write for good.

    Raises Refused while anything still leads to the old system, waits for it, or there is no fresh, drilled backup.
    """
    if state().phase == Phase.FINALISED:
        return Done("The old system was given up before.")
    require(Phase.LIVE, next_step=NEXT)
    if configured := [name for name in PATHS if getattr(settings, name)]:
        raise Refused(
            f"Settings still lead to the old system: {', '.join(configured)}. Unset them, restart the site, and run "
            "this again."
        )
    waiting = dual_write.waiting()
    if waiting and not abandon:
        raise Refused(
            f"{waiting:,} changes were never told to the old system. Set LEGACY_URL or LEGACY_SQLITE again and run "
            "manage.py dual_write flush; or, if nobody needs the old system any more, run this with --abandon."
        )
    check_backup()
    if not target.is_dir():
        raise Refused(f"{target} is no folder. Make it first, on a disk of its own if there is one.")
    archive = write_archive(run, target)

    def finish() -> None:
        for name, value in (
            (FlagName.DUAL_WRITE_MODE, False),
            (FlagName.SHADOW_READS, False),
            (FlagName.READ_FROM_POSTGRES, True),
        ):
            set_flag(name, value, run.by)
        OutboxEntry.objects.all().delete()
        enter(Phase.FINALISED)

    return Done(
        f"The old system is given up. What it was is in {archive}, read-only. To see that no path leads back: "
        "manage.py check --tag cutover",
        {"archive": str(archive), "abandoned": waiting, **asdict(numbers())},
        finish,
    )


def check_backup() -> None:
    """Raises Refused unless a backup was restored as a drill, and is fresh."""
    drill = last_done("restore_drill")
    made_at = parse_datetime(drill.numbers.get("backup_made_at", "")) if drill else None
    if not made_at:
        raise Refused("No backup was ever tried. Run: manage.py backup DIR; manage.py restore_drill DIR/ytv2-…")
    if timezone.now() - made_at > FRESH:
        raise Refused(
            f"The last backup that was tried is of {made_at:%Y-%m-%d %H:%M} UTC. Make a fresh one and try it: "
            "manage.py backup DIR; manage.py restore_drill DIR/ytv2-…"
        )


def write_archive(run: Run, target: Path) -> Path:
    """Copy what the cut-over kept, with a list of all its steps; everything read-only. Whole, or not there."""
    for left in target.glob(".ytv2-archive-*.part"):
        make_writable(left)
        shutil.rmtree(left)
    archive = target / f"ytv2-archive-{stamp()}"
    part = target / f".{archive.name}.part"
    part.mkdir()
    for name in ARCHIVED:
        if (run.folder / name).is_dir():
            shutil.copytree(run.folder / name, part / name, ignore=shutil.ignore_patterns(".*", "taking.db*", "work"))
    steps = "".join(
        f"{row.at.isoformat()}\t{row.verb}\t{row.outcome}\t{row.by}\t{' '.join(row.message.split())}\n"
        for row in CutoverStep.objects.order_by("pk")
    )
    write_whole(part / "steps.tsv", steps.encode())
    files = sorted(path for path in part.rglob("*") if path.is_file())
    sums = "".join(f"{file_sha256(path)}  {path.relative_to(part)}\n" for path in files)
    write_whole(part / "SHA256SUMS", sums.encode())
    for path in [*part.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    part.rename(archive)
    archive.chmod(0o555)
    return archive


def make_writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
