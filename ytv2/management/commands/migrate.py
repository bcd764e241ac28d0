"""Django's `migrate`, which waits for a server that is still starting."""

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate

from ytv2.database import NoDatabase, wait_for_database


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        try:
            wait_for_database(lambda sentence: self.stderr.write(sentence, self.style.NOTICE))
        except NoDatabase as error:
            raise CommandError(str(error)) from None
        return super().handle(*args, **options)
