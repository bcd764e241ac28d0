"""`manage.py cutover`: from the old system to this one, with proof, and back."""

import getpass
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from ingest.cutover import archive, rehearsal, steps
from ingest.cutover.flags import CONFIGURED, set_flag
from ingest.cutover.freeze import FreezeTimeout, without_writes
from ingest.cutover.overview import overview
from ingest.cutover.state import Busy, Differs, Done, Refused, Run, state, step
from ingest.cutover.steps import Expected
from ingest.management import base
from ingest.models import FlagName, Phase
from ingest.scratch import ScratchError, ScratchInUse
from ingest.sqlite.importer import ImportLocked
from ingest.sqlite.manifest import SnapshotLocked
from ingest.sqlite.publishing import ExportError
from ingest.sqlite.reader import SnapshotError
from ingest.sqlite.vault import VaultDiffers
from ingest.values import printable

REQUESTS = 1000
REHEARSED_REQUESTS = 200
VERBS = {
    "status": "say where the cut-over stands, what is in order and what is not, and the next command",
    "rehearse": "go the whole way, back and forward again, with the real data in a scratch database",
    "freeze": "refuse every write with 503 and Retry-After, and wait until none is under way; reads go on",
    "unfreeze": "take writes again",
    "sync": "bring the newest state of the old file over",
    "verify": "prove that everything of it is here, and answers alike",
    "go-live": "put this system in charge",
    "rollback": "put the old system in charge again, with everything that was written here since",
    "finalise": "give the old system up: archive what it was, and end dual write. This cannot be undone",
    "set": "turn a flag for all processes: READ_FROM_POSTGRES, DUAL_WRITE_MODE or SHADOW_READS, to true or false",
}
READ_ONLY = ("status",)


class Command(base.Command):
    help = (
        "Move from the old system to this one, with proof, and back. The steps, in order: rehearse, freeze, sync, "
        "verify, go-live, finalise; back with rollback. Each checks what must come before it, can be repeated and can "
        "be killed; each is kept with who did it, when, and its numbers, and can be read in the admin. docs/cutover.md "
        "is the way, day by day. Exit codes: 0 done; 1 a file cannot be taken or written; 2 a proof failed; 4 "
        "something else comes first, nothing was changed; 5 another step is under way; 75 interrupted, or the database "
        "went away: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        made = {name: verbs.add_parser(name, help=text, description=text) for name, text in VERBS.items()}
        for name, verb in made.items():
            verb.error = partial(base.refuse_call, verb)
            if name not in READ_ONLY:
                verb.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name here")
        for name in ("rehearse", "sync"):
            made[name].add_argument(
                "file", nargs="?", type=Path, metavar="FILE", help="the old file; default: LEGACY_SQLITE"
            )
            made[name].add_argument(
                "--accept-quarantine", action="store_true", help="go on although some rows can only be kept as they are"
            )
        made["sync"].add_argument(
            "--missing",
            choices=("ask", "delete", "keep"),
            default="ask",
            help="what to do with videos that are here and not in the old file (default: stop and name them)",
        )
        for name, requests in (("rehearse", REHEARSED_REQUESTS), ("verify", REQUESTS)):
            made[name].add_argument(
                "--requests",
                type=positive,
                default=requests,
                metavar="N",
                help="requests to compare (default: %(default)s)",
            )
            for number, label in (
                ("total", "videos"),
                ("summaries", "videos with a summary"),
                ("categorised", "videos with a subcategory"),
            ):
                made[name].add_argument(
                    f"--expect-{number}", type=int, metavar="N", help=f"fail unless there are so many {label}"
                )
        made["finalise"].add_argument(
            "--archive", type=Path, required=True, metavar="DIR", help="the folder to put the archive in"
        )
        made["finalise"].add_argument(
            "--abandon", action="store_true", help="although changes wait that the old system was never told"
        )
        made["finalise"].add_argument("--yes", action="store_true", help="do not ask")
        made["set"].add_argument("flag", choices=[str(name) for name in CONFIGURED], metavar="FLAG")
        made["set"].add_argument("value", choices=("true", "false"), metavar="true|false")

    def handle(self, *, verb: str, **options: Any) -> None:
        if verb == "status":
            self.stdout.write(printable_lines(overview()))
            return
        if verb == "finalise" and not (options["yes"] or self.confirmed()):
            raise CommandError("Nothing was changed.", returncode=4)
        run = Run(
            by=options["by"],
            folder=settings.CUTOVER_DIR,
            source=options.get("file") or (Path(settings.LEGACY_SQLITE) if settings.LEGACY_SQLITE else None),
            say=lambda sentence: self.stderr.write(printable(sentence)),
        )
        acts: dict[str, Callable[[], Done]] = {
            "rehearse": lambda: rehearsal.rehearse(
                run,
                requests=options["requests"],
                expected=expected(options),
                accept_quarantine=options["accept_quarantine"],
            ),
            "freeze": lambda: steps.freeze_writes(run),
            "unfreeze": lambda: steps.unfreeze_writes(run),
            "sync": lambda: steps.sync(run, missing=options["missing"], accept_quarantine=options["accept_quarantine"]),
            "verify": lambda: steps.verify(run, requests=options["requests"], expected=expected(options)),
            "go-live": lambda: steps.go_live(run),
            "rollback": lambda: steps.rollback(run),
            "finalise": lambda: archive.finalise(run, target=options["archive"], abandon=options["abandon"]),
            "set": lambda: turn(run, FlagName(options["flag"]), options["value"] == "true"),
        }
        self.stdout.write(printable(self.do(verb, run, acts[verb])))

    def do(self, verb: str, run: Run, act: Callable[[], Done]) -> str:
        """Do a step, and keep it; what it says."""
        try:
            with step(verb, run.by) as end:
                done = act()
                end(done)
        except (Refused, FreezeTimeout) as error:
            raise CommandError(printable(str(error)), returncode=4) from error
        except Differs as error:
            raise CommandError(printable(str(error)), returncode=2) from error
        except (Busy, ScratchInUse, ImportLocked, SnapshotLocked) as error:
            raise CommandError(printable(str(error)), returncode=5) from error
        except OSError as error:
            raise CommandError(
                printable(
                    f"A file cannot be read or written ({error}). The cut-over keeps its files in {run.folder} "
                    "(CUTOVER_DIR): may your user write there, and has the disk room?"
                ),
                returncode=1,
            ) from error
        except (SnapshotError, ExportError, ScratchError, VaultDiffers) as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted. Run the same command again.", returncode=75) from error
        return done.message

    def confirmed(self) -> bool:
        """Whether the person at the terminal says so."""
        if not sys.stdin.isatty():
            raise CommandError("This cannot be undone. Say that you mean it, with --yes.", returncode=4)
        return input("This cannot be undone: there is no way back to the old system. Type finalise: ") == "finalise"


def positive(text: str) -> int:
    """A number of requests; none would prove nothing."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def turn(run: Run, flag: FlagName, value: bool) -> Done:
    """Turn a flag. Raises Refused for one that would have nothing to work with."""
    if value != (flag == FlagName.READ_FROM_POSTGRES):
        if state().phase == Phase.FINALISED:
            raise Refused(f"The old system was given up, so {flag} has nothing to work with.")
        needs = {
            FlagName.READ_FROM_POSTGRES: ("LEGACY_SQLITE",),
            FlagName.DUAL_WRITE_MODE: ("LEGACY_URL", "LEGACY_SQLITE"),
            FlagName.SHADOW_READS: ("LEGACY_URL", "LEGACY_SQLITE"),
        }[flag]
        if not any(getattr(settings, name) for name in needs):
            raise Refused(f"{flag} needs {' or '.join(needs)}. Set it in the environment, and restart.")
    # A write that began before a flag turned would go by the old value.
    with without_writes():
        set_flag(flag, value, run.by)
    return Done(f"{flag} is {str(value).lower()}: {flag.label}." if value else f"{flag} is false.")


def expected(options: dict[str, Any]) -> Expected:
    return Expected(options["expect_total"], options["expect_summaries"], options["expect_categorised"])


def printable_lines(lines: list[str]) -> str:
    return "\n".join(map(printable, lines))
