"""The form in which a person chooses the categories of a video: what it offers, and what was chosen.

A pair is written as "category:subcategory" by primary keys, and a category alone as "category:".
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import pghistory
from django.db.models import Q
from django.http import QueryDict
from django.utils.text import Truncator

from .curation import Decided, Names, accept, decide, lock, mark_reviewed, offered_pairs
from .deciding import deciding, share_names
from .models import Categorization, Category, Origin, Pair, Proposal, Review, Subcategory, Video

# More categories than a video ever had; a form with more is no person's.
MAXIMUM_PAIRS = 50
RETIRED = "No longer offered"
# So much of a title is enough to know it again.
SHOWN_TITLE = 60


class InvalidPairs(ValueError):
    """What was sent names no categories of this library; the message says so, for people."""


@dataclass(frozen=True)
class Option:
    """A way to choose; `name` is the label's own part, below its group."""

    value: str
    label: str
    name: str = ""


@dataclass(frozen=True)
class Group:
    """A category, with the ways to choose it."""

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class PairsForm:
    """A video's categories as they are, what a machine proposes instead, and what can be chosen.

    `slots`: the values of the pairs in order, and one empty one. `seen` changes with all that is shown of the video's
    categories, so that what was decided or proposed meanwhile is neither overwritten nor answered unseen.
    """

    video: Video
    pairs: tuple[Pair, ...]
    review: Review | None
    proposal: Proposal | None
    groups: tuple[Group, ...]
    slots: tuple[str, ...]
    seen: str

    @classmethod
    def of(cls, video: Video) -> "PairsForm":
        rows = list(
            Categorization.objects.filter(video=video).order_by("position").select_related("category", "subcategory")
        )
        pairs = tuple(
            Pair(row.category.name, row.subcategory.name if row.subcategory else None, Origin(row.origin))
            for row in rows
        )
        review = Review.objects.filter(video=video).first()
        chosen = [value_of(row.category_id, row.subcategory_id) for row in rows]
        groups = groups_of(offered_pairs())
        offered = {option.value for group in groups for option in group.options}
        retired = [
            Option(value, names_of(pair)) for value, pair in zip(chosen, pairs, strict=True) if value not in offered
        ]
        if retired:
            groups = (Group(RETIRED, tuple(retired)), *groups)
        proposal = Proposal.objects.waiting().filter(video=video).first()
        return cls(video, pairs, review, proposal, groups, (*chosen, ""), seen(pairs, review, proposal))

    @property
    def is_curated(self) -> bool:
        return self.review is not None and self.review.is_curated

    @property
    def proposed(self) -> list[str]:
        """What a machine proposes, as a person reads it."""
        return [names_of(Pair(*pair, Origin.AI)) for pair in self.proposal.pairs] if self.proposal else []

    @property
    def preferred(self) -> str:
        """The categories that the video is in or is proposed for, as JSON: what is found below them comes first."""
        proposed = [category for category, _ in self.proposal.pairs] if self.proposal else []
        return json.dumps([*(pair.category for pair in self.pairs), *proposed])

    @property
    def is_to_confirm(self) -> bool:
        """Whether a machine put the video where it is, and nobody has decided."""
        return bool(self.pairs) and not self.is_curated


def groups_of(pairs: Iterable[tuple[Category, list[Subcategory]]]) -> tuple[Group, ...]:
    """Categories with their subcategories as choices."""
    return tuple(
        Group(
            category.name,
            (
                *(
                    Option(value_of(category.pk, below.pk), f"{category.name} › {below.name}", below.name)
                    for below in subcategories
                ),
                Option(value_of(category.pk), f"{category.name} (no subcategory)"),
            ),
        )
        for category, subcategories in pairs
    )


def retired_group() -> tuple[Group, ...]:
    """What is retired, as one group of choices; none if nothing is."""
    rows = Subcategory.objects.present().filter(category__merged_into__isnull=True).select_related("category")
    retired = [
        Option(value_of(category.pk), f"{category.name} (no subcategory)")
        for category in Category.objects.present().filter(retired_at__isnull=False)
    ] + [
        Option(value_of(row.category_id, row.pk), f"{row.category.name} › {row.name}")
        for row in rows.filter(Q(retired_at__isnull=False) | Q(category__retired_at__isnull=False))
    ]
    return (Group(RETIRED, tuple(retired)),) if retired else ()


def value_of(category_id: int, subcategory_id: int | None = None) -> str:
    return f"{category_id}:{subcategory_id or ''}"


def names_of(pair: Pair) -> str:
    return f"{pair.category} › {pair.subcategory}" if pair.subcategory else pair.category


def seen(pairs: Iterable[Pair], review: Review | None, proposal: Proposal | None) -> str:
    state = (
        [[pair.category, pair.subcategory, pair.origin] for pair in pairs],
        review and [review.reviewed_by, str(review.reviewed_at)],
        proposal and proposal.pairs,
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


# What was sent ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a form's button did, in a sentence; `context` names it in the history. None: nothing was changed."""

    said: str
    context: UUID | None


def take(sent: QueryDict, video: Video, by: str) -> Answer:
    """Do what a form's button says. Raises InvalidPairs, and then nothing is changed.

    1. Lock the video, as every writer does. 2. Compare what the form showed with what is stored. 3. Decide. So of two
    who answer at once, or of a person and a machine, the second is shown what the first one did.
    """
    button = sent.get("button", "").removesuffix("_next")
    with pghistory.context() as context, deciding(by):
        share_names()
        lock([video.pk])
        form = PairsForm.of(video)
        chosen = parse(sent.getlist("pair")) if button == "save" else []
        if sent.get("seen") != form.seen:
            raise InvalidPairs(
                "These categories, or what a machine proposes, have changed since you opened the page: here they are as"
                f" they are now.{f' You had chosen: {listed(chosen)}.' if chosen else ''}"
            )
        decided, did = done(button, video, chosen, by)
        if decided.missing:
            raise InvalidPairs("This video was deleted meanwhile, so its categories stay as they are.")
        is_changed = bool(decided.changed or form.proposal)
    title = Truncator(video.display_title).chars(SHOWN_TITLE)
    return Answer(f"“{title}”: {did}.", context.id if is_changed else None)


def done(button: str, video: Video, chosen: Sequence[Names], by: str) -> tuple[Decided, str]:
    """What the button did, and that in words. Raises InvalidPairs."""
    match button:
        case "accept":
            return accept([video.pk], by), "accepted"
        case "review":
            return mark_reviewed([video.pk], by), "reviewed, its categories are as they were"
        case "save":
            return decide({video.pk: chosen}, by), listed(chosen) or "no category"
    raise InvalidPairs("The page sent nothing to do. Load it again, and use one of its buttons.")


def listed(pairs: Iterable[Names]) -> str:
    """Pairs in a line, for people."""
    return ", ".join(names_of(Pair(*pair, Origin.CURATED)) for pair in pairs)


def parse(values: Sequence[str]) -> list[Names]:
    """The pairs that a form sent, in order; empty values are none. Raises InvalidPairs."""
    given = list(dict.fromkeys(filter(None, values)))
    if len(given) > MAXIMUM_PAIRS:
        raise InvalidPairs(f"A video can be in {MAXIMUM_PAIRS} categories at most.")
    keys = [value.split(":") for value in given]
    if any(len(key) != 2 or not is_key(key[0]) or (key[1] and not is_key(key[1])) for key in keys):
        raise InvalidPairs("What was sent names no category. Load the page again and choose from the list.")
    categories = dict(Category.objects.present().filter(pk__in=[int(key) for key, _ in keys]).values_list("pk", "name"))
    below = Subcategory.objects.present().filter(pk__in=[int(key) for _, key in keys if key])
    subcategories = {(category, pk): name for pk, category, name in below.values_list("pk", "category", "name")}
    try:
        return [
            (categories[int(category)], subcategories[int(category), int(key)] if key else None)
            for category, key in keys
        ]
    except KeyError as error:
        raise InvalidPairs(
            "One of the categories is not there any more. Load the page again and choose from the list."
        ) from error


def is_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
