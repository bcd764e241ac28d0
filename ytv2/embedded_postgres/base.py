"""Django finds the engine here (the module name `base` is Django's)."""

from contextlib import suppress
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base

from .server import socket_folder


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL over the embedded server's socket, started at the first connection."""

    def get_connection_params(self) -> dict[str, Any]:
        self.settings_dict["HOST"] = socket_folder(settings.EMBEDDED_POSTGRES_DIR)
        self.settings_dict["USER"] = "postgres"
        return super().get_connection_params()

    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection:
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError as error:
            if f'database "{self.settings_dict["NAME"]}" does not exist' not in str(error):
                raise
            self.create_own_database()
            return super().get_new_connection(conn_params)

    def create_own_database(self) -> None:
        """Create the database of the settings in a new cluster; another process may be first."""
        with psycopg.connect(
            host=self.settings_dict["HOST"], user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            name = psycopg.sql.Identifier(self.settings_dict["NAME"])
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))
