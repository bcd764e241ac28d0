"""What the commands share: the exit codes of design.md, also for a wrong call."""

import sys
from functools import partial
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser


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
