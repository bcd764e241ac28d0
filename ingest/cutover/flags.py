"""The flags of the cut-over: rows of the database, so that all processes turn at once."""

from dataclasses import dataclass

from django.db import Error
from django.utils import timezone

from ingest.models import Flag, FlagName


@dataclass(frozen=True)
class Flags:
    """What holds now."""

    frozen: bool = False


def current() -> Flags:
    """The flags as the database has them: one query."""
    stored = dict(Flag.objects.values_list("name", "value"))
    return Flags(stored.get(FlagName.FROZEN, False))


def current_or_unset() -> Flags:
    """The same; while the database does not answer, none is set, so that the page of that error can be shown."""
    try:
        return current()
    except Error:
        return Flags()


def set_flag(name: FlagName, value: bool, by: str) -> bool:
    """Set a flag for all processes, or take it off; whether that changed anything."""
    changed = {"value": value, "changed_at": timezone.now(), "changed_by": by}
    row, is_new = Flag.objects.get_or_create(name=name, defaults=changed)
    if is_new:
        return value
    return bool(Flag.objects.filter(pk=row.pk).exclude(value=value).update(**changed))
