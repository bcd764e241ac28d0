"""Deletes, restores and purges (design.md, Deletes never come back).

A delete hides a video at once and is final for every machine; a person can restore it. A purge erases what was
deleted long ago and keeps the key, so that it stays deleted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pghistory
import pgtrigger
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Left
from django.utils import timezone

from .deciding import set_curator
from .keys import UNSTORABLE

if TYPE_CHECKING:
    from .models import Video, VideoQuerySet

# A transaction of a purge holds the rows of so many videos, and whoever writes to one of them waits for it.
PURGED_AT_ONCE = 100
LONGEST_REASON = 500
# The processing_status of a video whose content was erased.
PURGED = "purged"
# What a purge keeps: the names, without which the worker's next report would bring the video back, and the delete.
KEPT = ("video_id", "legacy_id", "source", "deleted_at", "deleted_by", "deleted_reason")


def delete(video: "Video", by: str, reason: str) -> bool:
    """Hide a video, with everything of it; False if it was deleted before, and then nothing changes.

    One guarded statement: of two deletes at once one counts, and an ingest that waits for it finds the video deleted.
    Raises ValueError without a name.
    """
    values = {
        "deleted_at": timezone.now(),
        "deleted_by": named(by),
        "deleted_reason": " ".join(UNSTORABLE.sub("", reason).split())[:LONGEST_REASON],
    }
    changed = type(video).objects.live().filter(pk=video.pk).update(**values)
    video.refresh_from_db(fields=values)
    return bool(changed)


def restore(video: "Video", by: str) -> bool:
    """Bring a video back by a person's word; False if it was not deleted.

    Of a video that was purged only the key comes back, and the worker may send the rest again.
    In a transaction of its own, because the trigger lets everything in that transaction be restored.
    Raises ValueError without a name.
    """
    values = {"deleted_at": None, "deleted_by": "", "deleted_reason": ""}
    empty = Value("", output_field=models.TextField())
    status = Case(When(processing_status=PURGED, then=empty), default=F("processing_status"))
    with pghistory.context(restored_by=named(by)), transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL ytv2.allow = 'restore'")
        changed = type(video).objects.deleted().filter(pk=video.pk).update(**values, processing_status=status)
    video.refresh_from_db(fields=[*values, "processing_status"])
    return bool(changed)


def named(by: str) -> str:
    """The name of who asked, as it is stored."""
    if not (name := UNSTORABLE.sub("", by).strip()):
        raise ValueError("nobody is named who deletes or restores")
    return name


@dataclass
class PurgeReport:
    """What a purge did, or with `is_dry_run` would do; `erased` counts rows by what they are."""

    deleted_before: datetime
    is_dry_run: bool = False
    deleted: int = 0
    purged: int = 0
    erased: Counter[str] = field(default_factory=Counter)


Erase = Callable[[Sequence["Video"]], Counter[str]]


def purge(
    videos: "VideoQuerySet",
    older_than: timedelta,
    by: str,
    *,
    also: Erase = lambda videos: Counter(),
    is_dry_run: bool = False,
    progress: Callable[[int], None] = lambda videos: None,
) -> PurgeReport:
    """Erase what is stored of the videos that were deleted longer ago, but for KEPT. Again, it erases what is new.

    In batches, each a transaction, so a purge that was interrupted goes on with the next call:

    1. Lock the next deleted videos, in order of their keys as every writer does. One that was restored while this
       waited is passed over; an ingest or a restore that comes now waits, and finds the video whole or purged.
    2. `also` erases what other apps hold of them (rows that PROTECT a video are theirs).
    3. Erase the rows that belong to the videos and the videos' own values, then the history of both: it has these
       last changes in it.

    `progress` is told of how many more videos are done. Raises ValueError without a name.
    """
    report = PurgeReport(timezone.now() - older_than, is_dry_run)
    last = ""
    while True:
        with pghistory.context(purged_by=named(by)), transaction.atomic():
            # A purge erases what a person decided as well.
            set_curator(named(by))
            waiting = videos.filter(deleted_at__lt=report.deleted_before, pk__gt=last).order_by("pk")
            batch = list(waiting.defer(*generated(videos.model)).select_for_update()[:PURGED_AT_ONCE])
            if not batch:
                return report
            report.erased += also(batch)
            report.purged += erase(batch, report.erased)
            transaction.set_rollback(is_dry_run)
        report.deleted += len(batch)
        last = batch[-1].pk
        progress(len(batch))


def generated(model: type[models.Model]) -> list[str]:
    return [column.name for column in model._meta.concrete_fields if column.generated]


def erase(batch: Sequence["Video"], erased: Counter[str]) -> int:
    """Erase locked videos, and count the rows that go; the number of videos that had content of their own left."""
    model = type(batch[0])
    keys = [video.pk for video in batch]
    relations = [relation for relation in model._meta.get_fields(include_hidden=True) if relation.one_to_many]
    relations += [relation for relation in model._meta.related_objects if relation.one_to_one]
    histories = []
    for relation in relations:
        owned = relation.related_model.objects.filter(**{f"{relation.field.name}__in": keys})
        if issubclass(relation.related_model, pghistory.models.Event):
            histories.append(owned)
        elif relation.on_delete is models.CASCADE:
            count(erased, relation.related_model._meta.verbose_name_plural, owned.delete()[0])

    nothing = blank(model)
    left = [video.pk for video in batch if any(getattr(video, name) != value for name, value in nothing.items())]
    model.objects.filter(pk__in=left).update(**nothing)

    with pgtrigger.ignore(*(f"{history.model._meta.label}:append_only" for history in histories)):
        for history in histories:
            count(erased, "rows of history", history.delete()[0])
    # The admin's log has the title that a video had when somebody changed it.
    of_admin = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model), object_id__in=keys)
    key = Left(F("object_id"), LogEntry._meta.get_field("object_repr").max_length)
    count(erased, "titles in the admin's log", of_admin.exclude(object_repr=key).update(object_repr=key))
    return len(left)


def blank(model: type[models.Model]) -> dict[str, Any]:
    """The values of a video of which nothing is known but its names."""
    columns = [column for column in model._meta.concrete_fields if not column.generated and column.name not in KEPT]
    return {column.name: column.get_default() for column in columns} | {"processing_status": PURGED}


def count(erased: Counter[str], name: str, rows: int) -> None:
    if rows:
        erased[str(name)] += rows
