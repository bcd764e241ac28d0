"""The worker's endpoints that take JSON, and deletes (contract/ingest.md, Routes).

Each view translates its shape into one Arrival (payloads.py) and calls one merge (merge.py). A body that
cannot be used is logged: without an id it is refused, otherwise quarantined, which the worker takes for success.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from videos.models import Video
from videos.upsert import Action

from .body import loads
from .file_routes import form_of, uploads
from .files import store_audio_upload
from .log import write_entry
from .merge import Merged, merge
from .models import IngestOutcome
from .payloads import Arrival, Odd, Unusable, read_changes, read_content, read_report, read_universal
from .sqlite.exporter import export_library
from .sqlite.mapping import Unmodelled
from .tokens import Refused, writes

LARGEST_UPLOAD_REPORT_BYTES = 25 * 2**20


class RefusedBody(Refused):
    """A request that is answered with this error; nothing is written but the log."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def body_of(request: HttpRequest) -> bytes:
    """The request's body. Raises RefusedBody for one that is too large, or that ends too early."""
    try:
        return request.body
    except RequestDataTooBig as error:
        raise RefusedBody(413, "too_large", "The body is larger than this server takes.") from error
    except UnreadablePostError as error:
        raise RefusedBody(400, "incomplete_body", "The connection ended before the body did.") from error


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises RefusedBody."""
    try:
        payload = loads(body)
    except ValueError as error:
        raise RefusedBody(400, "no_json", "The body is no JSON.") from error
    if not isinstance(payload, dict):
        raise RefusedBody(400, "no_object", "The body is JSON, but no object.")
    return payload


class Written:
    """What became of one payload, for the answer: the merge, and why all of it or a part is quarantined."""

    def __init__(self, merged: Merged | None, odd: Odd | Unmodelled | None = None) -> None:
        self.merged, self.odd = merged, odd

    @property
    def action(self) -> str:
        return self.merged.action.value if self.merged else IngestOutcome.QUARANTINED.value

    @property
    def video_id(self) -> str:
        return self.merged.video_id if self.merged else self.odd.video_id

    def reason(self) -> dict[str, str]:
        return {"quarantined": self.odd.code, "reason": self.odd.message} if self.odd else {}


def take(request: HttpRequest, body: bytes, read: Callable[[dict[str, Any]], Arrival]) -> Written:
    """Merge a payload and log it, in one transaction. Raises RefusedBody for one that names no video."""
    payload = object_of(body)
    try:
        arrival = read(payload)
    except Unusable as error:
        raise RefusedBody(400, "no_usable_id", str(error)) from error
    except Odd as odd:
        write_entry(
            request.path, IngestOutcome.QUARANTINED, 200, token_name=request.caller.name, video_id=odd.video_id,
            message=f"{odd.code}: {odd.message}", body=body,
        )  # fmt: skip
        return Written(None, odd)
    left = next(iter(arrival.left), None)
    with transaction.atomic():
        merged = merge(arrival, by=request.caller.name)
        write_entry(
            request.path, IngestOutcome(merged.action.value), 200, token_name=request.caller.name,
            video_id=merged.video_id, changes=merged.changes, body=body,
            message=f"{left.code}: {left.message}" if left else "",
        )  # fmt: skip
    return Written(merged, left if merged.action is not Action.DELETED else None)


def answering(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view whose Refused is logged and answered in the one shape of errors."""

    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as reason:
            write_entry(
                request.path, IngestOutcome.REFUSED, reason.status, token_name=request.caller.name,
                message=reason.message,
            )  # fmt: skip
            return reason.answer()

    wrapped.__doc__ = view.__doc__
    wrapped.__name__ = view.__name__
    return wrapped


@require_POST
@writes("ingest")
@answering
def ingest_report(request: HttpRequest) -> JsonResponse:
    """`POST /ingest/report`."""
    written = take(request, body_of(request), read_report)
    return JsonResponse(
        {
            "upserted": int(written.merged is not None and written.merged.action is not Action.DELETED),
            "summaries_upserted": written.merged.summaries_added if written.merged else 0,
            "action": written.action,
            "video_id": written.video_id,
            **written.reason(),
        }
    )


@require_POST
@writes("ingest")
@answering
def content(request: HttpRequest) -> JsonResponse:
    """`POST /api/content`."""
    written = take(request, body_of(request), read_content)
    return JsonResponse(
        {
            "success": True,
            "message": MESSAGES[written.action],
            "id": written.video_id,
            "action": written.action,
            "upserted": written.action in ("created", "updated", "unchanged"),
            "synced_at": timezone.now().isoformat(),
            **written.reason(),
        }
    )


MESSAGES = {
    "created": "Content created.",
    "updated": "Content updated.",
    "unchanged": "Content is as it was.",
    "deleted": "This content was deleted here, and a delete is final.",
    "quarantined": "The content was kept, but cannot be shown.",
}


@require_http_methods(["PUT", "POST"])
@writes("ingest")
@answering
def content_changes(request: HttpRequest, content_id: str) -> JsonResponse:
    """`PUT` and `POST /api/content/<id>`: some fields of a video that is there."""
    body = body_of(request)
    try:
        video = Video.objects.named(content_id)
    except Video.DoesNotExist as error:
        raise RefusedBody(404, "not_found", "There is no video with this id.") from error
    written = take(request, body, lambda payload: read_changes(payload, video))
    return JsonResponse(
        {
            "success": True,
            "id": video.pk,
            "rows_affected": int(written.action == "updated"),
            "action": written.action,
            **written.reason(),
        }
    )


@require_http_methods(["DELETE", "POST"])
@writes("delete")
@answering
def delete(request: HttpRequest, content_id: str = "") -> JsonResponse:
    """`DELETE` or `POST /api/delete/<id>`, `POST /api/delete` with `?id=` or `{"id"}`: exactly this id."""
    if not content_id:
        content_id = request.GET.get("id", "")
    if not content_id:
        named = object_of(body_of(request)).get("id")
        content_id = named if isinstance(named, str) else ""
    if not content_id.strip():
        raise RefusedBody(400, "no_usable_id", "The request names no id.")
    answer = {"status": "success", "deleted_files": 0, "errors": [], "idempotent": True}
    try:
        video = Video.objects.named(content_id)
    except Video.DoesNotExist:
        write_entry(
            request.path, IngestOutcome.UNCHANGED, 200, token_name=request.caller.name, message="No video has this id."
        )
        return JsonResponse(answer | {"message": "No video has this id; nothing was done."})
    # A signed-in person sends this from the menu of a card or of a report.
    reason = "deleted on the dashboard" if request.caller.user else "deleted through the API"
    with transaction.atomic():
        was_live = video.delete_by(request.caller.name, reason)
        files = video.audio_files.count() + video.image_files.count()
        write_entry(
            request.path, IngestOutcome.DELETED if was_live else IngestOutcome.UNCHANGED, 200,
            token_name=request.caller.name, video_id=video.pk, message="deleted" if was_live else "deleted before",
        )  # fmt: skip
    if not was_live:
        return JsonResponse(answer | {"message": "This video was deleted before.", "video_id": video.pk})
    return JsonResponse(
        answer | {"idempotent": False, "deleted_files": files, "message": "Deleted.", "video_id": video.pk}
    )


@uploads("MAX_AUDIO_BYTES")
@answering
def upload_report(request: HttpRequest) -> JsonResponse:
    """`POST /api/upload-report`: a report as a file, and a file of sound with it, if there is one."""
    _, files = form_of(request)
    file = files.get("report")
    if file is None:
        raise RefusedBody(400, "no_report", "The request has no file called report.")
    if file.size > LARGEST_UPLOAD_REPORT_BYTES:
        raise RefusedBody(413, "too_large", "The report is larger than this server takes.")
    stem = request.headers.get("X-Report-Stem", "") or Path(file.name or "").stem
    file.seek(0)
    written = take(request, file.read(), lambda payload: read_universal(payload, stem))
    answer = {
        "status": "success",
        "report_stem": stem or written.video_id,
        "idempotent": written.action == "unchanged",
        "action": written.action,
        "video_id": written.video_id,
        **written.reason(),
    }
    if sound := files.get("audio"):
        answer["audio"] = store_audio_upload(sound, written.video_id, request.caller.name)
    return JsonResponse(answer)


@require_POST
@writes("ingest")
def upload_database(request: HttpRequest) -> JsonResponse:
    """`POST /api/upload-database`: gone."""
    message = "A whole database is not taken any more: replacing it brought deleted videos back and lost categories."
    write_entry(request.path, IngestOutcome.REFUSED, 410, token_name=request.caller.name, message=message)
    return JsonResponse({"error": "gone", "message": message}, status=410)


@require_http_methods(["GET"])
@writes("read")
def download_database(request: HttpRequest) -> FileResponse:
    """`GET /api/download-database`: the library in the old SQLite schema."""
    folder = TemporaryDirectory()
    target = Path(folder.name, "ytv2.db")
    export_library(target)
    response = FileResponse(target.open("rb"), as_attachment=True, filename="ytv2.db")
    response._resource_closers.append(folder.cleanup)
    return response
