"""What the worker sends, in every shape, becomes one record; nothing of it is lost (contract/ingest.md)."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.body import loads
from ingest.payloads import Arrival, Odd, Unusable, read_changes, read_content, read_report, read_universal
from videos.models import Video

KEY = "AbC-dE_f123"
WATCH = f"https://www.youtube.com/watch?v={KEY}"
WEB = "https://www.example.org/a-page"
HEX = "0123456789abcdef01234567"


def texts(arrival: Arrival) -> dict[str, str]:
    return {text.variant: text.text for text in arrival.texts}


def pairs(arrival: Arrival) -> list[tuple[str, str | None]]:
    return [(pair.category, pair.subcategory) for pair in arrival.pairs]


def read(**payload: Any) -> Arrival:
    return read_report({"id": f"yt:{KEY}", **payload})


def odd(**payload: Any) -> Odd:
    with pytest.raises(Odd) as caught:
        read(**payload)
    return caught.value


# The recorded bodies


@pytest.fixture
def body(request, shared) -> dict[str, Any]:
    return json.loads((shared / "contract" / "payloads" / f"{request.param}.json").read_text())


SHAPES = ["api_content_flat_payload", "api_content_nested_payload", "ingest_report_payload", "universal_report_youtube"]


@pytest.mark.parametrize("body", SHAPES, indirect=True)
def test_every_shape_is_the_same_video(body):
    arrival = read_content(body)
    record = arrival.record
    assert (record.video_id, record.source, record.title) == (KEY, "youtube", "Sample title")
    assert (record.channel_name, record.duration_seconds, record.canonical_url) == ("Sample Channel", 1234, WATCH)
    assert arrival.pairs and arrival.texts and not arrival.aliases


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [leaf for item in items for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize("body", SHAPES, indirect=True)
def test_nothing_of_a_body_is_dropped(body):
    """Each text and number of the body is in a field, a pair, a summary, or kept as it was sent."""
    arrival = read_content(deepcopy(body))
    kept = json.dumps([vars(arrival.record), pairs(arrival), [vars(text) for text in arrival.texts]], default=str)
    for leaf in leaves(body):
        if isinstance(leaf, str) and leaf and not leaf[:4].isdigit():
            assert json.dumps(leaf)[1:-1] in kept
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            assert str(leaf) in kept


def test_a_universal_report_in_detail(shared):
    path = shared / "contract" / "payloads" / "universal_report_youtube.json"
    arrival = read_universal(json.loads(path.read_text()), "a_stem")
    record = arrival.record
    assert record.updated_at == datetime(2025, 10, 25, 16, 12, 34, tzinfo=UTC) == record.indexed_at
    assert (record.view_count, record.audio_duration_seconds, record.transcript_chars) == (1000, 1234, 12876)
    assert record.extra["transcript"] == "...full transcript text..."
    assert record.extra["processor_info"] == {"llm_provider": "openrouter", "model": "google/gemini-2.5-flash-lite"}
    assert record.extra["source_metadata"] == {"youtube": {"tags": ["a", "b"]}}
    assert "title" not in record.extra and "metadata" not in record.extra
    assert texts(arrival)["comprehensive"] == "Overview...\n\nSection\n• fact"
    assert [text.metadata for text in arrival.texts if text.variant == "audio"] == [
        {"kind": "audio", "audio_url": "/exports/audio/audio_AbC-dE_f123_20251025_161300.mp3", "duration": 312}
    ]
    assert [(text.language, text.generated_at.hour) for text in arrival.texts if ":" in text.variant] == [("fr", 17)]


# Ids


@pytest.mark.parametrize(
    ("payload", "source", "key"),
    [
        ({"id": f"yt:{KEY}"}, "youtube", KEY),
        ({"id": KEY}, "youtube", KEY),
        ({"video_id": KEY}, "youtube", KEY),
        ({"id": "-x1d-K2l6oU"}, "youtube", "-x1d-K2l6oU"),
        ({"id": "yt:abc-de_f123", "url": WATCH}, "youtube", KEY),
        ({"id": "yt:abc-de_f123", "video_id": KEY}, "youtube", KEY),
        ({"video_id": "abc-de_f123", "canonical_url": f"https://youtu.be/{KEY}?t=3"}, "youtube", KEY),
        ({"canonical_url": WATCH + "&x=" + "y" * 900}, "youtube", KEY),
        ({"id": f"{KEY}_0056c1"}, "youtube", KEY),
        ({"id": f"{KEY}_20250901_134325"}, "youtube", KEY),
        ({"id": f"some_title_words_{KEY}"}, "youtube", KEY),
        ({"id": f"some_title_words_{KEY}_1"}, "youtube", KEY),
        ({"id": f"a_title_{KEY}_20250901_134325", "content_source": "youtube"}, "youtube", KEY),
        ({"id": "a-report-name", "canonical_url": WATCH}, "youtube", KEY),
        ({"processing_metadata": {"content_id": f"{KEY}_0056c1"}}, "youtube", KEY),
        ({"source_metadata": {"youtube": {"video_id": KEY}}}, "youtube", KEY),
        ({"source_metadata": json.dumps({"youtube": {"video_id": KEY}})}, "youtube", KEY),
        ({"source_metadata": {"reddit": {"id": "1n4zk2p"}}}, "reddit", "reddit:1n4zk2p"),
        ({"metadata": {"video_id": KEY}}, "youtube", KEY),
        ({"id": "yt:reddit:1n4zk2p"}, "reddit", "reddit:1n4zk2p"),
        ({"id": "reddit:1n4zk2p", "content_source": "youtube"}, "reddit", "reddit:1n4zk2p"),
        ({"id": "1n4zk2p", "url": "https://www.reddit.com/r/x/comments/1n4zk2p/y/"}, "reddit", "reddit:1n4zk2p"),
        ({"url": "https://redd.it/1n4zk2p"}, "reddit", "reddit:1n4zk2p"),
        ({"id": "reddit:", "url": "https://redd.it/1n4zk2p"}, "reddit", "reddit:1n4zk2p"),
        ({"id": "1n4zk2p", "content_source": "Reddit"}, "reddit", "reddit:1n4zk2p"),
        ({"id": HEX, "url": WEB}, "web", f"web:{HEX}"),
        ({"id": f"web:{HEX}"}, "web", f"web:{HEX}"),
        ({"id": f"web:{HEX}", "url": "https://de.wikipedia.org/wiki/A"}, "wikipedia", f"web:{HEX}"),
        ({"id": f"web:{HEX}", "url": "https://www.churchofjesuschrist.org/a"}, "lds", f"web:{HEX}"),
        ({"id": f"web:{HEX}", "url": WEB, "content_source": "substack"}, "substack", f"web:{HEX}"),
        ({"id": "hash:0123456789ab", "url": WEB}, "web", "hash:0123456789ab"),
        ({"id": "unknown-1757000000"}, "other", "unknown-1757000000"),
        ({"id": "unknown", "video_id": KEY}, "youtube", KEY),
        ({"id": None, "video_id": KEY, "source": "telegram"}, "youtube", KEY),
    ],
)
def test_every_form_of_an_id_and_its_source(payload, source, key):
    record = read_content({"title": "T", **payload}).record
    assert (record.source, record.video_id) == (source, key)


@pytest.mark.parametrize(
    "payload",
    [{}, {"title": "T"}, {"id": ""}, {"id": None}, {"id": 5}, {"id": "yt:"}, {"id": "  "}, {"id": "a\x00b"}, {"id": []},
     {"id": "\ud800"}, {"id": "x" * 600}, {"id": "a\nb"}, {"id": "unknown"}, {"url": WEB}, {"video_id": {"id": KEY}},
     {"id": "."}, {"id": "yt:.."}, {"id": "reddit:"},
     {"id": "yt:web:", "url": WEB}],
)  # fmt: skip
def test_a_body_without_a_usable_id_is_unusable(payload):
    with pytest.raises(Unusable):
        read_content(payload)


def test_the_name_of_a_report_counts_where_nothing_else_names_the_video():
    assert read_universal({"title": "T"}, f"some_title_words_{KEY}_1").record.video_id == KEY
    assert read_universal({"title": "T", "id": "yt:zzzzzzzzzzz"}, KEY).record.video_id == "zzzzzzzzzzz"
    with pytest.raises(Unusable):
        read_universal({"title": "T"}, "some-title")


def test_an_id_that_may_be_an_old_one_is_an_alias():
    assert read_report({"id": "yt:abc-de_f123"}).aliases == ("yt:abc-de_f123",)
    assert read_report({"id": "yt:abc-de_f123", "video_id": "abc-de_f123"}).aliases == ()
    assert read_report({"id": "yt:abc-de_f123", "url": WATCH}).aliases == ()


def test_the_old_id_is_kept_as_it_was_sent():
    assert read_report({"id": "yt:abc-de_f123", "url": WATCH}).record.legacy_id == "yt:abc-de_f123"
    assert read_report({"id": f"yt:{KEY}"}).record.legacy_id == f"yt:{KEY}"
    assert read_report({"id": "an-old-name", "video_id": KEY}).record.legacy_id == "an-old-name"
    for name in (KEY, f"some_title_words_{KEY}", f"{KEY}_20250901_134325", f"{KEY}_0056c1"):
        assert read_report({"id": name}).record.legacy_id == ""


# The time of a payload


@pytest.mark.parametrize(
    ("payload", "hour"),
    [
        ({"processed_at": "2025-09-01T05:00:00Z", "updated_at": "2025-09-01T09:00:00Z"}, 5),
        ({"generated_at": "2025-09-01T05:00:00", "updated_at": "2025-09-01T04:00:00Z", "indexed_at": "2025-09-02"}, 5),
        ({"generated_at": "2025-09-01T05:00:00", "updated_at": "2025-09-01T06:00:00Z"}, 6),
        ({"summary": {"summary": "T", "generated_at": "2025-09-01T07:00:00"}, "indexed_at": "2025-09-02"}, 7),
        ({"processing_metadata": {"indexed_at": "2025-09-01T08:00:00+00:00"}}, 8),
        ({"processed_at": "", "indexed_at": "2025-09-01T10:00:00+02:00"}, 8),
        ({"published_at": "2025-09-01T05:00:00Z", "created_at": "2025-09-01T05:00:00Z"}, None),
    ],
)
def test_the_time_of_a_payload(payload, hour):
    assert read(**payload).record.updated_at == (datetime(2025, 9, 1, hour, tzinfo=UTC) if hour else None)


# Values


@pytest.mark.parametrize(
    ("payload", "field", "value"),
    [
        ({"title": "  "}, "title", ""),
        ({"title": None}, "title", ""),
        ({"title": "Untitled", "metadata": {"title": "Real"}}, "title", "Real"),
        ({"title": "temp"}, "title", "temp"),
        ({"channel": "C"}, "channel_name", "C"),
        ({"metadata": {"uploader": "C"}}, "channel_name", "C"),
        ({"duration_seconds": "90"}, "duration_seconds", 90),
        ({"duration_seconds": 90.0}, "duration_seconds", 90),
        ({"duration_seconds": None, "metadata": {"duration": 90}}, "duration_seconds", 90),
        ({"audio_duration_seconds": 312.48}, "audio_duration_seconds", 312),
        ({"media_metadata": {"mp3_duration_seconds": 5, "video_duration_seconds": 6}}, "audio_duration_seconds", 5),
        ({"view_count": ""}, "view_count", 0),
        ({"view_count": 2**63 - 1}, "view_count", 2**63 - 1),
        ({"media": '{"has_transcript": true}'}, "has_transcript", True),
        ({"has_transcript": "true"}, "has_transcript", True),
        ({"has_transcript": 0}, "has_transcript", False),
        ({"published_at": "20250820"}, "published_at", datetime(2025, 8, 20, tzinfo=UTC)),
        ({"metadata": {"upload_date": "20250820"}}, "published_at", datetime(2025, 8, 20, tzinfo=UTC)),
        ({"published_at": "Unknown"}, "published_at", None),
        ({"key_topics": '["a, b", "c"]'}, "key_topics", ["a, b", "c"]),
        ({"analysis_json": '{"key_topics": ["a"]}'}, "key_topics", ["a"]),
        ({"content_analysis": {"language": "fr"}}, "language", "fr"),
        ({"analysis": '{"language": "fr"}'}, "analysis", {"language": "fr"}),
        ({"content_analysis": {"language": "fr"}}, "analysis", {"language": "fr"}),
        ({"has_audio": True, "media": {"has_audio": True}}, "has_audio", False),
    ],
)
def test_a_value_becomes_a_field(payload, field, value):
    assert getattr(read(**payload).record, field) == value


def test_a_null_says_nothing_and_is_not_kept():
    names = ["title", "channel", "category", "subcategories_json", "analysis", "summary", "summary_text",
             "media_metadata", "processed_at", "summary_variants", "word_count"]  # fmt: skip
    assert read(**dict.fromkeys(names)).record.extra == {}


def test_what_has_no_field_or_says_something_else_stays_at_its_place():
    arrival = read(
        title="Real", images=[{"url": "a"}], audio_duration_seconds=312.48, has_audio=True, thumbnail=["not", "a text"],
        metadata={"title": "Another", "uploader": "C", "chapters": []},
        media='{"codec": "mp3", "has_transcript": true}',
        url="https://example.com",
    )  # fmt: skip
    assert arrival.record.extra == {
        "images": [{"url": "a"}], "audio_duration_seconds": 312.48, "has_audio": True, "thumbnail": ["not", "a text"],
        "metadata": {"title": "Another", "chapters": []}, "media": {"codec": "mp3"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"title": ["a"]}, "wrong_type"),
        ({"title": 5}, "wrong_type"),
        ({"title": "a\x00b"}, "json_not_storable"),
        ({"title": "a\ud800"}, "json_not_storable"),
        ({"transcript": "a\ud800"}, "json_not_storable"),
        ({"x\x00": 1}, "json_not_storable"),
        ({"view_count": float("nan")}, "json_not_storable"),
        ({"x": float("inf")}, "json_not_storable"),
        ({"view_count": 2**63}, "out_of_range"),
        ({"view_count": 1e300}, "out_of_range"),
        ({"view_count": -1}, "out_of_range"),
        ({"view_count": 1.5}, "not_an_integer"),
        ({"view_count": True}, "wrong_type"),
        ({"view_count": "many"}, "wrong_type"),
        ({"duration_seconds": [1]}, "wrong_type"),
        ({"has_transcript": "maybe"}, "wrong_type"),
        ({"has_transcript": 2}, "not_a_flag"),
        ({"published_at": "yesterday"}, "time_not_readable"),
        ({"published_at": "2025-13-45"}, "time_not_readable"),
        ({"processed_at": 5}, "wrong_type"),
        ({"key_topics": "a, b"}, "json_not_readable"),
        ({"key_topics": {"a": 1}}, "wrong_type"),
        ({"analysis": "no JSON"}, "json_not_readable"),
        ({"analysis": '{"a": 1, "a": 2}'}, "repeated_key"),
        ({"analysis": '{"a": "\\u0000"}'}, "json_not_storable"),
        ({"subcategories_json": "no JSON"}, "json_not_readable"),
        ({"subcategories_json": '[{"subcategories": ["x"]}]'}, "categories_not_readable"),
        ({"analysis": {"categories": 5}}, "categories_not_readable"),
        ({"category": [{"a": 1}]}, "categories_not_readable"),
        ({"category": 5}, "wrong_type"),
        ({"category": ["x" * 3000]}, "text_too_long"),
        ({"summary": 5}, "wrong_type"),
        ({"summary_text": "T", "summary_type": "x" * 3000}, "text_too_long"),
    ],
)
def test_what_cannot_be_taken_as_it_is_is_odd_and_names_its_video(payload, code):
    error = odd(**payload)
    assert (error.code, error.video_id) == (code, KEY)
    assert error.message.endswith(".") and "\x00" not in error.message


def test_a_body_with_a_key_twice_is_odd():
    with pytest.raises(Odd, match="title"):
        read_report(loads(f'{{"id": "{KEY}", "title": "A", "title": "B"}}'))
    assert read_report(loads(f'{{"id": "{KEY}", "title": "A", "title": "A"}}')).record.title == "A"


@pytest.mark.parametrize("text", ["", "{", "[1", "nope", b"\xff\xfe\x00", "[" * 100_000, '{"a":' * 100_000])
def test_what_is_no_json_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=r"JSON|Expecting|codec|delimiter|levels"):
        loads(text)


def test_deep_json_is_odd():
    deep: Any = "x"
    for _ in range(5000):
        deep = {"a": deep}
    assert odd(deep=deep).code == "json_not_storable"
    assert odd(metadata=deep).code == "json_not_storable"
    assert odd(summary=deep).code == "json_not_storable"
    assert read(summary="{" * 5000).texts[0].text == "{" * 5000


def test_long_texts_are_taken_whole():
    long = "word " * 2_000_000
    arrival = read(summary_text=long, transcript=long, title="T")
    assert texts(arrival) == {"comprehensive": long} and arrival.record.extra["transcript"] == long


# Categories

STRUCTURED = [{"category": "Technology", "subcategories": ["Web Development", "A, B"]}]


@pytest.mark.parametrize(
    "payload",
    [
        {"analysis": {"categories": STRUCTURED}},
        {"analysis_json": json.dumps({"categories": STRUCTURED})},
        {"subcategories_json": {"categories": STRUCTURED}},
        {"subcategories_json": STRUCTURED},
        {"subcategories_json": json.dumps({"categories": STRUCTURED})},
        {"subcategories_json": json.dumps(STRUCTURED)},
        {"summary": {"analysis": {"categories": STRUCTURED}}},
        {"content_analysis": {"categories": STRUCTURED}},
        {"category": ["Technology"], "analysis": {"categories": STRUCTURED}},
    ],
)
def test_structured_categories_in_every_place(payload):
    assert pairs(read(**payload)) == [("Technology", "Web Development"), ("Technology", "A, B")]


@pytest.mark.parametrize(
    "payload",
    [
        {"category": ["Technology", "Own, name"]},
        {"category": '["Technology", "Own, name"]'},
        {"content_analysis": {"category": ["Technology", "Own, name"]}},
        {"summary": {"analysis": {"category": ["Technology", "Own, name"]}}},
        {"summary": json.dumps({"analysis": {"category": ["Technology", "Own, name"]}, "summary": "T"})},
        {"summary": {"analysis": json.dumps({"category": ["Technology", "Own, name"]})}},
        {"analysis": {"category": ["Technology", "Own, name"], "categories": []}},
        {"analysis": {"categories": ["Technology", "Own, name"]}},
    ],
)
def test_flat_categories_in_every_place(payload):
    assert pairs(read(**payload)) == [("Technology", None), ("Own, name", None)]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"category": "Technology, History"}, [("Technology", None), ("History", None)]),
        ({"category": "Arts, unlisted"}, [("Arts, unlisted", None)]),
        # In a list, each in any form that the old column has.
        ({"category": ["Technology, History"]}, [("Technology", None), ("History", None)]),
        ({"category": ['"Technology"', "1984"]}, [("Technology", None), ("1984", None)]),
        ({"category": ["Arts, unlisted", None]}, [("Arts, unlisted", None)]),
        ({"analysis": {"categories": [None, {}, {"category": None}, {"category": "A", "subcategories": [None, "B"]}]}},
         [("A", "B")]),
        ({"analysis": {"categories": [{"category": "A", "subcategories": "B"}, {"category": "C", "subcategory": "D"}]}},
         [("A", "B"), ("C", "D")]),
        ({"subcategories_json": [json.dumps({"category": "A", "subcategories": json.dumps(["B"])})]}, [("A", "B")]),
        ({"summary": {"analysis": "The video argues.", "summary": "T"}, "category": "A"}, [("A", None)]),
        ({"category": ["History", "Technology"], "subcategory": "Web Development"},
         [("History", None), ("Technology", "Web Development")]),
        ({"category": ["Own"], "subcategory": "Web Development"}, [("Own", "Web Development")]),
        ({"analysis": {"category": "Technology", "subcategory": ["A", "B"]}},
         [("Technology", "A"), ("Technology", "B")]),
        ({"subcategory": "Web Development"}, []),
        ({"category": [], "subcategories_json": '{"categories": []}'}, []),
        ({"category": ["A"], "analysis": {"categories": STRUCTURED}},
         [("A", None), ("Technology", "Web Development"), ("Technology", "A, B")]),
    ],
)  # fmt: skip
def test_categories_are_read_by_the_rules(payload, expected):
    assert pairs(read(**payload)) == expected


def test_a_subcategory_that_has_no_category_stays():
    assert read(subcategory="Alone").record.extra == {"subcategory": "Alone"}


def test_no_categories_are_no_text_of_categories():
    assert read(subcategories_json='{"categories": []}').record.subcategories_json == ""


# Summaries

LIST = [{"variant": "comprehensive", "text": "Long."}, {"summary_type": "bullet_points", "content": "• a"}]
BOTH = {"comprehensive": "Long.", "bullet-points": "• a"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"summary_text": "T"}, {"comprehensive": "T"}),
        ({"summary_text": "T", "summary_type": "Key_Insights"}, {"key-insights": "T"}),
        ({"summary_text": "T", "summary_variant": "audio-fr:Beginner"}, {"audio-fr:beginner": "T"}),
        ({"summary": "T", "summary_type": "audio"}, {"audio": "T"}),
        ({"summary": {"content": {"summary": "T", "summary_type": "executive"}}}, {"executive": "T"}),
        ({"summary": {"text": "T", "type": "audio", "content": {"summary": "T", "summary_type": "audio"}}},
         {"audio": "T"}),
        ({"summary": '{"summary": "T", "summary_type": "audio"}'}, {"audio": "T"}),
        ({"summary": "{'summary': 'T', 'summary_type': 'audio'}"}, {"audio": "T"}),
        ({"summary": {"comprehensive": "Long.", "bullet_points": "• a"}}, BOTH),
        ({"summary": '{"comprehensive": "Long.", "bullet_points": "• a"}'}, BOTH),
        ({"summary_text": "{'comprehensive': 'Long.', 'bullet_points': '• a'}"}, BOTH),
        ({"summary": {"audio_summary": "A", "insights": "I", "own_kind": "O"}},
         {"audio": "A", "key-insights": "I", "own-kind": "O"}),
        ({"summary": {"key_points": ["a", "b"]}}, {"key-points": '["a", "b"]'}),
        ({"summary": ["a", "é"]}, {"comprehensive": '["a", "é"]'}),
        ({"summary": [{"variant": "audio", "text": "A"}]}, {"audio": "A"}),
        ({"summary": {"overview": "O", "parts": [1, 2]}}, {"comprehensive": '{"overview": "O", "parts": [1, 2]}'}),
        ({"summary": {"variants": [{"variant": "adaptive", "text": "T"}]}}, {"adaptive": "T"}),
        ({"summary_variants": LIST}, BOTH),
        ({"summary_variants": json.dumps(LIST)}, BOTH),
        ({"summary_variants": {"comprehensive": "Long.", "bullet-points": {"text": "• a"}}}, BOTH),
        ({"summary_variants": [{"variant": "unheard of", "html": "<p>x</p>"}]}, {"unheard-of": "<p>x</p>"}),
        ({"summary_variants": [{"variant": "audio-fr", "proficiency": "beginner", "text": "T"}]},
         {"audio-fr:beginner": "T"}),
        ({"summary_html": "<p>x</p>"}, {"comprehensive": "<p>x</p>"}),
        ({"summary": "Summary generation failed"}, {}),
        ({"summary": "Unable to generate a summary."}, {}),
        ({"summary": "Unable to generate a summary.", "summary_variants": [{"text": "T"}]}, {"comprehensive": "T"}),
        ({"summary": " \n"}, {}),
        ({"summary": {}}, {}),
        ({"summary": None, "summary_variants": []}, {}),
        ({"summary": '{"a": 1, "a": 2}'}, {"comprehensive": '{"a": 1, "a": 2}'}),
        ({"summary": "{'a': 'x', 'a': 'y'}"}, {"comprehensive": "{'a': 'x', 'a': 'y'}"}),
        ({"summary": "{'a': b'x'}"}, {"comprehensive": "{'a': b'x'}"}),
        ({"summary": "{curly} words"}, {"comprehensive": "{curly} words"}),
    ],
)  # fmt: skip
def test_summaries_in_every_form(payload, expected):
    assert texts(read(**payload)) == expected


def test_a_failure_of_a_summary_stays_where_it_was_sent():
    assert read(summary="Summary generation failed").record.extra == {"summary": "Summary generation failed"}


def test_a_second_text_of_a_variant_stays_and_the_newest_counts():
    older = {"variant": "audio", "text": "A long older text", "generated_at": "2025-09-01"}
    newer = {"variant": "audio", "text": "New", "generated_at": "2025-09-02", "headline": "H"}
    arrival = read(summary_variants=[older, newer])
    assert texts(arrival) == {"audio": "New"} and arrival.texts[0].metadata == {"headline": "H"}
    assert arrival.record.extra == {"summary_variants": [older]}


# Changes


def test_changes_of_a_video():
    video = Video(video_id=KEY, source="youtube")
    sent = {"has_audio": True, "audio_duration_seconds": 300, "title": "T", "duration_seconds": 9, "word_count": 4}
    arrival = read_changes({**sent, "id": "another", "note": 1}, video)
    record = arrival.record
    assert {name: getattr(record, name) for name in sent} == sent
    assert (record.video_id, record.legacy_id, record.extra) == (KEY, "", {"note": 1})
    assert read_changes({"has_audio": False}, video).record.has_audio is False
    with pytest.raises(Odd):
        read_changes({"has_audio": "perhaps"}, video)
    with pytest.raises(Unusable):
        read_changes([], video)


# Anything at all

NAMES = [
    "id", "video_id", "title", "url", "canonical_url", "content_source", "source", "source_metadata", "youtube",
    "metadata", "media", "analysis", "categories", "category", "subcategory", "subcategories", "subcategories_json",
    "summary", "summary_text", "summary_type", "summary_variants", "variant", "variants", "text", "content", "language",
    "generated_at", "processed_at", "key_topics", "view_count", "has_audio", "duration_seconds",
]  # fmt: skip
SPECIAL = [KEY, WATCH, "2025-09-01", '{"categories": []}', "{'summary': 'x'}", "comprehensive", "\ud800", "[["]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(SPECIAL),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
        | inner.map(json.dumps)
        | inner.map(repr)
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), VALUES, max_size=6) | VALUES)
@example({"id": KEY, "source_metadata": {"youtube": []}})
def test_any_json_is_read_or_refused_with_a_reason(payload):
    before = deepcopy(payload)
    for named in (payload, {**payload, "id": KEY} if isinstance(payload, dict) else payload):
        try:
            arrival = read_universal(named, "stem")
        except (Odd, Unusable) as reason:
            str(reason).encode()
            continue
        json.dumps([arrival.record.extra, arrival.record.analysis], allow_nan=False)
        assert len({text.variant for text in arrival.texts}) == len(arrival.texts)
        assert all(text.text.strip() for text in arrival.texts)
    assert repr(payload) == repr(before)
