"""Files over HTTP: uploads of sound and pictures, and the addresses under /exports/ that serve them.

An upload goes to a nameless file on the disk while it comes in, so that a process that is killed leaves nothing, and
from there into the storage (files.py). What is served is looked up in the database; no name becomes a path.
"""

import logging
import tempfile
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    JsonResponse,
    QueryDict,
    StreamingHttpResponse,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.template.defaultfilters import filesizeformat
from django.urls import path
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.datastructures import MultiValueDict
from django.utils.http import content_disposition_header, http_date
from django.views.decorators.http import require_POST, require_safe

from .files import (
    AUDIO,
    IMAGE,
    FileAction,
    Kind,
    StoredFile,
    StoredRow,
    current_audio,
    file_named,
    full_storage_as_refusal,
    store_upload,
)
from .formats import MP3
from .log import write_entry
from .models import ImageFile, IngestOutcome, Scope
from .ranges import Body, Unsatisfiable, part_asked_for
from .tokens import Refused, writes

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]

# What a body holds besides its file: boundaries, headers, an id.
FORM_BYTES = 64 * 1024
# The end of a whole body is within so many bytes of its last one.
TAIL_BYTES = 1024
STORAGE_RETRY_SECONDS = 60

OUTCOMES = {
    FileAction.ADDED: IngestOutcome.UPDATED,
    FileAction.UNCHANGED: IngestOutcome.UNCHANGED,
    FileAction.KEPT_ASIDE: IngestOutcome.CREATED,
    FileAction.QUARANTINED: IngestOutcome.QUARANTINED,
    FileAction.DELETED: IngestOutcome.DELETED,
}


class NoFile(Refused):
    """A request without the file that it is for."""

    status = 400
    code = "no_file"


class CutOff(Refused):
    """A body that ends before its end."""

    status = 400
    code = "cut_off"


class TooLarge(Refused):
    """A file that is larger than its setting allows."""

    status = 413
    code = "too_large"


class Malformed(Refused):
    """A body that is no form."""

    status = 400
    code = "bad_request"


# Uploads


class Tail:
    """A body as it is read, and its last bytes."""

    def __init__(self, source: HttpRequest) -> None:
        self.source = source
        self.bytes = b""

    def read(self, size: int) -> bytes:
        data = self.source.read(size)
        self.bytes = (self.bytes + data)[-TAIL_BYTES:]
        return data


class WholeForm(FileUploadHandler):
    """Reads a form into nameless files, if it is whole and no larger than a file may be.

    Raises CutOff for a form whose end is missing (Django takes what came of a file, when the client goes away, for all
    of it), TooLarge and StorageFull.
    """

    def __init__(self, request: HttpRequest, most_bytes: int) -> None:
        super().__init__(request)
        self.most_bytes = most_bytes

    def handle_raw_input(
        self, input_data: HttpRequest, meta: dict, content_length: int, boundary: bytes, encoding: str | None = None
    ) -> tuple[QueryDict, MultiValueDict]:
        if content_length > self.most_bytes + FORM_BYTES:
            raise too_large(self.most_bytes)
        body = Tail(input_data)
        try:
            form = MultiPartParser(meta, body, [NamelessFile(self.request, self.most_bytes)], encoding).parse()
        except UnreadablePostError as error:
            raise CutOff("The upload was cut off. Send it again.") from error
        if b"--" + boundary + b"--" not in body.bytes:
            raise CutOff("The end of the upload is missing. Send it again.")
        return form


class NamelessFile(FileUploadHandler):
    """Writes a file of a form to the disk, where it has no name and is gone with the process."""

    def __init__(self, request: HttpRequest, most_bytes: int) -> None:
        super().__init__(request)
        self.most_bytes = most_bytes

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        with full_storage_as_refusal():
            self.file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > self.most_bytes:
            raise too_large(self.most_bytes)
        with full_storage_as_refusal():
            self.file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        with full_storage_as_refusal():
            self.file.flush()
        return UploadedFile(self.file, self.file_name, self.content_type, file_size, self.charset)


def too_large(most_bytes: int) -> TooLarge:
    most = filesizeformat(most_bytes).replace("\xa0", " ")
    return TooLarge(f"The file is larger than {most}, the most that this server takes.")


def uploads(most_bytes_setting: str) -> Callable[[View], View]:
    """Decorator: the view takes a form with a file of so many bytes at most, from callers who may write."""

    def decorate(view: View) -> View:
        guarded = writes(Scope.INGEST)(view)

        @require_POST
        @wraps(guarded)
        def streamed(request: HttpRequest) -> HttpResponse:
            # Before anything looks at the form: the check of a session's CSRF token does.
            request.upload_handlers = [WholeForm(request, getattr(settings, most_bytes_setting))]
            return guarded(request)

        return streamed

    return decorate


@uploads("MAX_AUDIO_BYTES")
def ingest_audio(request: HttpRequest) -> JsonResponse:
    """`POST /ingest/audio`."""
    stored = received(request, AUDIO, "audio")
    return JsonResponse({"saved": stored.public_url is not None, **stored.answer()})


@uploads("MAX_AUDIO_BYTES")
def upload_audio(request: HttpRequest) -> JsonResponse:
    """`POST /api/upload-audio`."""
    return upload_answer(received(request, AUDIO, "audio"))


@uploads("MAX_IMAGE_BYTES")
def upload_image(request: HttpRequest) -> JsonResponse:
    """`POST /api/upload-image`."""
    return upload_answer(received(request, IMAGE, "image"))


def upload_answer(stored: StoredFile) -> JsonResponse:
    is_served = stored.public_url is not None
    return JsonResponse(
        {
            "success": True,
            "filename": stored.name.rpartition("/")[2] if is_served else None,
            "relative_path": stored.name if is_served else None,
            **stored.answer(),
        }
    )


def received(request: HttpRequest, kind: Kind, part: str) -> StoredFile:
    """Store the file of a form, and log what became of it. Raises Refused."""
    sent_id = ""
    try:
        form, files = form_of(request)
        sent_id = form.get("video_id") or form.get("content_id") or ""
        if part not in files:
            raise NoFile(f"The request has no file. Send it as {part} in a form (multipart/form-data).")
        stored = store_upload(files[part], kind, sent_id, request.caller.name)
    except Refused as refusal:
        log(request, IngestOutcome.REFUSED, refusal.status, sent_id, refusal.message)
        raise
    log(request, OUTCOMES[stored.action], 200, stored.video_id or sent_id, stored.message)
    return stored


def form_of(request: HttpRequest) -> tuple[QueryDict, MultiValueDict]:
    """The fields and the files of a form. Raises Malformed."""
    try:
        return request.POST, request.FILES
    except UnreadablePostError as error:
        raise Malformed("The connection ended before the body did.") from error
    # UnicodeError, LookupError: a charset that Python knows by name and cannot decode text with.
    except (MultiPartParserError, SuspiciousOperation, BadRequest, UnicodeError, LookupError) as error:
        raise Malformed("The body is no form with a file (multipart/form-data).") from error


def log(request: HttpRequest, outcome: IngestOutcome, status: int, video_id: str, message: str) -> None:
    write_entry(
        request.path, outcome, status, token_name=request.caller.name, message=message,
        video_id=video_id,
    )  # fmt: skip


# Serving


@require_safe
def audio(request: HttpRequest, name: str) -> HttpResponse:
    """`/exports/<name>.mp3`, `/exports/audio/<name>.mp3`."""
    return served(request, file_named(AUDIO, f"{name}.mp3"))


@require_safe
def audio_of_video(request: HttpRequest, video_id: str) -> HttpResponse:
    """`/exports/by_video/<video_id>`, `/exports/by_video/<video_id>.mp3`: the newest file of the video."""
    row = current_audio(video_id)
    if row is None and video_id.endswith(".mp3"):
        row = current_audio(video_id.removesuffix(".mp3"))
    return served(request, row)


@require_safe
def image(request: HttpRequest, name: str) -> HttpResponse:
    """`/exports/images/<name>`."""
    return served(request, file_named(IMAGE, name))


def served(request: HttpRequest, row: StoredRow | None) -> HttpResponse:
    """The file of a row, a part of it, or that the caller has it already. Raises Http404 for none."""
    if row is None:
        raise Http404
    # GZipMiddleware looks here when we are done: a part of a compressed file would be no part of the file.
    request.META.pop("HTTP_ACCEPT_ENCODING", None)
    etag = f'"{row.sha256}"'
    last_modified = int(min(row.added_at, timezone.now()).timestamp())
    headers = {
        "Content-Type": row.content_type if isinstance(row, ImageFile) else MP3.content_type,
        "Content-Disposition": content_disposition_header(False, row.name.rpartition("/")[2]),
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": http_date(last_modified),
        # Asked for each time, so that a file is gone from everywhere once its video is deleted.
        "Cache-Control": "no-cache",
    }
    conditional = get_conditional_response(request, etag, last_modified, HttpResponse(headers=headers))
    if conditional.status_code != 200:
        return conditional
    try:
        part = part_asked_for(request, row.size_bytes, etag, last_modified)
    except Unsatisfiable:
        answer = {"error": "range_not_satisfiable", "message": f"The file has {row.size_bytes} bytes."}
        return JsonResponse(answer, status=416, headers={"Content-Range": f"bytes */{row.size_bytes}"})
    try:
        file = opened(row)
    except OSError:
        return not_at_hand(row)
    if request.method == "HEAD":
        file.close()
        return HttpResponse(headers=headers | {"Content-Length": str(row.size_bytes)})
    socket = request.META.get("gunicorn.socket")
    if part is None:
        body = Body(file, 0, row.size_bytes, socket)
        return StreamingHttpResponse(body, headers=headers | {"Content-Length": str(row.size_bytes)})
    headers |= {"Content-Length": str(part.length), "Content-Range": part.content_range}
    return StreamingHttpResponse(Body(file, part.first, part.length, socket), status=206, headers=headers)


def opened(row: StoredRow) -> File:
    """A row's file. Raises OSError where it is not there, or not as it was stored."""
    file = default_storage.open(row.name)
    if file.size != row.size_bytes:
        file.close()
        raise OSError(f"{row.name} has another size than its row says")
    return file


def not_at_hand(row: StoredRow) -> HttpResponse:
    """Not a 404, which programs take for a file that never was: a disk can be away for a while."""
    logger.exception("The file %s of video %s cannot be read from the storage.", row.name, row.video_id)
    answer = {"error": "file_unavailable", "message": "The file cannot be read at the moment. Try again later."}
    return JsonResponse(answer, status=503, headers={"Retry-After": str(STORAGE_RETRY_SECONDS)})


app_name = "files"
urlpatterns = [
    path("ingest/audio", ingest_audio, name="ingest-audio"),
    path("api/upload-audio", upload_audio, name="upload-audio"),
    path("api/upload-image", upload_image, name="upload-image"),
    path("exports/<name>.mp3", audio, name="audio"),
    path("exports/audio/<name>.mp3", audio),
    path("exports/by_video/<path:video_id>", audio_of_video, name="audio-of-video"),
    path("exports/images/<name>", image, name="image"),
]
