"""What a person does with the names of the taxonomy: rename, merge, move, order, retire, place, add.

Every verb changes the names in one transaction in that person's name: it has the names for itself, so nobody writes
categories meanwhile (deciding.py; OperationalError if somebody does for long), and reads what it is about again. What
had another name keeps it as a former name, for whatever comes with it later (Category).

The pairs of videos go over after that, in batches, so that no video is locked for long: each batch is a transaction
that locks its videos in the order of their keys as every writer does. `finish` goes on where one was interrupted. Who
has curated a video, and when, stays as it was.

A former name always says at once what it is now, and never by another former name: `spread` sees to that.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Max, Q, QuerySet, Sum
from django.utils import timezone

from .curation import settle
from .deciding import change_names, deciding, share_names
from .models import Categorization, Category, FacetCount, Origin, Pair, Proposal, Subcategory, Video

Named = Category | Subcategory
# A category and a subcategory of it, or none, by primary key.
Keys = tuple[int, int | None]
# What several categories are to become: for each a category, and a subcategory of that or none.
FlatMapping = Mapping[Category, tuple[Category, Subcategory | None]]

LONGEST_NAME = 100
# So many videos are locked at once while their pairs go over.
AT_ONCE = 1000
SHOWN_TITLES = 20
DASHES = re.compile("[\u2010-\u2015\u2212]")
# Two of the invisible characters belong to words: between letters of some scripts, and within emoji.
JOINERS = "\u200c\u200d"


class Refused(ValueError):
    """What cannot be done; the message says why, for people. `clash` has a name like the one that was wanted."""

    def __init__(self, message: str, clash: Named | None = None) -> None:
        super().__init__(message)
        self.clash = clash


@dataclass(frozen=True)
class Changed:
    """What a verb did, in a sentence: pairs that went over, and pairs that went because a video had them twice then."""

    said: str
    row: Named | None = None
    moved: int = 0
    joined: int = 0


@dataclass(frozen=True)
class Preview:
    """What a verb would do: live videos that it touches, titles of the first, what becomes of subcategories."""

    said: str
    way_back: str
    videos: int = 0
    titles: tuple[str, ...] = ()
    subcategories: tuple[str, ...] = ()


@contextmanager
def changing(by: str) -> Iterator[None]:
    """A transaction in a person's name that has the names for itself."""
    with deciding(by):
        change_names()
        yield


# Names --------------------------------------------------------------------------------------------


def cleaned(name: str) -> str:
    """A name as it is stored. Raises Refused for what is none."""
    if any(unicodedata.category(character)[0] == "C" and character not in JOINERS for character in name):
        raise Refused("The name has a character that cannot be seen, such as a line break. Type it again.")
    name = " ".join(name.split())
    if not name.strip(JOINERS):
        raise Refused("The name is empty.")
    if len(name) > LONGEST_NAME:
        raise Refused(f"The name has {len(name)} characters; {LONGEST_NAME} are the most.")
    return name


def look(name: str) -> str:
    """What people see of a name: names with the same look are the same to them."""
    text = DASHES.sub("-", unicodedata.normalize("NFKC", name)).replace("&", " and ")
    return " ".join(text.casefold().split())


def siblings(row: Named) -> QuerySet:
    """The rows among which its name is unique, itself and former names too."""
    if isinstance(row, Category):
        return Category.objects.select_related("merged_into")
    return row.category.subcategories.select_related("category", "merged_into__category")


def free_name(rows: Iterable[Named], name: str, row: Named | None = None) -> str:
    """The name as it is stored, if none of these rows has one like it, other than the row itself and its former names.

    Raises Refused.
    """
    name = cleaned(name)
    if row and row.name == name:
        raise Refused(f"“{name}” is its name already.")
    for other in rows:
        if look(other.name) != look(name) or (row and (other.pk == row.pk or is_former_name(other, row))):
            continue
        present = other.merged_into or other
        if other.merged_into:
            message = f"“{other.name}” is a former name of “{present}”, and what comes with it goes there."
        else:
            message = f"There is “{present}” already."
        raise Refused(f"{message} Choose another name, or merge the two.", present)
    return name


def is_former_name(other: Named, row: Named) -> bool:
    """Whether it stands for the row, and for all of it."""
    return other.merged_into_id == row.pk and getattr(other, "merged_below_id", None) is None


def present(row: Named) -> Named:
    """The row as it is now. Raises Refused if it is not there, or only a former name."""
    related = ("merged_into",) if isinstance(row, Category) else ("category__merged_into", "merged_into__category")
    found = type(row).objects.select_related(*related).filter(pk=row.pk).first()
    if found is None:
        raise Refused(f"“{row}” is not there any more.")
    if found.merged_into:
        raise Refused(f"“{found}” is a former name: it is “{found.merged_into}” now.")
    return found


def offered(row: Named) -> Named:
    """The same for a row that others are to be merged into. Raises Refused for a retired one."""
    found = present(row)
    if found.retired_at or (isinstance(found, Subcategory) and found.category.retired_at):
        raise Refused(f"“{found}” is retired. Bring it back first.")
    return found


def leave_name(row: Named, name: str) -> None:
    """Keep a name that the row has no more as a former one."""
    if isinstance(row, Category):
        Category.objects.create(name=name, merged_into=row)
        spread(row)
    else:
        Subcategory.objects.create(category=row.category, name=name, merged_into=row)
        spread(row.category)


def take_back(row: Named, name: str) -> None:
    """Let a former name of the row stand for itself no more, so that the row can have it again."""
    former = siblings(row).filter(name=name, merged_into=row).first()
    if former is None:
        return
    if isinstance(row, Category):
        # What the name's own subcategories are now holds for the row, unless it has them itself.
        former.subcategories.exclude(name__in=row.subcategories.values("name")).update(category=row)
        former.subcategories.all().delete()
    former.delete()


def spread(category: Category) -> None:
    """Let the former names of a category know the former names of its subcategories."""
    below = list(category.subcategories.filter(merged_into__isnull=False))
    Subcategory.objects.bulk_create(
        [
            Subcategory(category=former, name=row.name, merged_into_id=row.merged_into_id)
            for former in category.former_names.all()
            for row in below
        ],
        ignore_conflicts=True,
    )


def follow_in_proposals(names: Iterable[str], by: str) -> None:
    """Write proposals that name these categories with the names of now; one that then says what is stored is settled.

    A machine that says the same again in other words has said nothing new.
    """
    concerned = reduce(or_, (Q(pairs__contains=[[name]]) for name in names))
    told = list(Proposal.objects.filter(concerned).order_by().values_list("pairs", flat=True).distinct())
    named = Categorization.objects.with_present_names(
        {str(number): [Pair(*names, Origin.AI) for names in pairs] for number, pairs in enumerate(told)}
    )
    now = [[[pair.category, pair.subcategory] for pair in named[str(number)]] for number in range(len(told))]
    changed = [(json.dumps(old), json.dumps(new)) for old, new in zip(told, now, strict=True) if old != new]
    if not changed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE videos_proposal SET pairs = changed.now::jsonb FROM unnest(%s::text[], %s::text[])"
            " AS changed (told, now) WHERE pairs = changed.told::jsonb RETURNING video_id",
            [list(texts) for texts in zip(*changed, strict=True)],
        )
        written = [video_id for (video_id,) in cursor.fetchall()]
    waiting = dict(Proposal.objects.waiting().filter(pk__in=written).values_list("pk", "pairs"))
    stored = Categorization.objects.pairs_of(waiting)
    said_again = [
        key
        for key, pairs in waiting.items()
        if {tuple(pair) for pair in pairs} == {(pair.category, pair.subcategory) for pair in stored[key]}
    ]
    settle(said_again, by)


# Pairs --------------------------------------------------------------------------------------------

# The rows that go over. Of a category that stays, only those of a snapshot do that no person has decided on.
BECOMING = """
    SELECT * FROM unnest(%(category)s::bigint[], %(below)s::bigint[], %(new_category)s::bigint[],
        %(new_below)s::bigint[], %(imported_only)s::boolean[])
    AS becoming (category_id, below_id, new_category_id, new_below_id, imported_only)
"""
GOES_OVER = """
    stored.category_id = becoming.category_id AND coalesce(stored.subcategory_id, 0) = becoming.below_id
    AND (NOT imported_only OR stored.origin = 'imported')
    AND (%(videos)s::text[] IS NULL OR stored.video_id = ANY(%(videos)s))
"""
GOING = f"""
    WITH becoming AS ({BECOMING}), going AS (
        SELECT stored.id, stored.video_id, stored.position, stored.origin, new_category_id, new_below_id
        FROM becoming JOIN videos_categorization AS stored ON {GOES_OVER}
    )
"""
# Pairs that a video would have twice: one stays, a curated one if there is one, in the first place of them.
TWICE = f"""
    {GOING}, concerned AS (
        SELECT * FROM going
        UNION ALL
        SELECT stored.id, stored.video_id, stored.position, stored.origin, stored.category_id,
            coalesce(stored.subcategory_id, 0)
        FROM videos_categorization AS stored
        WHERE (stored.category_id, coalesce(stored.subcategory_id, 0))
                IN (SELECT new_category_id, new_below_id FROM becoming)
            AND stored.video_id IN (SELECT video_id FROM going) AND stored.id NOT IN (SELECT id FROM going)
    ), ranked AS (
        SELECT id, position,
            row_number() OVER (same ORDER BY (origin = 'curated') DESC, position) AS place,
            min(position) OVER same AS first_position
        FROM concerned WINDOW same AS (PARTITION BY video_id, new_category_id, new_below_id)
    )
    SELECT id, place, first_position FROM ranked WHERE place > 1 OR position <> first_position
"""
NEXT = f"""
    {GOING} SELECT DISTINCT video_id FROM going WHERE video_id > %(last)s ORDER BY video_id LIMIT {AT_ONCE}
"""
LOCK = "SELECT FROM videos_video WHERE video_id = ANY(%(videos)s) ORDER BY video_id FOR NO KEY UPDATE"
GO_OVER = f"""
    UPDATE videos_categorization AS stored
    SET category_id = becoming.new_category_id, subcategory_id = nullif(becoming.new_below_id, 0)
    FROM ({BECOMING}) AS becoming WHERE {GOES_OVER}
"""


def go_over(becoming: Mapping[Keys, Keys], by: str, imported_only: Iterable[Keys] = ()) -> tuple[int, int]:
    """Let pairs become others, batch by batch; how many did, and how many went as the video has the other already."""
    only = set(imported_only)
    parameters = {
        "category": [category for category, _ in becoming],
        "below": [below or 0 for _, below in becoming],
        "new_category": [category for category, _ in becoming.values()],
        "new_below": [below or 0 for _, below in becoming.values()],
        "imported_only": [keys in only for keys in becoming],
    }
    moved, joined, last = 0, 0, ""
    while True:
        with deciding(by), connection.cursor() as cursor:
            share_names()
            cursor.execute(NEXT, {**parameters, "videos": None, "last": last})
            if not (videos := [video_id for (video_id,) in cursor.fetchall()]):
                return moved, joined
            of_batch = go_over_in(cursor, {**parameters, "videos": videos})
        moved, joined, last = moved + of_batch[0], joined + of_batch[1], videos[-1]


def go_over_in(cursor: Any, parameters: Mapping[str, object]) -> tuple[int, int]:
    """The same for the videos of a batch, which this locks."""
    cursor.execute(LOCK, parameters)
    cursor.execute(TWICE, parameters)
    found = cursor.fetchall()
    twice = [number for number, place, _ in found if place > 1]
    first = {number: position for number, place, position in found if place == 1}
    if twice:
        cursor.execute("DELETE FROM videos_categorization WHERE id = ANY(%s)", [twice])
    if first:
        cursor.execute(
            "UPDATE videos_categorization SET position = wanted.position FROM unnest(%s::bigint[], %s::int[])"
            " AS wanted (id, position) WHERE videos_categorization.id = wanted.id",
            [list(first), list(first.values())],
        )
    cursor.execute(GO_OVER, parameters)
    return cursor.rowcount, len(twice)


def finish(by: str) -> tuple[int, int]:
    """Let the pairs go over that still have a former name: after a merge, or after one that was interrupted."""
    becoming: dict[Keys, Keys] = {
        (row.pk, None): (row.merged_into_id, row.merged_below_id)
        for row in Category.objects.filter(merged_into__isnull=False)
    }
    becoming |= {
        (row.category_id, row.pk): (row.merged_into.category_id, row.merged_into_id)
        for row in Subcategory.objects.filter(merged_into__isnull=False).select_related("merged_into")
    }
    return go_over(becoming, by) if becoming else (0, 0)


def unfinished() -> bool:
    """Whether a merge was interrupted: there are pairs with a former name."""
    categories = list(Category.objects.filter(merged_into__isnull=False).values_list("pk", flat=True))
    subcategories = list(Subcategory.objects.filter(merged_into__isnull=False).values_list("pk", flat=True))
    rows = Categorization.objects.order_by()
    return rows.filter(category__in=categories).exists() or rows.filter(subcategory__in=subcategories).exists()


# Verbs --------------------------------------------------------------------------------------------


def rename(row: Named, name: str, by: str) -> Changed:
    """Give a category or subcategory another name. It keeps its key, and the old name stays as a former one.

    A former name of its own comes back. Raises Refused, with the clash if another one has such a name.
    """
    with changing(by):
        row = present(row)
        name, before = free_name(siblings(row), name, row), row.name
        category = row if isinstance(row, Category) else row.category
        told = category.name
        take_back(row, name)
        row.name = name
        row.save(update_fields=["name"])
        leave_name(row, before)
        follow_in_proposals([told], by)
    return Changed(f"“{before}” is now “{row}”.", row)


def merge(source: Named, target: Named, by: str, below: Subcategory | None = None) -> Changed:
    """Put what is in one category or subcategory into another; the first one's name stays as a former one.

    Of a category, what has a subcategory goes to the one of that name, which is added if need be; the rest to `below`
    or to the bare category. Raises Refused.
    """
    with changing(by):
        source, target, below = present(source), offered(target), below and offered(below)
        refuse_merge(source, target, below)
        if isinstance(source, Subcategory):
            said = become_subcategory(source, target, by)
        else:
            said = merge_names(source, target, below, by)
    return Changed(said, target, *finish(by))


def merge_names(source: Category, target: Category, below: Subcategory | None, by: str) -> str:
    """Make one category's names former ones of another's; what was done, in a sentence."""
    others = dict(counterparts(source, target))
    added: dict[str, Subcategory] = {}
    for row, other in others.items():
        alike = other or added.get(look(row.name)) or counterpart_for(row, target)
        others[row] = added[look(row.name)] = alike
    for row, other in others.items():
        become(row, other)
    become_category(source, target, below)
    follow_in_proposals([source.name], by)
    return f"“{source}” is now part of “{below or target}”."


def become_subcategory(source: Subcategory, target: Subcategory, by: str) -> str:
    """Make one subcategory's name a former one of another's; what was done, in a sentence."""
    said = f"“{source}” is now “{target}”."
    become(source, target)
    spread(source.category)
    follow_in_proposals([source.category.name], by)
    return said


def move(row: Subcategory, target: Category, by: str) -> Changed:
    """Put a subcategory below another category; what it was stays as a former name. Raises Refused."""
    with changing(by):
        row, target = present(row), offered(target)
        refuse_move(row, target)
        other = counterpart_for(row, target)
        said = become_subcategory(row, other, by)
    return Changed(said, other, *finish(by))


def refuse_merge(source: Named, target: Named, below: Subcategory | None) -> None:
    """Raises Refused for what cannot be merged."""
    if type(source) is not type(target):
        raise Refused("A category can be merged into a category only, and a subcategory into a subcategory.")
    if source.pk == target.pk:
        raise Refused(f"“{source}” cannot be merged into itself.")
    if below and below.category_id != target.pk:
        raise Refused(f"“{below}” is no subcategory of “{target}”.")


def refuse_move(row: Subcategory, target: Category) -> None:
    """Raises Refused if the subcategory cannot get below this category."""
    if row.category_id == target.pk:
        raise Refused(f"“{row}” is below “{target}” already.")
    same = [other for other in names_below(target) if other.merged_into_id != row.pk]
    free_name(same, row.name)


def retire(row: Named, by: str) -> Changed:
    """Offer it no more; the videos that are in it stay. Raises Refused."""
    return set_field(row, by, "is retired", retired_at=timezone.now())


def bring_back(row: Named, by: str) -> Changed:
    """Offer it again. Raises Refused."""
    return set_field(row, by, "is offered again", retired_at=None)


def place(row: Named, by: str) -> Changed:
    """Say yes to a name that a machine brought. Raises Refused."""
    return set_field(row, by, "has its place", is_new=False)


def set_field(row: Named, by: str, said: str, **values: object) -> Changed:
    with changing(by):
        row = present(row)
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=list(values))
    return Changed(f"“{row}” {said}.", row)


def add(name: str, by: str, category: Category | None = None) -> Changed:
    """Add a category, or a subcategory of one, at the end. Raises Refused, with the clash if one has such a name."""
    with changing(by):
        category = category and present(category)
        rows = names_below(category) if category else Category.objects.select_related("merged_into")
        name = free_name(rows, name)
        if category:
            row: Named = Subcategory.objects.create(category=category, name=name, position=end_of(category))
        else:
            row = Category.objects.create(name=name, position=end_of(None))
    return Changed(f"“{row}” is added.", row)


def reorder(rows: Sequence[Named], by: str) -> Changed:
    """Offer categories, or the subcategories of one, in this order; those that are not named follow as they were.

    Raises Refused.
    """
    with changing(by):
        rows = [present(row) for row in dict.fromkeys(rows)]
        if len({getattr(row, "category_id", None) for row in rows}) > 1 or len(set(map(type, rows))) > 1:
            raise Refused("Only categories can be put in order, or the subcategories of one category.")
        named = {row.pk for row in rows}
        others = [row for row in in_order(siblings(rows[0]).present()) if row.pk not in named] if rows else []
        ordered = [*rows, *others]
        late = [row for position, row in enumerate(ordered) if row.position != position]
        for position, row in enumerate(ordered):
            row.position = position
        if late:
            type(late[0]).objects.bulk_update(late, ["position"])
    return Changed("The order is saved." if late else "The order was as it is.", rows[0] if rows else None)


def map_flat(mapping: FlatMapping, by: str) -> Changed:
    """Let several flat names become pairs at once.

    A category without subcategories is merged. Of one that has some, only the bare pairs of a snapshot get the
    subcategory: its name goes on to be a category's. Raises Refused.
    """
    with changing(by):
        steps = flat_steps(mapping)
        for source, target, below, stays in steps:
            if not stays:
                become_category(source, target, below)
        if gone := [source.name for source, *_, stays in steps if not stays]:
            follow_in_proposals(gone, by)
    staying = {
        (source.pk, None): (target.pk, below.pk if below else None) for source, target, below, stays in steps if stays
    }
    moved, joined = go_over(staying, by, imported_only=staying) if staying else (0, 0)
    others = finish(by)
    return Changed(f"Mapped: {counted(len(steps), 'flat name')}.", None, moved + others[0], joined + others[1])


def flat_steps(mapping: FlatMapping) -> list[tuple[Category, Category, Subcategory | None, bool]]:
    """Each name with its pair as they are now, and whether it stays a category. Raises Refused."""
    steps = []
    for source, (target, below) in mapping.items():
        source, target, below = present(source), offered(target), below and offered(below)
        if below and below.category_id != target.pk:
            raise Refused(f"“{below}” is no subcategory of “{target}”.")
        if source.pk == target.pk and not below:
            raise Refused(f"“{source}” is that already. Choose one of its subcategories.")
        stays = source.subcategories.present().exists()
        if source.pk == target.pk and not stays:
            raise Refused(f"“{source}” cannot be merged into itself.")
        steps.append((source, target, below, stays))
    gone = {source.pk for source, *_, stays in steps if not stays}
    for source, target, *_ in steps:
        if target.pk in gone:
            raise Refused(f"“{source}” is to become “{target}”, which gets another name itself. Map it afterwards.")
    return steps


# Parts of verbs -----------------------------------------------------------------------------------


def names_below(category: Category) -> QuerySet[Subcategory]:
    """The subcategories of a category, former names too."""
    return category.subcategories.select_related("category", "merged_into__category")


def in_order(rows: QuerySet) -> QuerySet:
    return rows.order_by("position", "name")


def end_of(category: Category | None) -> int:
    """The position after the last one."""
    rows = category.subcategories.all() if category else Category.objects.all()
    last = rows.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


def counterparts(source: Category, target: Category) -> list[tuple[Subcategory, Subcategory | None]]:
    """The subcategories of one category, each with what its name means below another, if anything.

    A former name that leads back to the first category means nothing: it will be that subcategory again.
    """
    means = {row.name: row.merged_into or row for row in names_below(target)}
    alike = {look(name): row for name, row in means.items()}
    found = []
    for row in in_order(source.subcategories.present()).select_related("category"):
        other = means.get(row.name) or alike.get(look(row.name))
        found.append((row, None if other is None or other.category_id == source.pk else other))
    return found


def counterpart_for(row: Subcategory, target: Category) -> Subcategory:
    """A subcategory of another category with this one's name: a former name that is one again, or a new row."""
    values = {"is_new": row.is_new, "retired_at": row.retired_at, "position": end_of(target), "merged_into": None}
    other, _ = Subcategory.objects.update_or_create(category=target, name=row.name, defaults=values)
    return other


def become(row: Subcategory, other: Subcategory) -> None:
    """Make a former name of a subcategory, and of its former names those of the other."""
    Subcategory.objects.filter(merged_into=row).update(merged_into=other)
    Category.objects.filter(merged_below=row).update(merged_below=other, merged_into=other.category_id)
    row.merged_into, row.is_new = other, False
    row.save(update_fields=["merged_into", "is_new"])


def become_category(source: Category, target: Category, below: Subcategory | None) -> None:
    """Make a former name of a category, and of its former names those of the other."""
    spread(source)
    source.former_names.update(merged_into=target, merged_below=below)
    source.merged_into, source.merged_below, source.is_new = target, below, False
    source.save(update_fields=["merged_into", "merged_below", "is_new"])
    spread(target)


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


# What they would do -------------------------------------------------------------------------------

UNDO_MERGE = (
    "A merge cannot be taken back as one. The history says which videos were where; to part them again, add a"
    " category, choose its videos in the list, and replace the pair."
)


def preview_rename(row: Named, name: str) -> Preview:
    """What `rename` would do. Raises Refused as that does."""
    row = present(row)
    name = free_name(siblings(row), name, row)
    former = siblings(row).filter(name=name, merged_into=row).exists()
    below = row.subcategories.present().count() if isinstance(row, Category) else 0
    return Preview(
        f"“{row}” becomes “{name}”{', a name that it had before' if former else ''}."
        f" What comes in as “{row.name}” goes there from now on.",
        f"Rename it back to “{row.name}”: nothing else has to be done.",
        videos_in(row),
        titles_in(row),
        (f"It keeps its {counted(below, 'subcategory', 'subcategories')}.",) if below else (),
    )


def preview_merge(source: Named, target: Named, below: Subcategory | None = None) -> Preview:
    """What `merge` would do. Raises Refused as that does."""
    source, target, below = present(source), offered(target), below and offered(below)
    refuse_merge(source, target, below)
    lines = []
    if isinstance(source, Category):
        for row, other in counterparts(source, target):
            becomes = f"becomes “{other}”, which is there" if other else f"is added below “{target}”"
            lines.append(f"“{row.name}” ({counted(videos_in(row), 'video')}) {becomes}.")
        lines.append(f"What has no subcategory goes to “{below or target}”{'' if below else ', without one'}.")
    said = f"“{source}” becomes part of “{target}”. What comes in as “{source}” goes there from now on."
    return Preview(said, UNDO_MERGE, videos_in(source), titles_in(source), tuple(lines))


def preview_move(row: Subcategory, target: Category) -> Preview:
    """What `move` would do. Raises Refused as that does."""
    row, target = present(row), offered(target)
    refuse_move(row, target)
    said = f"“{row}” becomes “{target} › {row.name}”. What comes in as “{row}” goes there from now on."
    return Preview(said, f"Move it back to “{row.category}”.", videos_in(row), titles_in(row))


def preview_retire(row: Named) -> Preview:
    """What `retire` would do. Raises Refused as that does."""
    row = present(row)
    said = f"“{row}” is not offered any more. The videos that are in it stay there, and readers find them."
    below = ("Its subcategories are not offered either.",) if isinstance(row, Category) else ()
    return Preview(said, "Bring it back.", videos_in(row), titles_in(row), below)


def preview_bring_back(row: Named) -> Preview:
    """What `bring_back` would do. Raises Refused as that does."""
    row = present(row)
    return Preview(f"“{row}” is offered again.", "Retire it.", videos_in(row), titles_in(row))


def preview_place(row: Named) -> Preview:
    """What `place` would do. Raises Refused as that does."""
    row = present(row)
    said = f"“{row}” is a name of the taxonomy, and waits for nobody any more."
    return Preview(said, "Retire it, or merge it into another one.", videos_in(row), titles_in(row))


def preview_flat(mapping: FlatMapping) -> Preview:
    """What `map_flat` would do. Raises Refused as that does."""
    steps = flat_steps(mapping)
    lines, concerned = [], []
    for source, target, below, stays in steps:
        rows = bare_pairs(source, imported_only=stays)
        concerned.append(rows)
        videos = counted(live_videos([rows]).count(), "video")
        lines.append(
            f"“{source}” ({videos}) becomes “{below or target}”;"
            f" the name {'stays a category' if stays else 'becomes a former one'}."
        )
    videos = live_videos(concerned)
    titles = tuple(video.display_title for video in videos.order_by("pk").only("title")[:SHOWN_TITLES])
    return Preview(f"{counted(len(steps), 'flat name')} at once.", UNDO_MERGE, videos.count(), titles, tuple(lines))


def bare_pairs(category: Category, *, imported_only: bool) -> QuerySet[Categorization]:
    """The pairs of a category that have no subcategory."""
    rows = Categorization.objects.filter(category=category, subcategory=None)
    return rows.filter(origin=Origin.IMPORTED) if imported_only else rows


def live_videos(rows: Sequence[QuerySet[Categorization]]) -> QuerySet[Video]:
    """The live videos that have one of these pairs."""
    if not rows:
        return Video.objects.none()
    return Video.objects.live().filter(reduce(or_, (Q(pk__in=some.order_by().values("video")) for some in rows)))


def numbers() -> dict[Keys, int]:
    """How many live videos are in each category (with None) and in each subcategory."""
    counts = FacetCount.objects.filter(facet__in=("category", "subcategory"))
    rows = counts.order_by().values_list("category_id", "subcategory_id").annotate(videos=Sum("count"))
    return {(category, below): videos for category, below, videos in rows if videos}


def videos_in(row: Named) -> int:
    """How many live videos are in a category or subcategory."""
    if isinstance(row, Category):
        counts = FacetCount.objects.filter(facet="category", category_id=row.pk)
    else:
        counts = FacetCount.objects.filter(facet="subcategory", subcategory_id=row.pk)
    return counts.aggregate(videos=Sum("count"))["videos"] or 0


def titles_in(row: Named) -> tuple[str, ...]:
    """Titles of some live videos of a category or subcategory."""
    which = {"category": row} if isinstance(row, Category) else {"subcategory": row}
    rows = Categorization.objects.filter(**which, video__deleted_at=None).order_by("video")
    # A video is in a category as often as it has subcategories there.
    titles = dict(rows.values_list("video", "video__title").distinct()[:SHOWN_TITLES])
    return tuple(title or "Untitled" for title in titles.values())
