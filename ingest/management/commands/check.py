"""`manage.py check`: Django's, which asks the database as well for `--tag cutover`."""

from typing import Any

from django.core.management.commands import check

from ingest.checks import TAG


class Command(check.Command):
    help = f"{check.Command.help} With --tag cutover: what still leads to the old system, in the database too."

    def handle(self, *app_labels: str, **options: Any) -> None:
        if TAG in (options["tags"] or ()):
            options["deploy"] = True
            options["databases"] = options["databases"] or ["default"]
        super().handle(*app_labels, **options)
