"""The pages: the dashboard, a video's report, and what is deleted."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from .api import get_report
from .dashboard import dashboard_of
from .items import with_pairs
from .keys import UNSTORABLE
from .links import DEFAULT_SORT, PAGE_SIZE, Address, report_url
from .models import Video
from .reports import report_of
from .search import InvalidSearch, Search
from .tombstones import Tombstones, address


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The list with its filters. What the form sends is brought into the form of an address first."""
    address = Address.from_query(request.GET)
    if not address.says(request.GET):
        return redirect(address.url)
    try:
        search = Search.from_query(request.GET, default_size=PAGE_SIZE, default_sort=DEFAULT_SORT)
    except InvalidSearch as error:
        return render(request, "400.html", {"message": str(error)}, status=400)
    shown = (search, address.url, request.user.is_staff)
    return HttpResponse(search.at_this_revision(dashboard_html, shown))


def dashboard_html(shown: tuple[Search, str, bool]) -> str:
    """The dashboard of a search at a URL, for staff or not: nothing else of the request shows on it."""
    search, url, staff = shown
    address = Address.from_query(QueryDict(url.partition("?")[2]))
    context = {"dashboard": dashboard_of(search, address), "user": {"is_staff": staff}}
    return render_to_string("videos/dashboard.html", context)


@require_safe
def report(request: HttpRequest, video_id: str) -> HttpResponse:
    """A video with all variants of its summary."""
    try:
        video = with_pairs(Video.objects.live()).named(video_id)
    except Video.DoesNotExist as error:
        raise Http404(f"no video is named {video_id!r}") from error
    canonical = request.build_absolute_uri(report_url(video.video_id))
    shown = report_of(video, video.summaries.best_first(), canonical)
    return render(request, "videos/report.html", {"report": shown})


@require_safe
def old_report(request: HttpRequest, stem: str) -> HttpResponse:
    """`/<stem>.json?v=2` was the report page, `/<stem>.json` its data.

    Unknown is 404: the worker reads 200 as known.
    """
    if request.GET.get("v") == "2":
        return report(request, stem)
    return get_report(request, stem)


# What is deleted


def staff_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A view for staff. Other people are sent to sign in; programs, which do not ask for HTML, are refused."""

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if request.user.is_active and request.user.is_staff:
            return view(request)
        if "text/html" in request.headers.get("Accept", ""):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("videos:deleted"))
        return JsonResponse({"error": "forbidden", "message": "This is not allowed."}, status=403)

    return checked


@never_cache
@require_safe
@staff_only
def deleted(request: HttpRequest) -> HttpResponse:
    """Deleted videos: who, when and why, and what was turned away since."""
    return render(request, "videos/deleted.html", {"deleted": Tombstones.from_query(request.GET)})


@never_cache
@require_POST
@staff_only
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
    page = request.POST.get("page", "")
    return redirect(address(request.POST.get("q", ""), int(page) if page.isdecimal() and len(page) < 9 else 1))
