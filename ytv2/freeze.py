"""While writes are frozen (ingest/cutover/freeze.py): 503 for what may write, and a banner on every page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from ingest.cutover.flags import Flags, current, current_or_unset
from ingest.cutover.freeze import writing

from .errors import PROGRAM_PATHS

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
# The worker's breaker stops all sending for 300 seconds after five failures (contract/ingest.md, rule 4).
RETRY_AFTER_SECONDS = 120
BANNER = "The library is being moved. You can read and listen; changes wait for a few minutes."
MESSAGE = "The library is being moved: reading goes on, changes wait for a few minutes. Send it again then."


def refuse_writes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the freeze, for each request; what the page is to say of it is `request.banner`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        is_program = request.path.startswith(PROGRAM_PATHS)
        if request.method in SAFE:
            if not is_program and flags_of(request).frozen:
                add_banner(request, BANNER)
            return get_response(request)
        if request.path in (reverse("admin:login"), reverse("admin:logout")):
            return get_response(request)
        with writing():
            return refused(request, is_program) if current().frozen else get_response(request)

    return middleware


def flags_of(request: HttpRequest) -> Flags:
    """The flags, looked up once for a request."""
    if not hasattr(request, "flags"):
        request.flags = current_or_unset()
    return request.flags


def add_banner(request: HttpRequest, text: str) -> None:
    """Say something above all else, beside what is said there already."""
    request.banner = f"{request.banner} {text}" if hasattr(request, "banner") else text


def refused(request: HttpRequest, is_program: bool) -> HttpResponse:
    if is_program:
        response: HttpResponse = JsonResponse({"error": "frozen", "message": MESSAGE}, status=503)
    else:
        response = render(request, "frozen.html", status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def banner(request: HttpRequest) -> dict[str, str]:
    """Context processor: what every page is to say above all else."""
    return {"banner": getattr(request, "banner", "")}
