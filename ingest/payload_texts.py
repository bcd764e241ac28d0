"""The texts of a summary that a payload holds, in whatever form it holds them (contract/ingest.md, Summaries).

A text, a list, an object, an object as JSON or as a Python literal; the renditions of an object, and its list of
variants, are texts of their own. A text that says that there is no summary is none: it stays where it was sent.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from summaries.models import SummaryText, Variant

from .body import TOP, Body, Path, RepeatedKey, decoded, is_blank, loads, time, wrong_type
from .sqlite.mapping import Mapper, Unmodelled, language_of, storable_json

FAILURE = re.compile(r"\W*(?:summary generation failed|unable to generate|no summary available)", re.IGNORECASE)
# A failure is a sentence; a summary that begins like one goes on.
LONGEST_FAILURE = 300
# Python's parser needs seconds for a megabyte of small tokens.
LONGEST_LITERAL = 250_000


KINDS = ("summary_variant", "summary_type", "variant", "variant_type", "type")
TEXTS = ("text", "content", "summary", "summary_text", "html")
# Keys of an object that tell about a text; any other beside a known variant is a variant, too.
DESCRIPTIONS = {
    *KINDS, *TEXTS, "analysis", "audio_url", "created_at", "default_variant", "duration", "generated_at", "headline",
    "html", "kind", "language", "latest_variant", "metadata", "model", "proficiency", "summary_html", "title",
    "updated_at", "variants",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A text of a summary, and the places that it consists of."""

    paths: tuple[Path, ...]
    text: SummaryText


def is_failure(text: str) -> bool:
    """Whether a summary's text says that there is none."""
    return len(text) <= LONGEST_FAILURE and bool(FAILURE.match(text))


def texts_of(body: Body) -> list[SummaryText]:
    """The texts, one for each variant: the newest, else the longest. Another one stays where it was sent."""
    named = [value for _, value in body.places(("summary_variant", "summary_type"), (TOP,)) if isinstance(value, str)]
    kind = next((name for name in named if name.strip()), "")
    found = [*entries(body, ("summary_variants",), "")]
    main = [path for path, value in body.places(("summary_text", "summary_html"), (TOP,)) if not is_blank(value)]
    if main:
        found += found_in(body, main[0], kind)
    found += found_in(body, ("summary",), kind)
    best: dict[str, Found] = {}
    for one in found:
        if is_failure(one.text.text):
            continue
        best.setdefault(one.text.variant, one)
        if rank(one) > rank(best[one.text.variant]):
            best[one.text.variant] = one
    texts = []
    for variant, one in best.items():
        text = one.text
        for same in found:
            if same.text.variant == variant and same.text.text == text.text:
                if same.text.metadata in (None, text.metadata) or text.metadata is None:
                    body.taken.update(same.paths)
                text = replace(
                    text,
                    metadata=text.metadata or same.text.metadata,
                    language=text.language or same.text.language,
                    generated_at=text.generated_at or same.text.generated_at,
                )
        texts.append(text)
    for path, value in body.places(("summary_variant", "summary_type"), (TOP,)):
        if isinstance(value, str) and (Variant.parse(value) in best or is_blank(value)):
            body.taken.add(path)
    return texts


def rank(found: Found) -> tuple[datetime, int]:
    return found.text.generated_at or datetime.min.replace(tzinfo=UTC), len(found.text.text)


def kind_of(value: Mapping[str, Any], default: str) -> str:
    """The variant that an object names; an audio text's level of proficiency belongs to its name."""
    name = next((value[key] for key in KINDS if isinstance(value.get(key), str) and value[key].strip()), default)
    level = value.get("proficiency")
    if name and ":" not in name and isinstance(level, str) and level.strip():
        name = f"{name}:{level}"
    return name


def made(text: Any, kind: str, about: Mapping[str, Any], metadata: Any = None) -> SummaryText:
    """Raises Unmodelled for a variant's name that cannot be stored."""
    variant = Mapper().variant({"variant": None}, "variant", kind)
    language = about.get("language")
    return SummaryText(
        variant,
        text if isinstance(text, str) else json.dumps(text, ensure_ascii=False),
        language=language if isinstance(language, str) and language.strip() else language_of(variant),
        generated_at=moment_of(about.get("generated_at")),
        metadata=metadata or None,
    )


def moment_of(value: Any) -> datetime | None:
    """A time, or None for what is none: it stays among the metadata."""
    try:
        return time(value, "generated_at")
    except Unmodelled:
        return None


def found_in(body: Body, path: Path, kind: str, about: Mapping[str, Any] | None = None) -> Iterator[Found]:
    """The texts of a summary: a text, a list, an object, or an object as text. Raises Unmodelled."""
    value, about = body.get(path), about or {}
    if is_blank(value):
        return
    if isinstance(value, str) and (found := object_in(value)) is not None:
        body.put(path, value := found)
    match value:
        case str():
            yield Found((path,), made(value, kind, about))
        case list():
            if any(isinstance(entry, dict) and text_key(entry) for entry in value):
                yield from entries(body, path, kind)
            else:
                yield Found((path,), made(value, kind, about))
        case dict():
            yield from renditions(body, path, kind_of(value, kind), about)
        case _:
            raise wrong_type(value, str(path[-1]), "a text")


def renditions(body: Body, path: Path, kind: str, about: Mapping[str, Any]) -> Iterator[Found]:
    """The texts of an object: its main text, its list of variants, and those under the names of variants."""
    value = body.get(path)
    about = {**about, **{key: value[key] for key in ("language", "generated_at") if value.get(key)}}
    described = tuple((*path, key) for key in (*KINDS, "language", "generated_at") if isinstance(value.get(key), str))
    count = 0
    main = [key for key in TEXTS if not is_blank(value.get(key))]
    for key in [key for key in main if key != "html"] or main:
        for found in found_in(body, (*path, key), kind, about):
            count += 1
            yield replace(found, paths=found.paths + described)
    for key in ("variants", "summary_variants"):
        for found in entries(body, (*path, key), ""):
            count += 1
            yield found
    named = {key: Variant.parse(key) for key in value if key not in DESCRIPTIONS and not is_blank(value[key])}
    known = [key for key, name in named.items() if name.partition(":")[0] in Variant.values]
    for key in named if known and not count else known:
        if isinstance(value[key], str | list | dict):
            count += 1
            for found in found_in(body, (*path, key), named[key], about):
                yield replace(found, paths=found.paths + described)
    if not count and named:
        # Of a form that is not known: whole, so that the reader shows every word.
        yield Found((path,), made(value, kind, about))


def entries(body: Body, path: Path, kind: str) -> Iterator[Found]:
    """The texts of a list of variants, or of an object with a key for each. Raises Unmodelled."""
    value = body.get(path)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        body.put(path, value := decoded(value, str(path[-1])))
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        name = step if isinstance(step, str) else kind
        if isinstance(item, dict) and (key := text_key(item)):
            used = {key, "language", "generated_at", *(name for name in KINDS if isinstance(item.get(name), str))}
            if item.get("generated_at") and not moment_of(item["generated_at"]):
                used.remove("generated_at")
            if not isinstance(item.get("language"), str):
                used.discard("language")
            metadata = {name: thing for name, thing in item.items() if name not in used}
            yield Found(((*path, step),), made(item[key], kind_of(item, name), item, metadata))
        elif isinstance(item, str) and item.strip() and isinstance(value, dict):
            yield Found(((*path, step),), made(item, name, {}))
        elif not is_textless(item):
            place = f"{path[-1]}[{step!r}]"
            message = f"{place} is no object with a text. It is kept as it was sent, and the rest is stored."
            body.left.append(Unmodelled("odd_summary", str(path[-1]), None, message))


def is_textless(item: Any) -> bool:
    """Whether an entry says nothing, or is an object that tells of a text which it does not have."""
    if isinstance(item, dict):
        return all(is_blank(item.get(key)) for key in TEXTS)
    return is_blank(item)


def text_key(entry: Mapping[str, Any]) -> str:
    """The key under which an entry has its text; empty for none."""
    keys = (key for key in TEXTS if isinstance(entry.get(key), str | list | dict))
    return next((key for key in keys if not is_blank(entry[key])), "")


def object_in(text: str) -> dict[str, Any] | None:
    """The object that a text is as JSON or as a Python literal; None for other text, which then stays as it is.

    So does an object with a key twice, and one that JSON cannot hold: nothing of it may be lost.
    """
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return None
    try:
        value = loads(stripped)
    except ValueError:
        value = literal(stripped) if len(stripped) <= LONGEST_LITERAL else None
    is_object = isinstance(value, dict) and not isinstance(value, RepeatedKey)
    return value if is_object and value and is_json(value) and storable_json(value) else None


def literal(text: str) -> Any:
    """A Python literal; None for what is none, or has a key twice."""
    try:
        tree = ast.parse(text, mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                keys = [ast.dump(key) for key in node.keys if key is not None]
                if len(set(keys)) < len(node.keys):
                    return None
        return ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def is_json(value: Any, levels: int = 100) -> bool:
    """Whether a Python value is one that JSON has, too."""
    match value:
        case dict():
            return levels > 0 and all(isinstance(k, str) and is_json(item, levels - 1) for k, item in value.items())
        case list():
            return levels > 0 and all(is_json(item, levels - 1) for item in value)
        case _:
            return value is None or type(value) in (str, bool, int, float)
