"""The pages of a list, as links: the first, the last, and some around the one that is shown."""

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.utils.functional import cached_property

from .links import Address

AROUND = 2
SIZES = (12, 24, 50)


@dataclass(frozen=True)
class PageLink:
    """A page's number and URL; `far` is what a narrow screen leaves out. Without a number: a gap."""

    number: int | None
    label: str = "…"
    url: str = ""
    current: bool = False
    far: bool = True


@dataclass(frozen=True)
class Pagination:
    """Where the page stands in the list. Empty URLs: there is no such page."""

    number: int
    pages: int
    total: int
    links: tuple[PageLink, ...]
    first_url: str
    previous_url: str
    next_url: str
    last_url: str

    @property
    def is_past_the_end(self) -> bool:
        return self.total > 0 and self.number > self.pages


@dataclass(frozen=True)
class SizeLink:
    size: int
    url: str
    current: bool


def pagination(address: Address, number: int, size: int, total: int) -> Pagination:
    """Links to the pages around `number` of a list of `total` videos."""
    pages = -(-total // size)
    return Pagination(
        number=number,
        pages=pages,
        total=total,
        links=tuple(page_links(address, number, pages)),
        first_url=address.on_page(1).url if number > 1 else "",
        previous_url=address.on_page(min(number - 1, pages)).url if number > 1 else "",
        next_url=address.on_page(number + 1).url if number < pages else "",
        last_url=address.on_page(pages).url if number != pages and pages else "",
    )


def page_links(address: Address, number: int, pages: int) -> list[PageLink]:
    """The first page, the last, and those around `number`. A gap that would hide a single page shows it."""
    shown = {1, pages, *range(number - AROUND, number + AROUND + 1)}
    shown |= {page for page in (2, pages - 1) if {page - 1, page + 1} <= shown}
    links: list[PageLink] = []
    for page in sorted(page for page in shown if 1 <= page <= pages):
        if links and page - links[-1].number > 1:
            links.append(PageLink(None))
        links.append(PageLink(page, f"{page:,}", address.on_page(page).url, page == number, abs(page - number) > 1))
    return links


def size_links(address: Address, size: int) -> tuple[SizeLink, ...]:
    """The sizes to choose from, and the one of the address if it is another."""
    default = SIZES[0]
    return tuple(
        SizeLink(choice, address.having({"size": () if choice == default else (str(choice),)}).url, choice == size)
        for choice in sorted({*SIZES, size})
    )


class LargeTablePaginator(Paginator):
    """Pages without counting past what anybody leafs through: a count of everything reads everything."""

    limit = 10_000

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[: self.limit].count()

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than were counted."""
        return self.count >= self.limit
