"""The read API: filters, sorts, search, pages, ids and errors, as contract/api.md has them."""

import json
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from videos.api import DetailOut, FiltersOut, ItemOut, ListOut
from videos.deciding import deciding
from videos.models import Origin, Video
from videos.search import LISTS

from .factories import CATEGORIES, categorise, make_library, make_video, summarise

pytestmark = pytest.mark.django_db


def answer(path: str, parameters: Any = (), status: int = 200) -> Any:
    response = Client().get(path, parameters if isinstance(parameters, dict) else list(parameters))
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    return json.loads(response.content)


def reports(**parameters: Any) -> dict[str, Any]:
    return answer("/api/reports?" + urlencode(parameters, doseq=True))


def found(**parameters: Any) -> list[str]:
    return [item["video_id"] for item in reports(**parameters)["reports"]]


# Items


def test_an_item_has_every_key_and_no_null_where_nothing_is_known():
    Video.objects.create(video_id="bare")
    (item,) = reports()["reports"]
    assert set(item) == set(ItemOut.model_fields)
    assert item["title"] == "Untitled"
    assert item["published_at"] == item["indexed_at"] == item["channel"] == ""
    assert item["analysis"] == {
        "category": [], "subcategory": None, "categories": [], "content_type": "", "complexity_level": "",
        "language": "en", "key_topics": [], "named_entities": [],
    }  # fmt: skip
    assert item["original_language"] == item["summary_language"] == item["audio_language"] == "en"
    assert item["subcategories_json"] is None
    assert item["id"] == item["file_stem"] == item["video_id"] == "bare"


def test_answers_are_what_the_schemas_say():
    make_library(12)
    ListOut.model_validate(reports(), strict=True)
    FiltersOut.model_validate(answer("/api/filters"), strict=True)
    DetailOut.model_validate(answer("/api/reports/video_00003"), strict=True)


def test_flat_categories_are_no_structure():
    categorise(make_video(), [("News", None), ("General", None)], Origin.IMPORTED)
    (item,) = reports()["reports"]
    assert item["analysis"]["category"] == ["News", "General"]
    assert item["analysis"]["categories"] == []
    assert item["subcategories_json"] is None


def test_structure_keeps_order_and_gives_the_first_subcategory():
    categorise(make_video(), [("History", "Modern History"), ("History", "Biographies"), ("Education", "Tutorials")])
    (item,) = reports()["reports"]
    structure = [
        {"category": "History", "subcategories": ["Modern History", "Biographies"]},
        {"category": "Education", "subcategories": ["Tutorials"]},
    ]
    assert item["analysis"]["categories"] == structure
    assert item["analysis"]["subcategory"] == "Modern History"
    assert json.loads(item["subcategories_json"]) == {"categories": structure}


def test_first_category_without_subcategories_gives_none():
    sent = (
        '{"categories": [{"category": "News", "subcategories": []}, {"category": "History", "subcategories": ["A"]}]}'
    )
    categorise(make_video(subcategories_json=sent), [("News", None), ("History", "A")])
    (item,) = reports()["reports"]
    assert [entry["category"] for entry in item["analysis"]["categories"]] == ["News", "History"]
    assert item["analysis"]["subcategory"] is None


def test_the_text_that_came_in_is_answered_verbatim_until_the_rows_say_something_else():
    sent = '{"categories":[{"category":"Caf\\u00e9","subcategories":["A","B"]}],"by":"hand"}'
    video = make_video(subcategories_json=sent)
    categorise(video, [("Café", "A"), ("Café", "B")])
    assert reports()["reports"][0]["subcategories_json"] == sent
    with deciding("curator"):
        video.categorizations.filter(subcategory__name="B").delete()
    assert json.loads(reports()["reports"][0]["subcategories_json"]) == {
        "categories": [{"category": "Café", "subcategories": ["A"]}]
    }


# Filters


@pytest.fixture
def library() -> None:
    make_library(30)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"channel": "Channel 1"}, lambda n: n % 7 == 1),
        ({"channel": ["Channel 1", "Channel 2", "nobody"]}, lambda n: n % 7 in (1, 2)),
        ({"channel": "channel 1"}, lambda n: False),
        ({"channel": "  Channel \t 1 "}, lambda n: n % 7 == 1),
        ({"content_type": "News", "language": "fr"}, lambda n: n % 2 and n % 5 == 0),
        ({"complexity": "Advanced"}, lambda n: n % 3 == 0),
        ({"complexity_level": "Advanced"}, lambda n: n % 3 == 0),
        ({"has_audio": "YES"}, lambda n: n % 4),
        ({"has_audio": "0"}, lambda n: n % 4 == 0),
        ({"has_audio": "perhaps"}, lambda n: True),
        ({"category": "History"}, lambda n: n % 5 == 1),
        ({"category": ["History", "Technology"]}, lambda n: n % 5 in (0, 1)),
        ({"category": "General"}, lambda n: True),
        ({"subcategory": "Part 1"}, lambda n: n % 3 == 1),
        ({"subcategory": "Part 1", "parentCategory": "History"}, lambda n: n % 3 == 1 and n % 5 == 1),
        ({"subcategory": "Part 1", "parentCategory": "General"}, lambda n: False),
        ({"parentCategory": "History"}, lambda n: True),
        ({"category": "Technology", "subcategory": "Part 1"}, lambda n: n % 5 == 0 and n % 3 == 1),
        ({"source": "youtube"}, lambda n: True),
        ({"source": "reddit"}, lambda n: False),
        ({"unknown": "parameter"}, lambda n: True),
        ({"q": "NUMBER 7"}, lambda n: n == 7),
        ({"q": "summary of 12"}, lambda n: n == 12),
        ({"q": "7", "channel": "Channel 1"}, lambda n: n % 7 == 1),
        ({"q": "_um"}, lambda n: False),
        ({"q": "%"}, lambda n: True),
        ({"q": "%%"}, lambda n: False),
        ({"q": "history", "category": "History"}, lambda n: n % 5 == 1),
    ],
)
def test_filters(library, parameters, expected):
    assert sorted(found(**parameters, size=50)) == [f"video_{n:05d}" for n in range(30) if expected(n)]
    assert reports(**parameters)["pagination"]["total_count"] == sum(bool(expected(n)) for n in range(30))


def test_filters_are_echoed_as_they_are_understood(library):
    echo = reports(category="  A – B ", has_audio="YES", q=" a  b ", subcategory="x", parentCategory="y", page="2")
    assert echo["filters"] == {
        "category": ["A - B"], "subcategory": ["x"], "parentCategory": ["y"], "has_audio": True, "q": "a b"
    }  # fmt: skip
    assert reports(parentCategory="y", q="j", has_audio="x")["filters"] == {}


@pytest.mark.parametrize("stored", ["Fine–Tuning & more", "Fine-Tuning &  more ", "Fine-Tuning\u00a0& more"])
@pytest.mark.parametrize("asked", ["Fine-Tuning & more", "Fine–Tuning &\tmore", " Fine-Tuning  & more"])
def test_dashes_and_spaces_match_on_both_sides(stored, asked):
    video = make_video(channel_name=stored, title=stored)
    categorise(video, [("A " + stored, stored)])
    assert (
        found(channel=asked) == found(subcategory=asked) == found(category="A " + asked) == found(q=asked) == [video.pk]
    )
    assert answer("/api/filters")["channel"] == [{"value": stored, "count": 1}]


@pytest.mark.parametrize("text", ["ÉCOLE Ünïcode", "ПРИВЕТ Мир", "ΑΒΓ", "日本語テキスト", "100% _sure_ \\ path"])
def test_search_ignores_case_in_every_script_and_takes_signs_literally(text):
    make_video(1, title=f"before {text} after")
    summarise(make_video(2), f"before {text} after")
    make_video(3)
    for q in (text, text.lower(), text.upper()):
        assert found(q=q) == ["video_00001", "video_00002"], q


def test_search_reads_what_the_reader_shows_today():
    video = make_video()
    summarise(video, "an old text about falcons")
    summarise(video, "a new text about eagles")
    assert found(q="eagles") == [video.pk]
    assert found(q="falcons") == []


def test_search_without_a_sort_has_title_hits_first_then_the_newest_added():
    for number in (1, 2, 3, 4):
        video = make_video(number, title="needle" if number in (1, 3) else "hay")
        summarise(video, "needle")
    assert found(q="needle") == ["video_00003", "video_00001", "video_00004", "video_00002"]
    assert found(q="needle", size=1, page=3) == ["video_00004"]
    assert found(q="needle", sort="added_asc") == [f"video_{n:05d}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("sort", ["", "added_asc", "title", "newest"])
@pytest.mark.parametrize(
    "q", ["number", "number 1", "summary of", "audio of 2", "history", "nothing like it", "_", "é"]
)
def test_few_and_many_hits_are_found_the_same(library, monkeypatch, q, sort):
    """Many hits are found by going through the videos in order, few by their keys (search.FEW)."""
    summarise(make_video(40, title="Number one"), "No history of it.")
    parameters = {"q": q, "size": 7} | ({"sort": sort} if sort else {})
    few = [found(**parameters, page=page) for page in range(1, 7)]
    monkeypatch.setattr("videos.search.FEW", -1)
    assert [found(**parameters, page=page) for page in range(1, 7)] == few
    assert len(set(chain(*few))) == reports(**parameters)["pagination"]["total_count"]


def test_topics_are_compared_like_every_name():
    make_video(1, key_topics=["war – peace", 7, None, ["x"], {"a": "b"}])
    make_video(2, key_topics=["  war -\u00a0peace ", "b"])
    make_video(3, key_topics={"war - peace": "b"})
    for asked in ("war - peace", "war  – peace "):
        assert sorted(found(topics=asked)) == ["video_00001", "video_00002"]
    assert found(topics=["War - peace", "7", "x", "a", ""]) == []


def test_topics_and_dates_filter():
    make_video(1, key_topics=["codes", "war"], published_at=datetime(2025, 9, 10, tzinfo=UTC))
    make_video(2, key_topics=["war"], published_at=datetime(2025, 9, 11, 23, 59, 59, tzinfo=UTC))
    make_video(3, published_at=None)
    assert sorted(found(topics="war")) == ["video_00001", "video_00002"]
    assert found(topics=["codes", "peace"]) == ["video_00001"]
    assert found(date_from="2025-09-11") == ["video_00002"]
    assert found(date_to="2025-09-11T23:59:59") == ["video_00002", "video_00001"]
    assert found(date_from="2025-09-10", date_to="2025-09-10") == ["video_00001"]
    assert len(found(date_from="yesterday", date_to="9999-12-31")) == 3


def test_deleted_videos_are_nowhere(library):
    Video.objects.filter(pk="video_00007").update(deleted_at=timezone.now())
    assert "video_00007" not in found(size=50)
    assert found(q="number 7") == []
    assert reports()["pagination"]["total_count"] == 29
    assert {"value": "General", "count": 29} in answer("/api/filters")["category"]
    answer("/api/reports/video_00007", status=404)


# Sorts and pages


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("added_desc", ["b", "a", "d", "c"]),
        ("added_asc", ["c", "a", "d", "b"]),
        ("video_newest", ["c", "a", "d", "b"]),
        ("newest", ["c", "a", "d", "b"]),
        ("oldest", ["b", "a", "d", "c"]),
        ("video_oldest", ["b", "a", "d", "c"]),
        ("title_az", ["a", "d", "c", "b"]),
        ("title", ["a", "d", "c", "b"]),
        ("title_za", ["b", "c", "a", "d"]),
        ("duration", ["d", "a", "b", "c"]),
        ("duration_asc", ["c", "a", "b", "d"]),
    ],
)
def test_sorts_break_ties_by_id_and_take_a_missing_date_for_the_oldest(sort, expected):
    day = [datetime(2025, 9, n, tzinfo=UTC) for n in range(1, 5)]
    make_video(1, video_id="a", title="Émile", indexed_at=day[1], published_at=day[1], duration_seconds=5)
    make_video(2, video_id="b", title="zebra", indexed_at=day[3], published_at=None, duration_seconds=5)
    make_video(3, video_id="c", title="Ford", indexed_at=None, published_at=day[3], duration_seconds=0)
    make_video(4, video_id="d", title="emile", indexed_at=day[1], published_at=day[1], duration_seconds=9)
    assert found(sort=sort) == expected
    assert reports(sort=sort)["sort"] == sort


def test_an_unknown_sort_is_newest_and_says_so(library):
    assert reports(sort="nope")["sort"] == "newest"
    assert found(sort="nope") == found(sort="newest") == found()


@pytest.mark.parametrize("sort", ["added_desc", "oldest", "title_asc", "duration_desc"])
def test_pages_neither_repeat_nor_skip(sort):
    for number in range(23):
        make_video(number, indexed_at=None, published_at=None, duration_seconds=1, title="same")
    pages = [found(sort=sort, size=5, page=page) for page in range(1, 6)]
    assert sorted(chain(*pages)) == sorted(Video.objects.values_list("pk", flat=True))


def test_pagination_has_both_sets_of_names(library):
    assert reports(page=2, size=7)["pagination"] == {
        "page": 2, "size": 7, "total_count": 30, "total_pages": 5, "total": 30, "pages": 5, "has_next": True,
        "has_prev": True,
    }  # fmt: skip
    past = reports(page=99)
    assert past["reports"] == []
    assert past["pagination"]["has_prev"]
    assert not past["pagination"]["has_next"]


# One report


@pytest.mark.parametrize(
    "name",
    [
        "AbC-dE_f123", "yt:AbC-dE_f123", "yt:abc-de_f123", "some_title_words_AbC-dE_f123", "AbC-dE_f123_1",
        "some_title_AbC-dE_f123_2", "AbC-dE_f123_20250901_134325", "AbC-dE_f123_0056c1", " AbC-dE_f123 ",
    ],
)  # fmt: skip
def test_every_form_of_an_id_finds_the_video(name):
    make_video(1, video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
    make_video(2, video_id="aBc-dE_f123")
    assert answer(f"/api/reports/{name}")["video_id"] == "AbC-dE_f123"


@pytest.mark.parametrize("name", ["AbC-dE_f12", "bC-dE_f123", "m", "%", "AbC-dE_f123x", "x" * 5000, "a\x00b", "../etc"])
def test_a_part_of_an_id_finds_nothing(name):
    make_video(1, video_id="AbC-dE_f123")
    assert answer(f"/api/reports/{name.replace('%', '%25')}", status=404)["error"] == "not_found"


def test_variants_come_best_first_and_the_best_is_the_summary():
    video = make_video(language="fr")
    summarise(video, "spoken", "audio-fr:beginner")
    summarise(video, "old whole")
    summarise(video, "whole <b>text</b>")
    summarise(video, "invented", "brand-new-variant")
    detail = answer(f"/api/reports/{video.pk}")
    assert [v["variant"] for v in detail["summary_variants"]] == [
        "comprehensive",
        "audio-fr:beginner",
        "brand-new-variant",
    ]
    assert detail["summary_variants"][0]["revision"] == 2
    assert detail["summary_variants"][0]["html"] == "<p>whole &lt;b&gt;text&lt;/b&gt;</p>"
    assert detail["summary"] == {
        "text": "whole <b>text</b>",
        "type": "comprehensive",
        "content": {"summary": "whole <b>text</b>", "summary_type": "comprehensive"},
    }


# Facets


def test_a_count_is_the_number_of_videos_that_the_filter_returns(library):
    facets = answer("/api/filters")
    checked = 0
    for facet, values in facets.items():
        assert [v["count"] for v in values] == sorted(
            (v["count"] for v in values), reverse=True
        ) or facet == "has_audio"
        for value in values:
            if facet == "complexity_level":
                facet = "complexity"
            asked = str(value["value"]).lower() if facet == "has_audio" else value["value"]
            assert reports(**{facet: asked})["pagination"]["total_count"] == value["count"]
            for below in value.get("subcategories", []):
                pair = {"subcategory": below["value"], "parentCategory": value["value"]}
                assert reports(**pair)["pagination"]["total_count"] == below["count"]
                checked += 1
    assert checked == 15


def test_facets_count_under_all_other_filters(library):
    facets = answer("/api/filters", {"category": "History", "content_type": "News", "q": "number"})
    # n % 5 == 1 is History, odd n is News.
    assert {"value": "News", "count": 3} in facets["content_type"]
    assert {"value": "Review", "count": 3} in facets["content_type"]
    assert sum(v["count"] for v in facets["channel"]) == 3
    names = {v["value"]: v["count"] for v in facets["category"]}
    assert names == {"General": 15, **dict.fromkeys(CATEGORIES, 3)}
    assert facets["has_audio"] == [{"value": True, "count": 3}]


def test_facets_without_filters_equal_facets_under_a_filter_that_lets_all_through(library):
    assert answer("/api/filters") == answer("/api/filters", {"date_from": "1990-01-01"})


# What must never fail


def test_more_than_500_values_are_refused_with_a_sentence():
    response = Client().get("/api/reports?" + "&".join(f"channel=c{n}" for n in range(600)))
    assert response.status_code == 400
    body = response.json()
    assert body["error"] == "invalid_query"
    assert "600" in body["message"]
    assert "500" in body["message"]
    assert Client().get("/api/reports?" + "&".join(f"channel=c{n}" for n in range(500))).status_code == 200


def test_values_are_counted_for_each_parameter_and_far_too_many_are_refused_with_the_same_sentence(library):
    every = "&".join(f"{name}={name}{n}" for name in LISTS for n in range(500))
    assert Client().get(f"/api/reports?{every}").json()["pagination"]["total_count"] == 0
    response = Client().get("/api/filters?" + "&".join(f"category=c{n}" for n in range(5000)))
    assert response.status_code == 400
    assert "5000" in response.json()["message"]


@pytest.mark.parametrize(
    "query",
    [
        "page=x", "size=-5", "page=-1&size=0", "page=99999999999999999999999", "size=1e9", "page=١", "q=%00", "q=a%00b",
        "channel=%00", "category=%00&subcategory=%00", "topics=%00", "q=%ff%fe", "channel=%c3%28", "q=%ed%a0%80",
        "sort=%00", "date_from=%00", "date_to=0000-00-00", "date_from=9999-12-31T23:59:59.999999", "q=" + "a" * 100_000,
        "q=" + "%25_" * 2000, "channel=" + "x" * 100_000, "category=" + "é" * 5000, "has_audio=", "=", "&&&", "q[]=1",
        "parentCategory=%00&subcategory=x", "language=%F0%9F%98%80", "page=1;x", "q=%27%22%3b--", "q=%5c", "q=%5c%5c",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/reports", "/api/filters", "/"])
def test_odd_queries_never_fail(path, query):
    make_video(key_topics=["a"])
    assert Client().get(f"{path}?{query}").status_code in (200, 302, 400)


class QueryStrings(TestCase):
    """Property: no query string makes the server fail."""

    @classmethod
    def setUpTestData(cls) -> None:
        make_library(3)

    names = st.sampled_from(
        ["q", "page", "size", "sort", "category", "subcategory", "parentCategory", "channel", "topics", "has_audio",
         "date_from", "date_to", "language", "source", "complexity", "view", "only"]
    )  # fmt: skip
    values = st.one_of(
        st.text(max_size=40), st.sampled_from(["1", "-1", "true", "newest", "History", "\x00", "2025-09-01"])
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(names, values), max_size=6), st.sampled_from(["/api/reports", "/api/filters", "/"]))
    def test_any_query_string_is_answered(self, parameters, path):
        query = urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in parameters])
        assert self.client.get(f"{path}?{query}").status_code in (200, 302, 400)


@pytest.mark.parametrize("path", ["/api/nothing", "/api/reports/nothing", "/nothing.json", "/health/nothing"])
def test_unknown_addresses_are_404_as_json(path):
    assert set(answer(path, status=404)) == {"error", "message"}


def test_the_document_and_its_page_need_nothing_from_outside():
    document = answer("/api/openapi.json")
    assert {"/api/reports", "/api/filters", "/api/reports/{video_id}"} <= set(document["paths"])
    names = {p["name"] for p in document["paths"]["/api/reports"]["get"]["parameters"]}
    assert {"category", "q", "sort", "page", "date_from"} <= names
    page = Client().get("/api/docs").content.decode()
    assert "://" not in page.replace("http://www.w3.org", "")


def test_unchanged_answers_are_not_sent_again(library):
    first = Client().get("/api/reports")
    again = Client().get("/api/reports", headers={"if-none-match": first["ETag"]})
    assert again.status_code == 304
    assert Client().get("/api/reports", headers={"accept-encoding": "gzip"})["Content-Encoding"] == "gzip"
    head = Client().head("/api/reports")
    assert head.status_code == 200
    assert head.content == b""


@pytest.mark.parametrize("path", ["/api/reports", "/health", "/api/filters"])
def test_a_wrong_method_is_answered_in_the_one_shape(path):
    response = Client().post(path)
    assert response.status_code == 405
    assert "GET" in response["Allow"]
    assert response.json()["error"] == "method_not_allowed"
