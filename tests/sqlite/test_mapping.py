"""What the values of old rows become: each change of value is a counted rule, each row that cannot be taken a code."""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ingest.models import QuarantinedRow, VaultRow
from ingest.sqlite.codec import Text, decode
from ingest.sqlite.exporter import export_library
from ingest.sqlite.schema import CONTENT_COLUMNS, Generation
from summaries.models import Summary
from videos.models import Categorization, Origin, Video

pytestmark = pytest.mark.django_db

NUL = Text(b"before\x00after")
NOT_UTF8 = Text(b"caf\xe9")


def incompressible(size: int) -> str:
    """A text that no index can make smaller."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


# A table without types, as a copy by hand may be: SQLite then changes no value, and allows an id twice.
UNTYPED = ["DROP TABLE content", f"CREATE TABLE content ({', '.join(CONTENT_COLUMNS)})"]


# Values that stay as they are, or change by a rule


def test_a_sound_row_changes_by_no_rule(import_rows, video):
    report = import_rows(generation=Generation.FIRST, content=[video(1)])
    assert report.rules == {}
    (stored,) = Video.objects.values()
    assert stored["video_id"] == "Video-_0001" and stored["legacy_id"] == "yt:video-_0001"
    for column in ("title", "channel_name", "channel_id", "view_count", "content_type", "language", "format_source"):
        assert stored[column] == video(1)[column]
    assert stored["has_audio"] is True and stored["has_transcript"] is False
    assert stored["key_topics"] == ["a-topic"] and stored["named_entities"] == []
    assert stored["indexed_at"] == datetime(2025, 9, 2, 10, tzinfo=UTC)


MIDNIGHT = datetime(2025, 9, 1, tzinfo=UTC)
NOON = datetime(2025, 9, 1, 12, tzinfo=UTC)
LARGEST = 2**63 - 1
CHANGED = [
    # Column, value, field of the model, what the value becomes there, and by which rule.
    ("channel_name", None, "channel_name", "", "null_is_empty"),
    ("key_topics", None, "key_topics", [], "null_is_empty"),
    ("named_entities", "", "named_entities", [], "empty_is_null"),
    ("view_count", None, "view_count", 0, "null_is_zero"),
    ("view_count", "", "view_count", 0, "empty_is_zero"),
    ("view_count", 7.0, "view_count", 7, None),  # SQLite's own affinity makes it an integer
    ("like_count", 9.2e18, "like_count", 9_200_000_000_000_000_000, None),
    ("view_count", LARGEST, "view_count", LARGEST, None),
    ("has_audio", None, "has_audio", False, "null_is_zero"),
    ("has_transcript", 1, "has_transcript", True, None),
    ("published_at", None, "published_at", None, None),
    ("published_at", "", "published_at", None, "empty_is_null"),
    ("published_at", "2025-09-01", "published_at", MIDNIGHT, "date_is_midnight_utc"),
    ("published_at", "20250901", "published_at", MIDNIGHT, "date_is_midnight_utc"),
    ("published_at", "2025-09-01 12:00:00", "published_at", NOON, "naive_time_is_utc"),
    ("published_at", "2025-09-01T12:00", "published_at", NOON, "naive_time_is_utc"),
    ("published_at", " 2025-09-01T12:00:00Z\n", "published_at", NOON, None),
    ("published_at", "2025-09-01T12:00:00+00:00", "published_at", NOON, None),
    ("published_at", "2025-09-01T14:00:00+02:00", "published_at", NOON, None),
    ("published_at", "2025-09-01T14:00:00+0200", "published_at", NOON, None),
    ("published_at", "2025-09-01T07:00:00 -05", "published_at", NOON, None),
    ("published_at", "2025-09-01T17:30:00+05:30", "published_at", NOON, None),
    ("published_at", "2025-09-01T12:00:00.5Z", "published_at", NOON.replace(microsecond=500_000), None),
    ("published_at", "2025-09-01T12:00:00,123456Z", "published_at", NOON.replace(microsecond=123_456), None),
    ("published_at", "2025-09-01T12:00:00.000005789Z", "published_at", NOON.replace(microsecond=5), "nanoseconds_cut"),
    ("published_at", "2025-09-01T12:00:00.000005000Z", "published_at", NOON.replace(microsecond=5), None),
    ("published_at", "0001-01-01T00:00:00Z", "published_at", datetime(1, 1, 1, tzinfo=UTC), None),
    ("published_at", "9999-12-31T23:59:59.999999Z", "published_at", datetime.max.replace(tzinfo=UTC), None),
]  # fmt: skip


def test_a_value_becomes_what_its_rule_says_and_each_change_is_counted(import_rows, video):
    rows = [video(number, **{column: value}) for number, (column, value, *_) in enumerate(CHANGED)]
    report = import_rows(generation=Generation.FIRST, content=rows)
    assert report.quarantined == []
    stored = {values["title"]: values for values in Video.objects.values()}
    for number, (_, _, field, expected, _) in enumerate(CHANGED):
        assert stored[f"Video number {number}"][field] == expected, CHANGED[number]
    assert report.rules == Counter(rule for *_, rule in CHANGED if rule)


def test_ids_are_the_true_ones_and_titles_keep_every_letter(import_rows, video):
    titles = ["Été 😀 ﷽", "x" * 2000, "  spaces  ", "line\nbreak", "untitled"]
    rows = [video(number, title=title) for number, title in enumerate(titles)]
    lower_cased = [
        video(10, video_id="video-_0010"),
        video(11, video_id="yt:Video-_0011"),
        video(12, video_id="reddit:abc"),
    ]
    report = import_rows(generation=Generation.FIRST, content=rows + lower_cased)
    assert list(Video.objects.order_by("legacy_id").values_list("title", flat=True)[:5]) == titles
    assert set(Video.objects.values_list("video_id", flat=True)) > {"Video-_0010", "Video-_0011", "reddit:abc"}
    assert report.rules == {"key_from_url": 2}


def test_a_whole_real_number_is_an_integer(import_rows, video):
    rows = [video(1, view_count=3.0, like_count=-0.0), video(2, view_count=2.0**63)]
    report = import_rows(generation=Generation.FIRST, sql=UNTYPED, content=rows)
    assert Video.objects.values_list("view_count", "like_count").get() == (3, 0)
    assert report.rules == {"real_is_integer": 2}
    assert [row["code"] for row in report.quarantined] == ["out_of_range"]


def test_seconds_are_rounded_and_come_back_as_they_were(import_rows, video, tmp_path):
    row = video(1, duration_seconds=212.35, audio_duration_seconds=99.5)
    bad = [video(2, duration_seconds=-0.5), video(3, audio_duration_seconds=float("inf"))]
    report = import_rows(content=[row, *bad])
    stored = Video.objects.get()
    assert (stored.duration_seconds, stored.audio_duration_seconds) == (212, 100)
    assert report.rules["seconds_rounded"] == 2
    assert report.quarantined_by_code == {"not_an_integer": 2}
    export_library(tmp_path / "again.db")
    with closing(sqlite3.connect(tmp_path / "again.db")) as again:
        kept = again.execute("SELECT duration_seconds, audio_duration_seconds FROM content LIMIT 1").fetchone()
    assert kept == (212.35, 99.5)


def test_a_row_without_an_id_takes_it_from_its_address_and_else_from_its_old_id(import_rows, video):
    rows = [
        video(1, id=None, video_id=None),
        video(2, video_id=None, canonical_url=None),
        video(3, id="a_title_Video-_0003_20250901_134325", video_id=None),
        video(4, id="1n4zk2p", video_id="", canonical_url="https://www.reddit.com/r/x/comments/1n4zk2p/title/"),
        video(5, id=None, video_id=None, canonical_url="https://redd.it/1n4zk2q"),
    ]
    report = import_rows(content=rows)
    assert list(Video.objects.order_by("title").values_list("video_id", "source")) == [
        ("Video-_0001", "youtube"),
        ("video-_0002", "youtube"),
        ("Video-_0003", "youtube"),
        ("reddit:1n4zk2p", "reddit"),
        ("reddit:1n4zk2q", "reddit"),
    ]
    assert report.rules["key_from_url"] == 2
    assert report.rules["key_from_id"] == 3


# Rows that cannot be taken

TIMES_THAT_ARE_NONE = [
    "yesterday", "2025-02-31", "0000-01-01T00:00:00Z", "2025-09-01T24:00:00Z", "2025-09-01T12:60:00Z",
    "2025-09-01T23:59:60Z", "2025-13-01", "2025-09-01T12:00:00+25:00", "2025-09-01T12:00:00+02:99",
    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "1757000000", "2025-09-01T12", "01/09/2025",
    "2025-09-01T12:00:00.1234567890Z", "٢٠٢٥-٠٩-٠١", "2025-09-01T12:00:00Z; DROP TABLE",
]  # fmt: skip
QUARANTINED = [
    # Column, value, and the code.
    ("title", b"a blob", "wrong_type"),
    ("title", NUL, "nul_in_text"),
    ("title", NOT_UTF8, "invalid_utf8"),
    ("title", Text(b"\xed\xa0\x80"), "invalid_utf8"),
    ("video_id", incompressible(3000), "text_too_long"),
    ("video_id", b"Video-_0001", "wrong_type"),
    ("canonical_url", NUL, "nul_in_text"),
    ("view_count", "many", "wrong_type"),
    ("view_count", b"\x01", "wrong_type"),
    ("view_count", -1, "out_of_range"),
    ("view_count", 1e300, "out_of_range"),
    ("view_count", -5.0, "out_of_range"),
    ("view_count", 1.5, "not_an_integer"),
    ("view_count", float("inf"), "not_an_integer"),
    ("has_audio", 2, "not_a_flag"),
    ("has_audio", "true", "wrong_type"),
    ("published_at", b"2025-09-01", "wrong_type"),
    *[("published_at", text, "time_not_readable") for text in TIMES_THAT_ARE_NONE],
    ("key_topics", "[", "json_not_readable"),
    ("key_topics", "one, two", "json_not_readable"),
    ("key_topics", "[NaN]", "json_not_readable"),
    ("key_topics", "[1" + "0" * 5000 + "]", "json_not_readable"),
    ("key_topics", "[" * 100_000, "json_not_readable"),
    ("key_topics", '{"a": 1}', "json_not_a_list"),
    ("key_topics", "1", "json_not_a_list"),
    ("key_topics", r'["\ud800"]', "json_not_storable"),
    ("key_topics", r'["\u0000"]', "json_not_storable"),
    ("named_entities", "[1e400]", "json_not_storable"),
    ("named_entities", NOT_UTF8, "invalid_utf8"),
    ("analysis", r'{"\udc00": 1}', "json_not_storable"),
    ("analysis", "{'python': 1}", "json_not_readable"),
    ("analysis", '{"score": Infinity}', "json_not_readable"),
    ("analysis", nested(120), "json_not_storable"),
    ("analysis", nested(500), "json_not_storable"),
    ("analysis", nested(200_000), "json_not_readable"),
    ("analysis", '{"categories": "History"}', "categories_not_readable"),
    ("category", b"General", "wrong_type"),
    ("category", '{"General": 1}', "categories_not_readable"),
    ("category", '["General", 1]', "categories_not_readable"),
    ("category", r'["\ud800"]', "json_not_storable"),
    ("category", r'["\u0000"]', "json_not_storable"),
    ("category", incompressible(3000), "text_too_long"),
    ("subcategory", NUL, "nul_in_text"),
    ("subcategory", incompressible(3000), "text_too_long"),
    ("subcategories_json", "not JSON", "json_not_readable"),
    ("subcategories_json", '{"categories": [{"name": "History"}]}', "categories_not_readable"),
    ("subcategories_json", '{"categories": [{"category": ""}]}', "categories_not_readable"),
    ("subcategories_json", '{"categories": [{"category": "A", "subcategories": "B"}]}', "categories_not_readable"),
    ("subcategories_json", '{"categories": [{"category": "A", "subcategories": [null]}]}', "categories_not_readable"),
    ("subcategories_json", "[[]]", "categories_not_readable"),
    ("subcategories_json", "7", "categories_not_readable"),
    ("subcategories_json", '"History"', "categories_not_readable"),
    (
        "subcategories_json",
        json.dumps([{"category": "A", "subcategories": [incompressible(3000)]}]),
        "text_too_long",
    ),
    ("summary", NUL, "nul_in_text"),
    ("summary", r'{"summary": "Text.", "summary_type": "a\u0000b"}', "json_not_storable"),
    ("summary", json.dumps({"summary": "Text.", "summary_type": incompressible(3000)}), "text_too_long"),
]


def test_a_row_that_cannot_be_taken_is_quarantined_with_code_column_and_value(import_rows, video):
    """All in one file: none of them keeps the others, or the sound row, from being imported."""
    rows = [video(number, **{column: value}) for number, (column, value, _) in enumerate(QUARANTINED, start=2)]
    report = import_rows(content=[video(1), *rows])
    got = {(row["key"], row["column"], row["code"]) for row in report.quarantined}
    assert got == {(number, column, code) for number, (column, _, code) in enumerate(QUARANTINED, start=2)}
    assert Video.objects.get().pk == "Video-_0001"
    # A row that was not taken changed no value.
    assert report.rules == {"null_is_empty": 3}

    quarantined = QuarantinedRow.objects.select_related("row")
    for number, (column, value, code) in enumerate(QUARANTINED, start=2):
        stored = quarantined.get(row__table="content", row__key=number)
        assert (stored.code, stored.column) == (code, column)
        (offending,) = decode(stored.value)
        assert offending == (value.encode() if isinstance(value, str) else value)
        assert stored.message.startswith(column) and "\n" not in stored.message


def test_a_row_without_any_id_is_quarantined(import_rows, video):
    report = import_rows(content=[video(1, id=None, video_id="", canonical_url="https://example.com/")])
    assert [(row["code"], row["column"]) for row in report.quarantined] == [("no_id", "id")]


def test_the_second_row_of_a_video_is_quarantined(import_rows, video):
    rows = [video(1), video(2, video_id="Video-_0001"), video(3, id="yt:other", video_id="yt:Video-_0001")]
    report = import_rows(content=rows)
    assert [(row["key"], row["code"], row["column"]) for row in report.quarantined] == [
        (2, "duplicate_key", "video_id"),
        (3, "duplicate_key", "video_id"),
    ]
    assert Video.objects.get().title == "Video number 1"


def test_the_second_row_with_an_old_id_is_quarantined(import_rows, video):
    rows = [video(1, id="yt:same"), video(2, id="yt:same")]
    report = import_rows(generation=Generation.FIRST, sql=UNTYPED, content=rows)
    assert [(row["key"], row["code"], row["column"]) for row in report.quarantined] == [(2, "duplicate_key", "id")]


def test_an_old_id_that_belongs_to_another_video_here_is_quarantined(import_rows, video):
    import_rows(name="first.db", content=[video(1, id="yt:same")])
    report = import_rows(name="second.db", content=[video(2, id="yt:same"), video(3)])
    assert [(row["key"], row["code"], row["column"]) for row in report.quarantined] == [(1, "old_id_taken", "id")]
    assert set(Video.objects.values_list("video_id", flat=True)) == {"Video-_0001", "Video-_0003"}


def test_rows_without_an_old_id_do_not_stand_in_each_others_way(import_rows, video):
    import_rows(name="first.db", content=[video(1, id=None), video(2, id=None)])
    report = import_rows(name="second.db", content=[video(1, id=None), video(2, id=""), video(3, id=None)])
    assert report.quarantined == [] and Video.objects.count() == 3


# Categories

CURATED, IMPORTED = Origin.CURATED.value, Origin.IMPORTED.value
TREE = '{"categories": [{"category": "History", "subcategories": ["Modern History", "Historical Analysis"]}]}'
CATEGORIES = [
    # Values of the row, what is stored in order, and the rules that applied.
    ({"category": '["General"]'}, [("General", None, IMPORTED)], {}),
    ({"category": '["B", "A"]'}, [("B", None, IMPORTED), ("A", None, IMPORTED)], {}),
    ({"category": "[]"}, [], {}),
    ({"category": ""}, [], {}),
    ({"category": "null"}, [], {"null_is_empty": 1}),
    ({"category": '"General"'}, [("General", None, IMPORTED)], {"category_text_is_one_name": 1}),
    ({"category": "General"}, [("General", None, IMPORTED)], {"category_text_is_one_name": 1}),
    ({"category": "1984"}, [("1984", None, IMPORTED)], {"category_text_is_one_name": 1}),
    (
        {"category": "Technology, Business, World War I (WWI)"},
        [("Technology", None, IMPORTED), ("Business", None, IMPORTED), ("World War I (WWI)", None, IMPORTED)],
        {"joined_categories_split": 1},
    ),
    (
        {"category": "News, Science"},  # older names
        [("News", None, IMPORTED), ("Science", None, IMPORTED)],
        {"joined_categories_split": 1},
    ),
    (
        {"category": "Technology, Cafés (Paris), [odd]"},
        [("Technology, Cafés (Paris), [odd]", None, IMPORTED)],
        {"category_text_is_one_name": 1},
    ),
    ({"category": "Technology,Business"}, [("Technology,Business", None, IMPORTED)], {"category_text_is_one_name": 1}),
    (
        {"category": r'["Diplomacy & Conferences (Yalta, Potsdam)", "Caf\u00e9s/Bars", "Unknown"]'},
        [
            ("Diplomacy & Conferences (Yalta, Potsdam)", None, IMPORTED),
            ("Cafés/Bars", None, IMPORTED),
            ("Unknown", None, IMPORTED),
        ],
        {},
    ),
    (
        {"category": '["History", " History ", "", "history"]'},
        [("History", None, IMPORTED), ("history", None, IMPORTED)],
        {"repeated_name_dropped": 1, "empty_name_dropped": 1},
    ),
    # A lone subcategory: below the video's own category, never below one that only has the same name in it.
    (
        {"category": '["Technology", "World War II (WWII)"]', "subcategory": "Technology & Weapons"},
        [("Technology", None, IMPORTED), ("World War II (WWII)", "Technology & Weapons", CURATED)],
        {"flat_subcategory_to_parent": 1},
    ),
    (
        {"category": '["World War I (WWI)"]', "subcategory": "Causes & Prelude"},
        [("World War I (WWI)", "Causes & Prelude", CURATED)],
        {"flat_subcategory_to_parent": 1},
    ),
    (
        {"category": '["Education", "Unheard of"]', "subcategory": "Home Front & Society"},
        [("Education", "Home Front & Society", CURATED), ("Unheard of", None, IMPORTED)],
        {"flat_subcategory_to_parent": 1},
    ),
    ({"category": "[]", "subcategory": "Causes & Prelude"}, [], {"subcategory_without_category": 1}),
    # Structured.
    (
        {"category": '["Education", "History"]', "subcategories_json": TREE, "subcategory": "Modern History"},
        [
            ("Education", None, IMPORTED),
            ("History", "Modern History", CURATED),
            ("History", "Historical Analysis", CURATED),
        ],
        {},
    ),
    (
        {"subcategories_json": '[{"category": "World War I (WWI)", "subcategories": ["Causes & Prelude"]},'
                               ' {"category": "World War II (WWII)", "subcategories": ["Causes & Prelude"]}]',
         "category": "[]"},
        [
            ("World War I (WWI)", "Causes & Prelude", CURATED),
            ("World War II (WWII)", "Causes & Prelude", CURATED),
        ],
        {},
    ),
    (
        {"subcategories_json": '{"categories": [{"category": "Ünknown, (new)", "subcategories": ["a, b", "c/d"]},'
                               ' {"category": "Bare"}, {"category": "None below", "subcategories": null}]}',
         "category": "[]"},
        [
            ("Ünknown, (new)", "a, b", CURATED),
            ("Ünknown, (new)", "c/d", CURATED),
            ("Bare", None, CURATED),
            ("None below", None, CURATED),
        ],
        {},
    ),
    (
        {"subcategories_json": '[{"category": "History", "subcategories": ["A", "A"]},'
                               ' {"category": "History", "subcategories": ["B", "A"]}]',
         "category": "[]"},
        [("History", "A", CURATED), ("History", "B", CURATED)],
        {"repeated_name_dropped": 1},
    ),
    (
        {"category": '["History"]', "analysis": TREE},
        [("History", "Modern History", CURATED), ("History", "Historical Analysis", CURATED)],
        {},
    ),
    (
        {"category": "[]", "subcategories_json": TREE, "analysis": '{"categories": [{"category": "Gaming"}]}'},
        [("History", "Modern History", CURATED), ("History", "Historical Analysis", CURATED)],
        {},
    ),
    (
        {"category": "[]", "subcategories_json": "[]", "analysis": '{"categories": [{"category": "A"}]}'},
        [("A", None, CURATED)],
        {},
    ),
    ({"subcategories_json": "null", "analysis": "[]"}, [("Technology", None, IMPORTED)], {}),
]  # fmt: skip


def test_categories_in_every_form(import_rows, video):
    empty = {"subcategory": "", "summary": "", "subcategories_json": "null"}
    report = import_rows(content=[video(n, **empty | values) for n, (values, *_) in enumerate(CATEGORIES)])
    assert report.quarantined == []
    for number, (values, expected, _) in enumerate(CATEGORIES):
        stored = Categorization.objects.filter(video__title=f"Video number {number}").order_by("position")
        assert list(stored.values_list("category__name", "subcategory__name", "origin")) == expected, values
        assert list(stored.values_list("position", flat=True)) == list(range(len(expected)))
    assert report.categorizations_written == sum(len(expected) for _, expected, _ in CATEGORIES)
    assert report.rules == sum((Counter(rules) for *_, rules in CATEGORIES), Counter())


def test_a_subcategory_without_a_category_is_kept_with_the_video(import_rows, video):
    import_rows(content=[video(1, category=None, subcategory="Causes & Prelude")])
    assert Video.objects.get().extra == {"subcategory": "Causes & Prelude"}


def test_the_text_of_structured_categories_is_kept_as_it_came(import_rows, video):
    text = '{ "categories" : [{"category": "Caf\\u00e9", "subcategories": [ ], "category": "Café"}]}'
    import_rows(content=[video(1, subcategories_json=text)])
    assert Video.objects.get().subcategories_json == text


# Summaries


def texts() -> list[tuple[str, int, bool, str]]:
    rows = Summary.objects.order_by("variant", "revision")
    return list(rows.values_list("variant", "revision", "is_latest", "text"))


def test_summaries_of_the_older_table_find_their_video_by_any_id(import_rows, video):
    rows = [
        {"content_id": "yt:video-_0001", "summary_text": "By old id.", "summary_type": "audio"},
        {"content_id": "Video-_0002", "summary_text": "By id.", "summary_type": None},
        {"content_id": "a_title_Video-_0003", "summary_text": "By stem.", "summary_type": "Key_Insights"},
    ]
    report = import_rows(content=map(video, (1, 2, 3)), content_summaries=rows)
    stored = Summary.objects.order_by("video").values_list("video", "variant", "text")
    assert list(stored) == [
        ("Video-_0001", "audio", "By old id."),
        ("Video-_0002", "comprehensive", "By id."),
        ("Video-_0003", "key-insights", "By stem."),
    ]
    assert report.tables["content_summaries"].modelled == 3
    assert report.rules["variant_renamed"] == 2


def test_a_variant_names_its_video_as_the_row_does(import_rows, video):
    """Although the key is another: the id was lower-cased, or is a bare one of another source."""
    rows = [
        video(1, video_id="video-_0001"),
        video(2, id="yt:1n4zk2p", video_id="1n4zk2p", canonical_url="https://redd.it/1n4zk2p"),
        # Here the lower-cased id is the true one.
        video(3, video_id="abc-de_f123", canonical_url="https://youtu.be/abc-de_f123"),
        video(4, video_id="abc-de_f123", canonical_url="https://youtu.be/AbC-dE_f123"),
    ]
    names = ["video-_0001", "1n4zk2p", "abc-de_f123"]
    variants = [{"video_id": name, "variant_type": "audio", "content": name, "is_latest": 1} for name in names]
    report = import_rows(content=rows, summary_variants=variants)
    assert report.quarantined == []
    stored = dict(Summary.objects.values_list("video", "text"))
    assert stored == {"Video-_0001": "video-_0001", "reddit:1n4zk2p": "1n4zk2p", "abc-de_f123": "abc-de_f123"}


def test_summaries_without_a_video_are_quarantined(import_rows, video):
    report = import_rows(
        content=[video(1), video(2, title=NUL)],
        content_summaries=[
            {"content_id": "yt:nobody", "summary_text": "Orphan."},
            {"content_id": None, "summary_text": "Orphan."},
            {"content_id": "yt:video-_0002", "summary_text": "Of a quarantined row."},
            {"content_id": "video", "summary_text": "A part of an id."},
            {"content_id": "YT:VIDEO-_0001", "summary_text": "Another case."},
        ],
        summary_variants=[{"video_id": "Video-_000", "content": "A part of an id.", "variant_type": "audio"}],
    )
    assert [(row["table"], row["key"], row["code"]) for row in report.quarantined if row["table"] != "content"] == [
        *[("content_summaries", key, "orphan") for key in (1, 2, 3, 4, 5)],
        ("summary_variants", 1, "orphan"),
    ]
    assert texts() == []


def test_a_variants_table_that_names_no_video_is_quarantined(import_rows, video):
    """A table of the same name with other columns: nothing is known of its rows."""
    other = ["DROP TABLE summary_variants", "CREATE TABLE summary_variants (content_id, body)"]
    report = import_rows(
        sql=other, content=[video(1)], summary_variants=[{"content_id": "yt:video-_0001", "body": "x"}]
    )
    assert [(row["table"], row["code"]) for row in report.quarantined] == [("summary_variants", "orphan")]
    assert report.unknown_columns == ["summary_variants.content_id", "summary_variants.body"]


BAD_SUMMARIES = [
    ("content_summaries", {"summary_text": NUL}, "nul_in_text", "summary_text"),
    ("content_summaries", {"summary_text": NOT_UTF8}, "invalid_utf8", "summary_text"),
    ("content_summaries", {"summary_text": b"blob"}, "wrong_type", "summary_text"),
    ("content_summaries", {"summary_type": incompressible(3000)}, "text_too_long", "summary_type"),
    ("summary_variants", {"content": b"5"}, "wrong_type", "content"),
    ("summary_variants", {"variant_type": NUL}, "nul_in_text", "variant_type"),
    ("summary_variants", {"revision": -1}, "out_of_range", "revision"),
    ("summary_variants", {"revision": 2**31}, "out_of_range", "revision"),
    ("summary_variants", {"revision": 2**63 - 1}, "out_of_range", "revision"),
    ("summary_variants", {"is_latest": 7}, "not_a_flag", "is_latest"),
    ("summary_variants", {"created_at": "soon"}, "time_not_readable", "created_at"),
    ("summary_variants", {"metadata": "{"}, "json_not_readable", "metadata"),
    ("summary_variants", {"raw_payload": r'{"a": "\ud800"}'}, "json_not_storable", "raw_payload"),
    ("summary_variants", {"word_count": "many"}, "wrong_type", "word_count"),
]


def test_a_summary_that_cannot_be_taken_is_quarantined_alone(import_rows, video):
    def rows_of(table: str, sound: dict, reference: str) -> list[dict]:
        bad = [(number, values) for number, (name, values, *_) in enumerate(BAD_SUMMARIES, start=2) if name == table]
        return [sound | {reference: "Video-_0001"}, *[sound | {reference: f"Video-_{n:04d}"} | v for n, v in bad]]

    report = import_rows(
        content=map(video, range(1, len(BAD_SUMMARIES) + 2)),
        content_summaries=rows_of("content_summaries", {"summary_text": "Text."}, "content_id"),
        summary_variants=rows_of("summary_variants", {"content": "More.", "variant_type": "audio"}, "video_id"),
    )
    assert [(row["table"], row["code"], row["column"]) for row in report.quarantined] == [
        (table, code, column) for table, _, code, column in BAD_SUMMARIES
    ]
    assert texts() == [("audio", 1, True, "More."), ("comprehensive", 1, True, "Text.")]
    assert set(Summary.objects.values_list("video", flat=True)) == {"Video-_0001"}


def test_a_summary_without_text_is_none(import_rows, video):
    report = import_rows(
        content=[video(1)],
        content_summaries=[{"content_id": "yt:video-_0001", "summary_text": " \n", "summary_type": "audio"}],
        summary_variants=[{"video_id": "Video-_0001", "variant_type": "audio", "content": None}],
    )
    assert texts() == [] and report.rules["empty_summary_is_none"] == 2
    assert report.tables["content_summaries"].modelled == report.tables["summary_variants"].modelled == 1


VARIANTS = {
    "comprehensive": ("comprehensive", ""),
    "Summary": ("comprehensive", ""),
    "": ("comprehensive", ""),
    "bullet_points": ("bullet-points", ""),
    "Key Insights": ("key-insights", ""),
    "insights": ("key-insights", ""),
    "audio_summary": ("audio", ""),
    "audio-fr:Beginner": ("audio-fr:beginner", "fr"),
    "audio_es : Advanced": ("audio-es:advanced", "es"),
    "Something Nobody Knows": ("something-nobody-knows", ""),
}


def test_names_of_variants_are_normalised(import_rows, video):
    rows = [
        {"video_id": f"Video-_{n:04d}", "variant_type": sent, "content": "Text."} for n, sent in enumerate(VARIANTS)
    ]
    report = import_rows(content=map(video, range(len(VARIANTS))), summary_variants=rows)
    stored = Summary.objects.order_by("video").values_list("variant", "language")
    assert list(stored) == list(VARIANTS.values())
    assert report.rules["variant_renamed"] == len(VARIANTS) - 1


def variant(text: str, revision: int, is_latest: int, variant_type: str = "audio", **values: object) -> dict:
    return {
        "video_id": "Video-_0001", "variant_type": variant_type, "revision": revision, "content": text,
        "is_latest": is_latest, **values,
    }  # fmt: skip


def test_revisions_keep_their_numbers_and_what_was_sent_with_them(import_rows, video):
    sent = {"metadata": '{"a": 1}', "raw_payload": "[1, 2]", "file_size": 12, "word_count": 2,
            "created_at": "2025-09-01T12:00:00Z", "updated_at": None}  # fmt: skip
    # The newest first, and between them other variants' rows.
    rows = [variant("Third.", 7, 1, **sent), variant("Other.", 2, 1, "executive"), variant("First.", 3, 0)]
    import_rows(content=[video(1)], summary_variants=rows)
    assert texts() == [("audio", 3, False, "First."), ("audio", 7, True, "Third."), ("executive", 2, True, "Other.")]
    newest = Summary.objects.get(revision=7)
    assert (newest.metadata, newest.raw_payload, newest.file_size_bytes, newest.word_count) == ({"a": 1}, [1, 2], 12, 2)
    assert (newest.created_at, newest.updated_at) == (NOON, None)


def test_the_latest_revision_stays_latest_although_its_number_is_lower(import_rows, video):
    import_rows(content=[video(1)], summary_variants=[variant("Good.", 1, 1), variant("Draft.", 2, 0)])
    assert [(is_latest, text) for _, _, is_latest, text in texts()] == [(False, "Draft."), (True, "Good.")]


def test_variants_whose_names_become_the_same_are_revisions_of_one(import_rows, video):
    rows = [
        variant("Older.", 1, 1, "key_insights"),
        variant("Newer.", 2, 1, "Key-Insights"),
        variant("Newer.", 1, 1, "insights"),
    ]
    report = import_rows(content=[video(1)], summary_variants=rows)
    assert texts() == [("key-insights", 1, False, "Older."), ("key-insights", 2, True, "Newer.")]
    assert report.tables["summary_variants"].modelled == 3
    assert report.rules["variant_renamed"] == 3


def test_the_largest_revisions_leave_room_for_more(import_rows, video):
    import_rows(content=[video(1)], summary_variants=[variant("One.", 10**9, 1), variant("Two.", 10**9, 0)])
    assert [revision for _, revision, *_ in texts()] == [10**9, 10**9 + 1]


OWN_SUMMARIES = {
    "Plain text.": "comprehensive",
    '{"summary": "Text.", "summary_type": "Key_Insights"}': "key-insights",
    "{'summary': 'Text.', 'summary_type': 'audio'}": "audio",
    '{"summary": "Text.", "summary_type": 7}': "comprehensive",
    '{"summary": "Text."}': "comprehensive",
    # Neither JSON nor an object in Python, though they begin like one.
    "{not JSON}": "comprehensive",
    "{[1]: 2}": "comprehensive",
    "{{'a': 1}}": "comprehensive",
    "{1, 2}": "comprehensive",
    "{" * 5000: "comprehensive",
    "{" + "-" * 20_000 + "1}": "comprehensive",
}


def test_the_summary_of_the_video_row_is_stored_as_it_came(import_rows, video):
    import_rows(content=[video(n, summary=text) for n, text in enumerate(OWN_SUMMARIES)])
    assert list(Summary.objects.order_by("video").values_list("text", "variant")) == list(OWN_SUMMARIES.items())


def test_the_three_places_of_a_summary_come_together(import_rows, video):
    import_rows(
        content=[video(1, summary="From the row.")],
        content_summaries=[
            {"content_id": "yt:video-_0001", "summary_text": "From the table.", "summary_type": "audio"}
        ],
        summary_variants=[variant("From the table.", 1, 0), variant("Newest.", 2, 1)],
    )
    assert texts() == [
        ("audio", 1, False, "From the table."),
        ("audio", 2, True, "Newest."),
        ("comprehensive", 1, True, "From the row."),
    ]


def test_a_quarantined_value_is_in_the_vault_byte_for_byte(import_rows, video):
    import_rows(generation=Generation.FIRST, content=[video(1, title=NOT_UTF8, channel_name=NUL, view_count=1.5)])
    row = decode(VaultRow.objects.get(table="content").content)
    stored = dict(zip(Generation.FIRST.columns["content"], row, strict=True))
    assert (stored["title"], stored["channel_name"], stored["view_count"]) == (NOT_UTF8, NUL, 1.5)
