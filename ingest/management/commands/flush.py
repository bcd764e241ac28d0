"""`manage.py flush`: Django's, which asks first; whoever says yes means it."""

from typing import Any

from django.core.management.commands import flush
from django.db import connections


class Command(flush.Command):
    help = "Remove everything: videos, deletes and what people decided. It asks first. The tables stay."

    def handle(self, *, database: str, **options: Any) -> None:
        with connections[database].cursor() as cursor:
            # A TRUNCATE without it is refused (videos/triggers.py).
            cursor.execute("SET ytv2.empty = 'yes'")
        try:
            super().handle(database=database, **options)
        finally:
            with connections[database].cursor() as cursor:
                cursor.execute("RESET ytv2.empty")
