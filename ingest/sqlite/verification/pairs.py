"""Equation 4: the same triples of video, category and subcategory; and why categories differ from the file's."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.contrib.admin.models import CHANGE, LogEntry

from ingest.sqlite.inspection import Triple, triples_digest
from videos.models import (
    Categorization,
    CategorizationEvent,
    Category,
    CategoryEvent,
    Origin,
    Subcategory,
    SubcategoryEvent,
)

from .content_rows import ContentRow
from .history import Explanation, VideoHistory, actor, context_of, events_of, explained_by
from .ledger import Side
from .old_categories import SourcePair
from .old_values import lenient
from .report import Equation, Verdict
from .run import Run
from .streams import among
from .wording import in_words


@dataclass
class StoredPair:
    """A categorisation as it stands here."""

    number: int
    category_id: int
    subcategory_id: int | None
    category: str
    subcategory: str | None
    origin: str

    @property
    def names(self) -> tuple[str, str | None]:
        return self.category, self.subcategory


@dataclass(frozen=True)
class FormerName:
    """A category or subcategory that was renamed or merged: what it is now, for pairs with and without subcategory."""

    number: int
    category: str
    subcategory: str | None
    bare: str | None = None


@dataclass
class Pairs:
    """The categories that a row says and those that its video has, each in order."""

    row: ContentRow
    wanted: list[SourcePair]
    # A subcategory that the row says, and that belongs to none of its categories.
    lone: str
    stored: list[StoredPair]

    @cached_property
    def are_same(self) -> bool:
        return [pair.names for pair in self.wanted] == [pair.names for pair in self.stored]


class PairComparison:
    """The categories of videos beside those of their rows."""

    def __init__(self, run: Run, history: VideoHistory) -> None:
        self.run, self.history = run, history
        self.categories = dict(Category.objects.values_list("pk", "name"))
        self.subcategories = dict(Subcategory.objects.values_list("pk", "name"))
        self.naming: dict[tuple[type, int], Explanation] = {}

    @cached_property
    def former_names(self) -> dict[tuple[str, str | None], FormerName]:
        """What stands for another one now, by its own names."""
        categories = Category.objects.filter(merged_into__isnull=False).values_list(
            "name", "pk", "merged_into__name", "merged_below__name"
        )
        subcategories = Subcategory.objects.filter(merged_into__isnull=False).values_list(
            "category__name", "name", "pk", "merged_into__category__name", "merged_into__name"
        )
        former = {(name, None): FormerName(number, now, None, bare) for name, number, now, bare in categories}
        return former | {
            (category, name): FormerName(number, now, below) for category, name, number, now, below in subcategories
        }

    def former_name(self, names: tuple[str, str | None]) -> FormerName | None:
        """The former name that a pair of the file has, of its subcategory or else of its category."""
        return self.former_names.get(names) or self.former_names.get((names[0], None))

    def present(self, names: tuple[str, str | None]) -> tuple[str, str | None]:
        """What a pair of the file is called now."""
        former = self.former_name(names)
        return (former.category, former.subcategory or names[1] or former.bare) if former else names

    def why_renamed(self, names: tuple[str, str | None]) -> Explanation:
        """Who renamed or merged what a pair of the file names, and when."""
        former = self.former_name(names)
        events = SubcategoryEvent if former and former.subcategory else CategoryEvent
        key = (events, former.number if former else 0)
        if key not in self.naming:
            # The first one that it was not made by: a new row, or the old one before it went into another.
            own = events.objects.filter(id=key[1]).select_related("pgh_context").order_by("pgh_id")
            made = [event for event in own if event.pgh_label == "insert" and event.merged_into_id]
            went = [event for event in own if event.pgh_label == "update" and not event.merged_into_id]
            event = next(iter([*went[-1:], *made]), None)
            self.naming[key] = explained_by(event) if event else Explanation(Verdict.CHANGED)
        return self.naming[key]

    def stored(self, video_ids: list[str]) -> dict[str, list[StoredPair]]:
        pairs: dict[str, list[StoredPair]] = defaultdict(list)
        for number, video_id, category, subcategory, origin in (
            Categorization.objects.filter(video__in=among(video_ids))
            .order_by("video", "position")
            .values_list("pk", "video_id", "category_id", "subcategory_id", "origin")
        ):
            pairs[video_id].append(
                StoredPair(number, category, subcategory, *self.names(category, subcategory), origin)
            )
        return pairs

    def names(self, category_id: int, subcategory_id: int | None) -> tuple[str, str | None]:
        """The names of a category and a subcategory, which may be gone."""
        below = None if subcategory_id is None else self.subcategories.get(subcategory_id, f"#{subcategory_id}")
        return self.categories.get(category_id, f"#{category_id}"), below

    def add_triples(self, rows: list[Pairs]) -> None:
        """Note the triples of each side, for their digests."""
        sides: dict[Side, list[Triple]] = {side: [] for side in Side}
        for pairs in rows:
            name = pairs.row.old_id or lenient(pairs.row.values.get("video_id"))
            sides[Side.BOTH if pairs.are_same else Side.SOURCE] += [(name, *pair.names) for pair in pairs.wanted]
            if not pairs.are_same:
                sides[Side.MODELS] += [(name, *pair.names) for pair in pairs.stored]
            self.run.report.triples.source += len(pairs.wanted)
            self.run.report.triples.models += len(pairs.stored)
        for side, triples in sides.items():
            self.run.ledger.add_triples(side, triples)

    def explain(self, differing: list[Pairs]) -> None:
        """Why these videos are in other categories than the file says."""
        events = events_of(CategorizationEvent, "video_id", [pairs.row.video.video_id for pairs in differing])
        for pairs in differing:
            row = pairs.row
            verdicts = set()
            for column, message, explanation in PairHistory(self, pairs, events[row.video.video_id]).explained():
                verdicts.add(explanation.verdict)
                if explanation.verdict is Verdict.WRONG:
                    self.run.wrong(
                        Equation.TRIPLES, "content", row.key, column, message, video_id=row.video.video_id,
                        source=[pair.names for pair in pairs.wanted], stored=[pair.names for pair in pairs.stored],
                    )  # fmt: skip
                else:
                    self.run.report.triples.explained += 1
                    self.run.settle(row.video.video_id, explanation)
            worst = next(
                verdict
                for verdict in (Verdict.WRONG, Verdict.CHANGED, Verdict.CURATED, Verdict.KEPT)
                if verdict in verdicts
            )
            for column in ("categories", "category", "subcategory"):
                if column == "categories" or column in row.values:
                    self.run.count("content", column, worst)

    @cached_property
    def renames(self) -> dict[tuple[str, str], Explanation]:
        """Who changed which category or subcategory in the admin since the import; no other history has it."""
        entries = LogEntry.objects.filter(
            content_type__app_label="videos",
            content_type__model__in=("category", "subcategory"),
            action_flag=CHANGE,
            action_time__gt=self.run.snapshot.imported_at,
        )
        return {
            (entry.content_type.model, entry.object_id): Explanation(
                Verdict.CHANGED, entry.user.get_username(), entry.action_time
            )
            for entry in entries.select_related("content_type", "user")
        }


class PairHistory:
    """Why a video is in other categories than its row of the file says."""

    def __init__(self, comparison: PairComparison, pairs: Pairs, events: list[CategorizationEvent]) -> None:
        self.comparison, self.events = comparison, events
        self.row, self.wanted, self.stored = pairs.row, pairs.wanted, pairs.stored
        self.snapshot, self.history = comparison.run.snapshot, comparison.history
        own = [event.pgh_id for event in events if self.is_by_import(event)]
        # The last event that the import of this snapshot wrote.
        self.last_of_import = max(own, default=None)

    def is_by_import(self, event: CategorizationEvent) -> bool:
        return context_of(event).get("import_sqlite") == self.snapshot.sha256

    def names(self, event: CategorizationEvent) -> tuple[str, str | None]:
        return self.comparison.names(event.category_id, event.subcategory_id)

    def explained(self) -> Iterator[tuple[str, str, Explanation]]:
        """Each difference: the column that says it, a message, the explanation."""
        now = [self.comparison.present(pair.names) for pair in self.wanted]
        here = [pair.names for pair in self.stored]
        missing = [pair for pair, names in zip(self.wanted, now, strict=True) if names not in here]
        extra = [pair for pair in self.stored if pair.names not in now]
        for pair, names in zip(self.wanted, now, strict=True):
            if names != pair.names and names in here:
                message = f"{in_words(pair.names)} is {in_words(names)} now."
                yield pair.column, message, self.comparison.why_renamed(pair.names)
        if not missing and not extra and list(dict.fromkeys(now)) != here:
            yield "categories", "The categories stand in another order.", self.why_order()
        renames = [rename for pair in extra if (rename := self.rename_of(pair))]
        changed = None
        for pair in missing:
            explanation = self.why_missing(pair)
            if explanation.verdict is Verdict.WRONG and renames:
                explanation = renames.pop()
            if explanation.verdict is Verdict.CHANGED:
                changed = explanation
            yield pair.column, f"The video is not in {in_words(pair.names)}.", explanation
        for pair in extra:
            explanation = self.rename_of(pair) or self.why_extra(pair, changed)
            yield "categories", f"The file does not say that the video is in {in_words(pair.names)}.", explanation

    def why_missing(self, pair: SourcePair) -> Explanation:
        before_a_change = [event for event in reversed(self.events) if event.pgh_label != "insert"]
        named = (pair.names, self.comparison.present(pair.names))
        for event in before_a_change:
            if self.names(event) in named:
                return explained_by(event)
        if any(event.pgh_label == "insert" and self.names(event) in named for event in self.events):
            # It was here, and went without a trace.
            return Explanation(Verdict.WRONG)
        for event in before_a_change:
            if event.category_id not in self.comparison.categories:
                # Its name went with the category.
                return explained_by(event)
        return self.why_kept()

    def why_extra(self, pair: StoredPair, changed: Explanation | None) -> Explanation:
        own = [event for event in reversed(self.events) if event.id == pair.number]
        for event in own:
            if event.pgh_label == "update":
                return explained_by(event)
        names = (pair.category_id, pair.subcategory_id)
        inserted = next((event for event in own if (event.category_id, event.subcategory_id) == names), None)
        if inserted is None:
            return Explanation(Verdict.WRONG)
        if self.is_by_import(inserted):
            return changed or Explanation(Verdict.WRONG)
        if self.last_of_import is None:
            is_later = inserted.pgh_created_at > self.snapshot.imported_at
        else:
            is_later = inserted.pgh_id > self.last_of_import
        if is_later or changed:
            return explained_by(inserted)
        return Explanation(
            Verdict.CURATED if pair.origin == Origin.CURATED else Verdict.KEPT, actor(inserted), inserted.pgh_created_at
        )

    def why_kept(self) -> Explanation:
        """Why the import left the categories as they were, if it did."""
        curated = [event for event in self.events if event.origin == Origin.CURATED and not self.is_by_import(event)]
        if curated:
            return Explanation(Verdict.CURATED, actor(curated[-1]), curated[-1].pgh_created_at)
        return Explanation(Verdict.KEPT if self.stored and self.history.was_newer(self.row) else Verdict.WRONG)

    def why_order(self) -> Explanation:
        for event in reversed(self.events):
            if event.pgh_label != "insert":
                return explained_by(event)
        return self.why_kept()

    def rename_of(self, pair: StoredPair) -> Explanation | None:
        """Who renamed the category or the subcategory of a row that is itself as it was inserted."""
        renames = self.comparison.renames
        is_untouched = any(
            (event.id, event.category_id, event.subcategory_id) == (pair.number, pair.category_id, pair.subcategory_id)
            for event in self.events
        )
        names = [("subcategory", str(pair.subcategory_id)), ("category", str(pair.category_id))]
        return next((renames[name] for name in names if name in renames), None) if is_untouched else None


def count_triples(run: Run) -> None:
    """The digest of the triples of each side."""
    triples, ledger = run.report.triples, run.ledger
    triples.source_digest = triples_digest(ledger.triples(Side.SOURCE)).sha256
    is_same = not ledger.has_triples(Side.MODELS) and not ledger.has_triples(Side.SOURCE)
    triples.models_digest = triples.source_digest if is_same else triples_digest(ledger.triples(Side.MODELS)).sha256
    triples.wrong = run.report.differences[Equation.TRIPLES].count
