"""The playlist: the neighbours of a video in the list that one listens to, in every order, wherever it stands."""

import itertools
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from videos import playlist, search
from videos.links import DEFAULT_SORT, PAGE_SIZE
from videos.models import Video
from videos.playlist import Track, playlist_of
from videos.search import ORDERINGS, Search

from .factories import categorise, make_library, make_video, new_video, summarise

DAY = datetime(2025, 9, 1, tzinfo=UTC)
LATER = datetime(2025, 9, 2, tzinfo=UTC)
TITLES = ("", "Alpha", "alpha", "Beta", "Ölpest")


def ask(client, around: str = "", **parameters: object) -> SimpleNamespace:
    query = urlencode({**parameters, "around": around} if around else parameters, doseq=True)
    answer = client.get(f"/playlist/?{query}")
    assert answer.status_code == 200, answer.content
    return SimpleNamespace(**{name: item and item["video_id"] for name, item in answer.json().items()})


def searched(**parameters: object) -> Search:
    query = QueryDict(urlencode(parameters, doseq=True))
    return Search.from_query(query, default_size=PAGE_SIZE, default_sort=DEFAULT_SORT)


def listed(one: Search) -> list[str]:
    """All pages of the list, without the videos that have no audio."""
    pages = (one.changed(page=page, size=3).keys() for page in itertools.count(1))
    keys = list(itertools.chain.from_iterable(itertools.takewhile(bool, pages)))
    audible = set(Video.objects.filter(has_audio=True).values_list("pk", flat=True))
    return [key for key in keys if key in audible]


def name(track: Track | None) -> str | None:
    return track and track.video_id


def walked(one: Search) -> list[str]:
    """The playlist from its start by what is next; what is previous must lead back."""
    place = playlist_of(one)
    keys = []
    while place.current:
        assert name(place.previous) == (keys[-1] if keys else None)
        keys.append(place.current.video_id)
        assert len(set(keys)) == len(keys)
        if place.next is None:
            break
        place = playlist_of(one, place.next.video_id)
    return keys


ROW = st.fixed_dictionaries(
    {
        "title": st.sampled_from(TITLES),
        "indexed_at": st.sampled_from((None, DAY, LATER)),
        "published_at": st.sampled_from((None, DAY, LATER)),
        "duration_seconds": st.sampled_from((0, 60)),
        "has_audio": st.sampled_from((True, True, False)),
    }
)


class TestOrder(TestCase):
    @hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(rows=st.lists(ROW, max_size=9), q=st.sampled_from(("", "al")))
    def test_walking_the_playlist_is_going_through_all_pages_in_every_order(self, rows, q):
        videos = Video.objects.bulk_create(new_video(number, **row) for number, row in enumerate(rows))
        for video in videos[::2]:
            summarise(video, "About aluminium.")
        for few in (search.FEW, -1):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(search, "FEW", few)
                patch.setattr(playlist, "FEW", few)
                for sort in ("", *ORDERINGS):
                    one = searched(q=q, sort=sort)
                    assert walked(one) == listed(one)


@pytest.mark.django_db
class TestAnswers:
    def test_an_item_has_what_the_player_shows(self, client):
        make_video(1, video_id="reddit:a/b c", title="Ä & <b>", channel_name=" C ", audio_duration_seconds=139,
                   thumbnail_url="https://i.ytimg.com/a.jpg", has_audio=True)  # fmt: skip
        make_video(2, title="", thumbnail_url="https://elsewhere.example/a.jpg", has_audio=True)
        answer = client.get("/playlist/").json()
        assert answer["previous"] is None
        assert answer["next"] == {
            "video_id": "reddit:a/b c",
            "title": "Ä & <b>",
            "channel": "C",
            "thumbnail": "https://i.ytimg.com/a.jpg",
            "url": "/videos/reddit:a/b%20c/",
            "audio": "/exports/by_video/reddit:a/b%20c",
            "audio_duration_seconds": 139,
        }
        assert (answer["current"]["title"], answer["current"]["thumbnail"]) == ("Untitled", "")

    def test_page_size_and_view_do_not_matter(self, client):
        make_library(20)
        first = ask(client)
        assert ask(client, page=2, size=3, view="grid") == first
        assert first.current == "video_00019"

    def test_all_filters_count(self, client):
        make_library(40)
        parameters = {"category": "History", "language": "en", "sort": "title_asc"}
        keys = listed(searched(**parameters))
        assert len(keys) == 6
        for before, key, after in zip([None, *keys], keys, [*keys[1:], None], strict=False):
            place = ask(client, key, **parameters)
            assert (place.previous, place.current, place.next) == (before, key, after)

    def test_nothing_has_audio_that_is_searched_for_without(self, client):
        make_library(8)
        place = ask(client, has_audio="false")
        assert (place.previous, place.current, place.next) == (None, None, None)
        assert ask(client, "video_00001", has_audio="false").next is None

    def test_a_video_that_left_the_list_keeps_its_place(self, client):
        for number in range(1, 6):
            make_video(number, has_audio=True, language="fr" if number == 3 else "en")
        place = ask(client, "video_00003", language="en")
        assert (place.previous, place.current, place.next) == ("video_00004", "video_00003", "video_00002")
        Video.objects.get(pk="video_00003").delete_by("anna", "")
        assert ask(client, "video_00003") == SimpleNamespace(previous="video_00004", current=None, next="video_00002")
        # What is deleted is no neighbour either.
        assert ask(client, "video_00004").next == "video_00002"

    def test_a_video_without_audio_has_neighbours_and_cannot_be_played(self, client):
        for number in range(1, 4):
            make_video(number, has_audio=number != 2)
        place = ask(client, "video_00002")
        assert (place.previous, place.current, place.next) == ("video_00003", None, "video_00001")

    def test_old_ids_are_known(self, client):
        make_video(1, legacy_id="yt:old", has_audio=True)
        assert ask(client, "yt:old").current == "video_00001"

    @pytest.mark.parametrize("around", ["nothing", "\x00", "a" * 2000, " "])
    def test_an_unknown_id_is_404_in_the_one_shape(self, client, around):
        make_library(3)
        answer = client.get("/playlist/", {"around": around})
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"

    def test_too_many_values_are_400_and_odd_values_are_none(self, client):
        make_library(3)
        answer = client.get("/playlist/", {"channel": [f"c{number}" for number in range(501)]})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
        for odd in ({"sort": "sideways"}, {"page": "x"}, {"q": "x"}, {"has_audio": "perhaps"}):
            assert ask(client, **odd).current == "video_00002"
        for nothing in ({"q": "a\x00b"}, {"channel": "a\x00b"}):
            assert ask(client, "video_00001", **nothing).next is None

    def test_an_empty_library_has_no_place(self, client):
        assert client.get("/playlist/").json() == {"current": None, "previous": None, "next": None}

    def test_read_only(self, client):
        assert client.head("/playlist/").status_code == 200
        for method in (client.post, client.put, client.delete):
            assert method("/playlist/").status_code == 405

    @pytest.mark.parametrize("parameters", [{}, {"q": "summary"}, {"q": "video", "sort": "title_asc"},
                                            {"category": "History", "sort": "added_asc"}])  # fmt: skip
    def test_the_number_of_queries_is_small_and_does_not_grow(self, client, parameters):
        make_library(20)
        counts = [self.queries(client, parameters)]
        for number in range(20, 40):
            categorise(make_video(number), [("History", None)])
        counts.append(self.queries(client, parameters))
        assert counts[0] == counts[1] <= 10

    def queries(self, client, parameters: dict[str, str]) -> int:
        """The number of queries for a place in the middle of the list."""
        keys = listed(searched(**parameters))
        with CaptureQueriesContext(connection) as queries:
            place = ask(client, keys[len(keys) // 2], **parameters)
        assert place.previous and place.next
        return len(queries)
