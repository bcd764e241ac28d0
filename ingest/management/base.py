"""What the commands share: the exit codes of design.md, also for a wrong call."""

import sys
from functools import partial
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from psycopg.errors import AdminShutdown, CannotConnectNow, CrashShutdown, UndefinedColumn, UndefinedTable


def refuse_call(parser: CommandParser, message: str) -> NoReturn:
    """End with 1 for a wrong call; argparse's own 2 means differences here."""
    if not parser.called_from_command_line:
        raise CommandError(message, returncode=1)
    parser.print_usage(sys.stderr)
    parser.exit(1, f"{parser.prog}: {message}\n")


class Command(BaseCommand):
    """A command whose exit codes are documented in its help."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.error = partial(refuse_call, parser)
        return parser

    def execute(self, *arguments: Any, **options: Any) -> str | None:
        """Run it. PostgreSQL that is away, or has not all the tables, is a sentence and no traceback."""
        try:
            return super().execute(*arguments, **options)
        except (OperationalError, InterfaceError) as error:
            if not is_away(error):
                raise
            raise CommandError(
                f"PostgreSQL does not answer, or went away meanwhile ({str(error).partition(chr(10))[0].strip()}). "
                "Look whether it runs and DATABASE_URL is right; then run the same command again.",
                returncode=75,
            ) from error
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
                raise
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4) from error


def is_away(error: Exception) -> bool:
    """Whether there is no connection, or it broke. What a living connection refuses is a fault of ours.

    The driver learns only after the server's last words that a connection is closed.
    """
    is_broken = connection.connection is None or connection.connection.closed
    return is_broken or isinstance(error.__cause__, AdminShutdown | CrashShutdown | CannotConnectNow)
