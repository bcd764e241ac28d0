"""Addresses of the dashboard: all of its state is in the query string, and nothing that is a default.

The filter form sends more than an address holds: empty fields, `under:<category>` for a subcategory, and
`only:<field>` for one value instead of all others. `Address` reads both; the page redirects to the clean form.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from urllib.parse import quote, urlencode
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse
from django.utils.http import RFC3986_SUBDELIMS, url_has_allowed_host_and_scheme

from .models import match_key
from .search import FALSE, MAXIMUM_PAGE, MAXIMUM_SIZE, ORDERINGS, TRUE, canonical

PAGE_SIZE = 12
DEFAULT_SORT = "added_desc"
UNDER = "under:"
ONLY = "only:"

# Parameters in the order of an address. Those of a category stand together: they are one facet.
CATEGORY_LISTS = ("category", "subcategory", "parentCategory")
UNCATEGORISED = "uncategorised"
CATEGORY = (*CATEGORY_LISTS, UNCATEGORISED)
OTHER_LISTS = ("channel", "content_type", "complexity", "language", "source", "topics")
LISTS = (*CATEGORY_LISTS, *OTHER_LISTS)
FILTERS = ("q", *CATEGORY, *OTHER_LISTS, "has_audio", "date_from", "date_to")
# A facet with very many values lists those whose name has this in it.
FIND = "find_"
FINDABLE = ("category", "channel", "content_type", "complexity", "language", "source")
FINDS = tuple(f"{FIND}{name}" for name in FINDABLE)
PARAMETERS = (*FILTERS, *FINDS, "sort", "view", "size", "page")
SPELLINGS = {"complexity_level": "complexity"}

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Address:
    """The state of a dashboard page as parameters, each with its values; parameters without a value are absent."""

    values: Values

    @classmethod
    def from_query(cls, query: QueryDict) -> "Address":
        """Read an address or what the form sent. Never fails; what means nothing is left out."""
        given = as_given(query)
        values: dict[str, tuple[str, ...]] = {}
        for name in PARAMETERS:
            if name in LISTS:
                cleaned = tuple(dict.fromkeys(filter(None, map(match_key, given.get(name, ())))))
            else:
                cleaned = CLEANERS[name](given.get(name, ()))
            if cleaned:
                values[name] = cleaned
        if "subcategory" not in values:
            values.pop("parentCategory", None)
        # A search by words has the best hits first unless a sort is asked for.
        if values.get("sort") == (DEFAULT_SORT,) and "q" not in values:
            del values["sort"]
        return cls(values)

    def says(self, query: QueryDict) -> bool:
        """Whether the query string is this address already; parameters that are not ours do not count."""
        ours = {name for name in query if name in PARAMETERS or name in SPELLINGS or name.startswith((UNDER, ONLY))}
        return {name: tuple(query.getlist(name)) for name in ours} == dict(self.values)

    def get(self, name: str) -> str:
        """The value of a parameter that has one; empty if it is not set."""
        return self.values.get(name, ("",))[-1]

    @cached_property
    def url(self) -> str:
        """The address with its path."""
        query = urlencode(self.values, doseq=True)
        return f"{root()}?{query}" if query else root()

    def having(self, changes: Mapping[str, Iterable[str]]) -> "Address":
        """The first page of the address with these parameters replaced; no values take one off."""
        replaced = {**self.values, "page": (), **{name: tuple(values) for name, values in changes.items()}}
        return Address({name: replaced[name] for name in PARAMETERS if replaced.get(name)})

    def without(self, name: str, value: str) -> "Address":
        """The address with one value of a parameter taken off."""
        return self.having({name: [kept for kept in self.values.get(name, ()) if kept != value]})

    def without_filters(self) -> "Address":
        """Everything is shown, in the same way."""
        return self.having(dict.fromkeys((*FILTERS, *FINDS), ()))

    def on_page(self, number: int) -> "Address":
        """Another page of the same list."""
        return self.having({"page": (str(number),) if number > 1 else ()})

    @cached_property
    def before_category(self) -> str:
        """The start of an address that differs in its category alone: chips, of which a page has many, append to it."""
        url = self.having(dict.fromkeys(CATEGORY, ())).url
        return f"{url}&" if "?" in url else f"{url}?"

    def only_category(self, category: str, subcategory: str | None = None) -> str:
        """The URL with this category, or this pair, as the one choice in the category facet."""
        category = match_key(category)
        if subcategory is None:
            return self.before_category + urlencode({"category": category})
        return self.before_category + urlencode({"subcategory": match_key(subcategory), "parentCategory": category})


def as_given(query: QueryDict) -> dict[str, list[str]]:
    """The parameters of a query string, with what the form alone sends brought into their terms."""
    given: dict[str, list[str]] = {}
    under: dict[str, list[str]] = {}
    for name, values in query.lists():
        if name.startswith(UNDER):
            under[name.removeprefix(UNDER)] = values
        elif not name.startswith(ONLY):
            given.setdefault(SPELLINGS.get(name, name), []).extend(values)
    for name in query:
        if name.startswith(ONLY):
            field = name.removeprefix(ONLY)
            own = CATEGORY if field in CATEGORY or field.startswith(UNDER) else (field,)
            for parameter in own:
                given.pop(parameter, None)
            if own is CATEGORY:
                under.clear()
            if field.startswith(UNDER):
                under[field.removeprefix(UNDER)] = [query[name]]
            else:
                given[field] = [query[name]]
    narrowed = set()
    for category, names in under.items():
        if names := list(filter(None, names)):
            given.setdefault("subcategory", []).extend(names)
            given.setdefault("parentCategory", []).append(category)
            narrowed.add(match_key(category))
    # The narrower choice wins: a category AND a pair below it would find the pair's videos only, and say both.
    if narrowed and "category" in given:
        given["category"] = [name for name in given["category"] if match_key(name) not in narrowed]
    return given


def line(values: Iterable[str]) -> tuple[str, ...]:
    """The last value as one line of text."""
    text = " ".join((list(values) or [""])[-1].split())
    return (text,) if text else ()


def flag(values: Iterable[str]) -> tuple[str, ...]:
    """`true` or `false`; both are no choice."""
    said = {value.strip().lower() for value in values}
    chosen = {name for name, names in (("true", TRUE), ("false", FALSE)) if said.intersection(names)}
    return tuple(chosen) if len(chosen) == 1 else ()


def yes(values: Iterable[str]) -> tuple[str, ...]:
    """`true`, or no choice."""
    return ("true",) if flag(values) == ("true",) else ()


def sort(values: Iterable[str]) -> tuple[str, ...]:
    chosen = line(values)
    return chosen if not chosen or canonical(chosen[0]) in ORDERINGS else ("video_newest",)


def view(values: Iterable[str]) -> tuple[str, ...]:
    return ("grid",) if line(values) == ("grid",) else ()


def number(values: Iterable[str], default: int, maximum: int) -> tuple[str, ...]:
    """A number from 1 to the maximum; the default and what is no number are left out."""
    try:
        chosen = min(max(int((list(values) or [""])[-1]), 1), maximum)
    except ValueError:
        return ()
    return () if chosen == default else (str(chosen),)


CLEANERS = {
    "q": line,
    UNCATEGORISED: yes,
    "has_audio": flag,
    "date_from": line,
    "date_to": line,
    **dict.fromkeys(FINDS, line),
    "sort": sort,
    "view": view,
    "size": lambda values: number(values, PAGE_SIZE, MAXIMUM_SIZE),
    "page": lambda values: number(values, 1, MAXIMUM_PAGE),
}


def local_path(text: str) -> str:
    """The text if it is a path of this site, to go back to; else nothing. `//elsewhere` is none."""
    return text if text.startswith("/") and url_has_allowed_host_and_scheme(text, None) else ""


@cache
def root() -> str:
    """The path of the dashboard: a page has a hundred links to it."""
    return reverse("videos:dashboard")


def report_url(video_id: str) -> str:
    """The address of a video's report."""
    return page_url("videos", video_id)


def delete_url(video_id: str) -> str:
    """The address of the page that asks whether a video is to be deleted."""
    return page_url("delete", video_id)


def curate_url(video_id: str) -> str:
    """The address of the form with a video's categories."""
    return page_url("curate", video_id)


def undo_url(context: UUID) -> str:
    """Where what was done at once is taken back as one."""
    return f"{reverse('admin:videos_categorizationevent_revert')}?{urlencode({'context': context})}"


def history_url(video_id: str) -> str:
    """What happened to a video, for staff."""
    return f"{reverse('admin:videos_categorizationevent_changelist')}?{urlencode({'video': video_id})}"


def audio_url(video_id: str) -> str:
    """The address of a video's newest sound (contract/api.md)."""
    return f"{root()}exports/by_video/{quote(video_id, safe=RFC3986_SUBDELIMS + '/~:@')}"


def page_url(kind: str, video_id: str) -> str:
    """The address of a page about a video. Django's `reverse` refuses ids with a line break; a list must not."""
    return f"{root()}{kind}/{quote(video_id, safe=RFC3986_SUBDELIMS + '/~:@')}/"
