"""Curation in the admin: the list of videos, one video's page, changes of many at once, and how far it has come."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from . import curation_list
from .bulk import Change, Done, Plan, Verb, plan, run
from .cards import thumbnail, tint, web_address
from .curation import Names, offered_pairs
from .links import report_url, undo_url
from .models import Categorization, Curation
from .pagination import LargeTablePaginator
from .pairs_form import Group, InvalidPairs, PairsForm, groups_of, parse, retired_group, take
from .reports import reading_of

# How many pairs a verb needs.
NEEDED = {Verb.ADD: 1, Verb.REMOVE: 1, Verb.REPLACE: 2}


class CurationFilter(admin.SimpleListFilter):
    """A filter of curation_list, with its numbers."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(choice.value, f"{choice.label} ({choice.videos:,})") for choice in self.offered()]

    def offered(self) -> list[curation_list.Choice]:
        choices = curation_list.choices(self.parameter_name)
        chosen = self.value()
        if chosen and chosen not in [choice.value for choice in choices]:
            choices.append(curation_list.Choice(chosen, chosen, 0))
        return choices

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Curation]) -> QuerySet[Curation]:
        return curation_list.FILTERS[self.parameter_name](queryset, self.value() or "")


class StateFilter(CurationFilter):
    title, parameter_name = "state", "state"

    def choices(self, changelist: Any) -> Any:
        """Without "All": what needs review comes first, and all is one of the states."""
        _, *states = super().choices(changelist)
        for (value, _), state in zip(self.lookup_choices, states, strict=True):
            yield state | {"selected": value == (self.value() or curation_list.DEFAULT_STATE)}


class CategoryFilter(CurationFilter):
    title, parameter_name = "category", "category"


class OriginFilter(CurationFilter):
    title, parameter_name = "origin", "origin"


class ChannelFilter(CurationFilter):
    title, parameter_name = "channel", "channel"


class SourceFilter(CurationFilter):
    title, parameter_name = "source", "source"


class AddedFilter(CurationFilter):
    title, parameter_name = "age", "added"


def pair_chips(rows: list[tuple[str, str | None, str]], label: str) -> SafeString:
    """Pairs as a list of chips; each is a category, a subcategory and a class."""
    items = format_html_join(
        "",
        '<li class="pair {}" dir="auto">{}{}</li>',
        ((kind, category, format_html(" › <b>{}</b>", below) if below else "") for category, below, kind in rows),
    )
    return format_html('<ul class="pairs" aria-label="{}">{}</ul>', label, items)


@admin.register(Curation)
class CurationAdmin(admin.ModelAdmin):
    list_display = ("picture", "pairs", "origin", "decided")
    list_display_links = None
    list_filter = (StateFilter, CategoryFilter, OriginFilter, ChannelFilter, SourceFilter, AddedFilter)
    search_fields = ("title",)
    search_help_text = "Text in title or summary"
    ordering = curation_list.ORDER
    sortable_by = ()
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    # The filters have numbers of their own, which are remembered.
    show_facets = admin.ShowFacets.NEVER
    paginator = LargeTablePaginator
    actions = ("add_pair", "remove_pair", "replace_pair", "accept_proposals", "review")
    change_list_template = "admin/videos/curation/change_list.html"

    class Media:
        css = {"all": ("css/pairs.css", "css/curation.css")}

    # The list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; the title's link takes the list's filters along, so that the next video is the list's next."""
        filters = urlencode([(name, value) for name, value in request.GET.items() if name != "p"])

        @admin.display(description="video")
        def titled(video: Curation) -> SafeString:
            return format_html(
                '<a class="title" href="{}" dir="auto">{}</a> <span class="channel" dir="auto">{}</span>',
                self.address_of(video.pk, filters),
                video.display_title,
                video.channel_name,
            )

        picture, *others = super().get_list_display(request)
        return [picture, titled, *others]

    @admin.display(description="picture")
    def picture(self, video: Curation) -> SafeString:
        if address := thumbnail(video.thumbnail_url):
            return format_html('<img class="picture" src="{}" alt="" width="96" height="54" loading="lazy">', address)
        return SafeString('<span class="picture none"></span>')

    @admin.display(description="categories")
    def pairs(self, video: Curation) -> SafeString:
        stored = [
            (row.category.name, row.subcategory.name if row.subcategory else None, row.origin)
            for row in video.categorizations.all()
        ]
        shown = pair_chips(stored, "Categories") if stored else SafeString('<span class="none">uncategorised</span>')
        if (proposal := proposal_of(video)) is None:
            return shown
        proposed = pair_chips([(category, below, "proposed") for category, below in proposal.pairs], "Proposal")
        return format_html('{}<div class="proposal">A machine proposes {}</div>', shown, proposed)

    @admin.display(description="origin")
    def origin(self, video: Curation) -> str:
        review = review_of(video)
        if review is not None:
            return "curated" if review.is_curated else "reviewed"
        origins = dict.fromkeys(row.get_origin_display() for row in video.categorizations.all())
        return ", ".join(origins) or "–"

    @admin.display(description="who and when")
    def decided(self, video: Curation) -> SafeString:
        if (review := review_of(video)) is None:
            return SafeString('<span class="never">–</span>')
        return format_html(
            '{}<br><time datetime="{}">{}</time>',
            review.reviewed_by,
            review.reviewed_at.isoformat(),
            f"{review.reviewed_at:%Y-%m-%d %H:%M} UTC",
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Curation]:
        rows = Categorization.objects.order_by("position").select_related("category", "subcategory")
        return (
            Curation.objects.live()
            .defer("title_folded", "title_sort_key", "analysis", "extra", "subcategories_json", "key_topics")
            .select_related("review", "proposal")
            .prefetch_related(Prefetch("categorizations", rows))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Curation], search_term: str
    ) -> tuple[QuerySet[Curation], bool]:
        return curation_list.found(queryset, search_term), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Curation", **(extra_context or {})})

    # One video

    def get_urls(self) -> list[URLPattern]:
        progress = self.admin_site.admin_view(self.progress_view)
        return [path("progress/", progress, name="videos_curation_progress"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Decide on one video's categories, and go on with the next of the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        filters = request.GET.get("_changelist_filters", "")
        video = Curation.objects.live().filter(pk=object_id).first() if "\x00" not in object_id else None
        if video is None:
            messages.warning(request, "This video is not in the library any more.")
            return HttpResponseRedirect(self.list_address(filters))
        if request.method == "POST":
            if not self.has_change_permission(request):
                raise PermissionDenied
            if answer := self.take(request, video, filters):
                return answer
        form = PairsForm.of(video)
        parameters = QueryDict(filters)
        next_key, previous_key = curation_list.following(parameters, video), curation_list.preceding(parameters, video)
        context = {
            **self.admin_site.each_context(request),
            "title": video.display_title,
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "form": form,
            "video": video,
            "thumbnail": thumbnail(video.thumbnail_url),
            "tint": tint(video.pk),
            "original": web_address(video.canonical_url),
            "report": report_url(video.pk),
            "reading": reading_of(video, video.summaries.best_first()),
            "next": next_key and self.address_of(next_key, filters),
            "previous": previous_key and self.address_of(previous_key, filters),
            "list": self.list_address(filters),
            "may_change": self.has_change_permission(request),
            "to_review": curation_list.to_review(),
        }
        return TemplateResponse(request, "admin/videos/curation/change_form.html", context)

    def take(self, request: HttpRequest, video: Curation, filters: str) -> HttpResponse | None:
        """Do what one of the form's buttons says. None: it was not done, and the page says why."""
        # Before it is decided on, because then the list may hold it no more.
        next_key = curation_list.following(QueryDict(filters), video)
        try:
            answer = take(request.POST, video, request.user.get_username())
        except InvalidPairs as error:
            messages.warning(request, str(error))
            return None
        self.message_user(request, with_undo(answer.said, answer.context), messages.SUCCESS)
        if not request.POST.get("button", "").endswith("_next"):
            return HttpResponseRedirect(self.address_of(video.pk, filters))
        return HttpResponseRedirect(self.address_of(next_key, filters) if next_key else self.list_address(filters))

    def address_of(self, video_id: str, filters: str) -> str:
        address = reverse("admin:videos_curation_change", args=[video_id])
        return f"{address}?{urlencode({'_changelist_filters': filters})}" if filters else address

    def list_address(self, filters: str) -> str:
        address = reverse("admin:videos_curation_changelist")
        return f"{address}?{filters}" if filters else address

    # Many videos

    @admin.action(description="Add a pair …", permissions=["change"])
    def add_pair(self, request: HttpRequest, queryset: QuerySet[Curation]) -> HttpResponse | None:
        return self.bulk(request, queryset, Verb.ADD)

    @admin.action(description="Remove a pair …", permissions=["change"])
    def remove_pair(self, request: HttpRequest, queryset: QuerySet[Curation]) -> HttpResponse | None:
        return self.bulk(request, queryset, Verb.REMOVE)

    @admin.action(description="Replace a pair …", permissions=["change"])
    def replace_pair(self, request: HttpRequest, queryset: QuerySet[Curation]) -> HttpResponse | None:
        return self.bulk(request, queryset, Verb.REPLACE)

    @admin.action(description="Accept what machines propose …", permissions=["change"])
    def accept_proposals(self, request: HttpRequest, queryset: QuerySet[Curation]) -> HttpResponse | None:
        return self.bulk(request, queryset, Verb.ACCEPT)

    @admin.action(description="Mark as reviewed …", permissions=["change"])
    def review(self, request: HttpRequest, queryset: QuerySet[Curation]) -> HttpResponse | None:
        return self.bulk(request, queryset, Verb.REVIEW)

    def bulk(self, request: HttpRequest, queryset: QuerySet[Curation], verb: Verb) -> HttpResponse | None:
        """Ask for the pairs, show what would change, and do it when that is confirmed."""
        videos = Curation.objects.filter(pk__in=queryset.order_by().values("pk"))
        needed = NEEDED.get(verb, 0)
        chosen = [request.POST.get(name, "") for name in ("pair", "by_pair")[:needed]]
        planned, problem, change = None, "", None
        try:
            change = Change(verb, *self.pairs_of(chosen)) if all(chosen) else None
        except InvalidPairs as error:
            problem = str(error)
        # What is chosen anew beside the preview is shown first.
        is_shown = request.POST.getlist("shown") == chosen
        if change and request.POST.get("step") == "apply" and is_shown:
            done = run(videos, change, request.user.get_username())
            self.report(request, verb, done)
            return None
        if change:
            planned = plan(videos, change)
        elif request.POST.get("step") and not problem:
            problem = "Choose first."
        return TemplateResponse(
            request,
            "admin/videos/curation/bulk.html",
            self.bulk_context(request, verb, chosen, planned, problem, videos),
        )

    def bulk_context(
        self, request: HttpRequest, verb: Verb, chosen: list[str], planned: Plan | None, problem: str, videos: QuerySet
    ) -> dict[str, Any]:
        labels = ("Replace", "by") if verb is Verb.REPLACE else ("Category",)
        names = ("pair", "by_pair")
        return {
            **self.admin_site.each_context(request),
            "title": verb.label,
            "opts": self.opts,
            "media": self.media,
            "planned": planned,
            "problem": problem,
            "fields": [
                {"name": name, "label": label, "value": value, "groups": groups}
                for name, label, value, groups in zip(names, labels, chosen, self.groups_for(verb), strict=False)
            ],
            "shown": chosen if planned else [],
            "total": planned.changed + planned.unchanged if planned else videos.count(),
            "action": request.POST.get("action", ""),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "checkbox": ACTION_CHECKBOX_NAME,
            "back": request.get_full_path(),
        }

    def groups_for(self, verb: Verb) -> list[tuple[Group, ...]]:
        """What can be chosen for each pair of a verb. Videos are taken out of what is retired, but not put into it."""
        if not NEEDED.get(verb):
            return []
        offered = groups_of(offered_pairs())
        if verb is Verb.ADD:
            return [offered]
        return [(*offered, *retired_group()), offered]

    def pairs_of(self, chosen: list[str]) -> list[Names]:
        """The pairs that were chosen, one each. Raises InvalidPairs."""
        return [parse([value])[0] for value in chosen]

    def report(self, request: HttpRequest, verb: Verb, done: Done) -> None:
        changed, unchanged = len(done.decided.changed), len(done.decided.unchanged) + len(done.decided.missing)
        said = f"{verb.label}: {changed:,} {'video' if changed == 1 else 'videos'} changed, {unchanged:,} as they were."
        level = messages.INFO if done.context is None else messages.SUCCESS
        self.message_user(request, with_undo(said, done.context), level)

    # How far it has come

    def progress_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        states = {choice.value: choice for choice in curation_list.choices("state")}
        categories = curation_list.progress()
        context = {
            **self.admin_site.each_context(request),
            "title": "Progress",
            "opts": self.opts,
            "media": self.media,
            "states": states,
            "bar": bar([states[name].videos for name in ("curated", "reviewed", "proposed", "open")]),
            "categories": [
                {"progress": category, "bar": bar([category.curated, category.reviewed, category.proposed])}
                for category in categories
            ],
            "list": self.list_address(""),
        }
        return TemplateResponse(request, "admin/videos/curation/progress.html", context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Curation | None = None) -> bool:
        return False


def bar(numbers: list[int]) -> list[tuple[float, float]]:
    """Where each part of a bar 100 wide begins, and how wide it is."""
    total, start, parts = sum(numbers), 0, []
    for number in numbers:
        parts.append((round(100 * start / total, 2), round(100 * number / total, 2)) if total else (0, 0))
        start += number
    return parts


def with_undo(said: str, context: UUID | None) -> str:
    """What was done, with the link to take it back."""
    if context is None:
        return said
    return format_html('{} <a class="undo" href="{}">Undo …</a>', said, undo_url(context))


def review_of(video: Curation) -> Any:
    return getattr(video, "review", None)


def proposal_of(video: Curation) -> Any:
    """What waits for the curator of a video, if something does."""
    proposal = getattr(video, "proposal", None)
    return proposal if proposal is not None and proposal.settled_at is None else None
