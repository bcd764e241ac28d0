"""Values that differ, side by side for people."""

import json
from datetime import datetime
from typing import Any

from ingest.sqlite.codec import Text
from ingest.values import printable

SHOWN_CHARACTERS = 60


def side_by_side(one: Any, other: Any) -> tuple[str, str]:
    """Two values for people, from a little before the first difference."""
    texts = [in_words(one), in_words(other)]
    same = next((place for place, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), None)
    start = max(0, (min(map(len, texts)) if same is None else same) - SHOWN_CHARACTERS // 2)
    shown = []
    for text in texts:
        part = text[start : start + SHOWN_CHARACTERS]
        shown.append(("…" if start else "") + part + ("…" if len(text) > start + SHOWN_CHARACTERS else ""))
    return shown[0], shown[1]


def in_words(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case Text():
            return f"'{printable(value.decode(errors='backslashreplace'))}'"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            return f"'{printable(value)}'"
        case datetime():
            return value.isoformat()
        case (str(category), None | str() as subcategory):
            return printable(category if subcategory is None else f"{category} › {subcategory}")
        case list() if all(isinstance(item, tuple) for item in value):
            return ", ".join(map(in_words, value)) or "none"
        case list() | dict():
            return printable(json.dumps(value, ensure_ascii=False, default=str))
    return str(value)
