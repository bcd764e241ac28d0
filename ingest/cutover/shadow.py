"""Shadow reads: a sample of what is read is asked of the old system as well, and compared, beside the requests.

What is still different at a second look, a moment later, is kept for people (admin, Disagreements of shadow reads).
"""

import logging
import random
import time
from collections import deque
from pathlib import Path

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from ingest.models import ShadowCount, ShadowRead

from .comparison import Comparison, Database, Server, Side, Snapshot, compare
from .file_library import reader_of
from .flags import Flags

logger = logging.getLogger(__name__)

# What waits to be compared in this process. When more comes than can be compared, the oldest go.
WAITING: deque[str] = deque(maxlen=200)
AT_ONCE = 20
# A change may be here already and not yet there.
SECOND_LOOK_SECONDS = 3
KEPT = 10_000
KEPT_DIFFERENCES = 20


def note(request: str) -> None:
    """Choose one in SHADOW_READS_ONE_IN requests, paths with their queries, to be compared."""
    if random.randrange(max(settings.SHADOW_READS_ONE_IN, 1)) == 0:
        WAITING.append(request)


def work(flags: Flags) -> None:
    """A turn of the background thread: compare what waits. Raises NoAnswer where the old system cannot be asked."""
    if not flags.shadow_reads:
        WAITING.clear()
        return
    asked = [WAITING.popleft() for _ in range(min(len(WAITING), AT_ONCE))]
    if not asked:
        return
    old = old_side()
    if old is None:
        return
    different = [request for request in asked if not look(old, request).holds]
    if different:
        time.sleep(SECOND_LOOK_SECONDS)
    disagreed = [(request, found) for request in different if not (found := look(old, request)).holds]
    for request, found in disagreed:
        keep(request, found)
    count(len(asked), len(disagreed))


def old_side() -> Side | None:
    """The old dashboard, or its file; None where the settings name neither."""
    if settings.LEGACY_URL:
        return Server(settings.LEGACY_URL)
    if settings.LEGACY_SQLITE:
        return Snapshot(reader_of(str(Path(settings.LEGACY_SQLITE))))
    return None


def look(old: Side, request: str) -> Comparison:
    return compare(old, Database(), [request])


def keep(request: str, found: Comparison) -> None:
    """Keep a disagreement; the oldest go when there are too many."""
    shown = [{"path": one.path, "old": one.old, "new": one.new} for one in found.differences[:KEPT_DIFFERENCES]]
    row = ShadowRead.objects.create(request=request, differences=shown)
    ShadowRead.objects.filter(pk__lte=row.pk - KEPT).delete()
    logger.warning("shadow reads: the old system answers %s otherwise: %s", request, shown[0]["path"] if shown else "")


def count(compared: int, disagreed: int) -> None:
    today = timezone.now().date()
    ShadowCount.objects.get_or_create(day=today)
    ShadowCount.objects.filter(day=today).update(
        compared=F("compared") + compared, disagreed=F("disagreed") + disagreed
    )
