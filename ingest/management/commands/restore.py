"""`manage.py restore FILE --only-missing`: back what was lost, and nothing else."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from ingest.disaster import NotBroughtBack, Restored, restore
from ingest.management import base
from ingest.management.commands.assess import SHOWN_NAMES, TITLES, check_ready, named, refusals
from ingest.values import printable


class Command(base.Command):
    help = (
        "Bring back what the library has lost since a backup or an old snapshot, as assess names it: videos, "
        "summaries, categories with who decided them and when. What is there stays as it is, and what was deleted "
        "stays deleted. All of it in one transaction; whoever writes waits meanwhile, readers go on. Exit codes: 0 "
        "brought back, or nothing was lost; 1 the file cannot be taken, or it could not be brought back; 2 a dry run "
        "found something to bring back, something had to be left alone, or the backup is damaged; 4 the database is "
        "not ready, or the backup is of a later version of the program; 5 an import, a drill or a comparison is "
        "running; 75 interrupted, nothing was changed: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="the folder of a backup, as DIR/ytv2-<time>, or an old SQLite file"
        )
        parser.add_argument(
            "--only-missing", action="store_true", required=True, help="say that only what is missing is meant"
        )
        parser.add_argument("--dry-run", action="store_true", help="do all of it, say it, and take it back")
        parser.add_argument("--by", metavar="NAME", required=True, help="who the history says has brought it back")

    def handle(self, *, file: Path, by: str, dry_run: bool, **options: Any) -> None:
        check_ready()
        self.stderr.write("Reading what was before …")
        try:
            with refusals("Nothing was changed"):
                done = restore(file, by, dry_run=dry_run)
        except (NotBroughtBack, ValueError) as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        self.stdout.write("\n".join(lines(done)))
        if done.left:
            raise CommandError(
                f"Left alone: {len(done.left):,}. What is lost of them is still in the backup.", returncode=2
            )
        if dry_run and any(done.brought.values()):
            raise CommandError("A dry run: nothing was changed. The same without --dry-run does it.", returncode=2)


def lines(done: Restored) -> list[str]:
    """What was done, as a person reads it."""
    found = done.assessment
    if not any(done.brought.values()) and not done.left:
        return [f"Nothing is lost that {printable(found.name)} has. Nothing was changed."]
    shown = ["Would be brought back:" if done.is_dry_run else "Brought back:"]
    shown += [f"{number:>12,} {TITLES[name]}" for name, number in done.brought.items()]
    for name, section in found.sections.items():
        brought = [key for key in section.lost if key not in done.left and key[:1] not in done.left]
        if brought:
            shown += ["", f"{TITLES[name].capitalize()} ({len(brought):,}):"]
            shown += [f"  {named(found, name, key)}" for key in brought[:SHOWN_NAMES]]
            if len(brought) > SHOWN_NAMES:
                shown.append(f"  … and {len(brought) - SHOWN_NAMES:,} more; assess --report FILE has them all")
    if done.left:
        shown += ["", f"Left alone ({len(done.left):,}):"]
        for key, why in list(done.left.items())[:SHOWN_NAMES]:
            shown.append(f"  {named(found, 'summaries' if len(key) == 3 else 'videos', key)}: {printable(why)}")
    return shown
