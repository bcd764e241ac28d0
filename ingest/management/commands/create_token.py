"""`manage.py create_token NAME --scope ingest`: a token for a program, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import OperationalError, ProgrammingError

from ingest.management import base
from ingest.models import Scope
from ingest.tokens import TokenError, create_token


class Command(base.Command):
    help = (
        "Create a token for a program and print it on stdout: this once, for only its SHA-256 is stored. The program "
        "sends it as Authorization: Bearer TOKEN, X-INGEST-TOKEN or X-Sync-Secret. Tokens are listed and revoked in "
        "the admin (Tokens). Scopes: "
        + "; ".join(f"{scope.value}: {scope.label}" for scope in Scope)
        + ". Exit codes: 0 created; 1 the name or the scopes cannot be used, or the database does not answer; "
        "4 the database is not ready."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="who will use it, such as nas-worker; the ingest log shows it")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=Scope.values,
            dest="scopes",
            help="what it may do; give it several times for several scopes",
        )

    def handle(self, *, name: str, scopes: list[str], **options: Any) -> None:
        try:
            secret = create_token(name, scopes)
        except TokenError as error:
            raise CommandError(str(error)) from error
        except ProgrammingError as error:
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4) from error
        except OperationalError as error:
            raise CommandError("The database does not answer. Start it, or check DATABASE_URL.") from error
        self.stderr.write(
            self.style.NOTICE(f"Token {name.strip()}. Keep it now: it is shown this once and stored only as a digest.")
        )
        self.stdout.write(secret)
