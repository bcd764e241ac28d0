"""What is read: the texts of a video's summaries, in variants and revisions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models
from django.db.models import F, Q
from psycopg.types.json import Jsonb

from videos.copy import copy_rows
from videos.models import Fold, Video, track
from videos.triggers import revision_triggers

from . import triggers
from .rendering import render


class Variant(models.TextChoices):
    """The variants that the worker is known to send. Others are stored all the same (contract/ingest.md).

    The order is the reader's: the best to show first.
    """

    COMPREHENSIVE = "comprehensive", "Comprehensive"
    KEY_INSIGHTS = "key-insights", "Key insights"
    KEY_POINTS = "key-points", "Key points"
    BULLET_POINTS = "bullet-points", "Bullet points"
    EXECUTIVE = "executive", "Executive"
    ADAPTIVE = "adaptive", "Adaptive"
    DEEP_RESEARCH = "deep-research", "Deep research"
    REDDIT_DISCUSSION = "reddit-discussion", "Reddit discussion"
    AUDIO = "audio", "Audio"
    AUDIO_FR = "audio-fr", "Audio, French"
    AUDIO_ES = "audio-es", "Audio, Spanish"

    @staticmethod
    def parse(name: str) -> str:
        """A variant's name as it is stored: `Key_Insights` → `key-insights`, `audio-fr:Beginner` → `audio-fr:beginner`.

        Unknown names keep their own; an empty one is the plain summary, `comprehensive`.
        """
        kind, colon, level = name.strip().lower().partition(":")
        kind = "-".join(kind.replace("_", " ").split())
        kind = ALIASES.get(kind, kind) or Variant.COMPREHENSIVE.value
        return f"{kind}:{level.strip()}" if colon and level.strip() else kind

    @staticmethod
    def title(name: str) -> str:
        """A stored variant's name for people: `audio-fr:beginner` → `Audio, French (beginner)`."""
        kind, _, level = name.partition(":")
        title = Variant(kind).label if kind in Variant.values else kind.replace("-", " ").capitalize()
        return f"{title} ({level})" if level else title

    @staticmethod
    def rank(name: str) -> tuple[int, str]:
        """The place of a stored variant in the reader's order; unknown ones come last, by name."""
        kind = name.partition(":")[0]
        return (Variant.values.index(kind) if kind in Variant.values else len(Variant.values), name)


ALIASES = {"summary": "comprehensive", "insights": "key-insights", "audio-summary": "audio"}


@dataclass(frozen=True)
class SummaryText:
    """One text of a video's summary that came in; `variant` is a stored name (Variant.parse).

    `revision` and `is_latest` are the sender's, where it has them. Times are aware.
    """

    variant: str
    text: str
    revision: int = 0
    is_latest: bool = True
    language: str = ""
    generated_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: Any = None
    raw_payload: Any = None
    file_size_bytes: int | None = None
    word_count: int | None = None


class MergedTexts(NamedTuple):
    """How many texts a merge added as revisions, and how many of them under another number than they came with."""

    added: int
    renumbered: int


# The columns of a new revision, with types of PostgreSQL.
COPIED = {
    "video_id": "text", "variant": "text", "revision": "int4", "is_latest": "bool", "text": "text", "html": "text",
    "language": "text", "generated_at": "timestamptz", "created_at": "timestamptz", "updated_at": "timestamptz",
    "metadata": "jsonb", "raw_payload": "jsonb", "file_size_bytes": "int8", "word_count": "int8",
}  # fmt: skip

# Columns that no page shows.
UNREAD = ("text_folded", "raw_payload", "metadata")


class SummaryQuerySet(models.QuerySet["Summary"]):
    def merge(
        self, texts_of: Mapping[str, Sequence[SummaryText]], newest: AbstractSet[str], *, is_history: bool = False
    ) -> MergedTexts:
        """Add the texts of these videos, by video_id, as revisions.

        A text that the latest revision of its variant has already is nothing. A text of data that is older
        than what is stored (its video is not in `newest`) only fills a variant that has none. With
        `is_history` the texts are a record of the past that may have been merged before: a text that any
        stored revision has is nothing. The caller has upserted the videos in this transaction, so their
        rows are locked and revisions have no gaps.

        A revision number that the sender gave is kept unless it is taken, or a later text has a smaller one.
        """
        stored: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for video_id, variant, revision, text in (
            self.filter(video__in=list(texts_of))
            .order_by("revision")
            .values_list("video_id", "variant", "revision", "text")
        ):
            stored[video_id, variant].append((revision, text))

        added: dict[tuple[str, str], list[Summary]] = defaultdict(list)
        renumbered = 0
        for video_id, texts in texts_of.items():
            for sent in sorted(texts, key=lambda text: (text.is_latest, text.revision)):
                before, new = stored[video_id, sent.variant], added[video_id, sent.variant]
                if before and video_id not in newest:
                    continue
                known = [text for _, text in before] if is_history else [text for _, text in before[-1:]]
                if sent.text in (known if is_history or not new else ()) or (new and sent.text == new[-1].text):
                    continue
                last = new[-1].revision if new else before[-1][0] if before else 0
                renumbered += 0 < sent.revision <= last
                new.append(
                    Summary(
                        video_id=video_id,
                        html=render(sent.text, sent.variant),
                        **vars(sent) | {"revision": max(last + 1, sent.revision), "is_latest": False},
                    )
                )
        rows = [summary for summaries in added.values() for summary in summaries]
        if not rows:
            return MergedTexts(0, 0)
        for summaries in added.values():
            if summaries:
                summaries[-1].is_latest = True
        replaced = Q(pk__in=[])
        for (video_id, variant), summaries in added.items():
            if summaries and stored[video_id, variant]:
                replaced |= Q(video=video_id, variant=variant)
        self.filter(replaced, is_latest=True).update(is_latest=False)
        copy_rows(
            "summaries_summary",
            COPIED,
            (
                [
                    Jsonb(value)
                    if kind == "jsonb" and (value := getattr(row, name)) is not None
                    else getattr(row, name)
                    for name, kind in COPIED.items()
                ]
                for row in rows
            ),
        )
        return MergedTexts(len(rows), renumbered)

    def latest(self) -> "SummaryQuerySet":
        """The latest revision of each variant."""
        return self.filter(is_latest=True)

    def best_first(self) -> list["Summary"]:
        """The latest revision of each variant, in the reader's order."""
        return sorted(self.latest().defer(*UNREAD), key=lambda summary: Variant.rank(summary.variant))


@track(
    model_name="SummaryEvent", fields=["video", "variant", "revision", "text", "language", "metadata", "raw_payload"]
)
class Summary(models.Model):
    """One revision of one variant of a video's summary. A new text is a new revision; old ones stay."""

    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="summaries", db_index=False)
    variant = models.TextField()
    revision = models.PositiveIntegerField()
    is_latest = models.BooleanField(default=True)

    text = models.TextField(help_text="As it was sent.")
    html = models.TextField(editable=False, help_text="Safe HTML, made from the text when it was written.")
    language = models.TextField(blank=True, default="")
    generated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    raw_payload = models.JSONField(null=True, blank=True)
    file_size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    word_count = models.PositiveBigIntegerField(null=True, blank=True)

    text_folded = models.GeneratedField(expression=Fold(F("text")), output_field=models.TextField(), db_persist=True)

    objects = SummaryQuerySet.as_manager()

    class Meta:
        ordering = ("video", "variant", "-revision")
        verbose_name_plural = "summaries"
        constraints = (
            models.UniqueConstraint(
                fields=("video", "variant"), condition=Q(is_latest=True), name="summaries_summary_one_latest"
            ),
            models.UniqueConstraint(fields=("video", "variant", "revision"), name="summaries_summary_revision_unique"),
            models.CheckConstraint(condition=~Q(variant=""), name="summaries_summary_variant_not_empty"),
            models.CheckConstraint(condition=Q(revision__gte=1), name="summaries_summary_revision_from_1"),
        )
        triggers = (*triggers.latest_pointer_triggers(), *revision_triggers())

    def __str__(self) -> str:
        return f"{self.video_id} {self.variant} {self.revision}"

    @property
    def title(self) -> str:
        """The variant's name for people."""
        return Variant.title(self.variant)
