"""The flags of the cut-over: their first values come from the settings, then rows of the database hold."""

from dataclasses import dataclass

from django.conf import settings
from django.db import Error
from django.utils import timezone

from ingest.models import Flag, FlagName

# Flags that have a first value in the settings, of the same name.
CONFIGURED = (FlagName.READ_FROM_POSTGRES, FlagName.DUAL_WRITE_MODE, FlagName.SHADOW_READS)


@dataclass(frozen=True)
class Flags:
    """What holds now."""

    frozen: bool = False
    read_from_postgres: bool = True
    dual_write: bool = False
    shadow_reads: bool = False


def current() -> Flags:
    """The flags as all processes have them: one query.

    A first value that is not the usual one becomes a row here, because triggers read rows only.
    """
    stored = dict(Flag.objects.values_list("name", "value"))
    for name in CONFIGURED:
        if name not in stored:
            stored[name] = getattr(settings, name)
            if stored[name] != USUAL[name]:
                set_flag(name, stored[name], "settings")
    return Flags(stored.get(FlagName.FROZEN, False), *(stored[name] for name in CONFIGURED))


USUAL = {FlagName.READ_FROM_POSTGRES: True, FlagName.DUAL_WRITE_MODE: False, FlagName.SHADOW_READS: False}


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
        return value != bool(getattr(settings, name, False))
    return bool(Flag.objects.filter(pk=row.pk).exclude(value=value).update(**changed))
