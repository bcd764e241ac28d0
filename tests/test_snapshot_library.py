"""The reader of an old SQLite file: what it answers by contract/api.md, and that it never writes."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import QueryDict

from ingest.cutover.snapshot_library import SnapshotLibrary
from ingest.sqlite.reader import SnapshotError, file_sha256, open_snapshot
from ingest.sqlite.schema import Generation
from tests.sqlite.conftest import video, write_file
from videos.search import Search

__all__ = ("video", "write_file")

Row = dict[str, Any]


@pytest.fixture
def library(write_file: Callable[..., Path]) -> Callable[..., SnapshotLibrary]:
    """The library of a file with these rows of `content`."""

    def of(*rows: Row, **tables: Any) -> SnapshotLibrary:
        return SnapshotLibrary(write_file(content=rows, **tables))

    return of


def search(query: str = "") -> Search:
    return Search.from_query(QueryDict(query))


def numbers(library: SnapshotLibrary, **query: object) -> list[int]:
    """The numbers of the videos that a query finds, in order."""
    return [int(key[-4:]) for key in library.keys(search(urlencode(query, doseq=True)))]


# It never writes


@pytest.fixture
def opened() -> Iterator[list[tuple[str, Any, Any]]]:
    """What is opened by this process meanwhile: the event, the name and the mode or flags."""
    events: list[tuple[str, Any, Any]] = []
    is_listening = True

    def listen(event: str, arguments: tuple) -> None:
        if is_listening and event in ("open", "sqlite3.connect"):
            events.append((event, arguments[0], arguments[2] if event == "open" else None))

    sys.addaudithook(listen)
    yield events
    is_listening = False


@pytest.mark.parametrize("name", ["snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db"])
def test_reading_leaves_the_file_its_time_and_its_folder_as_they_are(name: str, shared: Path, tmp_path: Path, opened):
    path = Path(shutil.copyfile(shared / "data" / name, tmp_path / name))
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    path.chmod(0o444)
    before, status = path.read_bytes(), path.stat()
    opened.clear()
    library = SnapshotLibrary(path)
    for request in ("/api/reports?q=the&sort=title_az", "/api/filters", "/api/reports/nowhere"):
        library.answer(request)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns and path.stat().st_ino == status.st_ino
    assert [one.name for one in tmp_path.iterdir()] == [name]
    connected = [str(target) for event, target, _ in opened if event == "sqlite3.connect"]
    assert connected and all(target.startswith("file:") and target.endswith("?mode=ro") for target in connected)
    flags = [flags for event, target, flags in opened if event == "open" and str(target).endswith(name)]
    assert flags and not any(flag & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) for flag in flags)


def test_a_write_through_the_reader_is_refused(write_file, video):
    path = write_file(content=[video()])
    digest = file_sha256(path)
    with open_snapshot(path) as source:
        for statement in ("DELETE FROM content", "UPDATE content SET title = ''", "CREATE TABLE t (x)"):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                source.connection.execute(statement)
    assert file_sha256(path) == digest


def test_a_file_in_wal_mode_is_read_without_a_file_beside_it(write_file, video):
    path = write_file(content=[video()])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    digest = file_sha256(path)
    assert SnapshotLibrary(path).count(search()) == 1
    assert file_sha256(path) == digest
    assert [one.name for one in path.parent.iterdir()] == [path.name]


# It reads again what has changed, and only that


def test_a_file_that_changed_is_read_again_and_one_that_did_not_is_not(write_file, video):
    path = write_file(content=[video(1)])
    library = SnapshotLibrary(path)
    first = library.contents
    assert library.contents is first
    os.utime(path)
    assert library.contents is first
    other = write_file("other.db", content=[video(1), video(2)])
    other.replace(path)
    assert library.count(search()) == 2
    assert library.sha256 == file_sha256(path) != first.sha256


def test_a_change_of_one_letter_with_the_same_size_and_time_is_seen_where_the_file_was_replaced(write_file, video):
    path = write_file(content=[video(1, title="One")])
    library = SnapshotLibrary(path)
    assert library.item("Video-_0001")["title"] == "One"
    other = write_file("other.db", content=[video(1, title="Two")])
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert other.stat().st_size == status.st_size
    other.replace(path)
    assert library.item("Video-_0001")["title"] == "Two"


def test_a_file_that_goes_away_or_is_cut_off_is_a_sentence_and_comes_back(write_file, video):
    path = write_file(content=[video(1)])
    library = SnapshotLibrary(path)
    assert library.count(search()) == 1
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(SnapshotError, match="its end is cut off"):
        library.count(search())
    path.unlink()
    with pytest.raises(SnapshotError, match="does not exist"):
        library.count(search())
    path.write_bytes(whole)
    assert library.count(search()) == 1


def test_many_threads_read_the_file_once_and_get_one_state(write_file, video):
    library = SnapshotLibrary(write_file(content=[video(number) for number in range(1, 30)]))
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: library.contents, range(40)))
    assert all(state is states[0] for state in states)


# Which rows it takes


def test_what_cannot_be_modelled_and_the_second_of_two_rows_are_left_out(library, video):
    same = video(3, id="other", video_id="yt:Video-_0001", canonical_url="", title="The second")
    rows = library(video(1), video(2, published_at="soon"), same)
    assert numbers(rows) == [1]
    assert rows.item("Video-_0001")["title"] == "Video number 1"


@pytest.mark.parametrize("generation", list(Generation))
def test_every_generation_can_be_read(generation, write_file, video):
    path = write_file(generation=generation, content=[video(1)])
    assert SnapshotLibrary(path).count(search()) == 1


def test_the_latest_text_of_each_variant_counts_and_the_best_comes_first(library, video):
    texts = [
        {"video_id": "Video-_0001", "variant_type": "audio", "revision": 1, "is_latest": 1, "content": "Spoken."},
        {"video_id": "Video-_0001", "variant_type": "key_points", "revision": 2, "is_latest": 1, "content": "New."},
        {"video_id": "Video-_0001", "variant_type": "key_points", "revision": 1, "is_latest": 0, "content": "Old."},
    ]
    found = library(
        video(1),
        content_summaries=[{"content_id": "yt:video-_0001", "summary_type": "key-points", "summary_text": "Flat."}],
        summary_variants=texts,
    )
    detail = found.detail("Video-_0001")
    assert [(one["variant"], one["text"]) for one in detail["summary_variants"]] == [
        ("key-points", "New."),
        ("audio", "Spoken."),
    ]
    assert detail["summary"] == {
        "text": "New.", "type": "key-points", "content": {"summary": "New.", "summary_type": "key-points"},
    }  # fmt: skip
    assert numbers(found, q="flat.") == [] and numbers(found, q="SPOKEN") == [1]


# What it finds


def test_filters_are_or_within_and_across_and(library, video):
    rows = library(
        video(1, channel_name="A", language="en"),
        video(2, channel_name="B", language="de"),
        video(3, channel_name="C", language="de"),
    )
    assert set(numbers(rows, channel=["A", "B"])) == {1, 2}
    assert numbers(rows, channel=["A", "B"], language="de") == [2]
    assert numbers(rows, channel="a") == numbers(rows, channel="A\x00") == []


def test_white_space_and_dashes_are_equal_on_both_sides(library, video):
    rows = library(video(1, channel_name=" Up –  down\u00a0", category='["North – South"]', key_topics='["east–west"]'))
    assert numbers(rows, channel="Up - down") == numbers(rows, category="North  –  South") == [1]
    assert numbers(rows, topics="east-west") == numbers(rows, topics=" east–west ") == [1]


def test_pairs_are_real_ones_and_a_parent_alone_is_ignored(library, video):
    both = '{"categories": [{"category": "P", "subcategories": ["x"]}, {"category": "Q", "subcategories": ["y"]}]}'
    rows = library(video(1, category='["P", "Q"]', subcategories_json=both), video(2, category='["P"]'))
    assert numbers(rows, subcategory="x", parentCategory="P") == [1]
    assert numbers(rows, subcategory="x", parentCategory="Q") == []
    assert numbers(rows, subcategory="y") == [1]
    assert set(numbers(rows, parentCategory="Q")) == {1, 2}
    assert numbers(rows, subcategory="P") == []


def test_dates_are_inclusive_and_what_has_none_is_outside(library, video):
    rows = library(
        video(1, published_at="2025-09-01T00:00:00"), video(2, published_at="2025-09-02T23:59:59"),
        video(3, published_at=None),
    )  # fmt: skip
    assert numbers(rows, date_from="2025-09-01", date_to="2025-09-02", sort="oldest") == [1, 2]
    assert numbers(rows, date_from="2025-09-02") == [2]
    assert set(numbers(rows, date_from="soon")) == {1, 2, 3}


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("GRÜSSE", [1]), ("grüße", [2]), ("100%", [3]), ("10_%", []), ("a – b", [4]), ("a - b", [4]),
        ("i̇stanbul", []), ("istanbul", [5]), ("οδοσ", [6]), ("wide gap", [7]), ("t's", [8]), ("東京 大阪", [9]),
    ],
)  # fmt: skip
def test_a_search_finds_parts_in_any_case_literally(q: str, found: list[int], library, video):
    titles = (
        "Grüsse", "Grüße", "At 100% now", "a - b", "İSTANBUL", "ΟΔΟΣ", "wide\n" + " " * 70 + "gap", "it's",
        "東京\u3000大阪",
    )  # fmt: skip
    rows = library(*(video(number, title=title) for number, title in enumerate(titles, start=1)))
    assert numbers(rows, q=q) == found


def test_a_search_without_a_sort_has_titles_first_and_then_the_newest_added(library, video):
    rows = library(
        video(1, title="Other", indexed_at="2025-09-05", summary="About apples"),
        video(2, title="Apples", indexed_at="2025-09-01"),
        video(3, title="Apples too", indexed_at="2025-09-02"),
        video(4, title="Else", indexed_at="2025-09-06", summary="Apples again"),
    )
    assert numbers(rows, q="apples") == [3, 2, 4, 1]
    assert numbers(rows, q="apples", sort="added_desc") == [4, 1, 3, 2]
    assert numbers(rows, q="apples", size=2, page=2) == [4, 1]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("title_az", [4, 3, 5, 1, 2]), ("title_za", [2, 1, 5, 3, 4]), ("newest", [3, 1, 2, 5, 4]),
        ("oldest", [4, 5, 1, 2, 3]), ("added_desc", [1, 2, 3, 4, 5]), ("duration", [2, 1, 3, 4, 5]),
        ("duration_asc", [1, 3, 4, 5, 2]), ("bad", [3, 1, 2, 5, 4]),
    ],
)  # fmt: skip
def test_sorts_put_missing_dates_oldest_titles_by_alphabet_and_ties_by_key(sort, order, library, video):
    rows = library(
        video(1, title="éclair"), video(2, title="Zebra", duration_seconds=99),
        video(3, title="Banana", published_at="2025-09-03"), video(4, title="", published_at=None),
        video(5, title="   BANANA split", published_at="0001-01-01"),
    )  # fmt: skip
    assert numbers(rows, sort=sort) == order


@pytest.mark.parametrize(
    ("query", "page", "size"),
    [("size=0", 1, 1), ("size=500", 1, 50), ("page=-2", 1, 20), ("page=two&size=7", 1, 20), ("page=9", 9, 20)],
)
def test_pages_are_clamped_and_one_beyond_the_end_is_empty(query, page, size, library, video):
    body = library(*(video(number) for number in range(1, 4))).answer(f"/api/reports?{query}").body
    assert (body["pagination"]["page"], body["pagination"]["size"]) == (page, size)
    assert body["pagination"]["total_count"] == 3
    assert len(body["reports"]) == (min(3, size) if page == 1 else 0)
    assert body["pagination"]["has_prev"] == (page > 1)


# What it answers


def test_facets_count_videos_under_the_other_filters_and_equal_spellings_as_one(library, video):
    rows = library(
        video(1, category='["A – B", "A - B"]', channel_name="One"), video(2, category='["A – B"]', channel_name="Two"),
        video(3, category='["C"]', channel_name="One", language="", has_audio=0),
    )  # fmt: skip
    body = rows.answer("/api/filters?channel=One").body
    assert body["category"] == [{"value": "A – B", "count": 1}, {"value": "C", "count": 1}]
    assert body["channel"] == [{"value": "One", "count": 2}, {"value": "Two", "count": 1}]
    assert body["language"] == [{"value": "en", "count": 1}]
    assert body["has_audio"] == [{"value": False, "count": 1}, {"value": True, "count": 1}]
    assert rows.answer("/api/filters").body["category"][0] == {"value": "A – B", "count": 2}


@pytest.mark.parametrize(
    "name",
    [
        "Video-_0001", "yt:Video-_0001", "yt:video-_0001", "some_words_Video-_0001", "some_words_Video-_0001_2",
        "Video-_0001_20250901_134325", "Video-_0001_0056c1",
    ],
)  # fmt: skip
def test_a_video_is_found_by_every_form_of_its_id_and_by_no_part_of_it(name, library, video):
    rows = library(video(1), video(2))
    for address in (f"/api/reports/{quote(name)}", f"/{quote(name)}.json"):
        assert rows.answer(address).body["video_id"] == "Video-_0001"
    for wrong in (name[:-1], f"x{name}x", "m", "", "%00"):
        status, body = rows.answer(f"/api/reports/{wrong}")
        assert status == 404 and body["error"] == "not_found"


def test_too_many_values_are_400_and_other_addresses_are_not_answered(library, video):
    rows = library(video(1))
    status, body = rows.answer("/api/reports?" + urlencode({"channel": range(501)}, doseq=True))
    assert (status, body["error"]) == (400, "invalid_query")
    for address in ("/", "/health", "/a.json?v=2", "/exports/a.mp3", "/api/filters/x"):
        with pytest.raises(LookupError):
            rows.answer(address)
