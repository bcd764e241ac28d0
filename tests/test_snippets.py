"""Hits of a search, marked in titles and shown in snippets: where the search finds them, and safe on the way out."""

import sys
import unicodedata
from html import escape, unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from videos.snippets import folded, hits, marked, snippet, snippets_of, visible

from .factories import make_library, make_video, summarise

# What breaks positions, markup and folding, and some letters to find.
PIECES = ["a", "A", "b", "ß", "ẞ", "İ", "ı", "I", "i", "Σ", "σ", "ς", "e\u0301", "\u0307", "ﬁ", "–", "-", " ", "  ",
          "\n", "\u00a0", "\u2003", "<", ">", "&", "&amp;", "<mark>", "</mark>", "<b>", '"', "'", "\\", ".", "*", "(",
          "🎬", "א", "\u202e"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
queries = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(lambda parts: " ".join("".join(parts).split()))


def as_searched(text: str) -> str:
    """What videos_fold makes of a text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT videos_fold(%s)", [text])
        return cursor.fetchone()[0]


def one_space(text: str) -> str:
    """Folded text with its runs of spaces as one."""
    return " ".join(part for part in folded(text).split(" ") if part)


# Titles


@pytest.mark.parametrize(
    ("text", "q", "html"),
    [
        ("History of history", "HISTORY", "<mark>History</mark> of <mark>history</mark>"),
        ("War 1914–1918", "1914-1918", "War <mark>1914–1918</mark>"),
        ("Cold  \n war", "cold war", "<mark>Cold  \n war</mark>"),
        ("İstanbul", "istanbul", "<mark>İstanbul</mark>"),
        ("xİİİ hit", "hit", "xİİİ <mark>hit</mark>"),
        ("STRAẞE", "straße", "<mark>STRAẞE</mark>"),
        ("Strasse", "straße", "Strasse"),
        ("cafe\u0301", "fe\u0301", "ca<mark>fe\u0301</mark>"),
        ("ΟΔΟΣ", "οδοσ", "<mark>ΟΔΟΣ</mark>"),
        ("a.b* (c)", ".b* (", "a<mark>.b* (</mark>c)"),
        ("aaa", "aa", "<mark>aa</mark>a"),
        ("100 % of _", "% of _", "100 <mark>% of _</mark>"),
        ("<b>bold</b>", "b>", "&lt;<mark>b&gt;</mark>bold&lt;/<mark>b&gt;</mark>"),
        ("Tom & Jerry", "amp", "Tom &amp; Jerry"),
        ("a\u2003b", "a b", "a\u2003b"),
        ("nothing", "", "nothing"),
        ("nothing", " ", "nothing"),
        ("", "a", ""),
    ],
)
def test_hits_in_a_text_are_marked(text, q, html):
    assert marked(text, q) == html


@given(texts, queries)
def test_what_is_marked_is_what_was_asked_for_and_nothing_is_lost(text, q):
    html = marked(text, q)
    rest = html.replace("<mark>", "").replace("</mark>", "")
    assert unescape(rest) == text
    assert "<" not in rest
    assert ">" not in rest
    assert html.count("<mark>") == html.count("</mark>") == len(hits(text, q))
    for start, stop in hits(text, q):
        assert one_space(text[start:stop]) == one_space(q)


@given(texts, queries)
def test_a_text_that_has_the_words_has_a_hit(text, q):
    assert bool(hits(text, q)) == bool(one_space(q) and one_space(q) in one_space(text))


@pytest.mark.django_db
def test_every_character_is_folded_as_the_search_does():
    characters = [
        chr(code)
        for code in range(1, sys.maxunicode + 1)
        # Of these two an older PostgreSQL (with ICU) makes something else; of unknown ones a newer one may.
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co") and chr(code) not in " \u0130\u03a3"
    ]
    # A letter between them: spaces stay single, and no letter is the end of a word.
    for start in range(0, len(characters), 50_000):
        text = "x".join(characters[start : start + 50_000])
        ours, theirs = folded(text), as_searched(text)
        different = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
        assert not different


# Snippets


WORDS = " ".join(f"word{number}" for number in range(100))


def test_a_snippet_is_cut_at_words_around_the_first_hit():
    html = snippet(f"<p>{WORDS}</p>", "WORD50")
    assert html == (
        "… word43 word44 word45 word46 word47 word48 word49 <mark>word50</mark> word51 word52 word53 word54 word55 "
        "word56 word57 word58 word59 word60 word61 word62 word63 word64 word65 …"
    )


def test_a_short_text_is_shown_whole():
    assert snippet("<p>All of it.</p>", "of") == "All <mark>of</mark> it."


def test_a_hit_at_either_end_needs_one_ellipsis():
    assert snippet(f"<p>{WORDS}</p>", "word0 ").startswith("<mark>word0</mark> word1 ")
    assert snippet(f"<p>{WORDS}</p>", "word99").endswith(" <mark>word99</mark>")


def test_a_text_without_spaces_is_cut_all_the_same():
    html = snippet(f"<p>{'x' * 500}hit{'x' * 500}</p>", "hit")
    assert "<mark>hit</mark>" in html
    assert len(html) < 200


def test_a_hit_longer_than_a_snippet_is_shown_whole():
    assert f"<mark>{'long ' * 50}".rstrip() in snippet(f"<p>before {'long ' * 50} after</p>", ("long " * 50).strip())


@pytest.mark.parametrize(
    ("html", "q"),
    [
        ('<p class="takeaway">Text</p>', "takeaway"),
        ('<a href="https://example.org/a>b" rel="noopener">here</a>', "example"),
        ('<a href="https://example.org/a>b" rel="noopener">here</a>', 'b" rel'),
        ("<p>Tom &amp; Jerry</p>", "amp"),
        ("<strong>Text</strong>", "strong"),
        ("<p>Text</p>", "nothing like it"),
        ("<p>Text</p>", ""),
        ("", "text"),
    ],
)
def test_what_a_reader_does_not_see_has_no_snippet(html, q):
    assert snippet(html, q) == ""


def test_entities_are_characters_and_blocks_are_apart():
    assert visible("<h3>Title</h3><ul><li>a <b>b</b>c</li><li>Tom &amp; &lt;i&gt;</li></ul>") == "Title a bc Tom & <i>"
    assert snippet("<p>Tom &amp; &lt;i&gt;</p>", "& <I>") == "Tom <mark>&amp; &lt;i&gt;</mark>"


@given(texts, queries)
def test_a_snippet_is_escaped_and_has_a_hit(text, q):
    html = snippet(f"<p>{escape(text)}</p>", q)
    assert bool(html) == bool(hits(visible(f"<p>{escape(text)}</p>"), q))
    rest = html.replace("<mark>", "").replace("</mark>", "")
    assert "<" not in rest
    assert ">" not in rest


# Cards


@pytest.mark.django_db
def test_the_snippet_is_from_the_best_summary_that_shows_the_words():
    video = make_video()
    summarise(video, "The audio has a falcon and an owl.", "audio")
    summarise(video, "The points have a falcon.", "bullet-points")
    summarise(video, "Nothing of the kind.", "comprehensive")
    assert snippets_of([video.pk], "falcon") == {video.pk: "The points have a <mark>falcon</mark>."}
    assert snippets_of([video.pk], "owl") == {video.pk: "The audio has a falcon and an <mark>owl</mark>."}
    summarise(video, "A newer text.", "bullet-points")
    assert "audio" in snippets_of([video.pk], "falcon")[video.pk]


@pytest.mark.django_db
def test_json_of_a_summary_is_not_shown():
    video = make_video()
    summarise(video, '{"bullet_1": "An owl.", "bullet_2": "A falcon."}', "audio")
    assert "bullet_1" not in snippets_of([video.pk], "owl").get(video.pk, "")
    for q in ('"bullet', '": "'):
        assert snippets_of([video.pk], q) == {}


@pytest.mark.django_db
@pytest.mark.parametrize("q", ["", "a\x00b", "%", "_", "\\"])
def test_odd_words_find_nothing_and_break_nothing(q):
    summarise(make_video(), "Text")
    assert snippets_of(["video_00001"], q) == {}
    assert snippets_of([], "text") == {}


@pytest.mark.django_db
def test_a_card_shows_where_the_words_are(client):
    video = make_video(title="Falcons & <owls>")
    summarise(video, "What an <b>owl</b> & a falcon do.")
    page = client.get("/?q=falcon").content.decode()
    assert "<mark>Falcon</mark>s &amp; &lt;owls&gt;</a>" in page
    assert "a <mark>falcon</mark> do." in page
    assert "<mark>" not in client.get("/").content.decode()


@pytest.mark.django_db
def test_snippets_of_a_page_are_one_query():
    make_library(30)
    for size in (11, 24):
        with CaptureQueriesContext(connection) as captured:
            assert Client().get(f"/?q=history&size={size}").content.count(b'class="snippet"') == size
        assert len([query for query in captured if '"summaries_summary"."html"' in query["sql"]]) == 1
    with CaptureQueriesContext(connection) as captured:
        Client().get("/")
    assert not [query for query in captured if "summaries_summary" in query["sql"]]
