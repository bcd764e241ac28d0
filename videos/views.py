"""The pages: the dashboard and a video's report."""

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from .api import get_report
from .dashboard import dashboard_of
from .items import with_pairs
from .links import DEFAULT_SORT, PAGE_SIZE, Address, report_url
from .models import Video
from .reports import report_of
from .search import InvalidSearch, Search


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
