"""The read API (contract/api.md): the old addresses and JSON, documented at /api/docs.

Answers are written as plain JSON, not validated against the schemas on each request; the schemas
describe them, and a test holds the one against the other.
"""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Router, Schema

from .facets import FacetValue
from .items import report_detail, report_item
from .library import Library, library_of
from .models import Video
from .search import ALIASES as SORT_ALIASES
from .search import LISTS, MAXIMUM_SIZE, MAXIMUM_VALUES, ORDERINGS, InvalidSearch, Search

router = Router(tags=["reports"])
HEAD = ["HEAD"]


class CategoryOut(Schema):
    category: str
    subcategories: list[str]


class AnalysisOut(Schema):
    category: list[str]
    subcategory: str | None
    categories: list[CategoryOut]
    content_type: str
    complexity_level: str
    language: str
    key_topics: list[Any]
    named_entities: list[Any]


class MediaOut(Schema):
    has_audio: bool
    audio_duration_seconds: int
    has_transcript: bool
    transcript_chars: int


class MediaMetadataOut(Schema):
    video_duration_seconds: int
    mp3_duration_seconds: int


class ItemOut(Schema):
    """A video. Every key is always there: missing text is "", a missing number 0, a missing list []."""

    id: str
    title: str
    thumbnail_url: str
    canonical_url: str
    channel: str
    published_at: str
    duration_seconds: int
    analysis: AnalysisOut
    media: MediaOut
    media_metadata: MediaMetadataOut
    file_stem: str
    video_id: str
    subcategories_json: str | None
    indexed_at: str
    original_language: str
    summary_language: str
    audio_language: str
    word_count: int


class SummaryContentOut(Schema):
    summary: str
    summary_type: str


class SummaryOut(Schema):
    text: str
    type: str
    content: SummaryContentOut


class ProcessorInfoOut(Schema):
    model: str
    processing_time: int
    timestamp: str


class VariantOut(Schema):
    variant: str
    text: str
    html: str
    language: str
    revision: int
    generated_at: str


class DetailOut(ItemOut):
    """A video with its best summary and all variants, best first."""

    summary: SummaryOut
    processor_info: ProcessorInfoOut
    summary_variants: list[VariantOut]


class PaginationOut(Schema):
    page: int
    size: int
    total_count: int
    total_pages: int
    total: int
    pages: int
    has_next: bool
    has_prev: bool


class ListOut(Schema):
    reports: list[ItemOut]
    pagination: PaginationOut
    sort: str
    filters: dict[str, Any]


class CountOut(Schema):
    value: str
    count: int


class CategoryCountOut(CountOut):
    subcategories: list[CountOut] | None = None


class FlagCountOut(Schema):
    value: bool
    count: int


class FiltersOut(Schema):
    source: list[CountOut]
    language: list[CountOut]
    category: list[CategoryCountOut]
    content_type: list[CountOut]
    complexity_level: list[CountOut]
    channel: list[CountOut]
    has_audio: list[FlagCountOut]


class ErrorOut(Schema):
    error: str
    message: str


def parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


TEXTS = {"type": "array", "items": {"type": "string"}, "maxItems": MAXIMUM_VALUES}
FILTER_PARAMETERS = [
    *(parameter(name, "One or more values, compared whole.", TEXTS) for name in LISTS),
    parameter("has_audio", "true, 1, yes or false, 0, no; anything else is ignored.", {"type": "string"}),
    parameter("q", "Two characters or more: a part of the title or of a summary, in any case.", {"type": "string"}),
    parameter("date_from", "Published on this ISO date or later.", {"type": "string"}),
    parameter("date_to", "Published on this ISO date or earlier.", {"type": "string"}),
]
PAGE_PARAMETERS = [
    parameter("sort", f"One of {', '.join([*ORDERINGS, *SORT_ALIASES])}; else newest.", {"type": "string"}),
    parameter("page", "From 1.", {"type": "string", "default": "1"}),
    parameter("size", f"1 to {MAXIMUM_SIZE}.", {"type": "string", "default": "20"}),
]


def error(code: str, message: str, status: int) -> JsonResponse:
    """The one shape of an error."""
    return JsonResponse({"error": code, "message": message}, status=status)


@router.api_operation(HEAD, "/reports", include_in_schema=False)
@router.get(
    "/reports",
    response={200: ListOut, 400: ErrorOut},
    summary="A page of videos",
    openapi_extra={"parameters": FILTER_PARAMETERS + PAGE_PARAMETERS},
)
def list_reports(request: HttpRequest) -> HttpResponse:
    """The videos that match all parameters; within a repeated parameter any value will do."""
    search, library = Search.from_query(request.GET), library_of(request)
    answer = library.at_this_revision(search, list_answer, (search, library, request.GET.urlencode()))
    return HttpResponse(answer, content_type="application/json")


def list_answer(asked: tuple[Search, Library, str]) -> str:
    """The JSON of a page of videos. The query string is there because equal searches can be asked in several words."""
    search, library, _ = asked
    total = library.count(search)
    pages = -(-total // search.size)
    return json.dumps(
        {
            "reports": [report_item(video) for video in library.listed(library.keys(search))],
            "pagination": {
                "page": search.page,
                "size": search.size,
                "total_count": total,
                "total_pages": pages,
                "total": total,
                "pages": pages,
                "has_next": search.page < pages,
                "has_prev": search.page > 1,
            },
            "sort": search.answered_sort,
            "filters": search.echo,
        }
    )


@router.api_operation(HEAD, "/filters", include_in_schema=False)
@router.get(
    "/filters",
    response={200: FiltersOut, 400: ErrorOut},
    summary="Values of the filters, with counts",
    openapi_extra={"parameters": FILTER_PARAMETERS},
)
def list_filters(request: HttpRequest) -> HttpResponse:
    """Each facet's values and how many videos each would show under all the other filters of the query."""
    counted = library_of(request).facets(Search.from_query(request.GET))
    return JsonResponse({facet: [count_item(value) for value in values] for facet, values in counted.items()})


def count_item(value: FacetValue) -> dict[str, Any]:
    item: dict[str, Any] = {"value": value.value, "count": value.count}
    if value.subcategories:
        item["subcategories"] = [count_item(below) for below in value.subcategories]
    return item


@router.api_operation(HEAD, "/reports/{path:video_id}", include_in_schema=False)
@router.get(
    "/reports/{path:video_id}",
    response={200: DetailOut, 404: ErrorOut},
    summary="One video with its summaries",
)
def get_report(request: HttpRequest, video_id: str) -> HttpResponse:
    """The video that an id names: its video_id, an old id, or a report's stem."""
    library = library_of(request)
    try:
        video = library.named(video_id)
    except Video.DoesNotExist:
        return error("not_found", "There is no video with this id.", 404)
    return JsonResponse(report_detail(video, library.summaries(video)))


def api() -> NinjaAPI:
    """The API with its documents: /api/docs for people, /api/openapi.json for programs."""
    ninja = NinjaAPI(title="YTV2", version="1.0.0", description="Read the library of video summaries.")
    ninja.add_router("", router)

    @ninja.exception_handler(InvalidSearch)
    def invalid_search(request: HttpRequest, exception: InvalidSearch) -> HttpResponse:
        return error("invalid_query", str(exception), 400)

    return ninja
