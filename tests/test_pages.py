"""The pages: state in the address, filters, cards, reports, errors; complete without JavaScript."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from summaries.models import Summary
from videos.cards import duration, reading_time, thumbnail, web_address
from videos.deciding import deciding
from videos.filters import KINDS, LISTED
from videos.languages import language_of
from videos.links import Address, report_url
from videos.models import Categorization, Category, Subcategory, Video
from videos.pagination import pagination

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('x')</script> & \"quotes\" / (brackets), ünï 🎬 " + "w" * 200
HEBREW = "שלום עולם"


def make_video(video_id: str, *pairs: tuple[str, str | None], **fields: object) -> Video:
    """A video with these categories, everything else as it may be."""
    defaults = {"title": f"Title of {video_id}", "source": "youtube", "channel_name": "TED", "language": "en"}
    video = Video.objects.create(video_id=video_id, **defaults | fields)
    for position, (category_name, subcategory_name) in enumerate(pairs):
        category, _ = Category.objects.get_or_create(name=category_name)
        subcategory = None
        if subcategory_name:
            subcategory, _ = Subcategory.objects.get_or_create(category=category, name=subcategory_name)
        with deciding("curator"):
            Categorization.objects.create(video=video, position=position, category=category, subcategory=subcategory)
    return video


def make_videos(count: int, **fields: object) -> None:
    for number in range(count):
        make_video(f"video{number:06}", ("Technology", "Web Development"), ("History", None), **fields)


def make_summary(video: Video, variant: str, html: str, **fields: object) -> Summary:
    return Summary.objects.create(video=video, variant=variant, revision=1, text=html, html=html, **fields)


class Page(HTMLParser):
    """A parsed page: its links, its form's controls, and its text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.source = content.decode()
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a" and "href" in attributes]

    def controls(self, name: str) -> dict[str, bool]:
        """Values of the boxes with this name, and whether they are ticked."""
        return {
            attributes["value"]: "checked" in attributes
            for tag, attributes in self.tags
            if tag == "input" and attributes.get("name") == name
        }

    def has_link_to(self, **parameters: str | list[str]) -> bool:
        """Whether a link leads to the dashboard with exactly these parameters."""
        wanted = sorted(
            (name, value)
            for name, values in parameters.items()
            for value in ([values] if isinstance(values, str) else values)
        )
        return any(
            sorted(parse_qsl(urlsplit(link).query)) == wanted for link in self.links if urlsplit(link).path == "/"
        )


@pytest.fixture
def open_page(client: Client) -> Callable[..., Page]:
    def open_page(url: str, status: int = 200) -> Page:
        response = client.get(url)
        assert response.status_code == status, response.get("Location")
        return Page(response.content)

    return open_page


# State in the address


def test_dashboard_counts_and_pages_what_is_there(open_page):
    make_videos(13)
    page = open_page("/")
    assert "13 summaries found • Page 1 of 2" in page.text
    assert page.source.count('class="card"') == 12
    assert "13 summaries found • Page 2 of 2" in open_page("/?page=2").text


def test_one_video_is_one_summary(open_page):
    make_videos(1)
    page = open_page("/")
    assert "1 summary found • Page 1 of 1" in page.text
    assert 'aria-label="Pages"' not in page.source


def test_view_sort_and_size_are_in_the_address(open_page):
    make_videos(30)
    page = open_page("/?view=grid&size=24&sort=title_az")
    assert 'class="cards grid"' in page.source
    assert page.source.count('class="card"') == 24
    assert page.controls("sort")["title_az"]
    assert page.controls("view") == {"grid": False}
    assert page.controls("size") == {"24": False}
    assert page.has_link_to(view="grid", size="24", sort="title_az", page="2")
    assert page.has_link_to(size="24", sort="title_az")
    assert page.has_link_to(view="grid", sort="title_az")


@pytest.mark.parametrize(
    ("sent", "clean"),
    [
        ("page=1", "/"),
        ("sort=added_desc", "/"),
        ("size=12", "/"),
        ("view=list", "/"),
        ("q=&sort=&category=&has_audio=", "/"),
        ("q=cats&sort=", "/?q=cats"),
        ("page=0&size=500", "/?size=50"),
        ("category=A&category=A", "/?category=A"),
        ("channel=A++B", "/?channel=A+B"),
        ("complexity_level=Beginner", "/?complexity=Beginner"),
        ("parentCategory=A", "/"),
        ("has_audio=true&has_audio=false", "/"),
        ("has_audio=yes", "/?has_audio=true"),
        ("sort=nonsense", "/?sort=video_newest"),
        ("category=A&category=B&only:category=C&page=4", "/?category=C&page=4"),
        ("channel=A&only:category=C", "/?category=C&channel=A"),
        ("under:A=x&under:A=y", "/?subcategory=x&subcategory=y&parentCategory=A"),
        ("category=A&category=B&under:A=x", "/?category=B&subcategory=x&parentCategory=A"),
        ("category=A&under:B=y&only:under:A=x", "/?subcategory=x&parentCategory=A"),
        ("subcategory=x&parentCategory=A&only:category=B", "/?category=B"),
        ("category=A&only:uncategorised=true", "/?uncategorised=true"),
        ("uncategorised=true&channel=B&only:under:A=x", "/?subcategory=x&parentCategory=A&channel=B"),
        ("uncategorised=false", "/"),
        ("uncategorised=1&category=A", "/?category=A&uncategorised=true"),
        ("category=A%2C+B%2FC+%26+D", None),
        ("q=cats&sort=added_desc", None),
        ("subcategory=x&parentCategory=A&category=A", None),
        ("utm_source=mail", None),
        ("page=7&view=grid&size=24&sort=title_za&q=x", None),
    ],
)
def test_address_is_made_clean_by_one_redirect(client, sent, clean):
    response = client.get(f"/?{sent}")
    if clean is None:
        assert response.status_code == 200
        return
    assert (response.status_code, response["Location"]) == (302, clean)
    assert client.get(clean).status_code == 200


@pytest.mark.parametrize(
    "value", ["a\x00b", "é\udcff".encode("utf-8", "replace").decode(), "\u2013", " \u00a0x\u2003y "]
)
def test_address_of_an_odd_value_is_stable(client, value):
    response = client.get("/", {"category": value, "q": value}, follow=True)
    assert response.status_code == 200
    assert len(response.redirect_chain) <= 1


def test_address_keeps_its_page_for_another_view_only():
    address = Address.from_query(QueryDict("page=3&category=A"))
    assert address.having({"channel": ["B"]}).url == "/?category=A&channel=B"
    assert address.on_page(4).url == "/?category=A&page=4"


def test_too_many_values_are_a_400_page_with_a_sentence(open_page):
    query = "&".join(f"channel={number}" for number in range(501))
    page = open_page(f"/?{query}", status=400)
    assert "channel has 501 values; at most 500 are possible in one request." in page.text


# Facets


def test_facets_show_values_with_counts(open_page):
    make_video("a", ("Technology", "Web"), language="fr", has_audio=True)
    make_video("b", ("Technology", None), language="xx", source="web")
    page = open_page("/")
    assert page.controls("category") == {"Technology": False}
    assert page.controls("under:Technology") == {"Web": False}
    assert page.controls("language") == {"fr": False, "xx": False}
    assert "Technology 2 only Web 1 only" in page.text
    assert "French 1 only xx 1 only" in page.text
    assert "With audio 1 only Without audio 1 only" in page.text
    assert "Web 1 only YouTube 1 only" in page.text


def test_facet_counts_follow_the_other_filters(open_page):
    make_video("a", ("Technology", None), channel_name="TED")
    make_video("b", ("History", None), channel_name="TED")
    make_video("c", ("History", None), channel_name="BBC")
    page = open_page("/?channel=BBC")
    assert page.controls("category") == {"History": False}
    assert page.controls("channel") == {"TED": False, "BBC": True}


def test_ticked_value_that_nothing_matches_can_be_unticked(open_page):
    make_video("a", ("Technology", None))
    page = open_page("/?category=Gone&channel=Nobody&subcategory=Lost&parentCategory=Technology")
    assert page.controls("category")["Gone"]
    assert page.controls("channel")["Nobody"]
    assert page.controls("under:Technology") == {"Lost": True}
    assert page.has_link_to(category="Gone", channel="Nobody")


def test_value_is_ticked_whatever_dash_it_is_written_with(open_page):
    make_video("a", ("War 1914–1918", None))
    assert open_page("/?category=War+1914-1918").controls("category") == {"War 1914-1918": True}


def test_subcategory_without_a_parent_is_kept_by_the_form(open_page):
    make_video("a", ("Technology", "Web"))
    assert open_page("/?subcategory=Web").controls("under:Technology") == {"Web": True}
    assert open_page("/?subcategory=Nowhere").controls("subcategory") == {"Nowhere": False}


def test_filters_without_a_control_are_carried_along(open_page):
    make_video("a", key_topics=["silk"])
    page = open_page("/?topics=silk&date_from=2024-01-01")
    assert page.controls("topics") == {"silk": False}
    assert page.controls("date_from") == {"2024-01-01": False}


def test_all_ticks_every_value_and_clear_none(open_page):
    make_video("a", ("Technology", None))
    make_video("b", ("History", "Cold War"))
    assert open_page("/").has_link_to(category=["Technology", "History"])
    page = open_page("/?subcategory=Cold+War&parentCategory=History&language=en")
    assert page.has_link_to(language="en")
    assert page.has_link_to(category=["Technology", "History"], language="en")


def test_few_values_are_in_sight_and_a_ticked_one_always(open_page):
    for number in range(20):
        make_video(f"v{number}", channel_name=f"Channel {number:02}")
    source = open_page("/?channel=Channel+17").source
    in_sight, _, more = source.partition("Show 14 more")
    assert 'value="Channel 04"' in in_sight
    assert 'value="Channel 17"' in in_sight
    assert 'value="Channel 05"' in more


def test_very_many_values_are_cut_and_can_be_searched(open_page):
    for number in range(LISTED + 10):
        make_video(f"v{number}", channel_name=f"Channel {number:02}")
    page = open_page("/?channel=Channel+58")
    assert len(page.controls("channel")) == LISTED + 1
    assert page.controls("channel")["Channel 58"]
    assert "and 9 more: search for a channel" in page.text
    found = open_page("/?channel=Channel+58&find_channel=CHANNEL+5")
    assert set(found.controls("channel")) == {f"Channel {number}" for number in range(50, 60)}
    assert found.controls("find_channel") == {"CHANNEL 5": False}
    nothing = open_page("/?find_channel=zzz")
    assert "Nothing here is called “ zzz ”" in nothing.text


def test_sort_has_best_match_for_a_search_by_words(open_page):
    make_videos(1)
    assert open_page("/").controls("sort")[""]
    page = open_page("/?q=title")
    assert "Best Match" in page.text
    assert page.controls("sort")[""]
    assert open_page("/?q=title&sort=added_desc").controls("sort")["added_desc"]


# Active filters


def test_each_active_filter_can_be_removed(open_page):
    make_video("a", ("Technology", "Web"), ("Technology", "Mobile"), key_topics=["silk"], has_audio=True)
    page = open_page("/?q=title&channel=TED&has_audio=true&topics=silk&view=grid")
    rest = {"q": "title", "channel": "TED", "has_audio": "true", "topics": "silk", "view": "grid"}
    for name in ("q", "channel", "has_audio", "topics"):
        assert page.has_link_to(**{key: value for key, value in rest.items() if key != name})
    assert page.has_link_to(view="grid"), "Clear all keeps the view"
    assert "Remove Search “title”" in page.text
    page = open_page("/?subcategory=Web&subcategory=Mobile&parentCategory=Technology")
    assert "Technology › Web" in page.text
    assert page.has_link_to(subcategory="Web", parentCategory="Technology")
    assert page.has_link_to(subcategory="Mobile", parentCategory="Technology")


def test_removing_a_pair_that_the_others_would_make_up_again_changes_something(open_page):
    make_video("a", ("WWI", "Causes"), ("WWI", "Battles"), ("WWII", "Causes"), ("WWII", "Battles"))
    page = open_page("/?subcategory=Causes&subcategory=Battles&parentCategory=WWI&parentCategory=WWII")
    assert page.text.count("Remove Subcategory") == 4
    assert page.has_link_to(subcategory="Causes", parentCategory=["WWI", "WWII"])
    assert page.has_link_to(subcategory="Battles", parentCategory=["WWI", "WWII"])
    page = open_page("/?subcategory=Causes&parentCategory=WWI&parentCategory=WWII")
    assert page.has_link_to(subcategory="Causes", parentCategory="WWI")


# Uncategorised


def make_some_uncategorised() -> None:
    make_video("a", ("Technology", "Web"), channel_name="TED")
    make_video("b", ("History", None), channel_name="BBC")
    make_video("c", channel_name="TED", title="Something else")
    make_video("d", channel_name="BBC", deleted_at="2025-01-01T00:00:00Z")


def test_uncategorised_is_the_last_category_with_its_count(open_page):
    make_some_uncategorised()
    page = open_page("/")
    assert page.controls("uncategorised") == {"true": False}
    assert "Uncategorised 1 only" in page.text
    assert page.text.index("Uncategorised") > page.text.index("Technology 1 only")
    assert page.has_link_to(category=["History", "Technology"], uncategorised="true"), "All ticks it too"


def test_uncategorised_is_one_more_choice_beside_the_categories(open_page):
    make_some_uncategorised()
    page = open_page("/?uncategorised=true")
    assert "1 summary found" in page.text
    assert page.controls("uncategorised") == {"true": True}
    assert page.controls("category") == {"History": False, "Technology": False}
    assert "Remove Category Uncategorised" in page.text
    assert page.has_link_to(), "it can be taken off"
    page = open_page("/?category=History&uncategorised=true")
    assert "2 summaries found" in page.text
    assert page.has_link_to(category="History")
    assert page.has_link_to(uncategorised="true")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("channel=TED", 1),
        ("channel=BBC", 0),
        ("q=else", 1),
        ("q=title", 0),
        ("category=Technology", 1),
        ("subcategory=Web&parentCategory=Technology", 1),
        ("channel=BBC&uncategorised=true", 0),
        ("channel=TED&category=Technology&uncategorised=true", 1),
        ("channel=Nobody", 0),
    ],
)
def test_uncategorised_counts_under_the_other_filters_and_is_no_dead_end(open_page, query, count):
    make_some_uncategorised()
    page = open_page(f"/?{query}")
    chosen = "uncategorised=true" in query
    assert page.controls("uncategorised") == ({"true": chosen} if count or chosen else {})
    if count or chosen:
        assert f"Uncategorised {count} only" in page.text


def test_uncategorised_is_in_sight_however_many_categories_there_are(open_page):
    for number in range(LISTED + 10):
        make_video(f"v{number}", (f"Category {number:02}", None))
    make_video("a")
    in_sight, _, _ = open_page("/").source.partition("Show 42 more")
    assert 'name="uncategorised"' in in_sight
    assert open_page("/?find_category=CATEGOR").controls("uncategorised")
    assert not open_page("/?find_category=category+07").controls("uncategorised")


def test_a_category_that_is_called_uncategorised_is_another(open_page):
    make_video("a", ("Uncategorised", None))
    make_video("b", title="The other")
    assert "The other" not in open_page("/?category=Uncategorised").source
    assert "Title of a" not in open_page("/?uncategorised=true").text


def test_uncategorised_is_understood_by_the_api_and_changes_no_other_answer(client):
    make_some_uncategorised()
    answer = client.get("/api/reports?uncategorised=true").json()
    assert [item["video_id"] for item in answer["reports"]] == ["c"]
    assert client.get("/api/reports?uncategorised=false").json()["pagination"]["total_count"] == 3
    everything = client.get("/api/filters").json()
    assert sorted(everything) == sorted(kind.counted_as for kind in KINDS)
    assert client.get("/api/filters?uncategorised=true").json()["category"] == everything["category"]
    assert client.get("/api/filters?channel=TED").json()["category"] == [
        {"value": "Technology", "count": 1, "subcategories": [{"value": "Web", "count": 1}]}
    ]


# What holds for every facet

ONE_OF_EACH = {
    "category": "History",
    "channel": "BBC",
    "content_type": "News",
    "complexity": "Beginner",
    "language": "fr",
    "source": "web",
    "has_audio": "true",
    "uncategorised": "true",
}


@pytest.fixture
def many_values() -> None:
    """Every facet has several values, in nearly every combination of two."""
    for number in range(24):
        pairs = [("History", "Cold War"), ("Technology", None), ("Science", "Physics")][: number % 4]
        make_video(
            f"video{number:06}", *pairs, channel_name=("BBC", "TED", "")[number % 3],
            content_type=("News", "Review", "")[number // 2 % 3], complexity_level=("Beginner", "Advanced")[number % 2],
            language=("fr", "en", "de")[number // 3 % 3], source=("web", "youtube")[number // 5 % 2],
            has_audio=number % 5 < 2,
        )  # fmt: skip


def found(page: Page) -> int:
    return int(re.search(r"([\d,]+) summar(?:y|ies) found", page.text)[1])


def boxes(page: Page) -> Iterator[tuple[str, str, int]]:
    """Name, value and count of every value that the form offers."""
    for name, value, count in re.findall(
        r'type="checkbox" name="([^"]+)" value="([^"]*)"[^>]*><span[^>]*>[^<]*</span> <small>(\d+)</small>', page.source
    ):
        yield unescape(name), unescape(value), int(count)


@pytest.mark.parametrize("query", ["", "category=History&has_audio=true", "q=title&uncategorised=true"])
def test_every_value_shows_as_many_videos_as_its_count_says(client, many_values, query):
    offered = list(boxes(Page(client.get(f"/?{query}").content)))
    assert {name for name, *_ in offered} >= set(ONE_OF_EACH) - {"has_audio"}
    for name, value, count in offered:
        only = Page(client.get(f"/?{query}&{urlencode({f'only:{name}': value})}", follow=True).content)
        assert found(only) == count > 0, (name, value)
        assert [box for box in boxes(only) if box[0] == name and only.controls(name)[box[1]]] == [(name, value, count)]


@pytest.mark.parametrize("query", ["category=History", "subcategory=Physics&parentCategory=Science"])
def test_one_more_tick_among_the_categories_is_no_dead_end(client, many_values, query):
    before = Page(client.get(f"/?{query}").content)
    for name, value, count in boxes(before):
        if name in ("category", "uncategorised") or name.startswith("under:"):
            after = Page(client.get(f"/?{query}&{urlencode({name: value})}", follow=True).content)
            # A subcategory takes the place of its own category; everything else is added.
            takes_its_place = query == "category=History" and name == "under:History"
            assert found(after) >= (count if takes_its_place else max(count, found(before)))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_each_choice_is_shown_above_the_list_and_can_be_taken_off_alone(open_page, many_values, name):
    page = open_page(f"/?{urlencode(ONE_OF_EACH)}&view=grid")
    assert page.source.count('class="active-filter"') == len(ONE_OF_EACH)
    assert page.has_link_to(**{key: value for key, value in ONE_OF_EACH.items() if key != name}, view="grid")


def test_a_ticked_category_includes_its_subcategories(open_page):
    make_video("a", ("History", "Cold War"))
    make_video("b", ("History", None))
    make_video("c", ("History", "Cold War"), ("History", "Rome"))
    assert "3 summaries found" in open_page("/?category=History").text
    assert "2 summaries found" in open_page("/?subcategory=Cold+War&parentCategory=History").text


def test_a_category_and_a_subcategory_of_another_are_two_choices_on_the_page_only(client, open_page):
    make_video("a", ("History", None))
    make_video("b", ("Technology", "Web"))
    query = "category=History&subcategory=Web&parentCategory=Technology"
    assert "2 summaries found" in open_page(f"/?{query}").text
    assert client.get(f"/playlist/?{query}").status_code == 200
    assert client.get(f"/api/reports?{query}").json()["pagination"]["total_count"] == 0


# The view is remembered


@pytest.mark.parametrize(
    ("cookie", "url", "location"),
    [
        ("grid", "/", "/?view=grid"),
        ("list", "/", None),
        ("nonsense", "/", None),
        ("grid", "/?q=title", None),
        ("grid", "/?view=grid", None),
        ("list", "/?view=grid", None),
        ("grid", "/?utm_source=mail", None),
    ],
)
def test_the_bare_address_shows_the_view_that_was_chosen_last(client, cookie, url, location):
    make_videos(1)
    client.cookies["view"] = cookie
    response = client.get(url)
    assert response.status_code == (302 if location else 200)
    if location:
        assert response["Location"] == location
        assert "Cookie" in response["Vary"]
        assert 'class="cards grid"' in client.get(location).content.decode()


# Cards


def test_chips_stand_for_their_category_or_pair_only(open_page):
    make_video("a", ("Technology", "Web"), ("History", None))
    page = open_page("/?channel=TED&category=History&sort=title_az&page=1".replace("&page=1", ""))
    assert page.has_link_to(channel="TED", sort="title_az", category="Technology")
    assert page.has_link_to(channel="TED", sort="title_az", subcategory="Web", parentCategory="Technology")


def test_card_shows_what_is_known_only(open_page):
    make_video("a", channel_name="", language="", canonical_url="javascript:alert(1)")
    page = open_page("/")
    assert "Read" in page.text
    for absent in ("Listen", "Watch", "javascript:", 'class="flag"', "card-channel", "min</span>", "undefined", "None"):
        assert absent not in page.source


def test_card_shows_times_and_links(open_page):
    make_video(
        "dQw4w9WgXcQ",
        canonical_url="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        word_count=320,
        has_audio=True,
        audio_duration_seconds=139,
        duration_seconds=3723,
    )
    page = open_page("/")
    assert "Read 2 min Listen 2:19 Watch 1:02:03" in page.text
    assert {"/videos/dQw4w9WgXcQ/", "/videos/dQw4w9WgXcQ/#audio"} <= set(page.links)
    watch = next(a for tag, a in page.tags if tag == "a" and a["href"].startswith("https://www.youtube.com"))
    assert (watch["target"], watch["rel"]) == ("_blank", "noopener")


def test_flag_has_a_name(open_page):
    make_video("a", language="fr")
    # The code stands in for the flag where a machine has no letters for flags.
    assert 'data-code="fr" role="img" aria-label="French"' in open_page("/").source


@pytest.mark.parametrize("name", [HOSTILE, HEBREW])
def test_names_are_text_whatever_they_hold(client, name):
    short = name[:150]
    video = make_video("a", (short, short), title=name, channel_name=short, content_type=short, key_topics=[short])
    make_summary(video, "audio", "<p>Text</p>", language=short)
    for url in ("/", report_url("a"), f"/?q={name[:12]}"):
        source = client.get(url, follow=True).content.decode()
        assert "<script>alert" not in source
        assert name in unescape(source)


def test_id_that_cannot_be_an_address_does_not_break_the_list(open_page):
    make_video("a\nb/../?#%")
    assert "/videos/a%0Ab/../%3F%23%25/" in open_page("/").links


@pytest.mark.parametrize("video_id", ["dQw4w9WgXcQ", "-x1d-K2l6oU", "reddit:abc", "hash:0a~é b"])
def test_report_url_is_djangos(video_id):
    assert report_url(video_id) == Video(video_id=video_id).get_absolute_url()


# Empty states and pages


def test_empty_library_says_so(open_page):
    page = open_page("/")
    assert "0 summaries found" in page.text
    assert "Your library is empty" in page.text
    assert "Sort by" not in page.text


def test_no_match_offers_all(open_page):
    make_videos(1)
    page = open_page("/?q=nothing-like-it&view=grid")
    assert "No summaries match" in page.text
    assert page.has_link_to(view="grid")


def test_page_past_the_end_links_to_the_last(open_page):
    make_videos(13)
    page = open_page("/?page=99&category=Technology")
    assert "There is no page 99" in page.text
    assert "99 of" not in page.text
    assert page.has_link_to(category="Technology", page="2")
    assert open_page("/?page=1000000000").has_link_to(page="2")


@pytest.mark.parametrize(
    ("number", "pages", "labels"),
    [
        (1, 1, "1"),
        (1, 3, "1 2 3"),
        (1, 10, "1 2 3 … 10"),
        (4, 10, "1 2 3 4 5 6 … 10"),
        (5, 10, "1 2 3 4 5 6 7 … 10"),
        (6, 11, "1 … 4 5 6 7 8 … 11"),
        (6, 10, "1 … 4 5 6 7 8 9 10"),
        (10, 10, "1 … 8 9 10"),
        (500, 8334, "1 … 498 499 500 501 502 … 8,334"),
    ],
)
def test_pagination_window(number, pages, labels):
    shown = pagination(Address({}), number, 12, pages * 12)
    assert " ".join(link.label for link in shown.links) == labels
    assert [link.number for link in shown.links if link.current] == [number]
    assert bool(shown.previous_url) == (number > 1)
    assert bool(shown.next_url) == (number < pages)


# The report page


def test_report_shows_the_best_variant_and_the_others(open_page):
    video = make_video("dQw4w9WgXcQ", ("History", "Cold War"), has_audio=True, audio_duration_seconds=139)
    make_summary(video, "audio-fr:beginner", "<p>Bonjour</p>", language="fr")
    make_summary(video, "comprehensive", "<p>The <strong>whole</strong></p>")
    page = open_page("/videos/dQw4w9WgXcQ/")
    assert page.text.index("whole") < page.text.index("Bonjour")
    assert "<p>The <strong>whole</strong></p>" in page.source
    assert "Audio, French (beginner) 1 min to read French Revision 1" in page.text
    assert 'lang="fr"' in page.source
    assert {"#variant-comprehensive", "#variant-audio-fr-beginner"} <= set(page.links)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(ids)
    assert "Audio Duration 2:19" in page.text
    assert page.has_link_to(category="History")
    assert page.has_link_to(subcategory="Cold War", parentCategory="History")


def test_report_leaves_out_what_is_not_known(open_page):
    make_video("dQw4w9WgXcQ", channel_name="", language="")
    page = open_page("/videos/dQw4w9WgXcQ/")
    assert "No summary available." in page.text
    for absent in ("Channel", "Duration", "Published", "Categories", "Word Count", 'id="audio"', "None", "undefined"):
        assert absent not in page.source


def test_report_shows_the_latest_revision_only(open_page):
    video = make_video("dQw4w9WgXcQ")
    make_summary(video, "audio", "<p>Old</p>", is_latest=False)
    Summary.objects.create(video=video, variant="audio", revision=2, text="New", html="<p>New</p>")
    page = open_page("/videos/dQw4w9WgXcQ/")
    assert "Revision 2" in page.text
    assert "Old" not in page.text


def test_report_topics_link_to_the_list(open_page):
    make_video("dQw4w9WgXcQ", key_topics=["the-silk-road", "AI & us", 7, None])
    page = open_page("/videos/dQw4w9WgXcQ/")
    assert "the silk road AI & us" in page.text
    assert page.has_link_to(topics="the-silk-road")
    assert page.has_link_to(topics="AI & us")


@pytest.mark.parametrize(
    "url",
    [
        "/videos/dQw4w9WgXcQ/",
        "/videos/yt:dQw4w9WgXcQ/",
        "/dQw4w9WgXcQ.json?v=2",
        "/some_title_dQw4w9WgXcQ.json?v=2",
        "/dQw4w9WgXcQ_20250901_134325.json?v=2",
    ],
)
def test_report_has_one_canonical_address(client, open_page, url):
    make_video("dQw4w9WgXcQ")
    canonical = next(a["href"] for tag, a in open_page(url).tags if tag == "link" and a["rel"] == "canonical")
    assert canonical == "http://testserver/videos/dQw4w9WgXcQ/"
    head = client.head(url)
    assert head.status_code == 200
    assert not head.content


@pytest.mark.parametrize("url", ["/videos/unknown/", "/unknown.json?v=2", "/unknown.json", "/nothing/at/all"])
def test_unknown_is_404(client, url):
    assert client.get(url).status_code == 404
    assert client.head(url).status_code == 404


def test_deleted_video_has_no_page(client):
    make_video("dQw4w9WgXcQ", deleted_at="2025-01-01T00:00:00Z")
    assert client.get("/videos/dQw4w9WgXcQ/").status_code == 404
    assert "0 summaries found" in client.get("/").content.decode()


def test_dashboard_answers_head_and_no_post(client):
    assert client.head("/").status_code == 200
    assert client.post("/").status_code == 405


# Errors


def test_404_page_says_what_to_do(open_page):
    page = open_page("/nothing/at/all", status=404)
    assert "There is nothing at this address" in page.text
    assert "/" in page.links
    assert 'name="q"' in page.source


@pytest.mark.parametrize("template", ["400.html", "403.html", "404.html", "500.html"])
def test_error_pages_need_no_database_and_no_request(template, django_assert_num_queries):
    with django_assert_num_queries(0):
        page = Page(render_to_string(template).encode())
    assert "/" in page.links
    assert "<h1>" in page.source


def test_menu_leads_to_the_admin(open_page, admin_client):
    assert "Sign in" in open_page("/").text
    assert "Admin" in Page(admin_client.get("/").content).text


# What holds for every page


@pytest.fixture
def urls() -> list[str]:
    video = make_video("dQw4w9WgXcQ", ("A", "B"), has_audio=True, thumbnail_url="https://i.ytimg.com/vi/x/hq720.jpg")
    make_summary(video, "audio", "<p>Text</p>")
    return ["/", "/?view=grid&category=A", "/?page=9", "/?q=zzz", "/videos/dQw4w9WgXcQ/", "/unknown/"]


def test_policy_is_strict_and_pages_obey_it(client, urls):
    for url in urls:
        response = client.get(url)
        assert "unsafe" not in response["Content-Security-Policy"]
        for tag, attributes in Page(response.content).tags:
            assert tag != "style"
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
            assert tag != "script" or attributes.get("src", "").startswith("/static/")


def test_landmarks_and_headings_are_in_order(client, urls):
    for url in urls:
        page = Page(client.get(url).content)
        tags = [tag for tag, _ in page.tags]
        assert tags.count("main") == tags.count("h1") == 1
        assert ("html", {"lang": "en"}) in page.tags
        assert page.tags[[tag for tag, _ in page.tags].index("a")][1]["href"] == "#main"
        ids = {attributes.get("id") for _, attributes in page.tags}
        for tag, attributes in page.tags:
            if tag == "input" and attributes.get("type") == "search":
                assert any(other == "label" and a.get("for") == attributes["id"] for other, a in page.tags)
            for name in ("aria-labelledby", "popovertarget"):
                assert attributes.get(name) is None or attributes[name] in ids


@pytest.mark.parametrize("query", ["", "?category=Technology&channel=TED"])
def test_number_of_queries_does_not_grow_with_the_cards(client, query):
    from django.db import connection

    counts = []
    for more in (10, 10):
        start = Video.objects.count()
        for number in range(start, start + more):
            make_video(f"v{number}", ("Technology", "Web"), thumbnail_url="https://i.ytimg.com/x.jpg")
        url = f"/{query}{'&' if query else '?'}size=24"
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).content.count(b'class="card"') == start + more
        counts.append(len(queries))
    assert counts[0] == counts[1]


# Small rules


def test_times():
    assert [duration(seconds) for seconds in (0, 9, 107, 3600, 36123)] == ["", "0:09", "1:47", "1:00:00", "10:02:03"]
    assert [reading_time(words) for words in (0, 1, 230, 320)] == ["", "1 min", "1 min", "2 min"]


@pytest.mark.parametrize(
    ("code", "name", "tag"),
    [
        ("en", "English", "en"),
        ("FR", "French", "fr"),
        ("pt-br", "Portuguese (BR)", "pt-BR"),
        ("zh_Hans_CN", "Chinese (Hans, CN)", "zh-Hans-CN"),
        ("xx", "xx", "xx"),
        ("klingon!", "klingon!", ""),
    ],
)
def test_languages_have_names(code, name, tag):
    language = language_of(code)
    assert (language.name, language.tag) == (name, tag)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://i.ytimg.com/vi/x/hq720.jpg", True),
        ("https://a.b.ytimg.com/x.jpg", True),
        ("https://preview.redd.it/x.png?width=1", True),
        ("/exports/images/x.png", True),
        ("http://i.ytimg.com/x.jpg", False),
        ("https://ytimg.com.evil.example/x.jpg", False),
        ("https://notytimg.com/x.jpg", False),
        ("//evil.example/x.jpg", False),
        ("data:image/png;base64,AA", False),
        ("https://[bad/x.jpg", False),
        ("", False),
    ],
)
def test_thumbnail_is_shown_if_the_policy_lets_it_load(url, allowed):
    assert thumbnail(url) == (url if allowed else "")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x", "watch?v=1"])
def test_only_web_addresses_are_links(url):
    assert not web_address(url)


def test_stylesheet_loads_nothing_from_elsewhere(settings):
    css = (settings.BASE_DIR / "static" / "css" / "ytv2.css").read_text()
    assert not re.findall(r"url\((?![\"']?\.\./)|@import", css)
