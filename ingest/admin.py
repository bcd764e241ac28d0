"""Imported snapshots, their rows and what was quarantined: to look at, never to change.

What can be done is to decide about quarantined rows: try again to import them, or let them stay in the vault only.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Model, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.text import Truncator, slugify

from videos.keys import VideoKey
from videos.models import Video
from videos.pagination import LargeTablePaginator

from .file_names import NO_TIME
from .models import (
    SCHEMA_TABLE,
    AudioFile,
    ImageFile,
    IngestLogEntry,
    Outcome,
    QuarantinedRow,
    RowOutcome,
    Snapshot,
    VaultRow,
)  # fmt: skip
from .sqlite.codec import Row, decode
from .sqlite.codec import Value as SqliteValue
from .values import ShownValue, marked, shown

# What is shown of a value in its row, and of the offending one.
ROW_BYTES = 300
TEXT_BYTES = 2000
# A request that takes minutes is cut off by whatever stands in front of the server.
RETRIES_AT_ONCE = 500
SCHEMA_COLUMNS = ("type", "name", "tbl_name", "sql")

EXPLANATIONS = {
    "invalid_utf8": "The text has bytes that are no valid UTF-8. PostgreSQL cannot hold them.",
    "nul_in_text": "The text has a NUL byte. PostgreSQL cannot hold it.",
    "text_too_long": "The text is longer than PostgreSQL can index, and this column is one that is searched by index.",
    "wrong_type": "The value is of another kind than its column's, such as a blob where a text belongs.",
    "not_an_integer": "The column holds whole numbers, and this is none.",
    "not_a_flag": "The column says yes or no as 1 or 0, and this is neither.",
    "out_of_range": "The number is outside what the column can mean: below zero, or too large.",
    "time_not_readable": "The text is no ISO 8601 time, such as 2025-09-01T13:43:25Z.",
    "json_not_readable": "The column holds JSON, and this text is none.",
    "json_not_storable": "The JSON is sound, but holds what PostgreSQL cannot: a NUL, half of a surrogate pair, "
    "a number without end, or more levels than can be walked through.",
    "json_not_a_list": "The column holds a list as JSON, and this is JSON of another shape.",
    "categories_not_readable": "The column holds categories, and this has a shape that says none.",
    "no_id": "Nothing names the video: the row has no ID, and its address holds none.",
    "duplicate_key": "An earlier row of the same file has this ID already. A person has to say which is right.",
    "old_id_taken": "The old ID of this row belongs to another video here.",
    "orphan": "The text belongs to a video that is not in the file, or is quarantined itself. Retry it when the video "
    "is there.",
}


# Rows of the vault


def row_of(content: bytes | memoryview) -> Row | None:
    """The row of canonical bytes; None where they are damaged, which a page must survive."""
    try:
        return decode(bytes(content))
    except ValueError:
        return None


def file_answer(value: SqliteValue, *name: str) -> HttpResponse:
    """The exact bytes of a text or a blob, as a file to keep. Raises Http404 for other values."""
    if not isinstance(value, bytes):
        raise Http404("only texts and blobs can be downloaded")
    filename = "-".join(filter(None, map(slugify, name))) + ".bin"
    return HttpResponse(
        bytes(value),
        content_type="application/octet-stream",
        headers={"Content-Disposition": content_disposition_header(True, filename)},
    )


def page(model: type[Model], name: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def link(address: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, text)


def row_page(row: VaultRow, offending: str = "") -> SafeString:
    """A row of the vault column by column."""
    values = row_of(row.content)
    columns = SCHEMA_COLUMNS
    if row.table != SCHEMA_TABLE:
        columns = row.snapshot.tables.get(row.table, {}).get("columns", ())
    listed = []
    for index, (column, value) in enumerate(zip_longest(columns, values or ())):
        if index < len(values or ()):
            item = shown(value, column or f"column {index + 1}", ROW_BYTES, page(VaultRow, "value", row.pk, index))
            listed.append((item, column == offending))
    return render_to_string("admin/ingest/row.html", {"values": listed, "is_damaged": values is None})


# Filters


class TableFilter(admin.SimpleListFilter):
    """By table. The names come from the snapshots: to look for them in the rows would read every row."""

    title = "table"
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        listed = Snapshot.objects.values_list("tables", flat=True)
        return [(name, name) for name in sorted({SCHEMA_TABLE}.union(*listed))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        if self.value() not in dict(self.lookup_choices):
            return queryset.none()
        return self.narrow(queryset, self.value())

    def narrow(self, queryset: QuerySet, value: str) -> QuerySet:
        return queryset.filter(table=value)


class OfVaultRow:
    """For quarantined rows, by a column of the vault."""

    column: str

    def narrow(self, queryset: QuerySet, value: str) -> QuerySet:
        # One look-up by key for each row. Where a join is filtered, PostgreSQL can choose to walk through the vault.
        column = VaultRow.objects.filter(pk=OuterRef("row_id")).order_by().values(self.column)[:1]
        name = f"vault_{self.column}"
        return queryset.alias(**{name: Subquery(column)}).filter(**{name: value})

    def get_facet_counts(self, pk_attname: str, filtered_qs: QuerySet) -> dict[str, Count]:
        return {
            f"{index}__c": Count(pk_attname, filter=Q(**{f"row__{self.column}": value}))
            for index, (value, _) in enumerate(self.lookup_choices)
        }


class QuarantinedTableFilter(OfVaultRow, TableFilter):
    column = "table"


class QuarantinedSnapshotFilter(OfVaultRow, TableFilter):
    title = "snapshot"
    parameter_name = "snapshot"
    column = "snapshot_id"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(str(snapshot.pk), str(snapshot)) for snapshot in Snapshot.objects.only("name", "sha256")]


class StateFilter(admin.SimpleListFilter):
    """Open rows, unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(name, name) for name in ("open", "accepted", "resolved", "all")]

    def value(self) -> str:
        return super().value() or "open"

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        _, *choices = super().choices(changelist)
        yield from choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[QuarantinedRow]) -> QuerySet[QuarantinedRow]:
        match self.value():
            case "all":
                return queryset
            case "accepted":
                return queryset.unresolved().filter(accepted_at__isnull=False)
            case "resolved":
                return queryset.filter(resolved_at__isnull=False)
            case _:
                return queryset.open()


# The pages


# Of a body that was sent, so much is shown.
SHOWN_BODY_BYTES = 20_000
SHOWN_NOTE_CHARACTERS = 160
# The addresses that have entries in the ingest log.
ROUTES = (
    "/ingest/report", "/api/content", "/api/upload-report", "/ingest/audio", "/api/upload-audio", "/api/upload-image",
    "/api/delete", "/api/upload-database",
)  # fmt: skip


class ReadOnlyAdmin(admin.ModelAdmin):
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = LargeTablePaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def visible_object(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a page of our own. Raises PermissionDenied and Http404."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (row := self.get_object(request, object_id)) is None:
            raise Http404("no such row")
        return row


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("name", "generation", "size_bytes", "short_state", "open_rows", "sha256")
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("name", "state", "quarantined_rows", "generation", "size_bytes", "sha256")}),
        ("Its first import", {"fields": ("shown_report",)}),
        ("Its schema", {"fields": ("statements", "shown_pragmas"), "classes": ("collapse",)}),
    )

    @admin.display(description="state")
    def short_state(self, snapshot: Snapshot) -> str:
        if snapshot.imported_at:
            return f"imported {snapshot.imported_at:%Y-%m-%d %H:%M}"
        return "in the vault" if snapshot.vaulted_at else "not whole"

    @admin.display(description="state")
    def state(self, snapshot: Snapshot) -> str:
        if not snapshot.vaulted_at:
            return "Its rows are not all in the vault: the import was stopped. Import the file again; it goes on there."
        vaulted = f"All rows are in the vault since {snapshot.vaulted_at:%Y-%m-%d %H:%M} UTC"
        if not snapshot.imported_at:
            return f"{vaulted}, but none is part of the library yet. Import the file again; it goes on there."
        return f"{vaulted}; imported {snapshot.imported_at:%Y-%m-%d %H:%M} UTC."

    @admin.display(description="open")
    def open_rows(self, snapshot: Snapshot) -> SafeString | str:
        return self.rows_link(snapshot, "open", snapshot.open_count) if snapshot.open_count else "–"

    @admin.display(description="quarantined rows")
    def quarantined_rows(self, snapshot: Snapshot) -> SafeString | str:
        counts = quarantined_counts().get(snapshot.pk, {})
        links = [format_html("{} {}", self.rows_link(snapshot, name, f"{n:,}"), name) for name, n in counts.items()]
        return format_html("{}, {}, {}", *links) if links else "none"

    def rows_link(self, snapshot: Snapshot, state: str, text: object) -> SafeString:
        query = f"?state={state}&snapshot={snapshot.pk}"
        return link(page(QuarantinedRow, "changelist") + query, text)

    @admin.display(description="report")
    def shown_report(self, snapshot: Snapshot) -> SafeString:
        return render_to_string("admin/ingest/report.html", report_parts(snapshot.report))

    @admin.display(description="statements")
    def statements(self, snapshot: Snapshot) -> SafeString:
        return format_html('<pre tabindex="0">{}</pre>', ";\n\n".join(snapshot.schema))

    @admin.display(description="pragmas")
    def shown_pragmas(self, snapshot: Snapshot) -> str:
        return ", ".join(f"{name} = {value}" for name, value in snapshot.pragmas.items()) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        counts = [When(pk=pk, then=Value(states["open"])) for pk, states in quarantined_counts().items()]
        queryset = super().get_queryset(request).annotate(open_count=Case(*counts, default=Value(0)))
        return queryset.defer("schema", "tables", "report")


def quarantined_counts() -> dict[int, dict[str, int]]:
    """How many quarantined rows are in each state, by the number of the snapshot.

    Of all snapshots at once: asked for one, PostgreSQL can choose to walk through its rows in the vault.
    """
    is_open = Q(resolved_at__isnull=True, accepted_at__isnull=True)
    counts = (
        QuarantinedRow.objects.order_by()
        .values_list("row__snapshot")
        .annotate(
            open=Count("pk", filter=is_open),
            accepted=Count("pk", filter=Q(resolved_at__isnull=True) & ~is_open),
            resolved=Count("pk", filter=Q(resolved_at__isnull=False)),
        )
    )
    return {pk: {"open": n, "accepted": accepted, "resolved": resolved} for pk, n, accepted, resolved in counts}


# Of a stored report: what stands elsewhere on the page, or has a page of its own.
SHOWN_ELSEWHERE = ("tables", "rules", "quarantined", "name", "sha256", "generation", "seen_before")


def report_parts(report: dict[str, Any]) -> dict[str, Any]:
    """A stored report as lists of (name, what it says)."""
    return {
        "tables": [(table, in_words(counts)) for table, counts in report.get("tables", {}).items()],
        "said": [
            (name.replace("_", " "), in_words(value))
            for name, value in report.items()
            if name not in SHOWN_ELSEWHERE and value not in ([], {}, None)
        ],
        "rules": sorted(report.get("rules", {}).items()),
    }


def in_words(value: Any) -> str:
    """Counts as `366 rows, 351 modelled`, less those that are 0; a list as its members."""
    if isinstance(value, dict):
        counts = [(name.replace("_", " "), count) for name, count in value.items() if isinstance(count, int) and count]
        return ", ".join(f"{count:,} {name}" for name, count in counts) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


@admin.register(VaultRow)
class VaultRowAdmin(ReadOnlyAdmin):
    list_display = ("table", "key", "outcome", "video", "snapshot")
    list_display_links = ("table", "key")
    list_filter = (TableFilter, "snapshot")
    list_select_related = ("snapshot",)
    # Any other order would have to sort every row first.
    ordering = ("snapshot_id", "table", "key")
    sortable_by = ()
    search_fields = ("key",)
    search_help_text = "Key, a whole number"
    fields = ("snapshot", "table", "key", "outcome", "video", "quarantine_link", "values")

    @admin.display(description="outcome")
    def outcome(self, row: VaultRow) -> str:
        if row.outcome:
            return Outcome(row.outcome).label
        return "kept as it is" if row.snapshot.imported_at else "none yet"

    @admin.display(description="video")
    def video(self, row: VaultRow) -> SafeString | str:
        return link(reverse("admin:videos_video_change", args=[row.video]), row.video) if row.video else "–"

    @admin.display(description="quarantine")
    def quarantine_link(self, row: VaultRow) -> SafeString | str:
        quarantined = QuarantinedRow.objects.filter(row=row).first()
        return link(page(QuarantinedRow, "change", quarantined.pk), quarantined.code) if quarantined else "–"

    @admin.display(description="values")
    def values(self, row: VaultRow) -> SafeString:
        return row_page(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VaultRow]:
        outcomes = RowOutcome.objects.filter(
            snapshot_id=OuterRef("snapshot_id"), table=OuterRef("table"), key=OuterRef("key")
        )
        queryset = super().get_queryset(request).defer("content", "sha256", "snapshot__schema", "snapshot__report")
        return queryset.annotate(
            outcome=Subquery(outcomes.values("outcome")[:1]), video=Subquery(outcomes.values("video_id")[:1])
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[VaultRow], search_term: str
    ) -> tuple[QuerySet[VaultRow], bool]:
        if not search_term:
            return queryset, False
        try:
            key = int(search_term)
        except ValueError:
            return queryset.none(), False
        if abs(key) >= 2**63:
            return queryset.none(), False
        # Every snapshot and table by name, so that the index finds the key in each.
        names = {name for tables in Snapshot.objects.values_list("tables", flat=True) for name in tables}
        return queryset.filter(
            snapshot_id__in=list(Snapshot.objects.values_list("pk", flat=True)),
            table__in=[SCHEMA_TABLE, *names],
            key=key,
        ), False

    def get_urls(self) -> list[URLPattern]:
        value = self.admin_site.admin_view(self.value_view)
        return [path("<path:object_id>/value/<int:index>/", value, name="ingest_vaultrow_value"), *super().get_urls()]

    def value_view(self, request: HttpRequest, object_id: str, index: int) -> HttpResponse:
        row = self.visible_object(request, object_id)
        values = row_of(row.content) or ()
        if index >= len(values):
            raise Http404("no such column")
        return file_answer(values[index], row.table, str(row.key), str(index + 1))


@admin.register(RowOutcome)
class RowOutcomeAdmin(ReadOnlyAdmin):
    list_display = ("table", "key", "outcome", "video_id", "snapshot")
    list_filter = ("outcome", TableFilter, "snapshot")
    list_select_related = ("snapshot",)
    ordering = ("snapshot_id", "table", "key")
    sortable_by = ()
    search_fields = ("video_id",)
    search_help_text = "ID of the video, whole"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RowOutcome], search_term: str
    ) -> tuple[QuerySet[RowOutcome], bool]:
        return (queryset.filter(video_id=search_term.strip()) if search_term else queryset), False


@admin.register(AudioFile)
class AudioFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "video_id", "size_bytes", "time", "source_name")
    search_fields = ("video__video_id", "source_name")
    search_help_text = "ID of the video, or the name that the file came with"
    fields = ("video", "name", "source_name", "size_bytes", "sha256", "time")

    @admin.display(description="time", ordering="added_at", empty_value="not known")
    def time(self, file: AudioFile) -> object:
        return None if file.added_at == NO_TIME else file.added_at


@admin.register(ImageFile)
class ImageFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "video_id", "size_bytes", "added_at")
    search_fields = ("=video__video_id", "=source_name")


class RouteFilter(admin.SimpleListFilter):
    """By an address without the id that may follow it: else the list of them would grow with the log."""

    title = "address"
    parameter_name = "address"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(route, route) for route in ROUTES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[IngestLogEntry]) -> QuerySet[IngestLogEntry]:
        if self.value() not in ROUTES:
            return queryset
        return queryset.filter(Q(route=self.value()) | Q(route__startswith=f"{self.value()}/"))


@admin.register(IngestLogEntry)
class IngestLogEntryAdmin(ReadOnlyAdmin):
    """Who wanted to write what, and what became of it."""

    list_display = ("at", "outcome", "video_id", "note", "route", "token_name")
    list_filter = ("outcome", "token_name", RouteFilter)
    search_fields = ("video_id",)
    search_help_text = "ID of a video, in any form"
    fields = (
        "at", "route", "token_name", "video_id", "outcome", "status", "message", "what_changed", "body_bytes", "sent",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[IngestLogEntry]:
        return super().get_queryset(request).defer("body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[IngestLogEntry], search_term: str
    ) -> tuple[QuerySet[IngestLogEntry], bool]:
        if not search_term.strip():
            return queryset, False
        names = {*VideoKey.parse(search_term).candidates}
        with suppress(Video.DoesNotExist):
            names.add(Video.objects.only("video_id", "legacy_id").named(search_term).pk)
        return queryset.filter(video_id__in=names), False

    @admin.display(description="what changed, or why not")
    def note(self, entry: IngestLogEntry) -> str:
        return Truncator(entry.message or ", ".join(entry.changes)).chars(SHOWN_NOTE_CHARACTERS)

    @admin.display(description="what changed")
    def what_changed(self, entry: IngestLogEntry) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(entry.changes, indent=2, ensure_ascii=False))

    @admin.display(description="body as sent")
    def sent(self, entry: IngestLogEntry) -> SafeString | str:
        if entry.body is None:
            return "not kept"
        shown = bytes(entry.body)[:SHOWN_BODY_BYTES].decode(errors="backslashreplace").replace("\x00", "␀")
        return format_html("<pre>{}</pre>", shown)


@admin.register(QuarantinedRow)
class QuarantinedRowAdmin(ReadOnlyAdmin):
    list_display = ("table", "key", "code", "column", "short_message", "state", "snapshot")
    list_display_links = ("table", "key")
    list_filter = (StateFilter, "code", QuarantinedTableFilter, QuarantinedSnapshotFilter)
    list_select_related = ("row__snapshot",)
    search_fields = ("message",)
    search_help_text = "Message"
    show_facets = admin.ShowFacets.ALWAYS
    ordering = ("-row__snapshot_id", "row__table", "row__key")
    sortable_by = ()
    actions = ("retry", "accept")
    fieldsets = (
        (
            None,
            {"fields": ("state_in_words", "reason", "full_message", "column", "value_kind", "value_text", "value_hex")},
        ),
        ("The whole row", {"fields": ("snapshot_link", "row_link", "values")}),
    )

    @admin.display(description="table")
    def table(self, row: QuarantinedRow) -> str:
        return row.row.table

    @admin.display(description="key")
    def key(self, row: QuarantinedRow) -> int:
        return row.row.key

    @admin.display(description="snapshot")
    def snapshot(self, row: QuarantinedRow) -> Snapshot:
        return row.row.snapshot

    @admin.display(description="message")
    def short_message(self, row: QuarantinedRow) -> SafeString:
        return marked(Truncator(row.message).chars(160))

    @admin.display(description="state")
    def state(self, row: QuarantinedRow) -> str:
        return "resolved" if row.resolved_at else "accepted" if row.accepted_at else "open"

    @admin.display(description="state")
    def state_in_words(self, row: QuarantinedRow) -> SafeString:
        if row.resolved_at:
            said = f"Resolved {row.resolved_at:%Y-%m-%d %H:%M} UTC by {row.resolved_by}: it is part of the library."
        elif row.accepted_at:
            said = f"Accepted {row.accepted_at:%Y-%m-%d %H:%M} UTC by {row.accepted_by}: it stays in the vault only."
        else:
            said = "Open: it is in the vault, byte for byte, and in no page of the library. Somebody has to decide."
        return marked(said)

    @admin.display(description="reason")
    def reason(self, row: QuarantinedRow) -> SafeString:
        explanation = EXPLANATIONS.get(row.code, "This code has no explanation; the message says what is wrong.")
        return format_html("{} <code>{}</code>", explanation, row.code)

    @admin.display(description="message")
    def full_message(self, row: QuarantinedRow) -> SafeString:
        return marked(row.message)

    def offending(self, row: QuarantinedRow) -> ShownValue | None:
        """The offending value for the page; None where none is stored, or its bytes are damaged."""
        values = row_of(row.value) if row.value is not None else None
        if not values:
            return None
        return shown(values[0], row.column, TEXT_BYTES, page(QuarantinedRow, "value", row.pk), with_hex=True)

    @admin.display(description="kind of value")
    def value_kind(self, row: QuarantinedRow) -> str:
        value = self.offending(row)
        return value.kind if value else "not stored"

    @admin.display(description="value")
    def value_text(self, row: QuarantinedRow) -> SafeString:
        return render_to_string("admin/ingest/value.html", {"value": self.offending(row)})

    @admin.display(description="bytes")
    def value_hex(self, row: QuarantinedRow) -> SafeString:
        return render_to_string("admin/ingest/hex.html", {"value": self.offending(row)})

    @admin.display(description="snapshot")
    def snapshot_link(self, row: QuarantinedRow) -> SafeString:
        return link(page(Snapshot, "change", row.row.snapshot_id), row.row.snapshot)

    @admin.display(description="in the vault")
    def row_link(self, row: QuarantinedRow) -> SafeString:
        return link(page(VaultRow, "change", row.row_id), row.row)

    @admin.display(description="values")
    def values(self, row: QuarantinedRow) -> SafeString:
        return row_page(row.row, offending=row.column)

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedRow]:
        large = ("value", "row__content", "row__sha256", "row__snapshot__schema", "row__snapshot__report")
        return super().get_queryset(request).defer(*large)

    # Deciding

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ingest.change_quarantinedrow")

    @admin.action(description="Retry: try again to import the selected rows", permissions=["decide"])
    def retry(self, request: HttpRequest, queryset: QuerySet[QuarantinedRow]) -> None:
        from .sqlite.importer import ImportLocked, retry

        selected = queryset.count()
        rows = list(queryset.unresolved()[: RETRIES_AT_ONCE + 1])
        if len(rows) > RETRIES_AT_ONCE:
            message = f"Nothing was retried: select {RETRIES_AT_ONCE:,} rows at most, and the others after them."
            self.message_user(request, message, messages.ERROR)
            return
        done: dict[bool, list[str]] = {True: [], False: []}
        try:
            for row in rows:
                result = retry(row, by=request.user.get_username())
                done[result.resolved].append(f"{row.row}: {result.message}")
        except ImportLocked as error:
            self.message_user(request, f"The rest was not retried. {error}", messages.ERROR)
        if done[True]:
            self.message_user(request, summed_up(done[True], "is resolved", "are resolved"), messages.SUCCESS)
        if done[False]:
            self.message_user(
                request, summed_up(done[False], "stays quarantined", "stay quarantined"), messages.WARNING
            )
        if selected > len(rows):
            self.message_user(request, f"{counted(selected - len(rows), 'was', 'were')} resolved before.")

    @admin.action(description="Accept: let the selected rows stay in the vault only", permissions=["decide"])
    def accept(self, request: HttpRequest, queryset: QuerySet[QuarantinedRow]) -> None:
        selected = queryset.count()
        accepted = QuarantinedRow.objects.filter(pk__in=queryset.order_by().values("pk")).accept(
            by=request.user.get_username()
        )
        if accepted:
            message = f"{counted(accepted, 'is', 'are')} accepted: in the vault, and not in the library."
            self.message_user(request, message, messages.SUCCESS)
        if selected > accepted:
            message = f"{counted(selected - accepted, 'was', 'were')} accepted or resolved before."
            self.message_user(request, message)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/retry/", view(self.decide_view), {"verb": "retry"}, "ingest_quarantinedrow_retry"),
            path(
                "<path:object_id>/accept/", view(self.decide_view), {"verb": "accept"}, "ingest_quarantinedrow_accept"
            ),
            path("<path:object_id>/value/", view(self.value_view), name="ingest_quarantinedrow_value"),
            *super().get_urls(),
        ]

    def decide_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """A button of a row's page: the action on this row alone, then its page again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.visible_object(request, object_id)
        if not self.has_decide_permission(request):
            raise PermissionDenied
        getattr(self, verb)(request, self.get_queryset(request).filter(pk=row.pk))
        return HttpResponseRedirect(page(QuarantinedRow, "change", row.pk))

    def value_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.visible_object(request, object_id)
        values = row_of(row.value) if row.value is not None else None
        return file_answer(values[0] if values else None, row.row.table, str(row.row.key), row.column)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["can_decide"] = self.has_decide_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)


def counted(number: int, one: str, many: str) -> str:
    """`1 row is`, `2 rows are`."""
    return f"{number:,} row {one}" if number == 1 else f"{number:,} rows {many}"


def summed_up(done: list[str], one: str, many: str) -> str:
    """How many rows were done, and what was said of the first."""
    introduction = "" if len(done) == 1 else "The first: "
    return f"{counted(len(done), one, many)}. {introduction}{Truncator(done[0]).chars(300)}"


from . import admin_cutover, admin_tokens  # noqa: E402, F401
