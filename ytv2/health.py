"""Health: what the worker and the platform ask before they send anything (contract/api.md, ingest.md)."""

from time import perf_counter

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from ingest.cutover.file_library import library_of_file
from ingest.cutover.flags import current_or_unset
from ingest.models import IngestLogEntry, IngestOutcome
from ingest.sqlite.reader import SnapshotError
from ingest.tokens import is_configured
from videos.search import Search

from .database import RETRY_SECONDS, trouble

# Outcomes that show that the worker is at work.
ACCEPTED = (IngestOutcome.CREATED, IngestOutcome.UPDATED, IngestOutcome.UNCHANGED, IngestOutcome.QUARANTINED)


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """The process lives. Says nothing of the database, or an outage there would restart healthy processes."""
    return JsonResponse({"status": "ok"})


@require_safe
def database(request: HttpRequest) -> JsonResponse:
    """Whether the database answers, and how fast."""
    started = perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return without_database({"type": "postgresql"})
    return JsonResponse({"db": "ok", "type": "postgresql", "latency_ms": round((perf_counter() - started) * 1000, 2)})


@require_safe
def backend(request: HttpRequest) -> JsonResponse:
    """Where the answers come from, how many videos there are, and what of the cut-over's flags is not as usual."""
    flags = current_or_unset()
    is_file = not flags.read_from_postgres
    answer = {"backend": "sqlite" if is_file else "postgresql", "read_from_postgres": flags.read_from_postgres}
    answer |= {name: True for name in ("frozen", "dual_write", "shadow_reads") if getattr(flags, name)}
    try:
        count = len(library_of_file(settings.LEGACY_SQLITE).contents.videos) if is_file else Search().count()
    except (SnapshotError, OSError):
        message = "The old file cannot be read. The log says why."
        return JsonResponse(
            answer | {"record_count": None, "error": "unreadable", "message": message},
            status=503, headers={"Retry-After": RETRY_SECONDS},
        )  # fmt: skip
    except Error:
        return without_database(answer | {"record_count": None})
    return JsonResponse(answer | {"record_count": count})


@require_safe
def ingest(request: HttpRequest) -> JsonResponse:
    """What the worker asks before it sends: it stops for good on any other answer (contract/ingest.md, rule 3)."""
    try:
        token_set = is_configured()
        last = IngestLogEntry.objects.filter(outcome__in=ACCEPTED).values_list("at", flat=True).first()
    except Error:
        token_set, last = bool(settings.INGEST_TOKEN or settings.SYNC_SECRET), None
    return JsonResponse(
        {
            "status": "ok",
            "token_set": token_set,
            "pg_dsn_set": True,
            "last_ingest_at": last.isoformat() if last else None,
        }
    )


def without_database(answer: dict[str, object]) -> JsonResponse:
    """503 that says what is wrong, in words of ours: an exception's could hold a name or an address."""
    found = trouble()
    answer |= {"db": "error", "error": found.value, "message": found.label}
    return JsonResponse(answer, status=503, headers={"Retry-After": RETRY_SECONDS})
