"""The taxonomy in the admin: all categories with their subcategories on one page, and each change with a preview.

What is chosen is in the address, so that a preview can be sent to somebody; a button of the preview does it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import Count
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    QueryDict,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from psycopg.errors import LockNotAvailable

from . import taxonomy
from .curation import offered_pairs
from .models import Categorization, Category, Origin, Subcategory
from .pairs_form import Group, Option, is_key, value_of
from .taxonomy import Changed, Named, Preview, Refused, look

BUSY = "Somebody is writing categories just now, and it took too long to wait. Nothing was changed; try again."


@dataclass(frozen=True)
class Action:
    """A verb with a page of its own: what its button says, what it asks for, what it would do, and what it does."""

    label: str
    ask: Callable[[Named], "Field | None"]
    preview: Callable[..., Preview]
    run: Callable[..., Changed]


@dataclass(frozen=True)
class Field:
    """What a verb needs to know: a text, or one of several choices."""

    name: str
    label: str
    groups: tuple[Group, ...] = ()
    value: str = ""
    help: str = ""


@dataclass
class Line:
    """A row of the taxonomy page. `place` is its place in the order, from 1; 0 where it has none."""

    row: Named
    videos: int
    place: int = 0
    placed: list["Line"] = field(default_factory=list)
    new: list["Line"] = field(default_factory=list)
    retired: list["Line"] = field(default_factory=list)

    @property
    def key(self) -> str:
        return key_of(self.row)

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def number(self) -> str:
        return str(self.row.pk)

    @property
    def is_category(self) -> bool:
        return isinstance(self.row, Category)

    @property
    def order(self) -> str:
        """The id of the form that its place belongs to."""
        return "order" if self.is_category else f"order-{self.row.category_id}"

    @property
    def below(self) -> int:
        return len(self.placed) + len(self.new) + len(self.retired)

    def add(self, line: "Line") -> None:
        """Put one of its subcategories where it is shown."""
        lines = self.retired if line.row.retired_at else self.new if line.row.is_new else self.placed
        lines.append(line)
        line.place = len(lines) if lines is self.placed else 0


@dataclass(frozen=True)
class Alike:
    """Names that people take for one: the one with most videos, and the others, each to be merged into it."""

    first: Line
    others: tuple[Line, ...]

    @property
    def into(self) -> str:
        return into_value(self.first.row)


def key_of(row: Named) -> str:
    """A row as it is written in an address."""
    return f"{row._meta.model_name}:{row.pk}"


def row_of(key: str) -> Named:
    """The row of an address. Raises Http404."""
    kind, _, number = key.partition(":")
    model = {"category": Category, "subcategory": Subcategory}.get(kind)
    row = model.objects.filter(pk=int(number)).first() if model and is_key(number) else None
    if row is None:
        raise Http404("no such category")
    return row


def into_value(row: Named) -> str:
    """A row as a choice of what others become."""
    return value_of(row.pk) if isinstance(row, Category) else value_of(row.category_id, row.pk)


def chosen(value: str) -> tuple[Category, Subcategory | None]:
    """What a choice names. Raises Refused."""
    category, _, below = value.partition(":")
    rows = Category.objects.filter(pk=int(category)) if is_key(category) else Category.objects.none()
    if (found := rows.first()) and (not below or is_key(below)):
        subcategory = found.subcategories.filter(pk=int(below)).first() if below else None
        if subcategory or not below:
            return found, subcategory
    raise Refused("What was chosen is not there any more. Choose again.")


def categories_to_choose(without: Category) -> tuple[Group, ...]:
    options = [Option(value_of(row.pk), row.name) for row, _ in offered_pairs() if row.pk != without.pk]
    return (Group("Categories", tuple(options)),)


def pairs_to_choose(bare: str, *, without: Named | None = None) -> tuple[Group, ...]:
    """All pairs, by category; `bare` says what a category alone means, and without it that cannot be chosen."""
    groups = []
    for category, subcategories in offered_pairs():
        if category == without:
            continue
        options = [Option(value_of(category.pk), f"{category.name} ({bare})")] if bare else []
        options += [
            Option(value_of(category.pk, row.pk), f"{category.name} › {row.name}")
            for row in subcategories
            if row != without
        ]
        if options:
            groups.append(Group(category.name, tuple(options)))
    return tuple(groups)


def ask_name(row: Named) -> Field:
    return Field("name", "New name", value=row.name)


def ask_target(row: Named) -> Field:
    if isinstance(row, Subcategory):
        return Field("into", "Merge into", pairs_to_choose("", without=row))
    return Field(
        "into",
        "Merge into",
        pairs_to_choose("as it is", without=row),
        help="Subcategories go to those of the same name. If you choose a subcategory, what has none goes there.",
    )


def ask_category(row: Named) -> Field | None:
    return Field("into", "Move to", categories_to_choose(row.category)) if isinstance(row, Subcategory) else None


def ask_nothing(row: Named) -> None:
    return None


def preview_merge(row: Named, value: str) -> Preview:
    return taxonomy.preview_merge(row, *merge_target(row, value))


def merge(row: Named, value: str, by: str) -> Changed:
    target, below = merge_target(row, value)
    return taxonomy.merge(row, target, by, below)


def merge_target(row: Named, value: str) -> tuple[Named, Subcategory | None]:
    """What a choice means: for a category one and the subcategory for what has none, for a subcategory another."""
    category, below = chosen(value)
    if isinstance(row, Category):
        return category, below
    if below is None:
        raise Refused("A subcategory can be merged into a subcategory only. To get it elsewhere, move it.")
    return below, None


def preview_move(row: Subcategory, value: str) -> Preview:
    return taxonomy.preview_move(row, chosen(value)[0])


def move(row: Subcategory, value: str, by: str) -> Changed:
    return taxonomy.move(row, chosen(value)[0], by)


ACTIONS = {
    "rename": Action("Rename", ask_name, taxonomy.preview_rename, taxonomy.rename),
    "merge": Action("Merge", ask_target, preview_merge, merge),
    "move": Action("Move", ask_category, preview_move, move),
    "retire": Action("Retire", ask_nothing, taxonomy.preview_retire, taxonomy.retire),
    "bring_back": Action("Bring back", ask_nothing, taxonomy.preview_bring_back, taxonomy.bring_back),
    "place": Action("Place", ask_nothing, taxonomy.preview_place, taxonomy.place),
}


def all_lines() -> Line:
    """The taxonomy as it is shown: a line that stands for it all, with its categories."""
    numbers = taxonomy.numbers()
    everything = Line(Category(name="Taxonomy"), 0)
    lines = {}
    for category in taxonomy.in_order(Category.objects.present()):
        lines[category.pk] = line = Line(category, numbers.get((category.pk, None), 0))
        everything.add(line)
    for row in taxonomy.in_order(Subcategory.objects.present().select_related("category")):
        if above := lines.get(row.category_id):
            above.add(Line(row, numbers.get((row.category_id, row.pk), 0)))
    return everything


def alike(lines: Iterable[Line]) -> list[Alike]:
    """Lines whose names look the same, those of subcategories too."""
    groups: dict[tuple[int, str], list[Line]] = defaultdict(list)
    for line in lines:
        groups[0, look(line.name)].append(line)
        for row in (*line.placed, *line.new, *line.retired):
            groups[line.row.pk, look(row.name)].append(row)
    found = []
    for group in groups.values():
        if len(group) > 1:
            # Nothing can be merged into what is retired.
            first, *others = sorted(group, key=lambda line: (line.row.retired_at is not None, -line.videos, line.name))
            found.append(Alike(first, tuple(others)))
    return found


class NamesAdmin(admin.ModelAdmin):
    """What both have: names are added here, and never deleted."""

    class Media:
        css = {"all": ("css/taxonomy.css",)}

    def has_delete_permission(self, request: HttpRequest, obj: Named | None = None) -> bool:
        return False

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "may_change": request.user.has_perm("videos.change_category"),
            **context,
        }
        return TemplateResponse(request, f"admin/videos/taxonomy/{template}.html", context)

    def attempt(self, run: Callable[[], Changed]) -> tuple[Changed | None, str, Named | None]:
        """What was done; or why not, and what stands in the way."""
        try:
            return run(), "", None
        except Refused as refused:
            return None, str(refused), refused.clash
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            return None, BUSY, None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The whole taxonomy."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        everything = all_lines()
        opened = request.GET.get("open", "")
        return self.page(
            request,
            "page",
            "Taxonomy",
            everything=everything,
            alike=alike([*everything.placed, *everything.new, *everything.retired]),
            may_add=request.user.has_perm("videos.add_category"),
            unfinished=taxonomy.unfinished(),
            opened=int(opened) if is_key(opened) else None,
        )

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add a category, or a subcategory of the one that is chosen."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        needs_category = self.model is Subcategory
        values, problem, clash = request.POST or request.GET, "", None
        name, value = values.get("name", ""), values.get("category", "")
        if request.method == "POST":

            def run() -> Changed:
                if needs_category and not value:
                    raise Refused("Choose the category that it is to be below.")
                category = chosen(value)[0] if needs_category else None
                return taxonomy.add(name, request.user.get_username(), category)

            done, problem, clash = self.attempt(run)
            if done:
                self.log_addition(request, done.row, [{"added": {}}])
                messages.success(request, done.said)
                return HttpResponseRedirect(address_of(done.row))
        groups = (Group("Categories", tuple(Option(value_of(row.pk), row.name) for row, _ in offered_pairs())),)
        return self.page(
            request,
            "add",
            f"Add {self.opts.verbose_name}",
            fields=[Field("category", "Category", groups, value)] if needs_category else [],
            name=name,
            problem=problem,
            clash=clash and address_of(clash),
            clash_name=clash,
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One name: its verbs, and the names that it had."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        row = row_of(f"{self.opts.model_name}:{object_id}")
        present = row.merged_into or row
        formers = [*row.former_names.all(), *(row.former_categories.all() if isinstance(row, Subcategory) else ())]
        return self.page(
            request,
            "detail",
            str(row),
            line=Line(row, taxonomy.videos_in(row)),
            former_names=sorted({str(former) for former in formers}),
            present=reverse(f"admin:videos_{self.opts.model_name}_change", args=[present.pk]),
            on_page=address_of(present),
            history=reverse(f"admin:videos_{self.opts.model_name}_history", args=[row.pk]),
        )


@admin.register(Category)
class CategoryAdmin(NamesAdmin):
    search_fields = ("name",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            *(
                path(f"{verb}/", view(self.action_view), {"verb": verb}, name=f"videos_category_{verb}")
                for verb in ACTIONS
            ),
            path("finish/", view(self.finish_view), name="videos_category_finish"),
            path("reorder/", view(self.reorder_view), name="videos_category_reorder"),
            path("flat-names/", view(self.flat_view), name="videos_category_flat"),
            *super().get_urls(),
        ]

    def action_view(self, request: HttpRequest, verb: str) -> HttpResponse:
        """One verb for one row: choose, look what it would do, and do it."""
        self.require_change(request)
        action = ACTIONS[verb]
        values: QueryDict = request.POST if request.method == "POST" else request.GET
        row = row_of(values.get("row", ""))
        asked = action.ask(row)
        if asked is None and action.ask is not ask_nothing:
            raise Http404("a category cannot do this")
        value = values.get(asked.name, "") if asked else ""
        is_complete = asked is None or (asked.name in values and (value != "" or not asked.groups))
        preview, problem, clash = None, "", None
        arguments = [row] if asked is None else [row, value]
        if is_complete and request.method == "POST":
            done, problem, clash = self.attempt(lambda: action.run(*arguments, by=request.user.get_username()))
            if done:
                self.log_change(request, done.row, f"{action.label}: {done.said}")
                messages.success(request, done.said)
                return HttpResponseRedirect(address_of(done.row))
        if is_complete and not problem:
            try:
                preview = action.preview(*arguments)
            except Refused as refused:
                problem, clash = str(refused), refused.clash
        return self.page(
            request,
            "action",
            f"{action.label} “{row}”",
            action=action,
            row=key_of(row),
            field=asked,
            value=value if asked and asked.name in values else asked.value if asked else "",
            preview=preview,
            problem=problem,
            clash_name=clash,
            merge_instead=merge_address(row, clash) if clash else "",
            back=address_of(row),
        )

    def finish_view(self, request: HttpRequest) -> HttpResponse:
        """Go on with a merge that was interrupted."""
        self.require_change(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        moved, joined = taxonomy.finish(request.user.get_username())
        messages.success(request, f"Finished: {taxonomy.counted(moved + joined, 'pair')} went over.")
        return HttpResponseRedirect(reverse("admin:videos_category_changelist"))

    def reorder_view(self, request: HttpRequest) -> HttpResponse:
        """Save the order that the numbers and the button of a list say."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self.require_change(request)
        everything = all_lines()
        of = request.POST.get("of", "")
        above = next((line for line in (*everything.placed, *everything.new) if str(line.row.pk) == of), None)
        if of and above is None:
            raise Http404("no such category")
        lines = wanted_order((above or everything).placed, request.POST)
        done, problem, _ = self.attempt(
            lambda: taxonomy.reorder([line.row for line in lines], request.user.get_username())
        )
        if done:
            if done.row:
                self.log_change(request, above.row if above else done.row, f"Order: {done.said}")
            messages.success(request, done.said)
        else:
            messages.error(request, problem)
        return HttpResponseRedirect(address_of(above.row, opened=True) if above else list_address())

    def flat_view(self, request: HttpRequest) -> HttpResponse:
        """Choose a pair for each old flat name, look what would change, and do it for all at once."""
        self.require_change(request)
        values: QueryDict = request.POST if request.method == "POST" else request.GET
        preview, problem = None, ""
        names = flat_names()
        selected = [(line, values.get(f"to-{line.row.pk}", "")) for line in names]
        try:
            mapping = {line.row: chosen(value) for line, value in selected if value}
            if mapping and request.method == "POST":
                done, problem, _ = self.attempt(lambda: taxonomy.map_flat(mapping, request.user.get_username()))
                if done:
                    for source, (target, below) in mapping.items():
                        self.log_change(request, source, f"Map: “{source}” became “{below or target}”.")
                    messages.success(request, done.said)
                    return HttpResponseRedirect(reverse("admin:videos_category_flat"))
            if mapping and not problem:
                preview = taxonomy.preview_flat(mapping)
            elif not problem and "preview" in values:
                problem = "Choose a pair for one of the names first."
        except Refused as refused:
            problem = str(refused)
        return self.page(
            request,
            "flat",
            "Old flat names",
            names=[(line, value) for line, value in selected],
            groups=pairs_to_choose("no subcategory"),
            preview=preview,
            problem=problem,
        )

    def require_change(self, request: HttpRequest) -> None:
        if not self.has_change_permission(request):
            raise PermissionDenied


@admin.register(Subcategory)
class SubcategoryAdmin(NamesAdmin):
    search_fields = ("name", "category__name")


def list_address() -> str:
    return reverse("admin:videos_category_changelist")


def address_of(row: Named, opened: bool = False) -> str:
    """Where a row is on the taxonomy page."""
    category = row.pk if isinstance(row, Category) else row.category_id
    query = f"?open={category}" if opened or isinstance(row, Subcategory) else ""
    return f"{list_address()}{query}#{row._meta.model_name}-{row.pk}"


def merge_address(row: Named, clash: Named) -> str:
    """Where the row can be merged into what has its name."""
    query = urlencode({"row": key_of(row), "into": into_value(clash)})
    return f"{reverse('admin:videos_category_merge')}?{query}"


def wanted_order(lines: list[Line], values: QueryDict) -> list[Line]:
    """The lines by the numbers that a person typed, and then one of them a place up or down."""

    def typed(line: Line) -> tuple[float, int]:
        number = values.get(f"place-{line.row.pk}", "").strip()
        wanted = int(number) if is_key(number) else line.place
        # One that comes from below goes before the one at its new place, one from above after it.
        return wanted + (0.5 if wanted > line.place else -0.5 if wanted < line.place else 0), line.place

    ordered = sorted(lines, key=typed)
    for name, step in (("up", -1), ("down", 1)):
        index = next((i for i, line in enumerate(ordered) if str(line.row.pk) == values.get(name)), None)
        if index is not None and 0 <= index + step < len(ordered):
            ordered[index], ordered[index + step] = ordered[index + step], ordered[index]
    return ordered


def flat_names() -> list[Line]:
    """Categories without subcategories, and those that a snapshot has put videos in without one; how many videos."""
    rows = Categorization.objects.filter(subcategory=None, origin=Origin.IMPORTED, video__deleted_at=None)
    bare = dict(rows.order_by().values_list("category").annotate(videos=Count("pk")))
    everything = all_lines()
    return [
        Line(line.row, bare.get(line.row.pk, 0) if line.below else line.videos)
        for line in (*everything.new, *everything.placed)
        if not line.below or bare.get(line.row.pk)
    ]
