"""System checks of the cut-over: `manage.py check --tag cutover` says what still leads from or to the old system."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as WarningMessage
from django.db import DatabaseError, connection

TAG = "cutover"
# The modules that open SQLite files: they read snapshots and write exports; only `legacy` writes the old file.
OPENERS = ("ingest/sqlite/", "ingest/cutover/legacy.py")
APPS = ("ytv2", "videos", "summaries", "ingest")


@register(TAG, deploy=True)
def check_old_system(app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Warnings while the cut-over goes on, errors once it is finalised. It runs where the database may be asked."""
    if not databases or "default" not in databases:
        return []
    try:
        is_final = phase_is_final()
        found = [*settings_left(), *database_left(), *code_left()]
    except DatabaseError as error:
        return [Error(f"The database cannot be asked: {error}", hint="manage.py migrate", id="cutover.E000")]
    if not is_final:
        found.append(("007", "The cut-over is not finalised.", "manage.py cutover status says the next step."))
    kind, letter = (Error, "E") if is_final else (WarningMessage, "W")
    return [kind(message, hint=hint, id=f"cutover.{letter}{number}") for number, message, hint in found]


Left = tuple[str, str, str]


def settings_left() -> Iterator[Left]:
    """Settings that lead to the old system."""
    for number, name in (("001", "LEGACY_SQLITE"), ("002", "LEGACY_URL"), ("003", "SQLITE_SNAPSHOT")):
        if getattr(settings, name):
            yield number, f"{name} leads to the old system.", f"Unset {name} when the old system is given up."


def phase_is_final() -> bool:
    from .cutover.state import state
    from .models import Phase

    return state().phase == Phase.FINALISED


def database_left() -> Iterator[Left]:
    """Flags, changes that wait, and triggers that are switched off."""
    from .cutover.flags import current
    from .models import OutboxEntry

    flags = current()
    if flags.dual_write:
        yield "004", "DUAL_WRITE_MODE is on: what is written goes to the old system.", "manage.py cutover finalise"
    if not flags.read_from_postgres:
        yield "005", "READ_FROM_POSTGRES is off: pages show the old file.", "manage.py cutover go-live"
    if waiting := OutboxEntry.objects.count():
        yield "006", f"{waiting:,} changes wait for the old system.", "manage.py dual_write flush"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text || '.' || tgname FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgenabled IN ('D', 'R') ORDER BY 1"
        )
        off = [name for (name,) in cursor.fetchall()]
    if off:
        yield (
            "008", f"Triggers that keep deletes and decisions are switched off: {', '.join(off)}.",
            "ALTER TABLE … ENABLE TRIGGER …, and look who switched them off.",
        )  # fmt: skip


def code_left() -> Iterator[Left]:
    """Modules that open SQLite files besides those that may."""
    for app in APPS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            name = path.relative_to(settings.BASE_DIR).as_posix()
            if not name.startswith(OPENERS) and opens_sqlite(ast.parse(path.read_bytes())):
                yield "010", f"{name} opens SQLite files.", "Only ingest/sqlite/ may, and it writes no library."


def opens_sqlite(tree: ast.AST) -> bool:
    """Whether a module calls `sqlite3.connect`, or takes `connect` from there."""
    return any(is_connect(node) for node in ast.walk(tree))


def is_connect(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sqlite3"), attr="connect"):
            return True
        case ast.ImportFrom(module="sqlite3", names=names):
            return any(name.name == "connect" for name in names)
    return False
