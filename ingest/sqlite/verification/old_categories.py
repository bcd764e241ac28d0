"""The categories that a row of `content` says, read for a comparison by rules of their own (docs/import.md)."""

import json
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from ingest.sqlite.codec import Value

from .old_values import lenient, read_json


class SourcePair(NamedTuple):
    """A category that a row is in, its subcategory, and the column that says so."""

    category: str
    subcategory: str | None
    column: str

    @property
    def names(self) -> tuple[str, str | None]:
        return self.category, self.subcategory


@cache
def taxonomy() -> tuple[dict[str, list[str]], frozenset[str]]:
    """The known categories with their subcategories, and all names that a joined text is split into."""
    listed = json.loads(Path(settings.BASE_DIR, "videos", "taxonomy.json").read_text())
    categories = {entry["category"]: entry["subcategories"] for entry in listed["categories"]}
    return categories, frozenset([*categories, *listed["older_flat_names"]])


# Few different texts, on many rows.
@lru_cache(maxsize=1000, typed=True)
def flat_names(value: Value) -> tuple[str, ...]:
    """The names in `category`: a JSON list, a JSON string, plain text, or known names joined by commas."""
    text = lenient(value).strip()
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = text
    if isinstance(parsed, list):
        return unique(parsed)
    if isinstance(parsed, str):
        parts = parsed.split(", ")
        return unique(parts if len(parts) > 1 and taxonomy()[1].issuperset(parts) else [parsed])
    return () if parsed is None else unique([text])


@lru_cache(maxsize=1000, typed=True)
def names_as_sent(value: Value) -> dict[str, tuple[str, ...]]:
    """What `subcategories_json` says. Raises what is no structure of categories."""
    return structured_names(read_json(value))


def structured_names(value: Any) -> dict[str, tuple[str, ...]]:
    """Category → subcategories of `{"categories": [{category, subcategories}]}` or of the bare list."""
    entries = value.get("categories") if isinstance(value, dict) else value
    below: dict[str, tuple[str, ...]] = {}
    for entry in entries or []:
        if name := str(entry["category"]).strip():
            below[name] = unique([*below.get(name, ()), *(entry.get("subcategories") or [])])
    return below


def unique(names: Iterable[Any]) -> tuple[str, ...]:
    """Names without white space around them, empty ones and repetitions."""
    return tuple(dict.fromkeys(name for name in (str(name).strip() for name in names) if name))


def source_pairs(values: dict[str, Value]) -> tuple[list[SourcePair], str]:
    """The categories that a row of `content` says, in order; and a subcategory that belongs to none of them."""
    flat = flat_names(values.get("category"))
    below, column = {}, "subcategories_json"
    try:
        below = names_as_sent(values.get("subcategories_json"))
        if not below and isinstance(analysis := read_json(values.get("analysis")), dict):
            below, column = structured_names(analysis.get("categories")), "analysis"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Of a row that is modelled this can be read; otherwise the comparison says what is missing.
        below = {}
    lone = lenient(values.get("subcategory")).strip()
    if lone and not below and flat:
        listed = taxonomy()[0]
        parent = next((name for name in flat if lone in listed.get(name, ())), flat[0])
        below, column, lone = {parent: (lone,)}, "subcategory", ""
    pairs = []
    for category in dict.fromkeys([*flat, *below]):
        if names := below.get(category):
            pairs += [SourcePair(category, name, column) for name in names]
        else:
            pairs.append(SourcePair(category, None, "category" if category in flat else column))
    return pairs, lone if not below else ""
