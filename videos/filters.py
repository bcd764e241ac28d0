"""What the filter form and the line of active filters show: facets, their rows, sorts, and links that take one off."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .facets import FacetValue
from .languages import language_of
from .links import CATEGORY, FIND, FINDABLE, UNCATEGORISED, UNDER, Address
from .models import match_key
from .search import Search, canonical

# The most values that a facet lists; the page must stay light with thousands of channels.
LISTED = 50

UNCATEGORISED_LABEL = "Uncategorised"
AUDIO_LABELS = {True: "With audio", False: "Without audio"}
SOURCES = {
    "youtube": "YouTube",
    "reddit": "Reddit",
    "wikipedia": "Wikipedia",
    "web": "Web",
    "lds": "Church of Jesus Christ",
    "other": "Other",
}
SORTS = (
    ("added_desc", "Recently Added"),
    ("video_newest", "Video Newest"),
    ("video_oldest", "Video Oldest"),
    ("title_az", "Title A→Z"),
    ("title_za", "Title Z→A"),
    ("duration_desc", "Longest First"),
    ("duration_asc", "Shortest First"),
)
SORTS_SHOWN = 2


@dataclass(frozen=True)
class Row:
    """One value of a facet: a checkbox with this name and value, and what is below it."""

    name: str
    value: str
    label: str
    count: str
    checked: bool
    below: tuple["Row", ...] = ()

    @property
    def open(self) -> bool:
        """Whether something below is ticked, so that it must be seen."""
        return any(row.checked for row in self.below)


@dataclass(frozen=True)
class Facet:
    """One facet of the form: rows in sight, rows behind "Show more", and the number of values not listed at all.

    `find_name` names the field that finds those. Empty text: there is no such number, field or link.
    """

    name: str
    title: str
    singular: str
    rows: tuple[Row, ...]
    more: tuple[Row, ...]
    unlisted: str
    find_name: str
    find: str
    all_url: str
    clear_url: str


@dataclass(frozen=True)
class ActiveFilter:
    """A filter that is set: what it is a choice of, the choice, and the URL of the page without it."""

    kind: str
    label: str
    url: str


@dataclass(frozen=True)
class Sort:
    value: str
    label: str
    checked: bool


@dataclass(frozen=True)
class Kind:
    """What is known of a facet before anything is counted."""

    name: str
    counted_as: str
    title: str
    singular: str
    field: str
    shown: int


KINDS = (
    Kind("category", "category", "Categories", "Category", "categories", 8),
    Kind("channel", "channel", "Channels", "Channel", "channels", 5),
    Kind("content_type", "content_type", "Content Type", "Content type", "content_types", 5),
    Kind("complexity", "complexity_level", "Complexity", "Complexity", "complexity_levels", 5),
    Kind("language", "language", "Language", "Language", "languages", 5),
    Kind("source", "source", "Source", "Source", "sources", 5),
    Kind("has_audio", "has_audio", "Has Audio", "Audio", "has_audio", 2),
)


def label_of(name: str, value: str) -> str:
    """A facet's value as people read it."""
    if name == "language":
        return language_of(value).name
    return SOURCES.get(value, value) if name == "source" else value


def facet_list(
    search: Search,
    address: Address,
    counted: Mapping[str, tuple[FacetValue, ...]],
    pairs: Iterable["SelectedPair"],
    uncategorised: int,
) -> tuple[Facet, ...]:
    """The facets of the form; those without any value are left out. `uncategorised` are in no category."""
    pairs = tuple(pairs)
    built = (
        facet_of(
            kind, search, address, counted[kind.counted_as], pairs, uncategorised if kind.name == "category" else 0
        )
        for kind in KINDS
    )
    return tuple(facet for facet in built if facet.rows or facet.find)


def facet_of(
    kind: Kind,
    search: Search,
    address: Address,
    values: tuple[FacetValue, ...],
    pairs: tuple["SelectedPair", ...],
    uncategorised: int,
) -> Facet:
    """One facet with its values in the order given, the ticked ones always in sight, and what has none of them."""
    parameters = CATEGORY if kind.name == "category" else (kind.name,)
    find = address.get(f"{FIND}{kind.name}")
    findable = kind.name in FINDABLE and (len(values) > LISTED or bool(find))
    if kind.name == "has_audio":
        listed, found = values, len(values)
        rows = list(audio_rows(search, values))
    elif kind.name == "category":
        selected = {*search.categories, *(pair.category for pair in pairs if pair.category)}
        listed, found = narrowed(kind, values, selected, find)
        rows = list(category_rows(search, listed, pairs))
    else:
        selected = getattr(search, kind.field)
        listed, found = narrowed(kind, values, selected, find)
        rows = list(value_rows(kind.name, selected, listed))

    shown = len(rows) if find else kind.shown
    if len(rows) == shown + 1:
        # "Show more" would take the place of the one row that it hides.
        shown += 1
    in_sight = [row for index, row in enumerate(rows) if index < shown or row.checked or row.open]
    more = [row for index, row in enumerate(rows) if index >= shown and not row.checked and not row.open]
    every: dict[str, list[str]] = {kind.name: [row.value for row in rows]}
    if kind.name == "category":
        for row in uncategorised_rows(search, uncategorised, find):
            rows.append(row)
            in_sight.append(row)
            every[UNCATEGORISED] = [row.value]
    tickable = kind.name != "has_audio" and not findable and len(rows) > 1 and not all(row.checked for row in rows)
    return Facet(
        name=kind.name,
        title=kind.title,
        singular=kind.singular.lower(),
        rows=tuple(in_sight),
        more=tuple(more),
        unlisted=f"{found - len(listed):,}" if found > len(listed) else "",
        find_name=f"{FIND}{kind.name}" if findable else "",
        find=find,
        all_url=(address.having({**dict.fromkeys(parameters, ()), **every}).url if tickable else ""),
        clear_url=(
            address.having(dict.fromkeys(parameters, ())).url
            if any(name in address.values for name in parameters)
            else ""
        ),
    )


def narrowed(
    kind: Kind, values: tuple[FacetValue, ...], selected: Container[str], find: str
) -> tuple[tuple[FacetValue, ...], int]:
    """The values to list, and the number of those that could be: the first ones, and the selected ones always."""
    if find:
        wanted = find.casefold()
        values = tuple(
            value
            for value in values
            if wanted in label_of(kind.name, value.value).casefold()
            or any(wanted in below.value.casefold() for below in value.subcategories)
            or match_key(value.value) in selected
        )
    if len(values) <= LISTED:
        return values, len(values)
    rest = (value for value in values[LISTED:] if match_key(value.value) in selected) if selected else ()
    return (*values[:LISTED], *rest), len(values)


def uncategorised_rows(search: Search, count: int, find: str) -> Iterator[Row]:
    """The row of what is in no category, if there is any or it is ticked."""
    if search.uncategorised or (count and find.casefold() in UNCATEGORISED_LABEL.casefold()):
        yield Row(UNCATEGORISED, "true", UNCATEGORISED_LABEL, f"{count:,}", search.uncategorised)


def audio_rows(search: Search, values: Iterable[FacetValue]) -> Iterator[Row]:
    """With and without audio, as far as there are such videos or one of them is ticked."""
    counts = {value.value: value.count for value in values}
    for flag, label in AUDIO_LABELS.items():
        if flag in counts or search.has_audio is flag:
            yield Row("has_audio", str(flag).lower(), label, f"{counts.get(flag, 0):,}", search.has_audio is flag)


def value_rows(name: str, selected: Iterable[str], values: Iterable[FacetValue]) -> Iterator[Row]:
    """Rows of the values, then of the selected ones that nothing matches any more: they can be unticked."""
    missing = dict.fromkeys(selected, True)
    for value in values:
        key = match_key(value.value)
        checked = missing.pop(key, False)
        yield Row(name, key, label_of(name, value.value), f"{value.count:,}", checked)
    for key in missing:
        yield Row(name, key, label_of(name, key), "0", True)


@dataclass(frozen=True)
class SelectedPair:
    """A subcategory that is chosen; the category is None where no category is named and none is known."""

    category: str | None
    subcategory: str


def selected_pairs(search: Search, values: Iterable[FacetValue]) -> tuple[SelectedPair, ...]:
    """The pairs that the search's subcategories and parents stand for.

    The address holds both as lists, so each parent is combined with each subcategory that it really has.
    """
    if not search.subcategories:
        return ()
    found = [
        SelectedPair(match_key(category.value), match_key(below.value))
        for category in values
        if not search.parent_categories or match_key(category.value) in search.parent_categories
        for below in category.subcategories
        if match_key(below.value) in search.subcategories
    ]
    known = {pair.subcategory for pair in found}
    parent = search.parent_categories[0] if len(search.parent_categories) == 1 else None
    return (*found, *(SelectedPair(parent, name) for name in search.subcategories if name not in known))


def category_rows(search: Search, values: tuple[FacetValue, ...], pairs: tuple[SelectedPair, ...]) -> Iterator[Row]:
    """Rows of the categories with their subcategories; selected ones that nothing matches come last."""
    selected: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.category is not None:
            selected.setdefault(pair.category, []).append(pair.subcategory)
    missing = dict.fromkeys((*search.categories, *selected))
    for value in values:
        key = match_key(value.value)
        missing.pop(key, None)
        chosen = selected.get(key, ())
        below = tuple(value_rows(f"{UNDER}{key}", chosen, value.subcategories))
        yield Row("category", key, value.value, f"{value.count:,}", key in search.categories, below)
    for name in missing:
        below = tuple(value_rows(f"{UNDER}{name}", selected.get(name, ()), ()))
        yield Row("category", name, name, "0", name in search.categories, below)


def active_filters(search: Search, address: Address, pairs: Iterable[SelectedPair]) -> tuple[ActiveFilter, ...]:
    """Everything that narrows the list, each with the URL of the page without it."""
    return tuple(each_active_filter(search, address, tuple(pairs)))


def each_active_filter(search: Search, address: Address, pairs: tuple[SelectedPair, ...]) -> Iterator[ActiveFilter]:
    if search.q:
        yield ActiveFilter("Search", f"“{search.q}”", address.having({"q": ()}).url)
    for kind in KINDS:
        if kind.name == "has_audio":
            continue
        for value in getattr(search, kind.field):
            yield ActiveFilter(kind.singular, label_of(kind.name, value), address.without(kind.name, value).url)
        if kind.name == "category":
            for pair in pairs:
                label = f"{pair.category} › {pair.subcategory}" if pair.category else pair.subcategory
                yield ActiveFilter("Subcategory", label, without_pair(address, pair, pairs).url)
            if search.uncategorised:
                yield ActiveFilter(kind.singular, UNCATEGORISED_LABEL, address.having({UNCATEGORISED: ()}).url)
    for topic in search.topics:
        yield ActiveFilter("Topic", topic, address.without("topics", topic).url)
    if search.has_audio is not None:
        yield ActiveFilter("Audio", AUDIO_LABELS[search.has_audio], address.having({"has_audio": ()}).url)
    if search.published_from:
        yield ActiveFilter("Published from", address.get("date_from"), address.having({"date_from": ()}).url)
    if search.published_before:
        yield ActiveFilter("Published until", address.get("date_to"), address.having({"date_to": ()}).url)


def without_pair(address: Address, removed: SelectedPair, pairs: tuple[SelectedPair, ...]) -> Address:
    """The address without one pair.

    Where another category and another subcategory that stay would still make up the pair, every pair
    with this subcategory goes: a link that changes nothing would be worse.
    """
    kept = [pair for pair in pairs if pair != removed]
    parents = {pair.category for pair in kept}
    if removed.category in parents and any(pair.subcategory == removed.subcategory for pair in kept):
        kept = [pair for pair in kept if pair.subcategory != removed.subcategory]
    return address.having(
        {
            "subcategory": dict.fromkeys(pair.subcategory for pair in kept),
            "parentCategory": dict.fromkeys(pair.category for pair in kept if pair.category),
        }
    )


def sorts(search: Search) -> tuple[tuple[Sort, ...], tuple[Sort, ...]]:
    """The sorts in sight and those behind "Show more". The default has no value, so that it leaves the address."""
    if search.q:
        options = [("", "Best Match"), *SORTS]
        checked = canonical(search.sort)
    else:
        (default, label), *others = SORTS
        options = [("", label), *others]
        checked = "" if search.sort == default else canonical(search.sort)
    listed = [Sort(value, label, canonical(value) == checked) for value, label in options]
    in_sight = [sort for index, sort in enumerate(listed) if index < SORTS_SHOWN or sort.checked]
    return tuple(in_sight), tuple(sort for sort in listed if sort not in in_sight)
