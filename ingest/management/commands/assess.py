"""`manage.py assess FILE`: what the library has lost since a backup or an old snapshot, by name."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ingest.backup import BackupDamaged, BackupError, BackupOutdated
from ingest.cutover.reports import write_whole
from ingest.disaster import Assessment, Key, assess
from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.scratch import ScratchError, ScratchInUse
from ingest.sqlite.importer import ImportLocked
from ingest.sqlite.reader import SnapshotError
from ingest.values import printable

SHOWN_NAMES = 50
HEADER = ("before", "now", "lost", "gained", "changed", "on purpose")
TITLES = {
    "videos": "videos",
    "summaries": "texts of summaries",
    "categories": "triples of categories",
    "decisions": "decisions of people",
}
WORDS = {"lost": "Lost", "changed": "Changed", "gained": "Gained", "on_purpose": "Deleted or rewritten on purpose"}


class Command(base.Command):
    help = (
        "Compare the library with a backup, which is restored into a database of its own, or with a snapshot of the "
        "old SQLite file: videos, summaries and categories that are lost, gained or changed since, first in numbers, "
        "then by name. What was deleted here, or written otherwise in somebody's name, is told apart and is not lost. "
        "Nothing is written. restore brings back what is lost. Exit codes: 0 nothing is lost or changed; 1 the file "
        "cannot be taken; 2 something is lost or changed, or the backup is damaged; 4 the database is not ready, or "
        "the backup is of a later version of the program; 5 another drill, rehearsal or comparison is running; 75 "
        "interrupted: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="the folder of a backup, as DIR/ytv2-<time>, or an old SQLite file"
        )
        parser.add_argument("--report", metavar="FILE", type=Path, help="write all of it, with all names, as JSON")

    def handle(self, *, file: Path, report: Path | None, **options: Any) -> None:
        check_ready()
        if report and report.is_dir():
            raise CommandError(f"{report} is a folder. Give the name of a file with --report.", returncode=1)
        self.stderr.write("Reading what was before …")
        with refusals("Nothing was written"):
            found = assess(file)
        if report:
            text = json.dumps(found.document(), indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)
            try:
                write_whole(report, text.encode(errors="backslashreplace") + b"\n")
            except OSError as error:
                raise CommandError(f"{report} cannot be written: {error.strerror}.", returncode=1) from error
        self.stdout.write("\n".join(lines(found)))
        if found.lost:
            raise CommandError(
                f"Lost: {found.lost:,}. See what can be brought back: manage.py restore {file} --only-missing "
                "--dry-run --by NAME",
                returncode=2,
            )
        if found.changed:
            raise CommandError(
                f"Nothing is lost, but {found.changed:,} are other than they were: look whether that was meant.",
                returncode=2,
            )


def check_ready() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)


@contextmanager
def refusals(nothing_done: str) -> Iterator[None]:
    """Say why it cannot be done, with the exit code."""
    try:
        with termination_as_interrupt():
            yield
    except BackupDamaged as error:
        raise CommandError(printable(str(error)), returncode=2) from error
    except BackupOutdated as error:
        raise CommandError(printable(str(error)), returncode=4) from error
    except (ScratchInUse, ImportLocked) as error:
        raise CommandError(str(error), returncode=5) from error
    except (BackupError, ScratchError, SnapshotError) as error:
        raise CommandError(printable(str(error)), returncode=1) from error
    except KeyboardInterrupt as error:
        raise CommandError(f"Interrupted. {nothing_done}; run it again.", returncode=75) from error


def lines(found: Assessment) -> list[str]:
    """The assessment as a person reads it: numbers, then names."""
    shown = [
        f"The library beside {printable(found.name)}",
        "",
        f"{'':<24}" + "".join(f"{title:>12}" for title in HEADER),
    ]
    for name, section in found.sections.items():
        if not section.before and not section.now:
            continue
        numbers = (section.before, section.now, *map(len, (section.lost, section.gained, section.changed)))
        cells = "".join(f"{number:>12,}" for number in (*numbers, len(section.on_purpose)))
        shown.append(f"{TITLES[name]:<24}{cells}")
    for what, word in WORDS.items():
        for name, section in found.sections.items():
            if keys := getattr(section, what):
                shown += ["", f"{word}, {TITLES[name]} ({len(keys):,}):"]
                shown += [f"  {named(found, name, key)}" for key in keys[:SHOWN_NAMES]]
                if len(keys) > SHOWN_NAMES:
                    shown.append(f"  … and {len(keys) - SHOWN_NAMES:,} more; --report FILE has them all")
    if not (found.lost or found.changed):
        shown += ["", "Nothing is lost, and nothing changed but what was meant."]
    return shown


def named(found: Assessment, section: str, key: Key) -> str:
    """What a person knows it by."""
    video, *parts = key
    title = printable(found.titles.get(video, "") or "Untitled")
    match section:
        case "videos":
            columns = f" (other: {', '.join(found.columns[video])})" if video in found.columns else ""
            return f"{printable(video)} {title}{columns}"
        case "summaries":
            revision = f", revision {parts[1]}" if parts[1] else ""
            return f"{printable(video)} {printable(parts[0])}{revision} ({title})"
        case "categories":
            return f"{printable(video)} {printable(' › '.join(filter(None, parts)))} ({title})"
    return f"{printable(video)} ({title})"
