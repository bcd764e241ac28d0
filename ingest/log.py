"""The ingest log: every request that wanted to write, and what became of it."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from videos.keys import UNSTORABLE

from .models import Cutover, IngestLogEntry, IngestOutcome, Phase

# The longest text that an index takes, in any script (2,704 bytes); an address or an id can be longer.
LONGEST = 600
# Old bodies are emptied when an entry's number is a multiple of this.
PRUNE_EVERY = 500


def write_entry(
    route: str,
    outcome: IngestOutcome,
    status: int,
    *,
    token_name: str = "",
    video_id: str = "",
    message: str = "",
    changes: dict | None = None,
    body: bytes = b"",
) -> IngestLogEntry:
    """Write one entry. The body is kept for INGEST_LOG_BODY_DAYS; one that is quarantined stays.

    Texts come from clients: what PostgreSQL cannot store in one is shown as �, and what is too long is cut.
    """
    entry = IngestLogEntry.objects.create(
        route=storable(route)[:LONGEST],
        outcome=outcome,
        status=status,
        token_name=token_name,
        video_id=storable(video_id)[:LONGEST],
        message=storable(message),
        changes=changes or {},
        body=body or None,
        body_bytes=len(body),
    )
    if entry.pk % PRUNE_EVERY == 0:
        forget_old_bodies()
    return entry


def storable(text: str) -> str:
    return UNSTORABLE.sub("\ufffd", text)


def forget_old_bodies() -> int:
    """Empty the bodies of entries older than INGEST_LOG_BODY_DAYS; the number of them.

    What came since this system is in charge stays until the old one is given up: a rollback has to send it again.
    """
    before = timezone.now() - timedelta(days=settings.INGEST_LOG_BODY_DAYS)
    if live := Cutover.objects.filter(phase=Phase.LIVE, live_since__lt=before).first():
        before = live.live_since
    old = IngestLogEntry.objects.filter(at__lt=before, body__isnull=False)
    return old.exclude(outcome=IngestOutcome.QUARANTINED).update(body=None)
