"""Requests to compare two read APIs with: recorded ones, or made up from what a library holds.

The same number, seed and library give the same requests. Each kind of request (KINDS) has its turn: every filter,
pairs of filters, every sort, pages beyond the end, searches, ids in every form, facets, and what nobody should send.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, cycle, islice
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from videos.search import ALIASES, MAXIMUM_SIZE, MAXIMUM_VALUES, ORDERINGS

from .snapshot_library import FILTERS, REPORTS, Answer

Query = list[tuple[str, str]]
Ask = Callable[[str], Answer]

# Pages of the largest size, and videos with their texts, that words and values are taken from.
READ_PAGES, READ_DETAILS = 6, 24
# So often each kind has its turn at most for each request: some have nothing new to ask any more.
TURNS = 20
SORTS = (*ORDERINGS, *ALIASES, "bad", "")
# The parameters whose values a facet lists, with the facet.
FACETS = {
    "category": "category",
    "channel": "channel",
    "content_type": "content_type",
    "complexity": "complexity_level",
    "complexity_level": "complexity_level",
    "language": "language",
    "source": "source",
}
FILTER_NAMES = (*FACETS, "subcategory", "pair", "topics", "has_audio", "date_from", "date_to", "uncategorised")
# Around a YouTube id: the words of a title, a number, the time or the hash of a report.
SUFFIXES = ("", "_1", "_2", "_20250901_134325", "_0056c1")
NOWHERE = ("zzzzzzzzzzz", "yt:zzzzzzzzzzz", "m", "%", "no such video", "ß" * 300, "a/b/c", "reddit:zzz", "..")
FOUND_NOWHERE = ("qxqxqx", "100%_", "\\", "'; --", "\x00", "🎉🎉🎉", "  ", "x", "é", "İ", "--", "––", "a" * 3000)
ODD: tuple[Query, ...] = (
    [("size", "0")], [("size", "500")], [("size", "-3")], [("size", "1")], [("size", str(MAXIMUM_SIZE))],
    [("page", "0")], [("page", "-1")], [("page", "two")], [("page", "1.5")], [("page", "9" * 40)],
    [("page", "two"), ("size", "5")], [("page", "2"), ("size", "five")], [("page", " 2 ")], [("page", "٢")],
    [("has_audio", "maybe")], [("has_audio", "")], [("has_audio", " YES ")],
    [("has_audio", "true"), ("has_audio", "0")],
    [("category", "")], [("category", " ")], [("category", "\x00")], [("category", "x" * 2000)],
    [("parentCategory", "Technology")], [("parentCategory", "")], [("subcategory", ""), ("parentCategory", "History")],
    [("date_from", "yesterday")], [("date_from", "2025-02-30")], [("date_to", "0001-01-01")],
    [("date_to", "9999-12-31")], [("date_from", "2025-09-01T12:00:00+02:00")], [("date_to", "20250901")],
    [("sort", "TITLE_AZ")], [("sort", " newest ")], [("sort", "newest"), ("sort", "oldest")],
    [("q", "a")], [("q", " a ")], [("q", "")], [("nonsense", "1"), ("callback", "alert")],
    [("channel", f"channel {number}") for number in range(60)],
    [("channel", f"channel {number}") for number in range(MAXIMUM_VALUES + 1)],
)  # fmt: skip


@dataclass(frozen=True)
class Material:
    """What requests are made of: values of the filters, pairs of categories, items, and words in a row."""

    values: dict[str, list[str]]
    pairs: list[tuple[str, str]]
    items: list[dict[str, Any]]
    phrases: list[list[str]]
    total: int

    @classmethod
    def gather(cls, ask: Ask) -> "Material":
        """Ask a library what it holds. Raises ValueError if its answers are not those of the read API."""
        try:
            facets = ask(FILTERS).body
            total = ask(f"{REPORTS}?size=1").body["pagination"]["total_count"]
            pages = -(-total // MAXIMUM_SIZE)
            read = sorted({1 + pages * number // READ_PAGES for number in range(READ_PAGES)})
            items = [
                item
                for page in read
                for item in ask(f"{REPORTS}?size={MAXIMUM_SIZE}&page={page}&sort=added_desc").body["reports"]
            ]
            step = max(len(items) // READ_DETAILS, 1)
            details = [ask(f"{REPORTS}/{quote(item['video_id'])}").body for item in items[::step]]
            texts = [str(item["title"]) for item in items] + [str(detail["summary"]["text"]) for detail in details]
            values = {name: [entry["value"] for entry in facets[facet]] for name, facet in FACETS.items()}
            pairs = [
                (entry["value"], below["value"])
                for entry in facets["category"]
                for below in entry.get("subcategories", ())
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(f"the answers to {FILTERS} and {REPORTS} are not those of the read API") from error
        topics = {topic for item in items for topic in item["analysis"]["key_topics"] if isinstance(topic, str)}
        dates = {item["published_at"] for item in items if item["published_at"]}
        return cls(
            values
            | {
                "subcategory": sorted({below for _, below in pairs}),
                "topics": sorted(topics),
                "date_from": sorted(dates),
                "date_to": sorted(dates),
                "has_audio": ["true", "1", "yes", "false", "0", "no"],
                "uncategorised": ["true"],
            },
            pairs,
            items,
            [words for text in texts if (words := text.split())],
            total,
        )


def generate(count: int, seed: int, ask: Ask) -> list[str]:
    """So many requests, from what the library that `ask` asks holds; fewer where it does not hold as many."""
    maker = Maker(Material.gather(ask), Random(seed))
    made: dict[str, None] = {}
    for make in islice(cycle(KINDS), count * TURNS):
        if len(made) == count:
            break
        made[make(maker)] = None
    return list(made)


class Maker:
    """Makes one request after the other; what there is a list of is gone through in order."""

    def __init__(self, material: Material, random: Random) -> None:
        self.material, self.random = material, random
        self.filters = cycle(FILTER_NAMES)
        self.two_filters = cycle(list(combinations(FILTER_NAMES, 2)))
        self.sorts = cycle(SORTS)
        self.odd = cycle(ODD)
        self.nowhere = cycle(NOWHERE)
        self.found_nowhere = cycle(FOUND_NOWHERE)
        self.suffixes = cycle(SUFFIXES)

    # Parts of a request

    def filter(self, name: str) -> Query:
        """A filter with one to three values; now and then one is spelt in another way, or nobody has it."""
        if name == "pair":
            chosen = self.some(self.material.pairs)
            return [("subcategory", below) for _, below in chosen] + [("parentCategory", one) for one, _ in chosen]
        values = [str(value) for value in self.some(self.material.values[name])]
        if name in ("date_from", "date_to"):
            return [(name, value if self.random.random() < 0.3 else value[:10]) for value in values[:1]]
        if name in FACETS or name in ("subcategory", "topics"):
            values = [self.respelt(value) for value in values]
            if self.random.random() < 0.1:
                values.append("nobody has this")
        return [(name, value) for value in values]

    def some(self, values: list[Any]) -> list[Any]:
        return self.random.sample(values, min(self.random.choice((1, 1, 1, 2, 3)), len(values)))

    def respelt(self, value: str) -> str:
        """The value as it is, or with other white space, dashes or case."""
        match self.random.randrange(10):
            case 0:
                return f"  {value.replace(' ', '  ')}\u00a0"
            case 1:
                return value.replace("-", "–") if "-" in value else value.replace("–", "-")
            case 2:
                return value.swapcase()
            case _:
                return value

    def phrase(self) -> str:
        """Words that stand somewhere in a title or a text, or parts of them, in any case."""
        if not self.material.phrases or self.random.random() < 0.15:
            return next(self.found_nowhere)
        words = self.random.choice(self.material.phrases)
        start = self.random.randrange(len(words))
        phrase = " ".join(words[start : start + self.random.choice((1, 1, 2, 3))])[:60]
        match self.random.randrange(8):
            case 0:
                return phrase.upper()
            case 1:
                return phrase.swapcase()
            case 2:
                return phrase[self.random.randrange(max(len(phrase) - 2, 1)) :][:5]
            case 3:
                return phrase.replace("-", "–") if "-" in phrase else phrase.replace("–", "-")
            case 4:
                return phrase.replace(" ", " \t ")
            case _:
                return phrase

    def view(self) -> Query:
        """A page, a size and a sort, as far as the request says them."""
        query: Query = []
        if self.random.random() < 0.5:
            query.append(("sort", next(self.sorts)))
        size = 20
        if self.random.random() < 0.5:
            size = self.random.choice((1, 5, 12, 24, MAXIMUM_SIZE))
            query.append(("size", str(size)))
        if self.random.random() < 0.4:
            query.append(("page", str(self.random.randint(1, -(-self.material.total // size) + 1))))
        return query

    # Kinds of requests

    def one_filter(self) -> str:
        return request(REPORTS, self.filter(next(self.filters)) + self.view())

    def pair_of_filters(self) -> str:
        one, other = next(self.two_filters)
        return request(REPORTS, self.filter(one) + self.filter(other) + self.view())

    def sorted_page(self) -> str:
        return request(REPORTS, [("sort", next(self.sorts)), *((n, v) for n, v in self.view() if n != "sort")])

    def beyond_the_end(self) -> str:
        page = -(-self.material.total // 20) + self.random.randint(1, 100)
        return request(REPORTS, [("page", str(page)), *self.filter(next(self.filters))])

    def search(self) -> str:
        return request(REPORTS, [("q", self.phrase())])

    def search_with_filter(self) -> str:
        return request(REPORTS, [("q", self.phrase()), *self.filter(next(self.filters)), *self.view()])

    def sorted_search(self) -> str:
        return request(REPORTS, [("q", self.phrase()), *self.view()])

    def known_detail(self) -> str:
        if not self.material.items:
            return self.unknown_detail()
        item = self.random.choice(self.material.items)
        key, old_id, suffix = str(item["video_id"]), str(item["id"]), next(self.suffixes)
        words = "_".join(str(item["title"]).lower().split()[:4])
        forms = (key, old_id, f"yt:{key}", f"{key}{suffix}", f"{words}_{key}{suffix}", key.swapcase(), key[:-1])
        name = quote(self.random.choice(forms), safe="")
        return f"/{name}.json" if self.random.random() < 0.2 and "%2F" not in name else f"{REPORTS}/{name}"

    def unknown_detail(self) -> str:
        return f"{REPORTS}/{quote(next(self.nowhere), safe='')}"

    def facets(self) -> str:
        names = self.random.sample(FILTER_NAMES, self.random.choice((0, 1, 1, 2)))
        return request(FILTERS, [part for name in names for part in self.filter(name)])

    def facets_of_search(self) -> str:
        return request(FILTERS, [("q", self.phrase()), *self.filter(next(self.filters))])

    def odd_request(self) -> str:
        return request(self.random.choice((REPORTS, REPORTS, FILTERS)), next(self.odd))


KINDS: tuple[Callable[[Maker], str], ...] = (
    Maker.one_filter,
    Maker.search,
    Maker.facets,
    Maker.known_detail,
    Maker.sorted_page,
    Maker.pair_of_filters,
    Maker.odd_request,
    Maker.search_with_filter,
    Maker.one_filter,
    Maker.known_detail,
    Maker.facets_of_search,
    Maker.sorted_search,
    Maker.pair_of_filters,
    Maker.odd_request,
    Maker.beyond_the_end,
    Maker.unknown_detail,
)


def request(path: str, query: Query) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def recorded(path: Path) -> list[str]:
    """The requests of a file: a path with its query on each line, or the JSON list of a folder of samples.

    Raises ValueError, a sentence, for what is neither.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ValueError(f"{path} cannot be read: {said}.") from error
    requests = list(entries(text, path)) if text.lstrip().startswith("[") else list(lines(text, path))
    if not requests:
        raise ValueError(f"{path} holds no request.")
    return requests


def lines(text: str, path: Path) -> Iterator[str]:
    """Empty lines, and those that begin with #, say nothing."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (asked := line.strip()) and not asked.startswith("#"):
            yield checked(asked, f"line {number} of {path}")


def entries(text: str, path: Path) -> Iterator[str]:
    try:
        listed: Iterable[Any] = json.loads(text)
        yield from [checked(entry["path"], f"an entry of {path}") for entry in listed]
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is no JSON list of {{"path": …}}.') from error


def checked(asked: str, place: str) -> str:
    """The request with its letters as an address has them."""
    if not asked.startswith("/"):
        raise ValueError(f"A request begins with /, and {place} is {asked[:80]!r}.")
    return quote(asked, safe="%/?&=+:;,@!$'()*[]~")
