"""Facets: for each filter the values there are, and how many videos each would show."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.core.exceptions import EmptyResultSet
from django.db import connection

from .models import match_key
from .search import Search

# The facets, in the order of the answer, and the filters of Search that are a facet's own.
OWN_FILTERS = {
    "source": ("sources",),
    "language": ("languages",),
    "category": ("categories", "subcategories", "parent_categories", "uncategorised"),
    "content_type": ("content_types",),
    "complexity_level": ("complexity_levels",),
    "channel": ("channels",),
    "has_audio": ("has_audio",),
}
COLUMNS = {
    "source": "source",
    "language": "language",
    "content_type": "content_type",
    "complexity_level": "complexity_level",
    "channel": "channel_name",
    "has_audio": "has_audio::text",
}

KEPT = """
    SELECT facet, value, category_id, subcategory_id, sum(count)::bigint AS count
    FROM videos_facetcount GROUP BY 1, 2, 3, 4
"""
COUNT_COLUMN = """
    SELECT '{facet}' AS facet, {column} AS value, NULL::bigint AS category_id, NULL::bigint AS subcategory_id,
        count(*) AS count
    FROM matched GROUP BY 2
"""
COUNT_CATEGORIES = """
    SELECT 'category' AS facet, '' AS value, category_id, NULL AS subcategory_id,
        count(DISTINCT video_id) AS count
    FROM matched JOIN videos_categorization USING (video_id) GROUP BY 3
    UNION ALL
    SELECT 'subcategory', '', category_id, subcategory_id, count(*) FROM matched
    JOIN videos_categorization USING (video_id) WHERE subcategory_id IS NOT NULL GROUP BY 3, 4
    UNION ALL
    SELECT 'uncategorised', '', NULL, NULL, count(*) FROM matched
    WHERE NOT EXISTS (SELECT FROM videos_categorization AS row WHERE row.video_id = matched.video_id)
"""
WITH_NAMES = (
    "SELECT counted.facet, counted.value, category.name, subcategory.name, counted.count FROM",
    """AS counted
    LEFT JOIN videos_category AS category ON category.id = counted.category_id
    LEFT JOIN videos_subcategory AS subcategory ON subcategory.id = counted.subcategory_id
    WHERE counted.count > 0
    """,
)

Row = tuple[str, str, str | None, str | None, int]


@dataclass(frozen=True)
class FacetValue:
    """One value of a facet, the number of videos that its filter returns, and what is below it."""

    value: str | bool
    count: int
    subcategories: tuple["FacetValue", ...] = ()


def facets(search: Search) -> dict[str, tuple[FacetValue, ...]]:
    """Every facet's values, largest count first, then by name; has_audio false first.

    Each facet counts under all the *other* filters of the search. One query answers for all facets
    that no filter is set for; each facet with a filter takes one more.
    """
    return arranged(search)[0]


def uncategorised_count(search: Search) -> int:
    """How many videos are in no category, under all the filters but the category facet's own."""
    if not search.filters:
        # The kept counts do not know it.
        return search.changed(uncategorised=True).count()
    return arranged(search)[1]


def arranged(search: Search) -> tuple[dict[str, tuple[FacetValue, ...]], int]:
    """The facets, and what is in no category as far as a filter is set; remembered."""
    return search.at_this_revision(count_facets, search.without_view())


def count_facets(search: Search) -> tuple[dict[str, tuple[FacetValue, ...]], int]:
    if not search.filters:
        return recounted(search, counted(KEPT, ())), 0
    groups = defaultdict(list)
    for facet, own in OWN_FILTERS.items():
        groups[frozenset(own) & frozenset(search.filters)].append(facet)
    rows: list[Row] = []
    for own, names in groups.items():
        matched = search.without(*own).matching().values("video_id", *sorted(columns_of(names)))
        try:
            sql, params = matched.query.sql_with_params()
        except EmptyResultSet:
            continue
        parts = [COUNT_COLUMN.format(facet=name, column=COLUMNS[name]) for name in names if name in COLUMNS]
        if "category" in names:
            parts.append(COUNT_CATEGORIES)
        rows += counted(f"WITH matched AS MATERIALIZED ({sql}) {' UNION ALL '.join(parts)}", params)
    return recounted(search, rows), sum(count for facet, *_, count in rows if facet == "uncategorised")


def recounted(search: Search, rows: Iterable[Row]) -> dict[str, tuple[FacetValue, ...]]:
    """The facets. Where several categories are one to the filter, a video in two of them is counted once."""
    rows = tuple(rows)
    ids: dict[tuple[str, ...], set[tuple[str | None, str | None]]] = defaultdict(set)
    for facet, _, category, subcategory, _ in rows:
        if facet in ("category", "subcategory") and category:
            names = (category,) if facet == "category" else (category, subcategory or "")
            ids[tuple(map(match_key, names))].add((category, subcategory))
    others = search.without(*OWN_FILTERS["category"])
    exact = {}
    for key, spelt in ids.items():
        if len(spelt) > 1:
            own = {"categories": key} if len(key) == 1 else {"parent_categories": key[:1], "subcategories": key[1:]}
            exact[key] = others.changed(**own).matching().count()
    return arrange(rows, exact)


def columns_of(names: Iterable[str]) -> set[str]:
    return {COLUMNS[name].partition(":")[0] for name in names if name in COLUMNS}


def counted(sql: str, params: tuple) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(f"{WITH_NAMES[0]} ({sql}) {WITH_NAMES[1]}", params)
        return cursor.fetchall()


def arrange(rows: Iterable[Row], exact: Mapping[tuple[str, ...], int]) -> dict[str, tuple[FacetValue, ...]]:
    """Rows of counts as facets. Values that the filter takes for equal are one value, under its commonest spelling.

    `exact` are the counts of those categories, and pairs, that cannot be added up.
    """
    totals: dict[str, dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    spellings: dict[tuple[str, ...], tuple[int, str]] = {}

    def add(facet: str, *names: str, count: int) -> None:
        key = tuple(map(match_key, names))
        totals[facet][key] += count
        spellings[key] = max(spellings.get(key, (0, "")), (count, names[-1]))

    for facet, value, category, subcategory, count in rows:
        if facet == "category" and category:
            add("category", category, count=count)
        elif facet == "subcategory" and category and subcategory:
            add("subcategory", category, subcategory, count=count)
        elif facet in COLUMNS and match_key(value):
            add(facet, value, count=count)

    for key, count in exact.items():
        totals["category" if len(key) == 1 else "subcategory"][key] = count

    def sort_key(item: FacetValue) -> tuple[int, str]:
        return (-item.count, str(item.value))

    below = defaultdict(list)
    for key, count in totals["subcategory"].items():
        below[key[0]].append(FacetValue(spellings[key][1], count))
    answer = {}
    for facet in OWN_FILTERS:
        values = [
            FacetValue(
                spellings[key][1], count, tuple(sorted(below[key[0]], key=sort_key)) if facet == "category" else ()
            )
            for key, count in totals[facet].items()
        ]
        answer[facet] = tuple(sorted(values, key=sort_key))
    answer["has_audio"] = tuple(
        FacetValue(flag, totals["has_audio"][(str(flag).lower(),)])
        for flag in (False, True)
        if totals["has_audio"][(str(flag).lower(),)]
    )
    return answer
