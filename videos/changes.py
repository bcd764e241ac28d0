"""What happened to the categories, titles and deletes of videos: who, when, from, to; and taking it back.

Triggers keep every change (django-pghistory), raw SQL too: an inserted row as it came, an updated or deleted one as it
was. The rows as they stand now, walked back through these events, give every earlier state. What one transaction did
with a video is one change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pghistory
from django.contrib.auth import get_user_model
from django.db import connection, models
from django.utils import timezone
from pghistory.models import Context

from .curation import lock
from .deciding import deciding, share_names
from .models import (
    Categorization,
    CategorizationEvent,
    Category,
    Origin,
    Pair,
    Proposal,
    ProposalEvent,
    Review,
    ReviewEvent,
    Subcategory,
    TitleOrDeleteEvent,
    Video,
)  # fmt: skip

# Of a transaction with more videos the stream says how many, and not which.
LISTED = 10
AT_ONCE = 500
TABLES = tuple(model._meta.db_table for model in (CategorizationEvent, ReviewEvent, ProposalEvent, TitleOrDeleteEvent))
EVENTS: dict[type[models.Model], type[models.Model]] = {
    Categorization: CategorizationEvent,
    Review: ReviewEvent,
    Proposal: ProposalEvent,
}
TITLE = ("title", "deleted_at", "deleted_by", "deleted_reason")
Row = Mapping[str, Any]


class Transaction(NamedTuple):
    """What was written at once: when the transaction began (UTC), and its context. Without one: raw SQL or a shell."""

    at: datetime
    context: UUID | None


@dataclass(frozen=True)
class Actor:
    """Who or what changed something: a person, a token of the worker, an import, or nobody that is known."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True)
class State:
    """What a change may change of a video."""

    pairs: tuple[Pair, ...]
    review: str
    proposal: str
    title: str
    deleted: str


@dataclass(frozen=True)
class Change:
    """What one transaction did with one video."""

    transaction: Transaction
    actor: Actor
    video_id: str
    title: str
    before: State
    after: State

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """What, from, to; of what differs."""
        said = []
        for name, label in (
            ("pairs", "categories"),
            ("review", "review"),
            ("proposal", "proposal"),
            ("title", "title"),
            ("deleted", "deleted"),
        ):
            before, after = getattr(self.before, name), getattr(self.after, name)
            if before != after:
                said.append((label, in_words(before), in_words(after)))
        return said


@dataclass(frozen=True)
class Entry:
    """A transaction in the stream; of a large one only the number of its videos.

    `action`: the change of many videos that it is a part of, if it is one. It may have had several transactions.
    """

    transaction: Transaction
    actor: Actor
    videos: int
    changes: tuple[Change, ...]
    action: str = ""


def in_words(value: str | tuple[Pair, ...]) -> str:
    if isinstance(value, str):
        return value or "–"
    names = (
        f"{pair.category} › {pair.subcategory}" if pair.subcategory else pair.category for pair in value
    )  # fmt: skip
    marks = {Origin.CURATED: "", Origin.AI: " (a machine)", Origin.IMPORTED: " (imported)"}
    return ", ".join(name + marks[pair.origin] for name, pair in zip(names, value, strict=True)) or "no category"


# The stream ---------------------------------------------------------------------------------------

# Steps from one moment to the next earlier one through the indexes, whatever number of events each has.
MOMENTS = """
    WITH RECURSIVE moments(at, number) AS (
        SELECT greatest({first}), 1
        UNION ALL
        SELECT greatest({earlier}), number + 1 FROM moments WHERE at IS NOT NULL AND number < %s
    )
    SELECT at FROM moments WHERE at IS NOT NULL
"""


def moments(before: datetime, limit: int) -> list[datetime]:
    """The last moments, newest first, at which a transaction began that changed something."""
    first = ", ".join(f"(SELECT max(pgh_created_at) FROM {table} WHERE pgh_created_at < %s)" for table in TABLES)
    earlier = ", ".join(
        f"(SELECT max(pgh_created_at) FROM {table} WHERE pgh_created_at < moments.at)" for table in TABLES
    )
    with connection.cursor() as cursor:
        cursor.execute(MOMENTS.format(first=first, earlier=earlier), [*[before] * len(TABLES), limit])
        return [at for (at,) in cursor.fetchall()]


def stream(
    *, before: datetime | None = None, video_id: str = "", who: str = "", limit: int = 30
) -> tuple[list[Entry], datetime | None]:
    """What happened before a time, newest first, and from where to go on; None: there is nothing earlier.

    `who` is a part of a name or of a kind, such as "worker" or "ada". At most 20 times `limit` moments are looked
    through for it.
    """
    at = before or timezone.now()
    if video_id:
        transactions = transactions_of([video_id])
        found = [transaction for transaction in transactions if transaction.at < at]
        return entries_of(by_whom(found[:limit], who), [video_id]), found[limit - 1].at if len(found) > limit else None
    entries: list[Entry] = []
    for _ in range(20 if who else 1):
        times = moments(at, limit)
        if not times:
            return entries, None
        entries += entries_of(by_whom(transactions_at(times), who))
        at = times[-1]
        if len(entries) >= limit or len(times) < limit:
            break
    return entries, at if len(times) == limit else None


def by_whom(transactions: Sequence[Transaction], who: str) -> list[Transaction]:
    """Those of somebody whose kind or name has this in it."""
    actors = actors_of(transactions)
    return [one for one in transactions if who.casefold() in str(actors[one]).casefold()]


def transactions_at(times: Sequence[datetime]) -> list[Transaction]:
    """The transactions that began at these times, newest first."""
    union = " UNION ".join(
        f"SELECT pgh_created_at, pgh_context_id FROM {table} WHERE pgh_created_at = ANY(%s)" for table in TABLES
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{union} ORDER BY 1 DESC, 2", [list(times)] * len(TABLES))
        return [Transaction(*row) for row in cursor.fetchall()]


def transactions_of(video_ids: Collection[str]) -> list[Transaction]:
    """The transactions that changed one of these videos, newest first."""
    union = " UNION ".join(
        f"SELECT pgh_created_at, pgh_context_id FROM {table} WHERE {owner(table)} = ANY(%s)" for table in TABLES
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{union} ORDER BY 1 DESC, 2", [list(video_ids)] * len(TABLES))
        return [Transaction(*row) for row in cursor.fetchall()]


def owner(table: str) -> str:
    """The column, with an index, that says whose event it is."""
    return "pgh_obj_id" if table == TitleOrDeleteEvent._meta.db_table else "video_id"


def videos_of(transaction: Transaction, limit: int | None = None) -> list[str]:
    """The keys of the videos that a transaction changed, in order."""
    union = " UNION ".join(
        f"SELECT {owner(table)} AS video_id FROM {table}"
        " WHERE pgh_created_at = %s AND pgh_context_id IS NOT DISTINCT FROM %s"
        for table in TABLES
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{union} ORDER BY 1 LIMIT %s", [*[*transaction] * len(TABLES), limit])
        return [key for (key,) in cursor.fetchall()]


def entries_of(transactions: Sequence[Transaction], video_ids: Collection[str] | None = None) -> list[Entry]:
    """The entries of these transactions; with `video_ids`, what they did with these alone."""
    contexts = contexts_of(transactions)
    actors = actors_of(transactions, contexts)
    keys = {}
    for transaction in transactions:
        keys[transaction] = list(video_ids) if video_ids else videos_of(transaction)
    listed = {key for of_one in keys.values() if len(of_one) <= LISTED for key in of_one}
    timelines = timelines_of(listed)
    titles = dict(Video.objects.filter(pk__in=listed).values_list("pk", "title"))
    entries = []
    for transaction in transactions:
        changes = [
            Change(transaction, actors[transaction], key, titles.get(key) or "Untitled", *timelines[key][transaction])
            for key in keys[transaction]
            if key in listed and transaction in timelines[key]
        ]
        is_listed = len(keys[transaction]) <= LISTED
        # A purge erases what happened before it.
        if not is_listed or any(change.lines for change in changes):
            entries.append(
                Entry(
                    transaction,
                    actors[transaction],
                    len(keys[transaction]),
                    tuple(changes) if is_listed else (),
                    str(contexts.get(transaction.context, {}).get("bulk", "")),
                )
            )
    return entries


Contexts = Mapping[UUID | None, Mapping[str, Any]]


def contexts_of(transactions: Iterable[Transaction]) -> Contexts:
    """What was noted of these transactions, by their contexts."""
    keys = {one.context for one in transactions} - {None}
    return dict(Context.objects.filter(pk__in=keys).values_list("pk", "metadata"))


def actors_of(transactions: Iterable[Transaction], contexts: Contexts | None = None) -> dict[Transaction, Actor]:
    """Who was behind these transactions, as far as their contexts say."""
    transactions = list(transactions)
    contexts = contexts_of(transactions) if contexts is None else contexts
    users = {metadata["user"] for metadata in contexts.values() if isinstance(metadata.get("user"), int)}
    names = dict(get_user_model().objects.filter(pk__in=users).values_list("pk", "username")) if users else {}
    return {one: actor_of(contexts.get(one.context) or {}, names) for one in transactions}


def actor_of(metadata: Mapping[str, Any], names: Mapping[int, str]) -> Actor:
    for key, kind in (("curator", "person"), ("restored_by", "person"), ("purged_by", "purge"), ("token", "worker")):
        if metadata.get(key):
            return Actor(kind, str(metadata[key]))
    if "import_sqlite" in metadata:
        return Actor("import", str(metadata["import_sqlite"])[:12])
    if metadata.get("user") in names:
        return Actor("person", names[metadata["user"]])
    return Actor("somebody", str(metadata["name"])) if metadata.get("name") else Actor("raw SQL or a shell", "")


# Walking back -------------------------------------------------------------------------------------


@dataclass
class Past:
    """The rows of a video, as they are and as each transaction found and left them, newest first."""

    transactions: list[Transaction]
    # By model: before and after each of its transactions.
    rows: dict[type[models.Model], dict[Transaction, tuple[list[Row], list[Row]]]]
    titles: dict[Transaction, tuple[Row, Row]]
    now: dict[type[models.Model], list[Row]]
    title_now: Row

    def rows_before(self, model: type[models.Model], transactions: Collection[Transaction]) -> list[Row] | None:
        """The rows before the earliest of these transactions that changed any; None: none of them did."""
        touched = [one for one in self.rows[model] if one in transactions]
        return self.rows[model][touched[-1]][0] if touched else None

    def title_before(self, transactions: Collection[Transaction]) -> Row:
        """The title and the delete before the earliest of these transactions."""
        touched = [one for one in self.titles if one in transactions]
        return self.titles[touched[-1]][0] if touched else self.title_now


def pasts_of(video_ids: Collection[str]) -> dict[str, Past]:
    """How each of these videos came to be what it is."""
    keys = list(video_ids)
    pasts = {key: Past([], {model: {} for model in EVENTS}, {}, {}, {}) for key in keys}
    for model, event_model in EVENTS.items():
        columns = [column.attname for column in model._meta.concrete_fields]
        key_column = model._meta.pk.attname
        current: dict[str, dict[Any, Row]] = defaultdict(dict)
        for row in model.objects.filter(video__in=keys).values(*columns):
            current[row["video_id"]][row[key_column]] = row
        for key in keys:
            pasts[key].now[model] = in_order(current[key].values())
        events = event_model.objects.filter(video__in=keys).order_by("-pgh_id")
        for event in events.values("pgh_created_at", "pgh_context_id", "pgh_label", *columns).iterator():
            transaction = Transaction(event.pop("pgh_created_at"), event.pop("pgh_context_id"))
            label, rows = event.pop("pgh_label"), current[event["video_id"]]
            steps = pasts[event["video_id"]].rows[model]
            after = steps[transaction][1] if transaction in steps else in_order(rows.values())
            if label == "insert":
                rows.pop(event[key_column], None)
            else:
                rows[event[key_column]] = event
            steps[transaction] = (in_order(rows.values()), after)
    titles = {row["pk"]: row for row in Video.objects.filter(pk__in=keys).values("pk", *TITLE)}
    for key in keys:
        pasts[key].title_now = {name: titles[key][name] for name in TITLE} if key in titles else {}
    found = TitleOrDeleteEvent.objects.filter(pgh_obj__in=keys).order_by("-pgh_id")
    latest = {key: pasts[key].title_now for key in keys}
    for event in found.values("pgh_created_at", "pgh_context_id", "video_id", *TITLE):
        key = event["video_id"]
        transaction = Transaction(event["pgh_created_at"], event["pgh_context_id"])
        before = {name: event[name] for name in TITLE}
        after = pasts[key].titles[transaction][1] if transaction in pasts[key].titles else latest[key]
        pasts[key].titles[transaction] = (before, after)
        latest[key] = before
    for key in keys:
        past = pasts[key]
        past.transactions = as_written([*past.rows.values(), past.titles])
    return pasts


def as_written(tables: Iterable[Iterable[Transaction]]) -> list[Transaction]:
    """The transactions of several tables, newest first, each table's own in the order given.

    Of two in different tables the one that began later is the newer. One that began earlier may have written later.
    """
    waiting = [list(table)[::-1] for table in tables]
    ordered: list[Transaction] = []
    while waiting := [table for table in waiting if table]:
        later = {one for table in waiting for one in table[:-1]}
        heads = {table[-1] for table in waiting}
        ordered.append(max(heads - later or heads, key=lambda one: one.at))
        waiting = [[one for one in table if one != ordered[-1]] for table in waiting]
    return ordered


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.get("position", 0))


def timelines_of(video_ids: Collection[str]) -> dict[str, dict[Transaction, tuple[State, State]]]:
    """What each transaction found and left of each of these videos."""
    categories = dict(Category.objects.values_list("pk", "name"))
    subcategories = dict(Subcategory.objects.values_list("pk", "name"))

    def pair(row: Row) -> Pair:
        below = row["subcategory_id"]
        category = categories.get(row["category_id"], f"#{row['category_id']}")
        return Pair(category, below and subcategories.get(below, f"#{below}"), Origin(row["origin"]))

    timelines = {}
    for key, past in pasts_of(video_ids).items():
        timeline: dict[Transaction, tuple[State, State]] = {}
        rows, title = dict(past.now), past.title_now
        for transaction in past.transactions:
            left = {model: past.rows[model].get(transaction, (None, rows[model]))[1] for model in EVENTS}
            found = {model: past.rows[model].get(transaction, (left[model], None))[0] for model in EVENTS}
            before, after = past.titles.get(transaction, (title, title))
            timeline[transaction] = tuple(
                State(
                    tuple(map(pair, of[Categorization])),
                    said_of_review(of[Review]),
                    said_of_proposal(of[Proposal]),
                    names.get("title", ""),
                    said_of_delete(names),
                )
                for of, names in ((found, before), (left, after))
            )
            rows, title = found, before
        timelines[key] = timeline
    return timelines


def said_of_review(rows: Sequence[Row]) -> str:
    return "".join(f"{'curated' if row['is_curated'] else 'reviewed'} by {row['reviewed_by']}" for row in rows)


def said_of_proposal(rows: Sequence[Row]) -> str:
    said = []
    for row in rows:
        pairs = ", ".join(f"{category} › {below}" if below else category for category, below in row["pairs"])
        said.append(f"{pairs} ({'answered' if row['settled_at'] else 'waits'})")
    return "".join(said)


def said_of_delete(row: Row) -> str:
    if not row.get("deleted_at"):
        return ""
    return f"by {row['deleted_by']}" + (f": {row['deleted_reason']}" if row["deleted_reason"] else "")


# Taking back --------------------------------------------------------------------------------------


@dataclass
class Reverted:
    """What went back to what it was, by video_id, and what did not, with the reason."""

    videos: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def revert(
    transactions: Collection[Transaction],
    by: str,
    *,
    video_ids: Collection[str] | None = None,
    force: bool = False,
    is_dry_run: bool = False,
) -> Reverted:
    """Bring videos back to what they were before these transactions: all that they changed, or `video_ids` of them.

    A video that something else has changed since is left alone, and named; with `force` the later changes go as well.
    The categories go back in one transaction, with who had decided and when; deletes and restores follow, each in one
    of its own. It is in the history itself, and can be reverted. Raises ValueError without a name.
    """
    chosen = set(transactions)
    keys = sorted(set(video_ids) if video_ids is not None else changed_videos(chosen))
    reverted = Reverted()
    if is_dry_run:
        for batch in batches(keys):
            look_at(batch, chosen, reverted, force=force)
        return reverted
    to_restore: list[str] = []
    to_delete: list[tuple[str, str]] = []
    # All of it is one action in the history, the deletes and restores too.
    with pghistory.context(reverted=True):
        with deciding(by):
            share_names()
            for batch in batches(keys):
                lock(batch)
                going_back = look_at(batch, chosen, reverted, force=force)
                for key, (past, undone) in going_back.items():
                    before = past.title_before(undone)
                    if before["title"] != past.title_now["title"]:
                        Video.objects.filter(pk=key).update(title=before["title"], updated_at=timezone.now())
                    if past.title_now["deleted_at"] and not before["deleted_at"]:
                        to_restore.append(key)
                    elif before["deleted_at"] and not past.title_now["deleted_at"]:
                        to_delete.append((key, before["deleted_reason"]))
                put_back(going_back)
        for video in Video.objects.filter(pk__in=to_restore):
            video.restore_by(by)
        for key, reason in to_delete:
            Video.objects.get(pk=key).delete_by(by, reason)
    return reverted


def batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), AT_ONCE):
        yield keys[start : start + AT_ONCE]


# A video's past, and the latest transactions of it that are to be undone.
GoingBack = Mapping[str, tuple[Past, Collection[Transaction]]]


def look_at(batch: Sequence[str], chosen: Collection[Transaction], reverted: Reverted, *, force: bool) -> GoingBack:
    """Which of these videos go back, by video_id; `reverted` has them as well, and the others with the reason."""
    going_back: dict[str, tuple[Past, Collection[Transaction]]] = {}
    later: dict[str, Transaction] = {}
    reasons: dict[str, str] = {}
    for key, past in pasts_of(batch).items():
        undone = past.transactions[: last_chosen(past, chosen) + 1]
        others = [one for one in undone if one not in chosen]
        if not undone:
            reasons[key] = "It was not changed by this, or the history of it was erased."
        elif others and not force:
            later[key] = others[0]
        # Of a deleted video only when the delete is taken back as well.
        elif past.title_now["deleted_at"] and not any(one in undone for one in past.titles):
            reasons[key] = "It is deleted."
        else:
            going_back[key] = (past, undone)
    wanted = pairs_before(going_back)
    now = named({key: past.now[Categorization] for key, (past, _) in going_back.items()})
    for key, (past, undone) in going_back.items():
        if wanted.get(key, now[key]) == now[key] and stays(past, undone):
            reasons[key] = "It is so already, or its category of then is a former name of the one of now."
    actors = actors_of(later.values())
    for key, other in later.items():
        reasons[key] = f"It was changed since by {actors[other]}, at {other.at:%Y-%m-%d %H:%M:%S} UTC."
    reverted.skipped += sorted(reasons.items())
    going_back = {key: past for key, past in going_back.items() if key not in reasons}
    reverted.videos += going_back
    return going_back


def last_chosen(past: Past, chosen: Collection[Transaction]) -> int:
    return max((index for index, one in enumerate(past.transactions) if one in chosen), default=-1)


def stays(past: Past, undone: Collection[Transaction]) -> bool:
    """Whether all but the categories of a video is already what it was before these transactions."""
    before, now = past.title_before(undone), past.title_now
    return (
        all(past.rows_before(model, undone) in (None, past.now[model]) for model in (Review, Proposal))
        and before["title"] == now["title"]
        and (before["deleted_at"] is None) == (now["deleted_at"] is None)
    )


def pairs_before(pasts: GoingBack) -> dict[str, list[Pair]]:
    """The pairs that these transactions found, with the names of now, by video_id, where they changed any."""
    rows = {key: past.rows_before(Categorization, undone) for key, (past, undone) in pasts.items()}
    return Categorization.objects.with_present_names(named({key: of for key, of in rows.items() if of is not None}))


def put_back(pasts: GoingBack) -> None:
    """Give locked videos the rows that they had before these transactions, by video_id."""
    pairs = pairs_before(pasts)
    Categorization.objects.filter(video__in=pairs).delete()
    Categorization.objects.add({key: of_one for key, of_one in pairs.items() if of_one})
    for model in (Review, Proposal):
        wanted = {}
        for key, (past, undone) in pasts.items():
            rows = past.rows_before(model, undone)
            if rows is None and model is Review and key in pairs:
                # The trigger of the categories has written another.
                rows = past.now[Review]
            if rows is not None:
                wanted[key] = rows
        model.objects.filter(video__in=[key for key, rows in wanted.items() if not rows]).delete()
        model.objects.bulk_create(
            [model(**row) for rows in wanted.values() for row in rows],
            update_conflicts=True,
            unique_fields=["video"],
            update_fields=[column.name for column in model._meta.concrete_fields if not column.primary_key],
        )


def named(rows_of: Mapping[str, Sequence[Row]]) -> dict[str, list[Pair]]:
    """Rows of Categorization as pairs, by video_id, with the names that their categories have now."""
    categories = dict(Category.objects.values_list("pk", "name"))
    subcategories = dict(Subcategory.objects.values_list("pk", "name"))
    return {
        key: [
            Pair(categories[row["category_id"]], subcategories.get(row["subcategory_id"]), Origin(row["origin"]))
            for row in rows
            if row["category_id"] in categories
        ]
        for key, rows in rows_of.items()
    }


def transactions_of_context(context: UUID) -> list[Transaction]:
    """The transactions of one request or one action on many videos."""
    union = " UNION ".join(f"SELECT pgh_created_at FROM {table} WHERE pgh_context_id = %s" for table in TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"{union} ORDER BY 1 DESC", [context] * len(TABLES))
        return [Transaction(at, context) for (at,) in cursor.fetchall()]


def transactions_by(who: str, since: datetime, until: datetime, kind: str = "") -> list[Transaction]:
    """What one person, token or import did in a period, newest first; `who` is the whole name.

    `kind` is that of an Actor, because a person and a token may have one name; empty: any.
    """
    found: list[Transaction] = []
    at = until
    while times := moments(at, 1000):
        within = transactions_at([time for time in times if time >= since])
        actors = actors_of(within)
        found += [one for one in within if actors[one].name == who and kind in ("", actors[one].kind)]
        if times[-1] < since or len(times) < 1000:
            break
        at = times[-1]
    return found


def changed_videos(transactions: Iterable[Transaction]) -> Iterator[str]:
    """The keys of the videos that these transactions changed, each once."""
    seen: set[str] = set()
    for transaction in transactions:
        for key in videos_of(transaction):
            if key not in seen:
                seen.add(key)
                yield key
