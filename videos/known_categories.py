"""The categories that the worker's prompt lists. Others are stored as well: the list is open."""

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("taxonomy.json")


@cache
def known_categories() -> dict[str, tuple[str, ...]]:
    """Names of the known categories, each with those of its subcategories, in order."""
    return named_in(json.loads(FILE.read_text()))


@cache
def known_pairs() -> frozenset[tuple[str, str | None]]:
    """Each known category and subcategory, and each category alone."""
    return frozenset(
        (category, below) for category, subcategories in known_categories().items() for below in (None, *subcategories)
    )


def named_in(document: dict[str, list[dict[str, object]]]) -> dict[str, tuple[str, ...]]:
    """The names in a list of categories, as {"categories": [{"category": …, "subcategories": […]}, …]}."""
    return {entry["category"]: tuple(entry["subcategories"]) for entry in document["categories"]}
