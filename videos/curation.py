"""What a person does with the categories of videos: decide on them, or say that they have been looked at.

Every verb is a transaction, locks its videos in the order of their keys as every writer does, and leaves deleted
videos alone. History has each in the person's name (deciding.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from .deciding import deciding, share_names
from .models import Categorization, Category, Origin, Pair, Proposal, Review, Subcategory, Video

# A category and, mostly, a subcategory of it, by name.
Names = tuple[str, str | None]


@dataclass
class Decided:
    """What became of videos that a person decided on, by video_id: changed, as they were, or not in the library."""

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def decide(pairs_of: Mapping[str, Sequence[Names]], by: str) -> Decided:
    """Put videos under these pairs, in this order, by video_id; none at all is a decision as well.

    From now on no machine changes them, and a proposal that waited is answered. What a machine had put them under is
    kept as what it said last. Names that nobody knows are added. Raises ValueError without a name of who decides.
    """
    decided = Decided()
    with deciding(by):
        share_names()
        locked = lock(pairs_of)
        decided.missing = [video_id for video_id in pairs_of if video_id not in locked]
        wanted = Categorization.objects.with_present_names(
            {key: [Pair(*names, Origin.CURATED) for names in dict.fromkeys(pairs_of[key])] for key in locked}
        )
        stored = Categorization.objects.pairs_of(locked)
        curated = reviewed(locked, is_curated=True)
        keep_last_words({key: pairs for key, pairs in stored.items() if pairs and key not in curated}, by)
        settle(locked, by)
        for key in locked:
            is_same = key in curated and wanted[key] == stored[key]
            (decided.unchanged if is_same else decided.changed).append(key)
        Categorization.objects.filter(video__in=decided.changed).delete()
        Categorization.objects.add({key: wanted[key] for key in decided.changed if wanted[key]})
        note({key for key in decided.changed if not wanted[key]}, by, is_curated=True)
    return decided


def accept(video_ids: Collection[str], by: str) -> Decided:
    """Decide as a machine says: what it proposes, and else what it has put a video under that nobody decided on.

    Read under the lock: what it says meanwhile is neither passed over nor answered by what it said before.
    """
    with deciding(by):
        share_names()
        lock(video_ids)
        wanted = accepted(video_ids)
        decided = decide(wanted, by)
    decided.unchanged += [video_id for video_id in video_ids if video_id not in wanted]
    return decided


def accepted(video_ids: Collection[str]) -> dict[str, list[Names]]:
    """The pairs that these videos would have, by video_id, where there is something to accept."""
    proposals = Proposal.objects.waiting().filter(video__in=video_ids).values_list("video", "pairs")
    curated = reviewed(video_ids, is_curated=True)
    stored = pairs_by_name(video_ids)
    wanted = {key: pairs for key, pairs in stored.items() if pairs and key not in curated}
    return wanted | {key: [(category, below) for category, below in pairs] for key, pairs in proposals}


def unreviewed(video_ids: Collection[str]) -> list[str]:
    """Those of these videos that wait for a person's look."""
    waiting = set(Proposal.objects.waiting().filter(video__in=video_ids).values_list("pk", flat=True))
    seen = reviewed(video_ids)
    return [video_id for video_id in video_ids if video_id in waiting or video_id not in seen]


def pairs_by_name(video_ids: Iterable[str]) -> dict[str, list[Names]]:
    """The pairs of these videos by name, in order, as they are just now."""
    return {key: names(pairs) for key, pairs in Categorization.objects.pairs_of(video_ids).items()}


def mark_reviewed(video_ids: Collection[str], by: str) -> Decided:
    """Note that a person has looked at these videos, and leave their categories as they are, a machine's too.

    A proposal that waited is answered: what is curated stays. A machine's later change asks for a look again.
    """
    decided = Decided()
    with deciding(by):
        locked = lock(video_ids)
        decided.missing = [video_id for video_id in video_ids if video_id not in locked]
        open_ones = set(unreviewed(locked))
        settle(locked, by)
        note(open_ones - reviewed(locked), by, is_curated=False)
        for key in locked:
            (decided.changed if key in open_ones else decided.unchanged).append(key)
    return decided


def lock(video_ids: Iterable[str]) -> list[str]:
    """The live ones among these videos, locked."""
    live = Video.objects.live().filter(pk__in=list(video_ids)).order_by("pk").select_for_update(no_key=True)
    return list(live.values_list("pk", flat=True))


def names(pairs: Iterable[Pair]) -> list[Names]:
    return [(pair.category, pair.subcategory) for pair in pairs]


def reviewed(video_ids: Collection[str], **state: bool) -> set[str]:
    return set(Review.objects.filter(video__in=video_ids, **state).values_list("pk", flat=True))


def settle(video_ids: Collection[str], by: str) -> None:
    """Answer what waits for the curator of these videos."""
    Proposal.objects.waiting().filter(video__in=video_ids).update(settled_at=timezone.now(), settled_by=by)


def keep_last_words(pairs_of: Mapping[str, Sequence[Pair]], by: str) -> None:
    """Keep what machines had put these videos under as what they said last."""
    now = timezone.now()
    Proposal.objects.bulk_create(
        [
            Proposal(
                video_id=video_id,
                pairs=[list(pair) for pair in names(pairs)],
                proposed_at=now,
                settled_at=now,
                settled_by=by,
            )
            for video_id, pairs in pairs_of.items()
        ],
        update_conflicts=True,
        unique_fields=["video"],
        update_fields=["pairs", "proposed_at", "proposed_by", "settled_at", "settled_by"],
    )


def note(video_ids: Collection[str], by: str, *, is_curated: bool, at: datetime | None = None) -> None:
    """Write down who has looked at these videos, or decided on them, and when: now, unless said otherwise."""
    Review.objects.bulk_create(
        [
            Review(video_id=video_id, is_curated=is_curated, reviewed_by=by, reviewed_at=at or timezone.now())
            for video_id in video_ids
        ],
        update_conflicts=True,
        unique_fields=["video"],
        update_fields=["is_curated", "reviewed_by", "reviewed_at"],
    )


def offered_pairs() -> list[tuple[Category, list[Subcategory]]]:
    """The categories that a person can choose, each with its subcategories, in the order of the taxonomy."""
    below: dict[int, list[Subcategory]] = {}
    for subcategory in Subcategory.objects.offered().order_by("position", "name"):
        below.setdefault(subcategory.category_id, []).append(subcategory)
    return [
        (category, below.get(category.pk, [])) for category in Category.objects.offered().order_by("position", "name")
    ]
