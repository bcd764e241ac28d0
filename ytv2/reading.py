"""Which library answers a request, what staff are told of the cut-over's flags, and what is compared in passing."""

import logging
import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from ingest.cutover import shadow
from ingest.cutover.file_library import library_of_file
from ingest.cutover.flags import Flags
from ingest.cutover.snapshot_library import is_read_api
from ingest.sqlite.reader import SnapshotError

from .errors import PROGRAM_PATHS
from .freeze import SAFE, add_banner, flags_of

logger = logging.getLogger(__name__)

# The list, search, reports, the playlist and the read API.
READS = re.compile(r"/(?:$|videos/|read/|playlist/|api/(?:reports|filters)(?:$|/)|[^/]+\.json$)")
PAGES = re.compile(r"/(?:$|videos/|deleted/|delete/|curate/|admin/)")
RETRY_SECONDS = 60
UNREADABLE = "The library is not to be read just now. Try again in a minute; the log says what is wrong."
OLD_FILE = "The old library is shown, from its file, read only (READ_FROM_POSTGRES is off)."
DUAL = "Writes go to the old system as well (DUAL_WRITE_MODE)."
SHADOW = "A sample of what is read is compared (SHADOW_READS)."


def choose_library(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: reads are answered from PostgreSQL, or, while READ_FROM_POSTGRES is off, from the old file.

    It is decided once, so a page is wholly of one of them. A file that cannot be read is 503, and never the other one.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        is_read = request.method in SAFE and READS.match(request.path)
        if not is_read and not PAGES.match(request.path):
            return get_response(request)
        flags = flags_of(request)
        tell_staff(request, flags)
        if is_read and not flags.read_from_postgres:
            try:
                request.library = library_of_file(settings.LEGACY_SQLITE)
            except (SnapshotError, OSError) as error:
                logger.error("READ_FROM_POSTGRES is off, and LEGACY_SQLITE cannot be read: %s", error)
                return unreadable(request)
        response = get_response(request)
        if flags.shadow_reads and is_answered_as_json(request, response):
            shadow.note(request.get_full_path())
        return response

    return middleware


def is_answered_as_json(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether it can be compared; pages say the same in another form."""
    return request.method == "GET" and response.status_code == 200 and is_read_api(request.path, request.GET)


def tell_staff(request: HttpRequest, flags: Flags) -> None:
    """Say on each page what is not as usual."""
    unusual = [(not flags.read_from_postgres, OLD_FILE), (flags.dual_write, DUAL), (flags.shadow_reads, SHADOW)]
    said = [text for holds, text in unusual if holds]
    if said and not request.path.startswith(PROGRAM_PATHS) and request.user.is_staff:
        add_banner(request, " ".join(said))


def unreadable(request: HttpRequest) -> HttpResponse:
    is_program = request.path.startswith(PROGRAM_PATHS) or request.path.endswith(".json")
    response: HttpResponse = (
        JsonResponse({"error": "unavailable", "message": UNREADABLE}, status=503)
        if is_program
        else render(request, "unreadable.html", status=503)
    )
    response["Retry-After"] = str(RETRY_SECONDS)
    return response
