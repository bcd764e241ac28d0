"""`manage.py import_curation FILE`: what people decided on categories, back from a file of export_curation."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ingest.curation_files import (
    CurationReport,
    DamagedFile,
    Decision,
    Difference,
    State,
    import_curation,
    written_time,
)
from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.sqlite.importer import ImportLocked
from ingest.values import printable
from videos.curation import Names


class Command(base.Command):
    help = (
        "Take what people decided on the categories of videos from a file of export_curation, CSV or JSON: say by "
        "name what it changes, and change it in one transaction. Categories, their order and origins, who decided and "
        "when are then as in the file; videos that it does not name stay as they are. Exit codes: 0 applied, or "
        "nothing to change; 1 the file cannot be taken, nothing was changed; 2 a dry run found differences; 4 the "
        "database is not ready; 5 another import is running; 75 interrupted, nothing was changed: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="a file that ends with .csv or .json")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        parser.add_argument(
            "--keep-newer",
            action="store_true",
            help="leave the videos on which a person has decided here later than in the file",
        )
        parser.add_argument(
            "--by",
            metavar="NAME",
            default="import_curation",
            help="who the history says has changed it (default: %(default)s)",
        )

    def handle(self, *, file: Path, dry_run: bool, keep_newer: bool, by: str, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        try:
            with termination_as_interrupt():
                report = import_curation(file, by=by, dry_run=dry_run, keep_newer=keep_newer)
        except DamagedFile as error:
            raise CommandError(f"{printable(str(error))} Nothing was changed.", returncode=1) from error
        except OSError as error:
            raise CommandError(
                f"{printable(str(file))} cannot be read: {error.strerror or error}.", returncode=1
            ) from error
        except ValueError as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except ImportLocked as error:
            raise CommandError(str(error), returncode=5) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing was changed. Run it again.", returncode=75) from error
        self.stdout.write("\n".join(lines(report)))
        if dry_run and report.differences:
            raise CommandError(f"Differences: {videos(len(report.differences))}.", returncode=2)


def lines(report: CurationReport) -> list[str]:
    """The report as a person reads it."""
    shown = [line for difference in report.differences for line in difference_lines(difference)]
    if report.new_names:
        shown.append("Added to the categories, or to be added:" if report.is_dry_run else "Added to the categories:")
        shown += [f"  {pair(names)}" for names in report.new_names]
    named = {
        "Not in this library, and passed over": report.missing,
        "Deleted here, and left alone": report.deleted,
        "Only looked at in the file, but decided on here, and left as they are": report.kept,
        "Decided on here later than in the file, and left as they are": report.newer,
    }
    for what, keys in named.items():
        if keys:
            shown += [f"{what}:", *(f"  {printable(key)}" for key in keys)]
    if shown:
        shown.append("")
    changed = f"{videos(len(report.differences))} {'would change' if report.is_dry_run else 'changed'}"
    shown.append(f"{printable(report.file)}: {changed}, {report.unchanged:,} as in the file.")
    if older := sum(difference.is_older for difference in report.differences):
        shown.append(f"Of these a person had decided here later than in the file: {videos(older)} (see --keep-newer).")
    if report.passed_over:
        shown.append(f"Without a state, and passed over: {videos(report.passed_over)}.")
    if report.not_in_file:
        shown.append(
            f"Decided on or looked at here, not in the file, and left as they are: {videos(report.not_in_file)}."
        )
    if report.is_dry_run:
        shown.append("A dry run: nothing was changed.")
    return shown


def difference_lines(difference: Difference) -> list[str]:
    """What changes of a video."""
    before, after = difference.before, difference.after
    shown = [f"{printable(difference.video_id)} {printable(difference.title or 'Untitled')}"]
    shown += [f"  + {pair(names)}" for names in difference.added]
    shown += [f"  - {pair(names)}" for names in difference.removed]
    if difference.has_other_order:
        shown.append(f"  order: {', '.join(pair((one.category, one.subcategory)) for one in after.pairs)}")
    if difference.has_other_origins:
        shown.append(f"  origins: {origins(before)} -> {origins(after)}")
    if before.state is not after.state:
        shown.append(f"  state: {before.state or 'none'} -> {after.state}")
    if (before.by, before.at) != (after.by, after.at):
        shown.append(f"  {said(before)} -> {said(after)}")
    return shown


def pair(names: Names) -> str:
    """A category and its subcategory on one line."""
    category, subcategory = names
    return printable(category if subcategory is None else f"{category} › {subcategory}")


def origins(decision: Decision) -> str:
    return ", ".join(one.origin for one in decision.pairs)


def said(decision: Decision) -> str:
    """Who and when."""
    return "nobody" if decision.state is State.NONE else f"{printable(decision.by)}, {written_time(decision.at)}"


def videos(number: int) -> str:
    return "1 video" if number == 1 else f"{number:,} videos"
