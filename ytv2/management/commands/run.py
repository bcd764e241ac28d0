"""`manage.py run`: a library on this machine in one command. What `make run` calls."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

ADMIN = "admin"
DEMO_VIDEOS = 300


class Command(BaseCommand):
    help = (
        "Prepare the database, import a snapshot of the old dashboard (or a made-up demo library), and serve the "
        "dashboard on this machine. Each start does only what is not done yet. Ctrl-C ends it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--snapshot", default="", help="an SQLite file of the old dashboard; without it: a demo")
        parser.add_argument("--port", type=int, default=8000, help="the port on 127.0.0.1 (default: 8000)")

    def handle(self, *, snapshot: str, port: int, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("run is for development. In production the Procfile says what to start.")
        refuse_taken_port(port)
        call_command("migrate", verbosity=0)
        if snapshot:
            call_command("import_sqlite", snapshot, stdout=self.stdout, stderr=self.stderr)
        else:
            self.import_demo()
        password = ensure_admin(settings.BASE_DIR / ".admin-password")
        address = f"http://127.0.0.1:{port}/"
        self.stdout.write(f"\nYTV2 is at   {address}")
        self.stdout.write(f"Admin        {address}admin/ {sign_in(password)}")
        self.stdout.write("Ctrl-C ends it.\n")
        self.stdout.flush()
        sys.exit(serve(port))

    def import_demo(self) -> None:
        demo = settings.BASE_DIR / "demo.db"
        if not demo.exists():
            call_command("make_snapshot", str(demo), videos=DEMO_VIDEOS, seed=1, stdout=self.stdout)
        call_command("import_sqlite", str(demo), stdout=self.stdout, stderr=self.stderr)


def refuse_taken_port(port: int) -> None:
    """Raise CommandError if something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise CommandError(f"Port {port} cannot be used ({error}). Choose another: make run PORT=8001") from error


def ensure_admin(path: Path) -> str | None:
    """The password of the development admin, made at the first start and kept in `path`, readable by its owner only.

    None if somebody made an account of their own.
    """
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(12)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        users.create_superuser(ADMIN, password=password)
    if path.exists() and (user := users.filter(username=ADMIN).first()):
        password = path.read_text().strip()
        if user.check_password(password):
            return password
    return None


def sign_in(password: str | None) -> str:
    if password is None:
        return "(sign in with your own account; `manage.py changepassword NAME` sets a new password)"
    return f"(sign in as {ADMIN} with the password {password}, kept in .admin-password)"


def serve(port: int) -> int:
    """Run gunicorn until it is told to end. This process stays: the embedded PostgreSQL stops with its last user."""
    command = [sys.executable, "-m", "gunicorn", "ytv2.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--log-level", "warning"]
    server = subprocess.Popen(command, cwd=settings.BASE_DIR)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.terminate())
    return max(server.wait(), 0)
