"""What the Mapper reads from rows that the inverse wrote is what the model held."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sqlite.differences import (
    PLAIN_COLUMNS,
    StoredVideo,
    content_changes,
    differing,
    is_same,
    is_same_json,
)
from ingest.sqlite.inverse import content_values, holdable, old_id, summary_values, variant_values
from ingest.sqlite.mapping import Mapper, language_of
from ingest.sqlite.schema import CONTENT_COLUMNS, Generation
from summaries.models import SummaryText, Variant
from videos.models import Origin, Pair
from videos.upsert import VideoRecord

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
COUNTS = st.integers(0, 2**63 - 1)
MOMENTS = st.datetimes(
    datetime(1, 1, 2),
    datetime(9999, 12, 30),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["Technology", "History", "Café, bar", "1984", "null", '["x"]', "{", "A, B"]) | TEXTS.map(
    str.strip
).filter(bool)


@st.composite
def held_pairs(draw: st.DrawFn) -> tuple[Pair, ...]:
    """Pairs of which the old schema can hold all: flat imported ones, and curated ones, grouped by category."""
    pairs = []
    for category in draw(st.lists(NAMES, unique=True, max_size=3)):
        below = draw(st.none() | st.lists(NAMES, unique=True, max_size=3))
        if below is None:
            pairs.append(Pair(category, None, Origin.IMPORTED))
        elif not below:
            pairs.append(Pair(category, None, Origin.CURATED))
        else:
            pairs += [Pair(category, name, Origin.CURATED) for name in below]
    return tuple(pairs)


def sent_categories(pairs: tuple[Pair, ...]) -> st.SearchStrategy[str]:
    """`subcategories_json` as sent: what the pairs say in another spelling, something else, or nothing."""
    entries = {}
    for pair in pairs:
        if pair.origin == Origin.CURATED:
            entries.setdefault(pair.category, []).extend([pair.subcategory] if pair.subcategory else [])
    listed = [{"subcategories": names, "category": category} for category, names in entries.items()]
    same = [json.dumps(listed, indent=1), json.dumps({"categories": listed, "by": "worker"}, ensure_ascii=False)]
    return st.sampled_from(["", *same]) | st.sampled_from(['{"categories": [{"category": "Other"}]}', "{", "[]"])


ANALYSES = JSON | st.fixed_dictionaries(
    {}, optional={"categories": JSON, "category": JSON, "subcategory": JSON, "schema_version": NUMBERS}
)


@st.composite
def records(draw: st.DrawFn, pairs: tuple[Pair, ...]) -> VideoRecord:
    number = draw(st.integers(0, 9999))
    return VideoRecord(
        video_id=f"Video-_{number:04}",
        source="youtube",
        legacy_id=f"yt:video-_{number:04}",
        canonical_url=f"https://www.youtube.com/watch?v=Video-_{number:04}",
        **{name: draw(TEXTS) for name in ("title", "thumbnail_url", "channel_name", "channel_id", "language")},
        **{name: draw(TEXTS) for name in ("content_type", "complexity_level", "format_source", "processing_status")},
        **{name: draw(COUNTS) for name in ("duration_seconds", "word_count", "view_count", "like_count")},
        **{name: draw(COUNTS) for name in ("comment_count", "audio_duration_seconds", "transcript_chars")},
        has_audio=draw(st.booleans()),
        has_transcript=draw(st.booleans()),
        **{name: draw(st.none() | MOMENTS) for name in ("published_at", "indexed_at", "created_at", "updated_at")},
        key_topics=draw(st.lists(JSON, max_size=3)),
        named_entities=draw(st.lists(JSON, max_size=3)),
        subcategories_json=draw(sent_categories(pairs)),
        analysis=draw(ANALYSES),
    )


@given(st.data())
def test_the_mapper_reads_back_what_the_model_held(data):
    pairs = data.draw(held_pairs())
    record = data.draw(records(pairs))
    values = content_values(record, pairs)
    read = Mapper().video(values)
    assert read.pairs == pairs
    assert read.summary is None
    for name, held in vars(record).items():
        if name not in ("subcategories_json", "analysis"):
            assert getattr(read.record, name) == held, name
    # As sent, unless that says other categories than the pairs.
    if read.record.subcategories_json != record.subcategories_json:
        assert not says(record, pairs)
    if isinstance(record.analysis, dict):
        kept = {
            name: value
            for name, value in record.analysis.items()
            if name not in ("categories", "category", "subcategory")
        }
        assert kept.items() <= read.record.analysis.items()
        assert read.record.analysis.keys() == record.analysis.keys()
    else:
        assert read.record.analysis == record.analysis


def says(record: VideoRecord, pairs: tuple[Pair, ...]) -> bool:
    """Whether what was sent says the pairs, by the forms that sent_categories and ANALYSES write."""
    try:
        sent = json.loads(record.subcategories_json or "null")
    except ValueError:
        return False
    listed = sent["categories"] if isinstance(sent, dict) else sent
    named = [(entry["category"], name) for entry in listed or [] for name in entry.get("subcategories") or [None]]
    return bool(named) and named == [(pair.category, pair.subcategory) for pair in pairs]


@given(
    st.lists(
        st.builds(Pair, NAMES, st.none() | NAMES, st.sampled_from(Origin)),
        max_size=5,
        unique_by=lambda p: p[:2] if isinstance(p, tuple) else (p.category, p.subcategory),
    )
)
def test_pairs_that_the_old_schema_cannot_hold_keep_all_that_it_can(pairs):
    read = Mapper().video(content_values(VideoRecord("Video-_0001", "youtube"), pairs))
    assert read.pairs == holdable(pairs)
    assert {pair.category for pair in read.pairs} == {pair.category for pair in pairs}
    below = {(pair.category, pair.subcategory) for pair in pairs if pair.subcategory}
    assert {(pair.category, pair.subcategory) for pair in read.pairs if pair.subcategory} == below


@given(st.data())
def test_a_row_with_what_changed_says_what_is_stored_now(data):
    first, second = data.draw(held_pairs()), data.draw(held_pairs())
    row = content_values(data.draw(records(first)), first)
    stored = StoredVideo(data.draw(records(second)), second, is_deleted=False)
    mapped = Mapper().video(row)
    changes = content_changes(row, mapped, stored, differing(mapped.record, stored.record))
    read = Mapper().video(row | changes)
    assert [(pair.category, pair.subcategory) for pair in read.pairs] == [
        (pair.category, pair.subcategory) for pair in second
    ]
    for name in PLAIN_COLUMNS:
        assert is_same(name, getattr(read.record, name), getattr(stored.record, name)), name
    # Only what differs was written anew.
    for name in changes.keys() & set(PLAIN_COLUMNS):
        assert not is_same(name, getattr(mapped.record, name), getattr(stored.record, name)), name
    unchanged = StoredVideo(mapped.record, mapped.pairs, is_deleted=False)
    assert content_changes(row, mapped, unchanged, differing(mapped.record, mapped.record)) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"b": 1, "a": [1e2]}, {"a": [100], "b": 1.0}, True),
        (1e300, 10**300, True),
        ([True], [1], False),
        ([0], [False], False),
        ([], {}, False),
        (None, [], False),
        ({"a": None}, {}, False),
        ("1", 1, False),
        (0.1, 0.1000000000000000055, True),
        (2**53, 2**53 + 1, False),
    ],
)
def test_json_is_compared_as_postgresql_stores_it(one, other, same):
    assert is_same_json(one, other) is same


def test_every_column_of_the_last_generation_has_a_value_in_the_old_form():
    record = VideoRecord(
        "Video-_0001",
        "youtube",
        title="Café",
        published_at=datetime(2025, 9, 7, 8, 43, 50, 49703, UTC),
        indexed_at=datetime(2025, 9, 8, 21, 0, 4, tzinfo=timezone(timedelta(hours=2))),
        created_at=datetime(2025, 9, 11, 17, 44, 47, tzinfo=UTC),
        has_audio=True,
    )
    pairs = [
        Pair("History", "Modern History", Origin.CURATED),
        Pair("History", "Historical Analysis", Origin.CURATED),
        Pair("Technology", "Tech News & Trends", Origin.CURATED),
    ]
    values = content_values(record, pairs)
    assert set(values) == {*CONTENT_COLUMNS, *Generation.LAST.added_columns}
    assert values["id"] == b"yt:Video-_0001" and values["video_id"] == b"Video-_0001"
    assert values["title"] == "Café".encode() and values["channel_name"] == b"" and values["has_audio"] == 1
    assert values["published_at"] == b"2025-09-07T08:43:50.049703+00:00"
    assert values["indexed_at"] == b"2025-09-08T19:00:04+00:00"
    assert values["created_at"] == b"2025-09-11 17:44:47" and values["updated_at"] is None
    assert values["category"] == b'["History", "Technology"]' and values["subcategory"] == b"Modern History"
    assert values["subcategories_json"] == (
        b'{"categories": [{"category": "History", "subcategories": ["Modern History", "Historical Analysis"]}, '
        b'{"category": "Technology", "subcategories": ["Tech News & Trends"]}]}'
    )
    assert values["key_topics"] == b"[]" and values["analysis"] is None and values["summary"] is None


def test_a_lone_subcategory_comes_back():
    record = VideoRecord("Video-_0001", "youtube", extra={"subcategory": "Of nothing", "transcript": "…"})
    values = content_values(record, ())
    assert values["subcategory"] == b"Of nothing"
    assert Mapper().video(values).record.extra == {"subcategory": "Of nothing"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (VideoRecord("Video-_0001", "youtube", legacy_id="of old"), "of old"),
        (VideoRecord("Video-_0001", "youtube"), "yt:Video-_0001"),
        (VideoRecord("reddit:1n4zk2p", "reddit"), "reddit:1n4zk2p"),
    ],
)
def test_a_video_without_an_old_id_gets_the_one_that_the_old_system_would_have_given(record, expected):
    assert old_id(record) == expected
    read = Mapper().video(content_values(record, ())).record
    assert (read.video_id, read.source, read.legacy_id) == (record.video_id, record.source, expected)


@given(st.data())
def test_summaries_read_back_as_they_were(data):
    variant = Variant.parse(data.draw(TEXTS.map(str.strip)))
    summary = SummaryText(
        variant,
        data.draw(TEXTS.filter(str.strip)),
        revision=data.draw(st.integers(1, 10**9)),
        is_latest=data.draw(st.booleans()),
        language=language_of(variant),
        created_at=data.draw(st.none() | MOMENTS),
        updated_at=data.draw(st.none() | MOMENTS),
        metadata=data.draw(JSON),
        raw_payload=data.draw(JSON),
        file_size_bytes=data.draw(st.none() | COUNTS),
        word_count=data.draw(st.none() | COUNTS),
    )
    assert Mapper().variant_text(variant_values(summary, "Video-_0001")) == summary
    flat = Mapper().summary(summary_values(summary, "yt:video-_0001"))
    assert (flat.variant, flat.text, flat.language) == (variant, summary.text, summary.language)
