"""The pages: the dashboard, a video's report, and what is deleted."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial, wraps
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from .api import error, get_report
from .cards import thumbnail, tint
from .dashboard import dashboard_of, notices_of, undo_tag
from .deleted import LONGEST_REASON
from .keys import UNSTORABLE
from .library import Library, library_of
from .links import DEFAULT_SORT, PAGE_SIZE, Address, curate_url, delete_url, local_path, report_url, root, undo_url
from .models import Video
from .pairs_form import InvalidPairs, PairsForm, take
from .reports import reading_of, report_of
from .search import InvalidSearch, Search
from .tombstones import Tombstones, address

# Whoever deletes may restore as well.
DELETES = "videos.change_video"
CURATES = "videos.change_curation"


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The list with its filters. What the form sends is brought into the form of an address first."""
    if not request.META.get("QUERY_STRING") and request.COOKIES.get("view") == "grid":
        response = redirect(Address({"view": ("grid",)}).url)
        patch_vary_headers(response, ["Cookie"])
        return response
    address = Address.from_query(request.GET)
    if not address.says(request.GET):
        return redirect(address.url)
    try:
        search = search_of(request)
    except InvalidSearch as error:
        return render(request, "400.html", {"message": str(error)}, status=400)
    if request.user.is_staff:
        # What is remembered holds no token: scripts take it from the cookie.
        get_token(request)
    library = library_of(request)
    shown = (search, library, address.url, Rights.of(request), getattr(request, "banner", ""))
    if notices := notices_of(request):
        response = HttpResponse(dashboard_html(shown, {"notices": notices, "csrf_token": get_token(request)}))
        add_never_cache_headers(response)
        return response
    return HttpResponse(library.at_this_revision(search, dashboard_html, shown))


def search_of(request: HttpRequest) -> Search:
    """What the dashboard's address asks for. Raises InvalidSearch."""
    return Search.from_query(request.GET, default_size=PAGE_SIZE, default_sort=DEFAULT_SORT, joins_categories=True)


class Rights(NamedTuple):
    """What the person who asks may do; the pages show no more ways than these."""

    is_staff: bool
    deletes: bool
    curates: bool

    @classmethod
    def of(cls, request: HttpRequest) -> "Rights":
        user = request.user
        if not user.is_staff:
            return cls(False, False, False)
        return cls(True, user.has_perm(DELETES), user.has_perm(CURATES))


def dashboard_html(
    shown: tuple[Search, Library, str, Rights, str], said: Mapping[str, object] = MappingProxyType({})
) -> str:
    """The dashboard of a search of a library at a URL, for who has these rights, under a banner.

    Nothing else of the request shows, but what is `said` once, to one person: with it nothing is to be remembered.
    """
    search, library, url, rights, banner = shown
    address = Address.from_query(QueryDict(url.partition("?")[2]))
    login_url = f"{reverse('admin:login')}?{urlencode({'next': url})}"
    context = {"dashboard": dashboard_of(search, address, library), "login_url": login_url}
    context |= {"rights": rights, "banner": banner, "user": {"is_staff": rights.is_staff}}
    return render_to_string("videos/dashboard.html", {**context, "url": url, **said})


@require_safe
def report(request: HttpRequest, video_id: str) -> HttpResponse:
    """A video with all variants of its summary."""
    library = library_of(request)
    try:
        video = library.named(video_id)
    except Video.DoesNotExist as error:
        raise Http404(f"no video is named {video_id!r}") from error
    canonical = request.build_absolute_uri(report_url(video.video_id))
    shown = report_of(video, library.summaries(video), canonical)
    if request.user.is_staff:
        get_token(request)
    return render(request, "videos/report.html", {"report": shown, "rights": Rights.of(request)})


@require_safe
def read(request: HttpRequest, video_id: str) -> HttpResponse:
    """A video's summaries as a part of a page, to read inside of a list."""
    library = library_of(request)
    try:
        video = library.named(video_id)
    except Video.DoesNotExist:
        return render(request, "videos/_reader_missing.html", status=404)
    return render(request, "videos/_reader.html", {"reading": reading_of(video, library.summaries(video))})


@require_safe
def playlist(request: HttpRequest) -> JsonResponse:
    """What the player plays: `around` a video, or from the start of the list that the parameters find."""
    try:
        search = search_of(request)
        return JsonResponse(asdict(library_of(request).playlist(search, request.GET.get("around", ""))))
    except InvalidSearch as problem:
        return error("bad_request", str(problem), 400)
    except Video.DoesNotExist:
        return error("not_found", "There is no video with this id.", 404)


@require_safe
def old_report(request: HttpRequest, stem: str) -> HttpResponse:
    """`/<stem>.json?v=2` was the report page, `/<stem>.json` its data.

    Unknown is 404: the worker reads 200 as known.
    """
    if request.GET.get("v") == "2":
        return report(request, stem)
    return get_report(request, stem)


# What is deleted


def staff_only(permission: str = "") -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A view for staff, or for those of them with a permission.

    Who is not signed in is sent to do so; programs, which do not ask for HTML, and staff without it are refused.
    """

    def decorator(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        return wraps(view)(partial(checked, view, permission))

    return decorator


def checked(view: Callable[..., HttpResponse], permission: str, request: HttpRequest, **named: str) -> HttpResponse:
    if not (request.user.is_active and request.user.is_staff):
        if "text/html" in request.headers.get("Accept", ""):
            # An address that takes forms only is none to come back to.
            restores = request.path == reverse("videos:restore")
            return redirect_to_login(reverse("videos:deleted") if restores else request.get_full_path())
        return JsonResponse({"error": "forbidden", "message": "This is not allowed."}, status=403)
    if permission and not request.user.has_perm(permission):
        raise PermissionDenied
    return view(request, **named)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_only(DELETES)
def delete(request: HttpRequest, video_id: str) -> HttpResponse:
    """Ask whether a video is to be deleted; delete it, and show the list that one came from."""
    try:
        video = Video.objects.named(video_id)
    except Video.DoesNotExist as error:
        raise Http404(f"no video is named {video_id!r}") from error
    back = came_from(request)
    if request.method != "POST" and video.deleted_at is None:
        context = {
            "video": video,
            "thumbnail": thumbnail(video.thumbnail_url),
            "tint": tint(video.pk),
            "url": delete_url(video.pk),
            "back": back,
            "longest_reason": LONGEST_REASON,
        }
        return render(request, "videos/delete.html", context)
    if request.method == "POST" and video.delete_by(request.user.get_username(), request.POST.get("reason", "")):
        messages.success(request, f"“{video.display_title}” is deleted.", extra_tags=undo_tag(video.pk))
    else:
        messages.info(request, f"“{video.display_title}” was deleted before.", extra_tags=undo_tag(video.pk))
    # Nothing is at the video's own addresses any more.
    return redirect(back if back.partition("?")[0] == root() else root())


def came_from(request: HttpRequest) -> str:
    """The list or report that `next` names, or else that led here; the dashboard if neither does."""
    named = request.POST.get("next") or request.GET.get("next")
    if named is None:
        origin, _, path = request.headers.get("Referer", "").partition(f"//{request.get_host()}/")
        named = f"/{path}" if origin in ("http:", "https:") else ""
    back = local_path(named)
    path = back.partition("?")[0]
    return back if path == root() or path.startswith(f"{root()}videos/") else root()


@never_cache
@require_safe
@staff_only()
def deleted(request: HttpRequest) -> HttpResponse:
    """Deleted videos: who, when and why, and what was turned away since."""
    return render(
        request, "videos/deleted.html", {"deleted": Tombstones.from_query(request.GET), "rights": Rights.of(request)}
    )


@never_cache
@require_POST
@staff_only(DELETES)
def restore(request: HttpRequest) -> HttpResponse:
    """Bring one video back, by its whole key, and show the list again."""
    video_id = request.POST.get("video_id", "")
    video = None if UNSTORABLE.search(video_id) else Video.objects.filter(pk=video_id).first()
    if video is None:
        raise Http404(f"no video has the key {video_id!r}")
    was_purged = video.is_purged
    if not video.restore_by(request.user.get_username()):
        messages.info(request, f"“{video.display_title}” was in the library already.")
    elif was_purged:
        messages.success(
            request, f"{video.pk} is no longer deleted. Its content was erased; it comes back when it is sent again."
        )
    else:
        messages.success(request, f"“{video.display_title}” is back in the library.")
    if back := local_path(request.POST.get("next", "")):
        return redirect(back)
    page = request.POST.get("page", "")
    return redirect(address(request.POST.get("q", ""), int(page) if page.isdecimal() and len(page) < 9 else 1))


# Deciding on categories


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_only(CURATES)
def curate(request: HttpRequest, video_id: str) -> HttpResponse:
    """A video's categories in a form: a page of its own, or with `part` the form alone, to stand on another page."""
    try:
        video = Video.objects.live().named(video_id)
    except Video.DoesNotExist as error:
        raise Http404(f"no video is named {video_id!r}") from error
    back, problem, status = came_from(request), "", 200
    if request.method == "POST":
        try:
            answer = take(request.POST, video, request.user.get_username())
        except InvalidPairs as invalid:
            problem, status = str(invalid), 409
        else:
            if "part" in request.GET:
                return JsonResponse(
                    {"message": answer.said, "undo": undo_url(answer.context) if answer.context else ""}
                )
            messages.success(request, answer.said)
            return redirect(back)
    context = {
        "form": PairsForm.of(video),
        "video": video,
        "thumbnail": thumbnail(video.thumbnail_url),
        "tint": tint(video.pk),
        "url": curate_url(video.pk),
        "back": back,
        "problem": problem,
    }
    template = "videos/_curate_form.html" if "part" in request.GET else "videos/curate.html"
    return render(request, template, context, status=status)
