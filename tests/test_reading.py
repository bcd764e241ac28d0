"""`/read/<id>/`: the part of a page that is read inside of a list."""

import re

import pytest
from django.test import Client

from summaries.models import Summary
from tests.factories import make_video, summarise

pytestmark = pytest.mark.django_db


def read(name: str) -> str:
    answer = Client().get(f"/read/{name}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_is_a_part_of_a_page_with_every_variant():
    video = make_video(1, title="<b>One</b>")
    summarise(video, "First.\n\n" + "word " * 500)
    summarise(video, "- Insight", "key-insights")
    html = read(video.pk)
    assert "<html" not in html and "<script" not in html
    assert "&lt;b&gt;One&lt;/b&gt;" in html
    assert re.findall(r'<a href="#(.+?)" data-variant="(.+?)">', html) == [
        ("read-variant-comprehensive", "comprehensive"),
        ("read-variant-key-insights", "key-insights"),
    ]
    assert "3 min to read" in html
    assert 'href="/videos/video_00001/"' in html


def test_its_anchors_are_no_others_of_the_page():
    video = make_video(1)
    for variant in ("audio", "a udio", "a-udio", "ü"):
        Summary.objects.create(video=video, variant=variant, revision=1, text="x", html="<p>x</p>")
    anchors = re.findall(r'<section id="(.+?)"', read(video.pk))
    assert len(set(anchors)) == 4
    assert all(anchor.startswith("read-") for anchor in anchors)


def test_one_variant_needs_no_tabs_and_none_says_so():
    video = make_video(1)
    assert "No summary available." in read(video.pk)
    summarise(video, "Only this.")
    assert 'class="tabs"' not in read(video.pk)


@pytest.mark.parametrize("name", ["dQw4w9WgXcQ", "yt:dQw4w9WgXcQ", "some_title_dQw4w9WgXcQ"])
def test_every_name_of_a_video_finds_it(name):
    summarise(make_video(1, video_id="dQw4w9WgXcQ"), "Found.")
    assert "Found." in read(name)


def test_what_is_not_here_or_deleted_says_what_to_do():
    make_video(1).delete_by("owner", "because")
    for name in ("video_00001", "nobody", "a%00b", "x" * 5000):
        answer = Client().get(f"/read/{name}/")
        assert answer.status_code == 404
        assert "not in the library" in answer.content.decode()
        assert "data-collapse" in answer.content.decode()


def test_it_is_only_read():
    assert Client().post("/read/video_00001/").status_code == 405
