"""The dashboard as a whole: the cards that answer a search, and the controls around them."""

from dataclasses import dataclass

from django.contrib.messages import get_messages
from django.http import HttpRequest

from .cards import Card, cards
from .filters import ActiveFilter, Facet, Sort, active_filters, facet_list, selected_pairs, sorts
from .library import Library
from .links import PAGE_SIZE, Address
from .pagination import Pagination, SizeLink, pagination, size_links
from .search import Search

# The tag of a message about a video that can be brought back, before its key.
UNDO = "undo:"


@dataclass(frozen=True)
class Notice:
    """What is said once, above the list; `undo` is the key of the video that can be brought back, or empty."""

    text: str
    undo: str


def undo_tag(video_id: str) -> str:
    """The tag of a message that a video was deleted: it is shown with a button that undoes this."""
    return f"{UNDO}{video_id}"


def notices_of(request: HttpRequest) -> tuple[Notice, ...]:
    """The messages that wait for this person, who has seen them now."""
    return tuple(
        Notice(str(message), tag.removeprefix(UNDO) if (tag := message.extra_tags or "").startswith(UNDO) else "")
        for message in get_messages(request)
    )


@dataclass(frozen=True)
class Dashboard:
    """What the page shows. `hidden` are the parameters that the form carries along unseen."""

    cards: tuple[Card, ...]
    facets: tuple[Facet, ...]
    active_filters: tuple[ActiveFilter, ...]
    sorts: tuple[Sort, ...]
    more_sorts: tuple[Sort, ...]
    pagination: Pagination
    sizes: tuple[SizeLink, ...]
    hidden: tuple[tuple[str, str], ...]
    q: str
    is_grid: bool
    list_url: str
    grid_url: str
    url_without_filters: str

    @property
    def total(self) -> str:
        return f"{self.pagination.total:,}"

    @property
    def page(self) -> str:
        return f"{self.pagination.number:,}"

    @property
    def pages(self) -> str:
        return f"{self.pagination.pages:,}"

    @property
    def is_empty_library(self) -> bool:
        return not self.pagination.total and not self.active_filters


def dashboard_of(search: Search, address: Address, library: Library) -> Dashboard:
    """The page that shows a search of a library; `address` is where it stands."""
    counted = library.facets(search)
    pairs = selected_pairs(search, counted["category"])
    in_sight, more = sorts(search)
    keys = library.keys(search)
    return Dashboard(
        cards=cards(library.listed(keys), address, search.q, library.snippets(keys, search.q)),
        facets=facet_list(search, address, counted, pairs, library.uncategorised_count(search)),
        active_filters=active_filters(search, address, pairs),
        sorts=in_sight,
        more_sorts=more,
        pagination=pagination(address, search.page, search.size, library.count(search)),
        sizes=size_links(address, search.size),
        hidden=tuple(hidden(search, address, [pair.subcategory for pair in pairs if pair.category is None])),
        q=address.get("q"),
        is_grid=address.get("view") == "grid",
        list_url=address.having({"view": (), "page": address.values.get("page", ())}).url,
        grid_url=address.having({"view": ("grid",), "page": address.values.get("page", ())}).url,
        url_without_filters=address.without_filters().url,
    )


def hidden(search: Search, address: Address, subcategories: list[str]) -> list[tuple[str, str]]:
    """Parameters that no control of the form stands for, and that a change of another filter must keep."""
    kept = [("topics", topic) for topic in search.topics]
    kept += [("subcategory", name) for name in subcategories]
    kept += [(name, address.get(name)) for name in ("date_from", "date_to", "view") if address.get(name)]
    if search.size != PAGE_SIZE:
        kept.append(("size", str(search.size)))
    return kept
