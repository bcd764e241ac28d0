"""`manage.py load_taxonomy [FILE]`: the known categories and subcategories, for people to choose from."""

import json
import re
import unicodedata
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pghistory
from django.core.management.base import CommandError
from django.db import OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from psycopg.errors import LockNotAvailable

from ingest.management import base
from ingest.sqlite.mapping import LONGEST_INDEXED
from ingest.values import printable
from videos.curation import Names
from videos.deciding import change_names
from videos.keys import UNSTORABLE
from videos.known_categories import FILE, named_in
from videos.models import Category, Subcategory

# Dashes of any length, underscores and white space: names that differ in nothing else are the same to people.
BETWEEN_WORDS = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")


class TaxonomyError(Exception):
    """A list that cannot be taken; the message says why."""


@dataclass
class TaxonomyReport:
    """What became of each name of a list; a category's own name has no subcategory."""

    added: list[Names] = field(default_factory=list)
    there: int = 0
    to_be_placed: list[Names] = field(default_factory=list)
    left_out: dict[Names, str] = field(default_factory=dict)

    def note_there(self, names: Names, row: Category | Subcategory) -> None:
        self.there += 1
        if row.is_new:
            self.to_be_placed.append(names)


def load_taxonomy(path: Path, *, dry_run: bool = False) -> TaxonomyReport:
    """Add the names of a list that are not there, in its order, and leave those that are as they are.

    Nobody writes categories meanwhile, so nothing alike comes in between. Raises TaxonomyError, OSError, and
    OperationalError if somebody writes them for long.
    """
    listed = read_taxonomy(path)
    report = TaxonomyReport()
    with pghistory.context(curator="load_taxonomy"), transaction.atomic():
        change_names()
        categories = {row.name: row for row in Category.objects.select_related("merged_into")}
        subcategories = {
            (row.category.name, row.name): row
            for row in Subcategory.objects.select_related("category", "merged_into__category")
        }
        for place, (name, below) in enumerate(listed.items()):
            if category := take_category(name, place, categories, report):
                take_subcategories(category, name, below, subcategories, report)
            else:
                report.left_out |= {(name, one): "its category was left out" for one in below}
        if dry_run:
            transaction.set_rollback(True)
    return report


def take_category(name: str, place: int, categories: dict[str, Category], report: TaxonomyReport) -> Category | None:
    """The category that has this name, or had it, added if there is none. None: it looks like another one."""
    category = categories.get(name)
    if category is None:
        if alike := alike_in(categories, name):
            report.left_out[name, None] = f"looks like {alike}, which is there"
            return None
        category = categories[name] = Category.objects.create(name=name, position=place)
        report.added.append((name, None))
    elif category.merged_into:
        report.left_out[name, None] = f"a former name of {category.merged_into}"
    else:
        report.note_there((name, None), category)
    return category


def take_subcategories(
    category: Category,
    name: str,
    below: tuple[str, ...],
    subcategories: dict[Names, Subcategory],
    report: TaxonomyReport,
) -> None:
    """Add those of a category's subcategories that are not there, unless its name is a former one."""
    present = category.merged_into or category
    of_present = {one: row for (of, one), row in subcategories.items() if of == present.name}
    for place, one in enumerate(below):
        row = subcategories.get((name, one)) or of_present.get(one)
        if row and row.merged_into:
            report.left_out[name, one] = f"a former name of {row.merged_into}"
        elif row:
            report.note_there((name, one), row)
        elif category.merged_into:
            report.left_out[name, one] = "its category is a former name"
        elif alike := alike_in(of_present, one):
            report.left_out[name, one] = f"looks like {alike}, which is there"
        else:
            of_present[one] = Subcategory.objects.create(category=category, name=one, position=place)
            report.added.append((name, one))


def alike_in(names: Mapping[str, object], wanted: str) -> str | None:
    """One of these names that people would take for this one."""
    return next((name for name in names if look(name) == look(wanted)), None)


def look(name: str) -> str:
    """A name without what people do not see at once: case, dashes and spaces."""
    return BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", name)).casefold()


def read_taxonomy(path: Path) -> dict[str, tuple[str, ...]]:
    """The names of a list, each with those of its subcategories. Raises TaxonomyError and OSError."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TaxonomyError(f"{path.name} is no readable JSON: {error}.") from error
    entries = document.get("categories") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise TaxonomyError(f"{path.name} has no list of categories.")
    seen: set[Names] = set()
    for number, entry in enumerate(entries, start=1):
        place = f"{path.name}, category {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("subcategories"), list):
            raise TaxonomyError(f"{place}: no category with a list of subcategories.")
        category, below = entry.get("category"), entry["subcategories"]
        for name in (category, *below):
            refuse_name(name, place)
        for names in ((category, None), *((category, name) for name in below)):
            if names in seen:
                raise TaxonomyError(f"{place}: {shown_names(names)} is there twice.")
            seen.add(names)
    return named_in(document)


def refuse_name(name: Any, place: str) -> None:
    """Raises TaxonomyError for what cannot be a name."""
    if not isinstance(name, str) or not name.strip():
        raise TaxonomyError(f"{place}: a name is missing, or no text.")
    if UNSTORABLE.search(name) or len(name.encode()) > LONGEST_INDEXED:
        raise TaxonomyError(f"{place}: a name has a NUL or half of a surrogate pair, or is too long.")


class Command(base.Command):
    help = (
        "Add the categories and subcategories of a list, in its order; without FILE those that the worker's prompt "
        "lists. What is there already stays as it is, former names are not added again, and a name that only looks "
        "like one that is there is named and left out. Running it again changes nothing. Exit codes: 0 done, or a dry "
        "run; 1 the file cannot be taken, nothing was changed; 4 the database is not ready; 5 somebody writes "
        "categories just now: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            nargs="?",
            type=Path,
            default=FILE,
            help='JSON: {"categories": [{"category": …, "subcategories": […]}, …]}; further keys are passed over',
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be added, and add nothing")

    def handle(self, *, file: Path, dry_run: bool, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        try:
            report = load_taxonomy(file, dry_run=dry_run)
        except TaxonomyError as error:
            raise CommandError(f"{printable(str(error))} Nothing was changed.", returncode=1) from error
        except OSError as error:
            raise CommandError(
                f"{printable(str(file))} cannot be read: {error.strerror or error}.", returncode=1
            ) from error
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise CommandError(
                "Somebody writes categories just now, and it took too long to wait. Nothing was changed; run it again.",
                returncode=5,
            ) from error
        self.stdout.write("\n".join(lines(report, dry_run)))


def lines(report: TaxonomyReport, dry_run: bool) -> list[str]:
    """The report as a person reads it."""
    shown = []
    if report.added:
        shown += ["Would be added:" if dry_run else "Added:", *(f"  {shown_names(names)}" for names in report.added)]
    if report.to_be_placed:
        shown += ["There already, and to be placed by a person:"]
        shown += [f"  {shown_names(names)}" for names in report.to_be_placed]
    if report.left_out:
        shown += ["Left out:", *(f"  {shown_names(names)}: {reason}" for names, reason in report.left_out.items())]
    if shown:
        shown.append("")
    categories = sum(subcategory is None for _, subcategory in report.added)
    shown.append(
        f"{categories:,} categories and {len(report.added) - categories:,} subcategories"
        f" {'would be added' if dry_run else 'added'}, {report.there:,} names there already,"
        f" {len(report.left_out):,} left out."
    )
    return shown


def shown_names(names: Names) -> str:
    """A category, or a subcategory below its category."""
    category, subcategory = names
    return printable(category if subcategory is None else f"{category} › {subcategory}")
