"""Compares what two read APIs answer to the same requests, by contract/api.md.

A side is a running server, an old SQLite file, or this project's own database. Where the old side is the old dashboard,
the changes that the contract names are permitted: each has a name and a date, and is counted. Between two sides that
both answer as the contract says, everything has to be equal.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import unquote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.db import DatabaseError
from django.http import Http404, HttpRequest, QueryDict
from django.urls import resolve

from videos.models import match_key
from videos.search import LISTS, MAXIMUM_VALUES, canonical

from .snapshot_library import FILTERS, REPORTS, Answer, SnapshotLibrary, is_read_api, title_key

DATABASE = "database"
TIMEOUT_SECONDS = 60
# Unexplained differences that a report holds; all are counted.
KEPT_DIFFERENCES = 200
SHOWN_CHARACTERS = 160
PROBE = REPORTS

TIMES = {"published_at", "indexed_at", "timestamp", "generated_at"}
# The field of an item that each sort goes by.
SORTED_BY = {
    "added_desc": "indexed_at",
    "added_asc": "indexed_at",
    "newest": "published_at",
    "oldest": "published_at",
    "title_asc": "title",
    "title_desc": "title",
    "duration_desc": "duration_seconds",
    "duration_asc": "duration_seconds",
}


class NoAnswer(Exception):
    """A side cannot be asked; the message is a sentence for the person who named it."""


# Sides


class Side(Protocol):
    """What answers requests of the read API. `answer` raises LookupError for an address that it knows nothing of."""

    @property
    def name(self) -> str: ...

    def answer(self, request: str) -> Answer: ...


class SameAddress(HTTPRedirectHandler):
    """Takes a redirect for the answer that it is."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Server:
    """A running server, asked over HTTP."""

    url: str

    @property
    def name(self) -> str:
        return self.url

    def answer(self, request: str) -> Answer:
        asked = Request(self.url.rstrip("/") + request, headers={"Accept": "application/json"})
        try:
            with build_opener(SameAddress).open(asked, timeout=TIMEOUT_SECONDS) as response:
                return Answer(response.status, read_json(response.read()))
        except HTTPError as error:
            with error:
                return Answer(error.code, read_json(error.read()))
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise NoAnswer(f"{self.url} does not answer ({reason}). Start the server, or check the address.") from error


def read_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


@dataclass(frozen=True)
class Snapshot:
    """An old SQLite file, answered for by SnapshotLibrary."""

    library: SnapshotLibrary

    @property
    def name(self) -> str:
        return self.library.path.name

    def answer(self, request: str) -> Answer:
        return self.library.answer(request)


@dataclass(frozen=True)
class Database:
    """This project's own views over its own database, called without a server."""

    name: str = DATABASE

    def answer(self, request: str) -> Answer:
        path, _, query = request.partition("?")
        if not is_read_api(unquote(path), QueryDict(query)):
            raise LookupError(f"{path} is no address of the read API")
        asked = HttpRequest()
        asked.method, asked.path = "GET", unquote(path)
        asked.path_info, asked.GET = asked.path, QueryDict(query)
        try:
            view, arguments, named = resolve(asked.path)
            response = view(asked, *arguments, **named)
        except Http404:
            return Answer(HTTPStatus.NOT_FOUND, None)
        except DatabaseError as error:
            raise NoAnswer("The database does not answer as it should. Look at manage.py migrate --check.") from error
        return Answer(response.status_code, read_json(response.content))


def side_of(text: str) -> Side:
    """The side that a person names: a URL, `database`, or the path of a snapshot."""
    if text == DATABASE:
        return Database()
    if text.startswith(("http://", "https://")):
        return Server(text)
    library = SnapshotLibrary(Path(text))
    _ = library.contents
    return Snapshot(library)


def is_old_dashboard(side: Side) -> bool:
    """Whether a side lacks what the contract adds. Raises NoAnswer for one that is no read API at all."""
    status, body = side.answer(PROBE)
    try:
        return "total" not in body["pagination"]
    except (KeyError, TypeError) as error:
        raise NoAnswer(f"{side.name} answers {status} to {PROBE}, which is not the read API.") from error


# What is found


@dataclass(frozen=True)
class Found:
    """A place where the answers differ."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Exchange:
    """A request with both answers."""

    request: str
    old: Answer
    new: Answer

    @property
    def path(self) -> str:
        return unquote(self.request.partition("?")[0])

    @property
    def query(self) -> QueryDict:
        return QueryDict(self.request.partition("?")[2])


class Absent:
    """Stands where one of the answers has nothing."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


def differences(exchange: Exchange, additions: bool) -> Iterator[Found]:
    """Each place where the answers differ. With `additions` the new one may have keys that the old one lacks."""
    old, new = exchange.old, exchange.new
    if old.status != new.status:
        yield Found("status", old.status, new.status)
    elif old.status >= HTTPStatus.BAD_REQUEST:
        # The message is for people.
        yield from values_differ(error_of(old.body), error_of(new.body), "error", additions)
    elif isinstance(old.body, dict) and isinstance(new.body, dict):
        if "reports" in old.body and "reports" in new.body:
            yield from items_differ(old.body["reports"], new.body["reports"], additions)
            rest = ({key: value for key, value in body.items() if key != "reports"} for body in (old.body, new.body))
            yield from values_differ(*rest, "", additions)
        elif exchange.path == FILTERS:
            yield from facets_differ(old.body, new.body, additions)
        else:
            yield from values_differ(old.body, new.body, "", additions)
    else:
        yield from values_differ(old.body, new.body, "body", additions)


def error_of(body: Any) -> Any:
    """The code of an error; None where it has none."""
    return body.get("error") if isinstance(body, dict) else None


def values_differ(old: Any, new: Any, path: str, additions: bool) -> Iterator[Found]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            where = f"{path}.{key}" if path else key
            if key not in old and additions:
                continue
            if key in TIMES and key in old and key in new:
                if instant(old[key]) != instant(new[key]):
                    yield Found(where, old[key], new[key])
            else:
                yield from values_differ(old.get(key, ABSENT), new.get(key, ABSENT), where, additions)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from values_differ(one, other, f"{path}[{place}]", additions)
    elif not same(old, new):
        yield Found(path, old, new)


def same(old: Any, new: Any) -> bool:
    """Equal, and of one kind: true is not 1, "" is not null. JSON knows one kind of number."""
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)]
    return old == new and (all(numbers) or type(old) is type(new))


def instant(value: Any) -> Any:
    """The instant that a text names; a time without a zone is UTC. What names none is itself."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return moment.replace(tzinfo=moment.tzinfo or UTC)


ITEMS, ORDER = "reports", "reports (order)"


def items_differ(old: list[Any], new: list[Any], additions: bool) -> Iterator[Found]:
    """What is on a page, in which order, and each item for its id."""
    before, after = ({item["id"]: item for item in items} for items in (old, new))
    if before.keys() != after.keys():
        gone, come = ([name for name in one if name not in other] for one, other in ((before, after), (after, before)))
        yield Found(ITEMS, gone, come)
    elif list(before) != list(after):
        place = next(n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1])
        yield Found(ORDER, list(before)[place:], list(after)[place:])
    for name in before.keys() & after.keys():
        yield from values_differ(before[name], after[name], f"reports[{name}]", additions)


def facets_differ(old: dict[str, Any], new: dict[str, Any], additions: bool) -> Iterator[Found]:
    for facet in dict.fromkeys((*old, *new)):
        if facet in old and facet in new and isinstance(old[facet], list) and isinstance(new[facet], list):
            yield from counts_differ(old[facet], new[facet], facet, additions)
        elif facet in old or not additions:
            yield from values_differ(old.get(facet, ABSENT), new.get(facet, ABSENT), facet, additions)


def counts_differ(old: list[Any], new: list[Any], path: str, additions: bool) -> Iterator[Found]:
    """The values of a facet for their names, and their order."""
    before, after = ({entry["value"]: entry for entry in entries} for entries in (old, new))
    for name in dict.fromkeys((*before, *after)):
        where = f"{path}[{name}]"
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            yield Found(where, (one or {}).get("count", ABSENT), (other or {}).get("count", ABSENT))
            continue
        yield from values_differ(one["count"], other["count"], f"{where}.count", additions)
        if "subcategories" in one or ("subcategories" in other and not additions):
            below = one.get("subcategories", []), other.get("subcategories", [])
            yield from counts_differ(*below, f"{where}.subcategories", additions)
    if before.keys() == after.keys() and list(before) != list(after):
        counts = [[entry["count"] for entry in entries] for entries in (old, new)]
        if counts[0] == counts[1]:
            yield Found(f"{path} (order)", list(before), list(after))


# What may differ


@dataclass(frozen=True)
class Permitted:
    """A difference that is meant: its name, since when, and why.

    `old_only`: only where the old side is the old dashboard.
    """

    name: str
    since: date
    reason: str
    covers: Callable[[Exchange, Found], bool]
    old_only: bool = True


AGREED = date(2026, 11, 22)


def is_result(found: Found) -> bool:
    """What was found, not what an item says."""
    return found.path in (ITEMS, ORDER, "sort") or found.path.startswith(("pagination.", "filters"))


def asks_many(exchange: Exchange) -> bool:
    lists = [exchange.query.getlist(name) for name in LISTS]
    return any(len(values) > 10 or any(len(value) > 50 for value in values) for values in lists)


def finds_dashes(exchange: Exchange, found: Found) -> bool:
    """A value with a dash or a space in it found nothing before, and finds something now."""
    values = [value for name in LISTS for value in exchange.query.getlist(name)]
    normalised = any(match_key(value) != value or "-" in value for value in values)
    return normalised and is_result(found) and total_of(exchange.old) < total_of(exchange.new)


def total_of(answer: Answer) -> int:
    return answer.body["pagination"]["total_count"] if isinstance(answer.body, dict) and "reports" in answer.body else 0


def has(exchange: Exchange, *names: str) -> bool:
    return all(name in exchange.query for name in names)


def is_search(exchange: Exchange) -> bool:
    return len(" ".join(exchange.query.get("q", "").split())) >= 2


def sort_of(answer: Answer) -> str:
    return canonical(answer.body["sort"])


def are_ties(exchange: Exchange, found: Found) -> bool:
    """The page has the same values of the sort's field in the same places, and other videos among equal ones."""
    if found.path not in (ITEMS, ORDER) or sort_of(exchange.old) != sort_of(exchange.new):
        return False
    name = SORTED_BY.get(sort_of(exchange.old), "published_at")
    if is_search(exchange) and "sort" not in exchange.query:
        name = "indexed_at"
    before, after = (
        [instant(item[name]) for item in answer.body["reports"]] for answer in (exchange.old, exchange.new)
    )
    if name == "title":
        before, after = ([title_key(title) for title in titles] for titles in (before, after))
    return before == after


PERMITTED = (
    Permitted(
        "equal_ones_in_other_order", AGREED,
        "Videos that a sort takes for equal come in the order of their keys; the old dashboard had none, and "
        "PostgreSQL's order of letters is the server's.",
        are_ties,
        old_only=False,
    ),
    Permitted(
        "equal_counts_by_name", AGREED, "Values of a facet with the same count came in no order.",
        lambda exchange, found: exchange.path == FILTERS and found.path.endswith(" (order)"),
    ),
    Permitted(
        "values_whole", AGREED,
        f"Only ten values of a parameter were taken, and 50 characters of each. Now all, up to {MAXIMUM_VALUES}.",
        lambda exchange, found: asks_many(exchange) and (is_result(found) or found.path == "status"),
    ),
    Permitted(
        "dashes_and_spaces_on_both_sides", AGREED,
        "A value with an en-dash or an odd space could never match.",
        finds_dashes,
    ),
    Permitted(
        "search_combines", AGREED,
        "A search ignored filters, sort and page, and its total was that of the page.",
        lambda exchange, found: is_search(exchange) and is_result(found),
    ),
    Permitted(
        "complexity_level_filters", AGREED, "complexity_level was ignored.",
        lambda exchange, found: has(exchange, "complexity_level") and is_result(found),
    ),
    Permitted(
        "source_topics_dates_filter", AGREED, "source, topics, date_from and date_to were echoed and ignored.",
        lambda exchange, found: is_result(found)
        and any(has(exchange, name) for name in ("source", "topics", "date_from", "date_to")),
    ),
    Permitted(
        "uncategorised_filters", AGREED, "uncategorised is new.",
        lambda exchange, found: has(exchange, "uncategorised") and is_result(found),
    ),
    Permitted(
        "real_pairs", AGREED,
        "Subcategory and parent were a cross product, with pairs that no video has.",
        lambda exchange, found: has(exchange, "subcategory", "parentCategory") and is_result(found),
    ),
    Permitted(
        "category_and_parent", AGREED,
        "category beside parentCategory was read as a subcategory.",
        lambda exchange, found: has(exchange, "category", "parentCategory") and is_result(found),
    ),
    Permitted(
        "titles_by_alphabet", AGREED, "Titles were sorted by byte.",
        lambda exchange, found: found.path in (ITEMS, ORDER) and sort_of(exchange.new).startswith("title"),
    ),
    Permitted(
        "facets_under_filters", AGREED, "/api/filters ignored its parameters.",
        lambda exchange, found: exchange.path == FILTERS and bool(exchange.query),
    ),
    Permitted(
        "counts_are_what_the_filter_returns", AGREED, "Categories were counted by another rule than they are filtered.",
        lambda exchange, found: exchange.path == FILTERS and found.path.startswith("category"),
    ),
    Permitted(
        "json_without_v", AGREED, "/<id>.json without v=2 answered 500.",
        lambda exchange, found: found.path == "status" and found.old == 500 and exchange.path.endswith(".json"),
    ),
    Permitted(
        "no_deployment_version", AGREED, "The old dashboard named its own version in each list.",
        lambda exchange, found: found.path == "deployment_version" and found.new is ABSENT,
    ),
    Permitted(
        "errors_in_one_shape", AGREED, "Errors were HTML pages, or an exception's text.",
        lambda exchange, found: found.path == "error" and exchange.new.status >= HTTPStatus.BAD_REQUEST,
    ),
)  # fmt: skip


# Comparing


@dataclass
class PermittedCount:
    """How often a permitted difference was met, and the first request where it was."""

    name: str
    since: str
    reason: str
    differences: int = 0
    requests: int = 0
    example: str = ""


@dataclass(frozen=True)
class Difference:
    """An unexplained difference: where, and both values, cut short."""

    request: str
    path: str
    old: str
    new: str


@dataclass
class Comparison:
    """What a comparison saw, for people and as JSON."""

    old: str
    new: str
    old_is_the_old_dashboard: bool
    started_at: str
    requests: int = 0
    same: int = 0
    unexplained: int = 0
    unexplained_requests: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    by_status: dict[str, int] = field(default_factory=dict)
    permitted: list[PermittedCount] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.unexplained

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"holds": self.holds}


def compare(
    old: Side, new: Side, requests: Iterable[str], progress: Callable[[int], None] = lambda number: None
) -> Comparison:
    """Ask both sides each request, and say where their answers differ.

    Raises NoAnswer for a side that cannot be asked. An address that one of the sides cannot answer for is left out.
    """
    is_old = is_old_dashboard(old)
    is_old_dashboard(new)
    permitted = [rule for rule in PERMITTED if is_old or not rule.old_only]
    comparison = Comparison(old.name, new.name, is_old, datetime.now(UTC).isoformat(timespec="seconds"))
    for request in requests:
        try:
            exchange = Exchange(request, old.answer(request), new.answer(request))
        except LookupError:
            comparison.left_out.append(request)
        else:
            note(comparison, exchange, permitted)
        progress(1)
    return comparison


def note(comparison: Comparison, exchange: Exchange, permitted: Sequence[Permitted]) -> None:
    """Add one request to the comparison."""
    comparison.requests += 1
    for counts, name in (
        (comparison.by_kind, kind_of(exchange.path)),
        (comparison.by_status, str(exchange.new.status)),
    ):
        counts[name] = counts.get(name, 0) + 1
    met: Counter[str] = Counter()
    unexplained = []
    for found in differences(exchange, comparison.old_is_the_old_dashboard):
        rule = next((rule for rule in permitted if rule.covers(exchange, found)), None)
        if rule:
            met[rule.name] += 1
        else:
            unexplained.append(Difference(exchange.request, found.path, short(found.old), short(found.new)))
    for rule in permitted:
        if number := met[rule.name]:
            counted = next((one for one in comparison.permitted if one.name == rule.name), None)
            if counted is None:
                counted = PermittedCount(
                    rule.name, rule.since.isoformat(), rule.reason, example=short(exchange.request)
                )
                comparison.permitted.append(counted)
            counted.differences += number
            counted.requests += 1
    comparison.same += not met and not unexplained
    comparison.unexplained += len(unexplained)
    comparison.unexplained_requests += bool(unexplained)
    comparison.differences += unexplained[: max(KEPT_DIFFERENCES - len(comparison.differences), 0)]


def kind_of(path: str) -> str:
    return {REPORTS: "lists", FILTERS: "facets"}.get(path, "details")


def short(value: Any) -> str:
    """A value as JSON, cut where it gets long."""
    text = (
        value if isinstance(value, str) else repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"
