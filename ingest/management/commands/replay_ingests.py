"""`manage.py replay_ingests FILE URL`: send again what came in, to whoever takes the place of this system."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from ingest.cutover.replay import ReplayError, replay
from ingest.management import base
from ingest.values import printable


class Command(base.Command):
    help = (
        "Send the requests of an ingests.jsonl, which manage.py cutover rollback wrote, to a dashboard, in their order "
        "and with SYNC_SECRET. It stops at the first that is not taken, and says with which line to go on. Sending "
        "something twice does no harm. Exit codes: 0 all were taken; 1 the file cannot be read; 2 one was not taken; "
        "75 interrupted."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="an ingests.jsonl")
        parser.add_argument("url", metavar="URL", help="the dashboard, such as http://127.0.0.1:6452")
        parser.add_argument(
            "--from", dest="first", type=int, default=1, metavar="LINE", help="begin with this line (default: 1)"
        )

    def handle(self, *, file: Path, url: str, first: int, **options: Any) -> None:
        if not settings.SYNC_SECRET:
            raise CommandError("SYNC_SECRET is not set; the dashboard would refuse every request.", returncode=1)
        if not url.startswith(("http://", "https://")):
            raise CommandError("URL begins with http:// or https://.", returncode=1)
        sent = 0
        try:
            for _ in replay(file, url, first):
                sent += 1
        except ReplayError as error:
            raise CommandError(
                printable(f"{error} {sent:,} requests were taken before. Go on with: --from {first + sent}"),
                returncode=2,
            ) from error
        except (OSError, ValueError) as error:
            raise CommandError(printable(f"{file} cannot be read: {error}"), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError(f"Interrupted. Go on with: --from {first + sent}", returncode=75) from error
        self.stdout.write(f"{sent:,} requests were taken by {printable(url)}.")
