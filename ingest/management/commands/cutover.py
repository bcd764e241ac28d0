"""`manage.py cutover`: writes can be frozen for as long as the library is being moved."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ingest.cutover.flags import current
from ingest.cutover.freeze import FreezeTimeout, freeze, unfreeze
from ingest.management import base
from ingest.models import CutoverStep
from videos.search import Search

VERBS = {
    "status": "say whether writes are frozen, how many videos there are, and what was done last",
    "freeze": "refuse every write with 503 and Retry-After, and wait until none is under way; reads go on",
    "unfreeze": "take writes again",
}
STEPS_SHOWN = 10


class Command(base.Command):
    help = (
        "Freeze and unfreeze writes while the library is being moved. Each step is kept, with who did it and when, and "
        "can be read in the admin. Every verb can be repeated. Exit codes: 0 done; 1 usage; 4 a write did not end in "
        "time, nothing is frozen: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, text in VERBS.items():
            verb = verbs.add_parser(name, help=text, description=text)
            if name != "status":
                verb.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name here")

    def handle(self, *, verb: str, **options: Any) -> None:
        if verb == "status":
            self.stdout.write("\n".join(status()))
            return
        by = options["by"]
        try:
            changed = freeze(by) if verb == "freeze" else unfreeze(by)
        except FreezeTimeout as error:
            note(by, verb, CutoverStep.Outcome.REFUSED, str(error))
            raise CommandError(str(error), returncode=4) from error
        message = SAID[verb, changed]
        note(by, verb, CutoverStep.Outcome.DONE, message)
        self.stdout.write(message)


SAID = {
    ("freeze", True): "Writes are frozen, and none is under way. Reads go on. To end it: manage.py cutover unfreeze",
    ("freeze", False): "Writes were frozen before, and none is under way. To end it: manage.py cutover unfreeze",
    ("unfreeze", True): "Writes are taken again.",
    ("unfreeze", False): "Writes were not frozen.",
}


def note(by: str, verb: str, outcome: CutoverStep.Outcome, message: str) -> None:
    CutoverStep.objects.create(by=by, verb=verb, outcome=outcome, message=message, numbers={"videos": Search().count()})


def status() -> list[str]:
    """What a person wants to know first."""
    frozen = current().frozen
    lines = [
        f"Writes are {'frozen' if frozen else 'taken'}; {Search().count():,} videos.",
        f"Next: manage.py cutover {'unfreeze' if frozen else 'freeze'}",
    ]
    steps = list(CutoverStep.objects.all()[:STEPS_SHOWN])
    if steps:
        lines.append("Last steps:")
        lines += [f"  {step.at:%Y-%m-%d %H:%M:%S} UTC  {step.verb}, {step.outcome}, by {step.by}" for step in steps]
    return lines
