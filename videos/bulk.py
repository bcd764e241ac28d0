"""One change of categories for many videos: what it would do, and doing it, so that it can be undone as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import pghistory
from django.db import models
from django.db.models import QuerySet

from .curation import Decided, Names, accept, accepted, decide, lock, mark_reviewed, pairs_by_name, unreviewed
from .deciding import deciding, share_names
from .models import Curation

# Of each batch the videos are locked until it is written.
AT_ONCE = 500
EXAMPLES = 20


class Verb(models.TextChoices):
    ADD = "add", "Add a pair"
    REMOVE = "remove", "Remove a pair"
    REPLACE = "replace", "Replace a pair by another"
    ACCEPT = "accept", "Accept what a machine proposes"
    REVIEW = "review", "Mark as reviewed"


@dataclass(frozen=True)
class Change:
    """What is to be done with the categories of each video. `pair`: to add, remove or replace; `by_pair`: instead."""

    verb: Verb
    pair: Names | None = None
    by_pair: Names | None = None

    def of(self, pairs: Sequence[Names]) -> list[Names]:
        """A video's pairs after it; the order stays, and what is new comes last."""
        match self.verb:
            case Verb.ADD:
                changed = [*pairs, self.pair]
            case Verb.REMOVE:
                changed = [pair for pair in pairs if pair != self.pair]
            case Verb.REPLACE:
                changed = [self.by_pair if pair == self.pair else pair for pair in pairs]
            case _:
                changed = list(pairs)
        return list(dict.fromkeys(changed))

    def __str__(self) -> str:
        """What is done, in a line of the history."""
        pairs = [f"{pair[0]} › {pair[1]}" if pair[1] else pair[0] for pair in (self.pair, self.by_pair) if pair]
        return f"{self.verb.label}: {' → '.join(pairs)}" if pairs else str(self.verb.label)


@dataclass(frozen=True)
class Example:
    """A video whose categories change."""

    title: str
    before: list[Names]
    after: list[Names]


@dataclass
class Plan:
    """How many videos would change and how many stay as they are, with the first ones as examples."""

    changed: int = 0
    unchanged: int = 0
    examples: list[Example] = field(default_factory=list)


def plan(videos: QuerySet[Curation], change: Change) -> Plan:
    """What the change would do with these videos."""
    planned = Plan()
    for keys in key_batches(videos):
        wanted, stored = wanted_pairs(keys, change)
        planned.changed += len(wanted)
        planned.unchanged += len(keys) - len(wanted)
        if shown := list(wanted)[: EXAMPLES - len(planned.examples)]:
            titles = dict(Curation.objects.filter(pk__in=shown).values_list("pk", "title"))
            planned.examples += [Example(titles.get(key) or "Untitled", stored[key], wanted[key]) for key in shown]
    return planned


@dataclass(frozen=True)
class Done:
    """What was done; `context` names all of it in the history. None: nothing was."""

    decided: Decided
    context: UUID | None


def run(videos: QuerySet[Curation], change: Change, by: str) -> Done:
    """Do it, for as many videos at once as AT_ONCE; what is done stays if it is interrupted, and can be undone."""
    done = Decided()
    with pghistory.context(bulk=str(change)) as context:
        for keys in key_batches(videos):
            match change.verb:
                case Verb.ACCEPT:
                    decided = accept(keys, by)
                case Verb.REVIEW:
                    decided = mark_reviewed(keys, by)
                case _:
                    with deciding(by):
                        share_names()
                        lock(keys)
                        wanted, _ = wanted_pairs(keys, change)
                        decided = decide(wanted, by)
                    decided.unchanged += [key for key in keys if key not in wanted]
            done.changed += decided.changed
            done.unchanged += decided.unchanged
            done.missing += decided.missing
        return Done(done, context.id if done.changed else None)


def wanted_pairs(keys: Sequence[str], change: Change) -> tuple[dict[str, list[Names]], dict[str, list[Names]]]:
    """The pairs of the videos that the change concerns, after it and before it."""
    stored = pairs_by_name(keys)
    match change.verb:
        case Verb.ACCEPT:
            wanted = accepted(keys)
        case Verb.REVIEW:
            wanted = {key: stored[key] for key in unreviewed(keys)}
        case _:
            wanted = {key: change.of(pairs) for key, pairs in stored.items()}
            wanted = {key: pairs for key, pairs in wanted.items() if pairs != stored[key]}
    return wanted, stored


def key_batches(videos: QuerySet[Curation]) -> Iterator[list[str]]:
    """The keys of these videos, read once before anything is changed."""
    keys = iter(list(videos.order_by("pk").values_list("pk", flat=True)))
    while batch := list(islice(keys, AT_ONCE)):
        yield batch
