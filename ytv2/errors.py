"""Answers to what goes wrong: JSON `{"error", "message"}` for programs, a plain page for people.

Never an exception's text; the traceback goes to the log (Django's `django.request` logger).
"""

import sys
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from .database import RETRY_SECONDS, is_away

PROGRAM_PATHS = ("/api/", "/ingest/", "/health", "/exports/", "/playlist/")

MESSAGES = {
    400: ("bad_request", "The request could not be understood."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
    500: ("internal_error", "Something went wrong on our side. The error has been logged."),
}


def one_shape(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: an error that a library answered in its own words comes to programs in the one shape."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_program = request.path.startswith(PROGRAM_PATHS)
        if is_program and response.status_code in MESSAGES and response["Content-Type"] != "application/json":
            shaped = error_response(request, response.status_code)
            if "Allow" in response:
                shaped["Allow"] = response["Allow"]
            return shaped
        return response

    return middleware


def error_response(request: HttpRequest, status: int) -> HttpResponse:
    """The answer with this status, in the form that the caller reads."""
    code, message = MESSAGES[status]
    if request.path.startswith(PROGRAM_PATHS):
        return JsonResponse({"error": code, "message": message}, status=status)
    return render(request, f"{status}.html", {"message": message}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """What went wrong unforeseen, in a view or a middleware; without a database, nobody is to blame but the hour."""
    return database_away(request) if is_away(sys.exc_info()[1]) else error_response(request, 500)


def database_away(request: HttpRequest) -> HttpResponse:
    """503 with the time to come again. The page is made without the request: who is signed in is in the database."""
    if request.path.startswith(PROGRAM_PATHS):
        answer = {"error": "database_away", "message": "The database does not answer. Send this again later."}
        response: HttpResponse = JsonResponse(answer, status=503)
    else:
        response = HttpResponse(render_to_string("database_away.html"), status=503)
    response["Retry-After"] = str(RETRY_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_response(request, 403)
