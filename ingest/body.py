"""The JSON of a request: its values as those of fields, and which of them have become part of one.

Raises Unmodelled (sqlite/mapping.py) for what cannot be stored as it is; the readers of old rows are used here, too.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from videos.keys import SOURCES

from .sqlite.codec import Text
from .sqlite.mapping import Mapper, Unmodelled, storable_json

Path = tuple[str | int, ...]


class RepeatedKey(dict):
    """A JSON object in which, at any depth, a key stands twice with different values."""

    key = ""


def loads(text: str | bytes) -> Any:
    """A JSON value; one with a repeated key as RepeatedKey. Raises ValueError for what is no JSON."""
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            repeated.extend(key for key, item in pairs if value[key] != item)
        return value

    try:
        value = json.loads(text, object_pairs_hook=collect)
    except RecursionError as error:
        raise ValueError("the JSON has too many levels") from error
    if repeated and isinstance(value, dict):
        value = RepeatedKey(value)
        value.key = repeated[0]
    elif repeated:
        raise ValueError("the JSON has a key twice")
    return value


# Values -------------------------------------------------------------------------------------------------

PLACEHOLDERS = ("unknown", "untitled", "(untitled)", "temp")
PLACEHOLDER_FORMS = re.compile(r"Content \S*[0-9_-]\S*|https?://(?:www\.)?example\.com/?")


def is_blank(value: Any) -> bool:
    """Whether a value says nothing: null, empty, zero, false, white space."""
    return not value or (isinstance(value, str) and not value.strip())


def is_real(value: Any) -> bool:
    """Whether a value is neither blank nor stands for "not known"."""
    if isinstance(value, str):
        text = value.strip()
        return bool(text) and text.lower() not in PLACEHOLDERS and not PLACEHOLDER_FORMS.fullmatch(text)
    return not is_blank(value)


def wrong_type(value: Any, name: str, expected: str) -> Unmodelled:
    kinds = {str: "text", bool: "truth value", int: "number", float: "number", list: "list", dict: "object"}
    return Unmodelled("wrong_type", name, None, f"{name} is JSON of the type {kinds[type(value)]}, not {expected}.")


def text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong_type(value, name, "a text")
    return value if value.strip() else ""


def number(value: Any, name: str) -> int:
    if isinstance(value, str):
        stripped = value.strip()
        value = int(stripped) if re.fullmatch(r"[0-9]{1,30}", stripped) else value if is_real(value) else None
    if isinstance(value, bool | str | list | dict):
        raise wrong_type(value, name, "a number")
    return Mapper().number({name: value}, name)


def seconds(value: Any, name: str) -> int:
    return number(round(value) if isinstance(value, float) else value, name)


def flag(value: Any, name: str) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False, "1": True, "0": False, "": None}.get(value.strip().lower(), value)
    if isinstance(value, str | list | dict):
        raise wrong_type(value, name, "a truth value")
    return Mapper().flag({name: int(value) if isinstance(value, bool) else value}, name)


def time(value: Any, name: str) -> datetime | None:
    sent = text(value, name)
    return Mapper().time({name: Text(sent.encode())}, name) if is_real(sent) else None


def decoded(value: Any, name: str) -> Any:
    """A JSON value that may come as JSON text; blank text is None."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        found = loads(value)
    except ValueError as error:
        raise Unmodelled("json_not_readable", name, None, f"{name} is no JSON.") from error
    check_storable(found, name)
    return found


def listed(value: Any, name: str) -> list[Any]:
    found = decoded(value, name)
    if found is not None and not isinstance(found, list):
        raise wrong_type(found, name, "a list")
    return found or []


def check_storable(value: Any, name: str) -> None:
    """Raises Unmodelled for what PostgreSQL cannot hold, and for an object that says two things at once."""
    if isinstance(value, RepeatedKey):
        raise Unmodelled("repeated_key", name, None, f"{name} has the key {value.key[:100]!r} with two values.")
    if not storable_json(value):
        raise Unmodelled(
            "json_not_storable", name, None,
            f"{name} has a NUL, half a surrogate pair, a number that is none, or too many levels.",
        )  # fmt: skip


# The body and its places --------------------------------------------------------------------------------

TOP: Path = ()
# Objects in which a worker puts fields. Each may come as JSON text.
CONTAINERS = (
    "source_metadata", "metadata", "video", "media", "media_info", "media_metadata", "processing_metadata",
    "content_analysis", "analysis_json", "analysis",
)  # fmt: skip
SUMMARIES = ("summary", "summary_variants")
SLUG = re.compile(r"[a-z][a-z0-9_-]{0,30}")
SLUGS = {*SOURCES.values(), "web"}


class Body:
    """A payload, and which of its values have become part of a field."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.content: Any = dict(payload)
        self.taken: set[Path] = {(name,) for name in (*CONTAINERS, *SUMMARIES) if self.content.get(name) is None}
        self.problems: list[Unmodelled] = []
        # What could not be used and stays where it was sent, although the rest is fine.
        self.left: list[Unmodelled] = []
        for name in CONTAINERS:
            self.decode((name,))
        metadata = self.get(("source_metadata",))
        self.slug = self.given_slug()
        objects = {}
        if isinstance(metadata, dict):
            for name in metadata:
                self.decode(("source_metadata", name))
            objects = {name: item for name, item in self.get(("source_metadata",)).items() if isinstance(item, dict)}
        own = next((name for name in objects if name.lower() == self.slug), None)
        if own is None and len(objects) == 1:
            own = next(iter(objects))
            if not self.slug and SLUG.fullmatch(own.lower()):
                self.slug = own.lower()
        # The object of the video's own source, before what stands beside it.
        self.source_paths: tuple[Path, ...] = (("source_metadata", own),) if own else ()
        self.source_paths += (("source_metadata",),)

    def given_slug(self) -> str:
        for name in ("content_source", "source"):
            value = self.content.get(name)
            slug = value.strip().lower() if isinstance(value, str) and is_real(value) else ""
            # Under `source` other programs put other words.
            if SLUG.fullmatch(slug) and (name == "content_source" or slug in SLUGS):
                return slug
        return ""

    def get(self, path: Path) -> Any:
        value = self.content
        for step in path:
            if isinstance(step, str) and not isinstance(value, dict):
                return None
            value = value.get(step) if isinstance(step, str) else value[step]
        return value

    def put(self, path: Path, new: Any) -> None:
        """Replace a value; what was sent is not written on."""

        def replaced(value: Any, rest: Path) -> Any:
            if not rest:
                return new
            copy = value.copy()
            copy[rest[0]] = replaced(value[rest[0]], rest[1:])
            return copy

        self.content = replaced(self.content, path)

    def decode(self, path: Path) -> None:
        """Replace JSON text by the object that it is; other text stays text."""
        value = self.get(path)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            name = str(path[-1])
            try:
                self.put(path, decoded(value, name))
            except Unmodelled as problem:
                self.problems.append(problem)

    def check(self, payload: Mapping[str, Any]) -> None:
        """Raises Unmodelled where something of the payload cannot be stored as it is."""
        if isinstance(payload, RepeatedKey):
            check_storable(payload, "The body")
        for name, value in payload.items():
            check_storable({name: value}, name[:100].encode(errors="replace").decode().replace("\x00", "?"))
        for problem in self.problems:
            raise problem

    def places(self, names: Sequence[str], containers: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
        """What stands under these names in these containers, the best place first. A null says nothing: it is taken."""
        for container in containers:
            value = self.get(container)
            if isinstance(value, dict):
                for name in names:
                    if value.get(name) is not None:
                        yield (*container, name), value[name]
                    elif name in value:
                        self.taken.add((*container, name))

    def field(self, names: Sequence[str], containers: Sequence[Path], read: Callable[[Any, str], Any]) -> Any:
        """The first real value, else the first that is not blank; places that say the same are taken.

        A place that cannot be read counts only where no other has a value, and only under the field's own name:
        other names mean other things elsewhere.
        """
        found, problem = [], None
        for path, value in self.places(names, containers):
            try:
                found.append((path, value, read(value, names[0])))
            except Unmodelled as reason:
                if path[-1] == names[0]:
                    problem = problem or reason
        chosen = next((value for *_, value in found if is_real(value)), None)
        if chosen is None and problem:
            raise problem
        if chosen is None:
            chosen = next((value for *_, value in found if not is_blank(value)), read(None, names[0]))
        for path, sent, value in found:
            is_rounded = isinstance(sent, float) and sent != value
            if is_blank(value) or (value == chosen and not is_rounded):
                self.taken.add(path)
        return chosen

    def rest(self) -> dict[str, Any]:
        """What has not become part of a field, at its place."""
        inside = {path[:length] for path in self.taken for length in range(len(path))}

        def left(value: Any, path: Path) -> Any:
            if path not in inside or not isinstance(value, dict | list):
                return value
            items = value.items() if isinstance(value, dict) else enumerate(value)
            kept = [
                (step, new)
                for step, item in items
                if (*path, step) not in self.taken
                for new in [left(item, (*path, step))]
                if new or not item
            ]
            return dict(kept) if isinstance(value, dict) else [new for _, new in kept]

        return left(self.content, TOP)
