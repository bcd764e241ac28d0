"""What is watched: videos and the categories they are in.

`Video.video_id` is the primary key (contract/ingest.md, Ids). A deleted video keeps its row: the row
is its own tombstone, and triggers refuse to bring it back or to remove it (triggers.py).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import connection, models
from django.db.models import F, Func, Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from . import triggers
from .copy import copy_rows
from .deciding import in_the_name_of
from .deleted import PURGED, PurgeReport, delete, purge, restore
from .keys import VideoKey
from .known_categories import known_pairs
from .upsert import UpsertResult, VideoRecord, upsert, upsert_from


class Fold(Func):
    """Text as the search compares it: lower case, one space for white space, a hyphen for an en-dash."""

    function = "videos_fold"
    output_field = models.TextField()


class SortKey(Func):
    """A title as people order it: case and accents do not count."""

    function = "videos_sort_key"
    output_field = models.TextField()


class MatchKey(Func):
    """A name as filters compare it: trimmed, one space for white space, a hyphen for an en-dash."""

    function = "videos_match_key"
    output_field = models.TextField()


class TopicKeys(Func):
    """The match keys of a list of topics; what is no text in it is left out."""

    function = "videos_topic_keys"
    output_field = ArrayField(models.TextField())


# As videos_match_key has it (migration 0001): what fits an entry of an index.
MATCHED_CHARACTERS = 600


def match_key(name: str) -> str:
    """The same as MatchKey, for a value that comes with a request (contract/api.md)."""
    return " ".join(name.replace("–", "-").split())[:MATCHED_CHARACTERS]


class VideoQuerySet(models.QuerySet["Video"]):
    """Verbs that chain. Reading goes through `search.py`; these are its words."""

    def live(self) -> "VideoQuerySet":
        """Videos that are not deleted."""
        return self.filter(deleted_at__isnull=True)

    def deleted(self) -> "VideoQuerySet":
        """Tombstones."""
        return self.filter(deleted_at__isnull=False)

    def named(self, text: str) -> "Video":
        """The video that an id in a request names, in any of its forms. Raises Video.DoesNotExist."""
        key = VideoKey.parse(text)
        candidates = key.candidates
        found = list(self.filter(Q(video_id__in=candidates) | Q(legacy_id__in=candidates))) if candidates else []
        for candidate in candidates:
            for attribute in ("video_id", "legacy_id"):
                for video in found:
                    if getattr(video, attribute) == candidate:
                        return video
        if key.lowered:
            # The old system's id of a video that came in under its true one. Of two that read so it is nobody's.
            alike = self.alias(lowered=Lower("video_id")).filter(lowered=key.lowered)[:2]
            if len(alike) == 1:
                return alike[0]
        raise self.model.DoesNotExist(f"no video is named {text!r}")

    def upsert(self, records: Sequence[VideoRecord], *, arriving: bool = False) -> dict[str, UpsertResult]:
        """Merge what came in of these videos (upsert.py); the results by video_id."""
        return upsert(records, arriving=arriving)

    def upsert_from(
        self, relation: str, parameters: Sequence[object], updated_at_of: Mapping[str, datetime | None]
    ) -> dict[str, UpsertResult]:
        """The same for records in a relation of the database (upsert.py)."""
        return upsert_from(relation, parameters, updated_at_of)

    def purge(self, older_than: timedelta, by: str, **options: Any) -> PurgeReport:
        """Erase what is stored of those deleted longer ago, and keep their keys (deleted.py, with the options)."""
        return purge(self, older_than, by, **options)

    def get_by_natural_key(self, video_id: str) -> "Video":
        return self.get(video_id=video_id)


def by_time(name: str) -> dict[str, list[models.Index]]:
    """Meta of a table of events that is read as a stream, and is not emptied."""
    return {
        "indexes": [models.Index(fields=["pgh_created_at"], name=f"{name}_time")],
        "triggers": [triggers.emptying_trigger()],
    }


def track(insert: bool = False, **options: object) -> Callable[[type[models.Model]], type[models.Model]]:
    """History by triggers (django-pghistory): what a row was before each change, when, and by whom.

    A change without a context came by raw SQL, or from a shell.
    """
    events = [
        pghistory.UpdateEvent(row=pghistory.Old, level=pgtrigger.Statement),
        pghistory.DeleteEvent(level=pgtrigger.Statement),
    ]
    if insert:
        events.append(pghistory.InsertEvent(level=pgtrigger.Statement))
    return pghistory.track(*events, append_only=True, **options)


@pghistory.track(
    pghistory.UpdateEvent(
        "title_or_delete",
        row=pghistory.Old,
        level=pgtrigger.Statement,
        condition=pghistory.AnyChange("title", "deleted_at"),
    ),
    fields=["video_id", "title", "deleted_at", "deleted_by", "deleted_reason"],
    model_name="TitleOrDeleteEvent",
    meta=by_time("titleordeleteevent"),
    append_only=True,
)
@track(exclude=["title_folded", "title_sort_key"])
class Video(models.Model):
    """One watched thing: a YouTube video, a Reddit post, a web page. Empty text and 0 mean: not known."""

    video_id = models.TextField("video ID", primary_key=True)
    legacy_id = models.TextField("old ID", blank=True, default="", help_text="The key of the old database.")
    source = models.TextField(default="other", help_text="youtube, reddit, web, wikipedia, lds, other …")

    title = models.TextField(blank=True, default="")
    canonical_url = models.TextField("address", blank=True, default="")
    thumbnail_url = models.TextField("thumbnail", blank=True, default="")
    published_at = models.DateTimeField(null=True, blank=True)
    indexed_at = models.DateTimeField("added at", null=True, blank=True)
    duration_seconds = models.PositiveBigIntegerField("duration in seconds", default=0)
    word_count = models.PositiveBigIntegerField(default=0)

    has_audio = models.BooleanField(default=False)
    audio_duration_seconds = models.PositiveBigIntegerField("audio duration in seconds", default=0)
    has_transcript = models.BooleanField(default=False)
    transcript_chars = models.PositiveBigIntegerField("characters of transcript", default=0)

    channel_name = models.TextField("channel", blank=True, default="")
    channel_id = models.TextField("channel ID", blank=True, default="")
    view_count = models.PositiveBigIntegerField("views", default=0)
    like_count = models.PositiveBigIntegerField("likes", default=0)
    comment_count = models.PositiveBigIntegerField("comments", default=0)

    content_type = models.TextField(blank=True, default="")
    complexity_level = models.TextField("complexity", blank=True, default="")
    language = models.TextField(blank=True, default="")
    original_language = models.TextField(blank=True, default="")
    summary_language = models.TextField(blank=True, default="")
    audio_language = models.TextField(blank=True, default="")
    key_topics = models.JSONField(blank=True, default=list)
    named_entities = models.JSONField(blank=True, default=list)
    subcategories_json = models.TextField(
        "categories as sent",
        blank=True,
        default="",
        help_text="The text that came in. It is answered as it came for as long as it says what the rows say.",
    )
    analysis = models.JSONField(null=True, blank=True, help_text="The analysis as sent.")
    extra = models.JSONField(blank=True, default=dict, help_text="What was sent and has no field of its own.")

    format_source = models.TextField(blank=True, default="")
    processing_status = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True, help_text="The time of the newest data merged.")

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.TextField(blank=True, default="", editable=False)
    deleted_reason = models.TextField(blank=True, default="", editable=False)

    title_folded = models.GeneratedField(expression=Fold(F("title")), output_field=models.TextField(), db_persist=True)
    title_sort_key = models.GeneratedField(
        expression=SortKey(F("title")), output_field=models.TextField(db_collation="C"), db_persist=True
    )

    objects = VideoQuerySet.as_manager()

    class Meta:
        ordering = (F("indexed_at").desc(nulls_last=True), "video_id")
        indexes = (
            # One for each sort: ascending order reads it backwards.
            models.Index(
                F("indexed_at").desc(nulls_last=True),
                "video_id",
                name="videos_video_added",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(
                F("published_at").desc(nulls_last=True),
                "video_id",
                name="videos_video_published",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index("title_sort_key", "video_id", name="videos_video_title", condition=Q(deleted_at__isnull=True)),
            models.Index(
                F("duration_seconds").desc(),
                "video_id",
                name="videos_video_duration",
                condition=Q(deleted_at__isnull=True),
            ),
            # One for each filter. Not partial: the planner takes no statistics from a partial index, and
            # without them it holds every value for rare.
            models.Index(MatchKey("channel_name"), name="videos_video_channel"),
            models.Index(MatchKey("content_type"), name="videos_video_content_type"),
            models.Index(MatchKey("complexity_level"), name="videos_video_complexity"),
            models.Index(MatchKey("language"), name="videos_video_language"),
            models.Index(MatchKey("source"), name="videos_video_source"),
            models.Index("has_audio", name="videos_video_has_audio", condition=Q(deleted_at__isnull=True)),
            GinIndex(TopicKeys("key_topics"), name="videos_video_topics"),
            models.Index("deleted_at", name="videos_video_deleted", condition=Q(deleted_at__isnull=False)),
            # Old ids in lower case, where no video is known by one (named).
            models.Index(Lower("video_id"), name="videos_video_lowered"),
        )
        constraints = (
            models.CheckConstraint(condition=~Q(video_id=""), name="videos_video_key_not_empty"),
            models.CheckConstraint(condition=~Q(source=""), name="videos_video_source_not_empty"),
            models.UniqueConstraint(
                fields=("legacy_id",), condition=~Q(legacy_id=""), name="videos_video_legacy_id_unique"
            ),
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=False) | Q(deleted_by="", deleted_reason=""),
                name="videos_video_deleted_whole",
            ),
        )
        triggers = (*triggers.tombstone_triggers(), *triggers.video_count_triggers(), triggers.emptying_trigger())

    def __str__(self) -> str:
        return self.display_title

    def get_absolute_url(self) -> str:
        return reverse("videos:report", args=[self.video_id])

    def natural_key(self) -> tuple[str]:
        return (self.video_id,)

    @property
    def display_title(self) -> str:
        return self.title or "Untitled"

    @property
    def is_purged(self) -> bool:
        """Whether a purge has erased the content."""
        return self.deleted_at is not None and self.processing_status == PURGED

    def delete_by(self, by: str, reason: str) -> bool:
        """Hide the video and everything of it, for good as far as machines go; False if it was deleted before."""
        return delete(self, by, reason)

    def restore_by(self, by: str) -> bool:
        """Bring the video back by a person's word, in a transaction of its own; False if it was not deleted."""
        return restore(self, by)


class Curation(Video):
    """A video whose categories a person looks at: the same rows, with permissions of their own."""

    class Meta:
        proxy = True
        verbose_name = "video to curate"
        verbose_name_plural = "curation"


class NamedQuerySet(models.QuerySet):
    def present(self) -> "NamedQuerySet":
        """Without the former names, which stand for others."""
        return self.filter(merged_into__isnull=True)

    def offered(self) -> "NamedQuerySet":
        """What a person can choose, in the order of the taxonomy."""
        return self.present().filter(retired_at__isnull=True)

    def get_by_natural_key(self, *key: str) -> models.Model:
        return self.get(**dict(zip(self.model.natural_key_fields, key, strict=True)))


@track(insert=True)
class Category(models.Model):
    """A name that videos are sorted under. The list is open: unknown names are stored as they come.

    A category that was renamed or merged leaves its name here, `merged_into` the one that it is now, and what comes
    with the former name goes there. `merged_below` is the subcategory for those that came without one.
    """

    natural_key_fields = ("name",)

    name = models.TextField(unique=True)
    position = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The order in lists to choose from; then by name."
    )
    is_new = models.BooleanField(
        "to be placed", default=False, db_default=False, help_text="A machine brought it, and nobody has said yes."
    )
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is not offered any more.")
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="former_names"
    )
    merged_below = models.ForeignKey(
        "Subcategory", on_delete=models.PROTECT, null=True, blank=True, related_name="former_categories"
    )

    objects = NamedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "categories"
        indexes = (models.Index(MatchKey("name"), name="videos_category_match"),)
        constraints = (
            models.CheckConstraint(condition=~Q(name=""), name="videos_category_name_not_empty"),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("pk")), name="videos_category_not_into_itself"
            ),
        )
        triggers = (*triggers.revision_triggers(), *triggers.name_triggers("category_id"))

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)


@track(insert=True)
class Subcategory(models.Model):
    """A name below one category. The same name below another category is another subcategory.

    `merged_into` as of a Category; it may be below another one.
    """

    natural_key_fields = ("category__name", "name")

    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="subcategories", db_index=False)
    name = models.TextField()
    position = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The order within the category; then by name."
    )
    is_new = models.BooleanField(
        "to be placed", default=False, db_default=False, help_text="A machine brought it, and nobody has said yes."
    )
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is not offered any more.")
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="former_names"
    )

    objects = NamedQuerySet.as_manager()

    class Meta:
        ordering = ("category__name", "name")
        verbose_name_plural = "subcategories"
        indexes = (models.Index(MatchKey("name"), name="videos_subcategory_match"),)
        constraints = (
            models.UniqueConstraint(fields=("category", "name"), name="videos_subcategory_unique"),
            # What a categorisation's foreign key over both columns refers to.
            models.UniqueConstraint(fields=("id", "category"), name="videos_subcategory_with_category"),
            models.CheckConstraint(condition=~Q(name=""), name="videos_subcategory_name_not_empty"),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=F("pk")),
                name="videos_subcategory_not_into_itself",
            ),
        )
        triggers = (*triggers.revision_triggers(), *triggers.name_triggers("subcategory_id"))

    def __str__(self) -> str:
        return f"{self.category.name} › {self.name}"

    def natural_key(self) -> tuple[str, str]:
        return (self.category.name, self.name)


class Origin(models.TextChoices):
    """Who decided that a video is in a category."""

    IMPORTED = "imported", "imported"
    AI = "ai", "proposed by a machine"
    CURATED = "curated", "curated"


@dataclass(frozen=True)
class Pair:
    """A category and, mostly, a subcategory of it, by name, and who decided it."""

    category: str
    subcategory: str | None
    origin: Origin


class CategorizationQuerySet(models.QuerySet["Categorization"]):
    def merge(self, pairs_of: Mapping[str, Sequence[Pair]], newest: AbstractSet[str], *, by: str = "") -> int:
        """Merge the categories that came in for these videos, by video_id; the number of rows written.

        What is curated is never changed by a machine: other pairs than a person's wait as a Proposal, in
        whose name `by` says. No categories never replace some; categories of data that is older than what is
        stored (not in `newest`) only fill a gap.

        1. The caller shares the names (deciding.py) and has upserted the videos in this transaction, so their rows
           are locked, and no one else's change of their categories can slip in between reading and writing.
        2. Read what is stored. 3. Remove the rows of the videos that change. 4. Insert the new ones.
        """
        pairs_of = self.with_present_names(pairs_of)
        stored = self.pairs_of(pairs_of)
        curated = set(Review.objects.filter(video__in=list(pairs_of), is_curated=True).values_list("pk", flat=True))
        changed: dict[str, Sequence[Pair]] = {}
        sent: dict[str, Sequence[Pair]] = {}
        for video_id, pairs in pairs_of.items():
            before = stored[video_id]
            if not pairs or ((before or video_id in curated) and video_id not in newest):
                continue
            if video_id in curated:
                sent[video_id] = pairs
            elif before != list(pairs):
                changed[video_id] = pairs
        Proposal.objects.receive(sent, stored, by)
        if not changed:
            return 0
        self.filter(video__in=[video_id for video_id in changed if stored[video_id]]).delete()
        decided = {key: pairs for key, pairs in changed.items() if any(pair.origin == Origin.CURATED for pair in pairs)}
        written = self.add({key: pairs for key, pairs in changed.items() if key not in decided})
        if decided:
            with in_the_name_of(by or "import_sqlite"):
                written += self.add(decided)
        return written

    def add(self, pairs_of: Mapping[str, Sequence[Pair]]) -> int:
        """Insert these pairs of videos that have none, by video_id; unknown names are added. The number of rows."""
        if not pairs_of:
            return 0
        categories, subcategories = self.named_categories({pair for pairs in pairs_of.values() for pair in pairs})
        return copy_rows(
            "videos_categorization",
            {"video_id": "text", "position": "int4", "category_id": "int8", "subcategory_id": "int8", "origin": "text"},
            (
                (
                    video_id,
                    position,
                    categories[pair.category],
                    subcategories[pair.category, pair.subcategory] if pair.subcategory else None,
                    str(pair.origin),
                )
                for video_id, pairs in pairs_of.items()
                for position, pair in enumerate(pairs)
            ),
        )

    def pairs_of(self, video_ids: Iterable[str]) -> dict[str, list[Pair]]:
        """The pairs of each of these videos, in order."""
        found: dict[str, list[Pair]] = {video_id: [] for video_id in video_ids}
        for video_id, category, subcategory, origin in (
            self.filter(video__in=list(found))
            .order_by("video", "position")
            .values_list("video_id", "category__name", "subcategory__name", "origin")
        ):
            found[video_id].append(Pair(category, subcategory, Origin(origin)))
        return found

    def with_present_names(self, pairs_of: Mapping[str, Sequence[Pair]]) -> dict[str, list[Pair]]:
        """The pairs, with the names that replaced former ones (Category); pairs that became the same are one."""
        subcategories = {
            (category, name): target
            for category, name, *target in Subcategory.objects.filter(merged_into__isnull=False).values_list(
                "category__name", "name", "merged_into__category__name", "merged_into__name"
            )
        }
        categories = {
            name: target
            for name, *target in Category.objects.filter(merged_into__isnull=False).values_list(
                "name", "merged_into__name", "merged_below__name"
            )
        }

        def present(pair: Pair) -> Pair:
            names = (pair.category, pair.subcategory)
            if target := subcategories.get(names):
                names = tuple(target)
            elif target := categories.get(pair.category):
                names = (target[0], pair.subcategory or target[1])
            return replace(pair, category=names[0], subcategory=names[1])

        if not subcategories and not categories:
            return {video_id: list(pairs) for video_id, pairs in pairs_of.items()}
        named: dict[str, list[Pair]] = {}
        for video_id, pairs in pairs_of.items():
            once: dict[tuple[str, str | None], Pair] = {}
            for pair in map(present, pairs):
                once.setdefault((pair.category, pair.subcategory), pair)
            named[video_id] = list(once.values())
        return named

    def named_categories(self, pairs: AbstractSet[Pair]) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Primary keys of categories by name and of subcategories by both names.

        Unknown names are added. If no person brought them, they are to be placed by one (`is_new`).
        """
        origins: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        for pair in pairs:
            for name in (None, pair.subcategory):
                origins[pair.category, name].add(pair.origin)

        def is_new(names: tuple[str, str | None]) -> bool:
            return names not in known_pairs() and Origin.CURATED not in origins[names]

        names = {pair.category for pair in pairs}
        categories = dict(Category.objects.filter(name__in=names).values_list("name", "pk"))
        if missing := sorted(names - categories.keys()):
            Category.objects.bulk_create(
                [Category(name=name, is_new=is_new((name, None))) for name in missing], ignore_conflicts=True
            )
            categories = dict(Category.objects.filter(name__in=names).values_list("name", "pk"))
        wanted = {(pair.category, pair.subcategory) for pair in pairs if pair.subcategory}
        below = Subcategory.objects.filter(category__in=categories.values())

        def known() -> dict[tuple[str, str], int]:
            return {tuple(names): pk for *names, pk in below.values_list("category__name", "name", "pk")}

        subcategories = known()
        if missing_pairs := sorted(wanted - subcategories.keys()):
            Subcategory.objects.bulk_create(
                [
                    Subcategory(category_id=categories[pair[0]], name=pair[1], is_new=is_new(pair))
                    for pair in missing_pairs
                ],
                ignore_conflicts=True,
            )
            subcategories = known()
        return categories, subcategories


@track(
    insert=True,
    meta=by_time("categorizationevent") | {"verbose_name": "change of categories", "verbose_name_plural": "history"},
)
class Categorization(models.Model):
    """A video is in a category and, mostly, in one of its subcategories. Without one: a flat old name."""

    # No index of its own for any of the three: those of Meta begin with it.
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="categorizations", db_index=False)
    position = models.PositiveIntegerField(help_text="The order within the video, from 0.")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="categorizations", db_index=False)
    subcategory = models.ForeignKey(
        Subcategory, on_delete=models.PROTECT, related_name="categorizations", null=True, blank=True, db_index=False
    )
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.CURATED)

    objects = CategorizationQuerySet.as_manager()

    class Meta:
        ordering = ("video", "position")
        indexes = (
            models.Index(fields=("category", "video"), name="videos_categorization_category"),
            models.Index(fields=("subcategory", "video"), name="videos_categorization_pair"),
        )
        constraints = (
            models.UniqueConstraint(fields=("video", "category", "subcategory"), name="videos_categorization_unique"),
            models.UniqueConstraint(
                fields=("video", "category"),
                condition=Q(subcategory__isnull=True),
                name="videos_categorization_flat_unique",
            ),
            models.UniqueConstraint(
                fields=("video", "position"),
                name="videos_categorization_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(condition=Q(origin__in=Origin.values), name="videos_categorization_origin_known"),
        )
        triggers = (
            *triggers.categorization_count_triggers(),
            *triggers.curation_triggers(),
            triggers.emptying_trigger(),
        )

    def __str__(self) -> str:
        return str(self.subcategory or self.category)


class Revision(NamedTuple):
    """A state of the library, and the number of live videos in it. Equal revisions show the same."""

    number: int
    last_change: int
    videos: int


class FacetCountQuerySet(models.QuerySet["FacetCount"]):
    def revision(self) -> Revision:
        """The committed state of the library; any write makes another one (triggers.py)."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(count) FILTER (WHERE facet = 'revision'), 0)::bigint, coalesce(max(id), 0),"
                " coalesce(sum(count) FILTER (WHERE facet = 'total'), 0)::bigint FROM videos_facetcount"
                " WHERE facet IN ('revision', 'total')"
            )
            return Revision(*cursor.fetchone())

    def compact(self) -> None:
        """Add the differences up now. The triggers do it every thousandth insert."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT videos_compact_facet_counts(1)")


class FacetCount(models.Model):
    """A difference to the number of live videos with one facet value; a count is the sum of its rows.

    Facet "total" counts all live videos, "revision" the changes of the library.

    Written by triggers only (triggers.py, which says why differences). `count` is never 0. `is_sum`: it is what others
    were added up to.
    """

    facet = models.TextField()
    value = models.TextField()
    category_id = models.BigIntegerField(null=True)
    subcategory_id = models.BigIntegerField(null=True)
    count = models.BigIntegerField()
    is_sum = models.BooleanField(db_default=False)

    objects = FacetCountQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = (models.Index(fields=("facet",), name="videos_facetcount_facet"),)

    def __str__(self) -> str:
        return f"{self.facet} {self.value}: {self.count:+}"


@track(insert=True, meta=by_time("reviewevent"))
class Review(models.Model):
    """A person has looked at the categories of a video; if `is_curated`, they are what that person decided.

    What is curated no machine changes, and none at all can be curated as well. Written by a trigger with each
    curated pair, and taken back by one when a machine changes what was only looked at (triggers.py).
    """

    video = models.OneToOneField(Video, on_delete=models.CASCADE, primary_key=True, related_name="review")
    is_curated = models.BooleanField(default=False)
    reviewed_by = models.TextField()
    reviewed_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("reviewed_at",), name="videos_review_time"),)
        triggers = (*triggers.review_triggers(), *triggers.revision_triggers(), triggers.emptying_trigger())

    def __str__(self) -> str:
        return f"{self.video_id}: {'curated' if self.is_curated else 'reviewed'} by {self.reviewed_by}"


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def waiting(self) -> "ProposalQuerySet":
        """Those that a person has not answered."""
        return self.filter(settled_at__isnull=True)

    def receive(self, sent: Mapping[str, Sequence[Pair]], stored: Mapping[str, Sequence[Pair]], by: str) -> None:
        """Note what a machine says of curated videos, by video_id. What differs from `stored` waits for the curator.

        What it said before and a person has answered does not wait again.
        """
        now = timezone.now()
        known = dict(self.filter(video__in=list(sent)).values_list("video", "pairs"))
        proposals = []
        for video_id, pairs in sent.items():
            listed = [[pair.category, pair.subcategory] for pair in pairs]
            is_same = {tuple(pair) for pair in listed} == {
                (pair.category, pair.subcategory) for pair in stored[video_id]
            }
            is_by_machine = any(pair.origin == Origin.AI for pair in pairs)
            # That a snapshot says the same again is no news, and no answer to what a machine proposes.
            if listed != known.get(video_id) and (is_by_machine or not is_same):
                settled_at = now if is_same else None
                proposals.append(
                    Proposal(video_id=video_id, pairs=listed, proposed_at=now, proposed_by=by, settled_at=settled_at)
                )
        self.bulk_create(
            proposals,
            update_conflicts=True,
            unique_fields=["video"],
            update_fields=["pairs", "proposed_at", "proposed_by", "settled_at", "settled_by"],
        )


@track(insert=True, meta=by_time("proposalevent"))
class Proposal(models.Model):
    """What a machine said last of a video that a person has decided on.

    It waits until that person has seen it (`settled_at`), unless it says the same.
    """

    video = models.OneToOneField(Video, on_delete=models.CASCADE, primary_key=True, related_name="proposal")
    pairs = models.JSONField(help_text="[[category, subcategory or null], …] in order.")
    proposed_at = models.DateTimeField()
    proposed_by = models.TextField(blank=True, default="")
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.TextField(blank=True, default="")

    objects = ProposalQuerySet.as_manager()

    class Meta:
        indexes = (models.Index("video", name="videos_proposal_waiting", condition=Q(settled_at__isnull=True)),)
        triggers = triggers.revision_triggers()

    def __str__(self) -> str:
        return f"{self.video_id}: {self.pairs}"
