"""Ids of videos: every form of contract/ingest.md names its video, and nothing names one by a part of a key."""

import re
import sqlite3
import string
from contextlib import closing
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videos.keys import VideoKey, natural_key
from videos.models import Video

from .factories import make_video

WATCH = "https://www.youtube.com/watch?v="
ID_CHARACTERS = string.ascii_letters + string.digits + "_-"
YOUTUBE_IDS = st.text(ID_CHARACTERS, min_size=11, max_size=11)
TITLE_WORDS = st.lists(st.text(string.ascii_lowercase + string.digits, min_size=1), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("AbC-dE_f123", "AbC-dE_f123"),
        ("  AbC-dE_f123\n", "AbC-dE_f123"),
        ("yt:AbC-dE_f123", "AbC-dE_f123"),
        ("yt:abc-de_f123", "yt:abc-de_f123"),
        ("some_title_words_AbC-dE_f123", "AbC-dE_f123"),
        ("some_title_words_AbC-dE_f123_1", "AbC-dE_f123"),
        ("some_title_words_AbC-dE_f123_2", "AbC-dE_f123"),
        ("yt:some_title_words_AbC-dE_f123", "AbC-dE_f123"),
        ("AbC-dE_f123_20250901_134325", "AbC-dE_f123"),
        ("some_title_words_AbC-dE_f123_20250901_134325", "AbC-dE_f123"),
        ("some_title_words_AbC-dE_f123_20250901_134325_1", "AbC-dE_f123"),
        ("AbC-dE_f123_0056c1", "AbC-dE_f123"),
        ("AbC-dE_f123_123456", "AbC-dE_f123"),
        # Ids that begin or end with what separates words.
        ("-x1d-K2l6oU", "-x1d-K2l6oU"),
        ("yt:-x1d-K2l6oU", "-x1d-K2l6oU"),
        ("a_title_-x1d-K2l6oU", "-x1d-K2l6oU"),
        ("_x1d-K2l6oU", "_x1d-K2l6oU"),
        ("a_title__x1d-K2l6oU", "_x1d-K2l6oU"),
        ("a_title_x1d_K2_6o__", "x1d_K2_6o__"),
        ("a_title_x1d_K2_6o___1", "x1d_K2_6o__"),
        ("x1d_K2_6o___20250901_134325", "x1d_K2_6o__"),
        ("___________", "___________"),
        # A title of digits and hyphens, and an id that looks like the end of a report.
        ("2024_01_02_AbC-dE_f123", "AbC-dE_f123"),
        ("abcd_123456", "abcd_123456"),
        ("title_abcd_123456", "abcd_123456"),
        # Not YouTube.
        ("reddit:1n4zk2p", "reddit:1n4zk2p"),
        ("yt:reddit:1n4zk2p", "reddit:1n4zk2p"),
        ("1n4zk2p", "1n4zk2p"),
        ("1n4zk2p", "reddit:1n4zk2p"),
        ("yt:1n4zk2p", "reddit:1n4zk2p"),
        ("0123456789abcdef01234567", "web:0123456789abcdef01234567"),
        ("web:0123456789abcdef01234567", "web:0123456789abcdef01234567"),
        ("hash:0123456789ab", "hash:0123456789ab"),
        ("unknown-1757000000", "unknown-1757000000"),
    ],
)
def test_every_form_of_an_id_names_its_video(text, key):
    assert key in VideoKey.parse(text).candidates


@given(YOUTUBE_IDS, TITLE_WORDS, st.sampled_from(["", "yt:"]), st.integers(0, 99), st.integers(0, 2**24 - 1))
def test_a_stem_names_its_video_by_position(video_id, words, prefix, number, report):
    title = "_".join(words)
    stem = f"{title}_{video_id}"
    for text in (stem, f"{stem}_{number}", f"{stem}_20250901_134325", f"{stem}_{report:06x}"):
        assert video_id in VideoKey.parse(prefix + text).candidates
    for text in (video_id, f"{video_id}_{number}", f"{video_id}_20250901_134325", f"{video_id}_{report:06x}"):
        assert video_id in VideoKey.parse(prefix + text).candidates


@given(YOUTUBE_IDS)
def test_an_id_names_itself_before_anything_else(video_id):
    assert VideoKey.parse(video_id).candidates[0] == video_id


@given(st.text(ID_CHARACTERS + ":./%*é ", max_size=60))
def test_a_candidate_is_the_whole_text_or_an_id_between_its_separators(text):
    """Never a prefix or a substring: what stands before an id ends with `_`, what follows is a known ending."""
    key = VideoKey.parse(text)
    bare = key.text.removeprefix("yt:")
    for candidate in key.candidates:
        assert candidate
        if candidate not in (key.text, bare, f"reddit:{bare}", f"web:{bare}"):
            before, after = bare[: (place := bare.rindex(candidate))], bare[place + len(candidate) :]
            assert len(candidate) == 11
            assert not before or before.endswith("_")
            assert re.fullmatch(r"|_[0-9]{1,3}|_[0-9a-f]{6}|_[0-9]{8}_[0-9]{6}(_[0-9]{1,3})?", after)


@pytest.mark.parametrize(
    "text",
    ["", "   ", "yt:", "yt: ", "\x00", "AbC-dE_f123\x00", "\x00AbC-dE_f123", "a" * 1001, "x_" * 50_000 + "AbC-dE_f123",
     "\ud800", "yt:AbC-dE_f12\udfff"],
)  # fmt: skip
def test_what_cannot_be_a_key_names_nothing(text):
    assert VideoKey.parse(text).candidates == ()


@pytest.mark.parametrize("text", ["m", "AbC-dE_f12", "AbC-dE_f1234", "bC-dE_f123", "AbC-dE_f123 ", "AbC-dE_f123.json"])
@pytest.mark.parametrize("around", ["{}", "%{}%", "{}%", "%", "_" * 11, "../{}", "../../etc/{}", "x'; --{}", "{}\\"])
def test_parts_wildcards_and_paths_name_no_video(text, around):
    sent = around.format(text)
    if sent.strip() != "AbC-dE_f123":
        assert "AbC-dE_f123" not in VideoKey.parse(sent).candidates


class TestNamed:
    """The same through the database."""

    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize(
        "text",
        ["AbC-dE_f123", "yt:AbC-dE_f123", "yt:abc-de_f123", "a_title_AbC-dE_f123", "AbC-dE_f123_20250901_134325"],
    )
    def test_all_forms_find_the_video(self, text):
        video = make_video(video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
        assert Video.objects.named(text) == video

    def test_ids_that_differ_by_case_are_two_videos(self):
        one = make_video(1, video_id="AbC-dE_f123")
        other = make_video(2, video_id="abc-de_f123")
        assert Video.objects.named("AbC-dE_f123") == one
        assert Video.objects.named("abc-de_f123") == other
        assert Video.objects.named("yt:abc-de_f123") == other
        assert Video.objects.named("title_AbC-dE_f123") == one

    @pytest.mark.parametrize("key", ["reddit:1n4zk2p", "web:0123456789abcdef01234567"])
    def test_a_native_id_names_its_video_also_without_its_source(self, key):
        video = make_video(1, video_id=key)
        native = key.partition(":")[2]
        for text in (native, f"yt:{native}", f"yt:{key}"):
            assert Video.objects.named(text) == video
        itself = make_video(2, video_id=native)
        assert Video.objects.named(native) == itself
        for text in (native[:-1], native[1:], native.upper(), f"x_{native}", "m"):
            with pytest.raises(Video.DoesNotExist):
                Video.objects.named(text)

    def test_a_whole_id_before_an_ending_comes_before_what_looks_like_one_at_the_end(self):
        video = make_video(1, video_id="AbC-dE_f123")
        make_video(2, video_id="f123_0056c1")
        assert Video.objects.named("AbC-dE_f123_0056c1") == video

    def test_a_lower_cased_old_id_names_the_only_video_that_reads_so(self):
        """The old system lower-cased its ids. This video came in under its true one, and has no old id, or another."""
        video = make_video(1, video_id="AbC-dE_f123", legacy_id="yt:AbC-dE_f123")
        assert Video.objects.named("yt:abc-de_f123") == video
        for text in ("abc-de_f123", "yt:ABC-DE_F123", "yt:abc-de_f12", "yt:title_abc-de_f123"):
            with pytest.raises(Video.DoesNotExist):
                Video.objects.named(text)
        make_video(2, video_id="ABC-dE_f123")
        with pytest.raises(Video.DoesNotExist):
            Video.objects.named("yt:abc-de_f123")

    def test_an_old_id_names_the_video_that_had_it(self):
        """Although it is the lower-cased id of one video and the true id of another."""
        one = make_video(1, video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
        make_video(2, video_id="abc-de_f123")
        assert Video.objects.named("yt:abc-de_f123") == one

    @pytest.mark.parametrize(
        "text",
        ["", "m", "AbC", "AbC-dE_f12", "%", "AbC-dE_f12_", "AbC%", "\x00", "AbC-dE_f123\x00", "a" * 100_000, "\ud800",
         "yt:", "../AbC-dE_f123", "ABC-DE_F123"],
    )  # fmt: skip
    def test_nothing_else_finds_it(self, text):
        make_video(1, video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
        make_video(2)  # has no old id
        with pytest.raises(Video.DoesNotExist):
            Video.objects.named(text)


def test_the_stems_of_the_real_files_name_their_videos(shared):
    path = shared / "data" / "snapshot-2025-09-11.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        files = connection.execute(
            "SELECT file_path, video_id, content.id FROM content_files JOIN content ON content.id = content_id"
        ).fetchall()
    stems = {PurePosixPath(file_path).stem: video_id for file_path, video_id, _ in files}
    named = {stem for stem, video_id in stems.items() if video_id in VideoKey.parse(stem).candidates}
    assert len(stems) == 63 and len(named) == 57
    # The others never had an id in them, and must not seem to.
    for stem in stems.keys() - named:
        assert VideoKey.parse(stem).candidates == (stem,)
    for _, video_id, old_id in files:
        assert natural_key("", old_id, f"{WATCH}{video_id}") == ("youtube", video_id)


@pytest.mark.parametrize(
    ("video_id", "old_id", "url", "expected"),
    [
        ("AbC-dE_f123", "yt:abc-de_f123", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        ("yt:AbC-dE_f123", "", "", ("youtube", "AbC-dE_f123")),
        ("-x1d-K2l6oU", "", "", ("youtube", "-x1d-K2l6oU")),
        ("_x1d-K2l6oU", "yt:_x1d-k2l6ou", "", ("youtube", "_x1d-K2l6oU")),
        # Lower-cased, and the address has the true one.
        ("", "yt:abc-de_f123", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        ("abc-de_f123", "", "https://youtu.be/AbC-dE_f123?t=5", ("youtube", "AbC-dE_f123")),
        ("abc-de_f123", "", "https://m.youtube.com/watch?app=desktop&v=AbC-dE_f123&t=5", ("youtube", "AbC-dE_f123")),
        ("abc-de_f123", "", "https://www.youtube.com/shorts/AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        ("", "", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        # Somebody lower-cased the address: the id is the true one then.
        ("AbC-dE_f123", "", f"{WATCH}abc-de_f123", ("youtube", "AbC-dE_f123")),
        # The address is another video's, or holds no whole id.
        ("AbC-dE_f123", "", f"{WATCH}zzzzzzzzzzz", ("youtube", "AbC-dE_f123")),
        ("abc-de_f123", "", f"{WATCH}AbC-dE_f1234", ("youtube", "abc-de_f123")),
        # A stem in place of an id, and the address says which of its letters are the id.
        ("", "some_title_words_AbC-dE_f123", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        ("", "yt:some_title_words_abc-de_f123", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        ("AbC-dE_f123_20250901_134325", "", f"{WATCH}AbC-dE_f123", ("youtube", "AbC-dE_f123")),
        # Reddit and the web.
        ("", "yt:reddit:abc", "", ("reddit", "reddit:abc")),
        ("reddit:1n4zk2p", "", "https://www.reddit.com/r/x/comments/1n4zk2p/a_title/", ("reddit", "reddit:1n4zk2p")),
        ("1n4zk2p", "", "https://www.reddit.com/r/x/comments/1n4zk2p/a_title/", ("reddit", "reddit:1n4zk2p")),
        ("", "yt:1n4zk2p", "https://old.reddit.com/comments/1n4zk2p", ("reddit", "reddit:1n4zk2p")),
        ("abc", "", "https://redd.it/abc", ("reddit", "reddit:abc")),
        ("", "", "https://www.reddit.com/r/x/comments/1n4zk2p/a_title/", ("reddit", "reddit:1n4zk2p")),
        ("0123456789abcdef01234567", "", "https://example.com/a", ("web", "web:0123456789abcdef01234567")),
        ("web:0123456789abcdef01234567", "", "", ("web", "web:0123456789abcdef01234567")),
        (
            "0123456789abcdef01234567",
            "",
            "https://en.wikipedia.org/wiki/A",
            ("wikipedia", "web:0123456789abcdef01234567"),
        ),
        (
            "0123456789abcdef01234567",
            "",
            "https://www.churchofjesuschrist.org/a",
            ("lds", "web:0123456789abcdef01234567"),
        ),
        ("0123456789abcdef01234567", "", "", ("other", "0123456789abcdef01234567")),
        ("hash:0123456789ab", "", "", ("other", "hash:0123456789ab")),
        ("hash:0123456789ab", "", "https://example.com/a", ("web", "hash:0123456789ab")),
        ("unknown-1757000000", "", "", ("other", "unknown-1757000000")),
        ("notube:AbC-dE_f123", "", "", ("notube", "notube:AbC-dE_f123")),
    ],
)
def test_the_natural_key_of_data(video_id, old_id, url, expected):
    assert natural_key(video_id, old_id, url) == expected


@pytest.mark.parametrize(
    ("slug", "url", "source"),
    [
        ("Wikipedia", WATCH, "wikipedia"),
        ("", "https://fr.wikipedia.org/wiki/Trieste", "wikipedia"),
        ("", "https://www.churchofjesuschrist.org/study", "lds"),
        ("", "https://reddit.com/r/x", "reddit"),
        ("", "https://www.youtube-nocookie.com/embed/AbC-dE_f123", "youtube"),
        ("", "https://notwikipedia.org/", "web"),
        ("", "https://wikipedia.org.example.com/", "web"),
        ("", "", "other"),
    ],
)
def test_the_source_is_the_slug_or_the_host_of_the_address(slug, url, source):
    assert natural_key("some-native-id", "", url, slug)[0] == source


@pytest.mark.parametrize("url", ["", "https://example.com/", "https://www.youtube.com/", f"{WATCH}short"])
@pytest.mark.parametrize("video_id", ["", "  ", "yt:"])
def test_data_that_names_no_video_has_no_key(video_id, url):
    with pytest.raises(ValueError, match="no id"):
        natural_key(video_id, "", url)


@given(YOUTUBE_IDS)
def test_the_key_of_a_lower_cased_id_is_the_one_in_the_address(video_id):
    assert natural_key("", f"yt:{video_id.lower()}", WATCH + video_id) == ("youtube", video_id)
