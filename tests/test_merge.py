"""What the worker sends is merged as a whole: newer wins, nothing real is lost, a delete is final."""

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ingest.merge import Merged, merge
from ingest.payloads import Odd, Unusable, read_changes, read_report
from summaries.models import Summary
from videos.models import Categorization, Origin, Pair, Proposal, Video, VideoEvent
from videos.upsert import Action

from .factories import categorise, make_video
from .test_payloads import NAMES, VALUES

KEY = "AbC-dE_f123"
DAY = "2025-09-{:02d}T12:00:00Z"
REPORT = {
    "id": f"yt:{KEY}", "title": "A title", "channel_name": "A channel", "duration_seconds": 60,
    "indexed_at": DAY.format(1), "processed_at": DAY.format(10),
    "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}], "language": "en"},
    "summary_variants": [{"variant": "comprehensive", "text": "Long."}, {"variant": "audio", "text": "Spoken."}],
    "processor_info": {"model": "a"}, "source_metadata": {"youtube": {"video_id": KEY, "tags": ["a"]}},
}  # fmt: skip
TIMELESS = {name: value for name, value in REPORT.items() if name not in ("indexed_at", "processed_at")}
TABLES = ("videos_video", "videos_categorization", "videos_category", "videos_proposal", "summaries_summary")

pytestmark = pytest.mark.django_db


def send(*bodies: dict[str, Any], **values: Any) -> Merged:
    """Merge a report; the values are changes of the usual one."""
    return merge(read_report(bodies[0] if bodies else {**REPORT, **values}), by="worker")


def stored() -> Video:
    return Video.objects.get(pk=KEY)


def row_versions() -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        rows = set()
        for table in TABLES:
            cursor.execute(f"SELECT xmin::text || ctid::text FROM {table}")
            rows |= {(table, version) for (version,) in cursor.fetchall()}
        return rows


def stored_pairs() -> list[tuple[str, str | None]]:
    return list(Categorization.objects.order_by("position").values_list("category__name", "subcategory__name"))


def test_a_report_is_a_video_with_categories_and_texts():
    merged = send()
    assert merged == Merged(KEY, Action.CREATED, {}, 2, 1, False)
    video = stored()
    assert (video.title, video.legacy_id, video.extra["processor_info"]) == ("A title", f"yt:{KEY}", {"model": "a"})
    assert stored_pairs() == [("Technology", "Web Development")]
    assert set(Categorization.objects.values_list("origin", flat=True)) == {Origin.AI}
    assert set(Summary.objects.values_list("variant", "text")) == {("comprehensive", "Long."), ("audio", "Spoken.")}


@pytest.mark.parametrize("body", [REPORT, TIMELESS])
def test_the_same_report_again_changes_nothing(body):
    send(body)
    before = row_versions()
    assert send(body) == Merged(KEY, Action.UNCHANGED, {}, 0, 0, False)
    assert row_versions() == before


SHAPES = ["api_content_flat_payload", "api_content_nested_payload", "ingest_report_payload", "universal_report_youtube"]


def test_every_recorded_body_merges_once(shared):
    bodies = [json.loads((shared / "contract" / "payloads" / f"{name}.json").read_text()) for name in SHAPES]
    for body in bodies:
        assert send(body).action in (Action.CREATED, Action.UPDATED)
    before = row_versions()
    assert send(bodies[-1]).action is Action.UNCHANGED
    for body in bodies:  # older ones now
        send(body)
    assert send(bodies[-1]).action is Action.UNCHANGED
    assert Video.objects.count() == 1
    assert {row for row in row_versions() if row[0] == "summaries_summary"} == {
        row for row in before if row[0] == "summaries_summary"
    }


def test_changes_say_what_was_and_what_is():
    send()
    merged = send(
        title="Another", processed_at=DAY.format(11), transcript="x" * 5000,
        analysis={"categories": [{"category": "History"}]}, summary_variants=[{"text": "Longer."}],
    )  # fmt: skip
    assert merged.action is Action.UPDATED
    assert merged.changes["title"] == ["A title", "Another"]
    assert merged.changes["categories"] == [[["Technology", "Web Development"]], [["History", None]]]
    assert merged.changes["extra"][0] == {} and len(merged.changes["extra"][1]) < 300
    assert merged.changes["summaries"] == [None, ["comprehensive"]]
    assert "channel_name" not in merged.changes
    assert (merged.summaries_added, merged.pairs_written) == (1, 1)
    json.dumps(merged.changes)


def test_the_history_names_the_token():
    send()
    send(title="Another")
    event = VideoEvent.objects.latest("pgh_id")
    assert (event.title, event.pgh_context.metadata) == ("A title", {"token": "worker"})


# Newer and older


def test_older_data_only_fills_blanks():
    send(channel_name="")
    older = send(
        title="Old", channel_name="Old channel", processed_at=DAY.format(9),
        analysis={"categories": [{"category": "Old"}]},
        summary_variants=[{"variant": "audio", "text": "Old."}, {"variant": "executive", "text": "Filled."}],
    )  # fmt: skip
    assert (stored().title, stored().channel_name) == ("A title", "Old channel")
    assert stored_pairs() == [("Technology", "Web Development")]
    assert older.summaries_added == 1 and older.action is Action.UPDATED
    assert set(Summary.objects.values_list("text", flat=True)) == {"Long.", "Spoken.", "Filled."}


def test_a_report_without_a_time_is_of_its_arrival():
    send(TIMELESS)
    assert stored().indexed_at is not None and stored().updated_at is not None
    send(title="Old", processed_at=DAY.format(10))
    assert stored().title == "A title"
    send({**TIMELESS, "title": "New"})
    assert stored().title == "New"


def test_a_text_without_a_time_is_of_its_arrival():
    send(indexed_at=DAY.format(10))
    merged = send({"id": f"yt:{KEY}", "summary_text": "New."})
    assert (merged.action, merged.summaries_added) == (Action.UPDATED, 1)
    send(processed_at=DAY.format(20), summary_text="Between.", summary_variants=[])
    assert Summary.objects.get(variant="comprehensive", is_latest=True).text == "New."


def test_a_video_imported_without_a_time_of_adding_gets_none_from_an_arrival():
    make_video(video_id=KEY, indexed_at=None)
    send(TIMELESS)
    assert stored().indexed_at is None


@pytest.mark.parametrize("processed_at", [DAY.format(9), DAY.format(11)])
def test_documents_are_merged_key_by_key(processed_at):
    send(analysis={"processing": {"status": "complete", "logs": ["a"]}})
    send(
        processor_info=None, source_metadata={"youtube": {"tags": [], "chapters": [1]}}, transcript="T",
        analysis={"processing": {"logs": []}, "categories": []}, processed_at=processed_at,
    )  # fmt: skip
    extra = stored().extra
    assert extra["processor_info"] == {"model": "a"} and extra["transcript"] == "T"
    assert extra["source_metadata"] == {"youtube": {"tags": ["a"], "chapters": [1]}}
    assert stored().analysis["processing"] == {"status": "complete", "logs": ["a"]}


def test_what_comes_beside_a_known_text_is_kept():
    send()
    entry = {"variant": "audio", "text": "Spoken.", "audio_url": "/exports/a.mp3"}
    merged = send(summary_variants=[entry])
    assert (merged.action, merged.summaries_added) == (Action.UPDATED, 0)
    assert Summary.objects.get(variant="audio").metadata == {"audio_url": "/exports/a.mp3"}
    assert send(summary_variants=[{**entry, "audio_url": None}]).action is Action.UNCHANGED


def test_a_resent_report_clears_neither_audio_nor_images_nor_categories():
    send(images=[{"url": "a"}])
    Video.objects.update(has_audio=True, audio_duration_seconds=300)
    bare = {"id": f"yt:{KEY}", "title": "A title", "has_audio": False, "audio_duration_seconds": 0, "images": [],
            "category": [], "subcategories_json": None, "analysis": {"categories": []}}  # fmt: skip
    send(bare)
    video = stored()
    assert (video.has_audio, video.audio_duration_seconds, video.extra["images"]) == (True, 300, [{"url": "a"}])
    assert stored_pairs() == [("Technology", "Web Development")]


def test_has_audio_is_not_believed_in_a_report_but_in_a_change():
    send(has_audio=True)
    assert not stored().has_audio and stored().extra["has_audio"] is True
    merged = merge(read_changes({"has_audio": True, "audio_duration_seconds": 9}, stored()), by="worker")
    assert merged.action is Action.UPDATED and stored().has_audio
    merge(read_changes({"has_audio": False}, stored()), by="worker")
    assert stored().has_audio


def test_a_change_wins_over_a_report_that_is_older():
    send()
    merge(read_changes({"title": "By hand"}, stored()), by="worker")
    assert send().action is Action.UNCHANGED
    assert stored().title == "By hand"
    merge(read_changes({"title": "temp"}, stored()), by="worker")
    assert stored().title == "By hand"


# Deleted


def test_a_deleted_video_is_left_as_it_is():
    send()
    Video.objects.update(deleted_at="2025-10-01T00:00:00Z", deleted_by="owner")
    before = row_versions()
    for body in (REPORT, {**TIMELESS, "title": "Back", "summary": "New."}):
        assert send(body) == Merged(KEY, Action.DELETED, {}, 0, 0, False)
    assert row_versions() == before


# Ids


def test_an_old_id_finds_its_video():
    make_video(video_id=KEY, legacy_id="yt:abc-de_f123")
    assert send({"id": "yt:abc-de_f123", "title": "T"}).video_id == KEY
    assert send({"id": f"words_of_a_title_{KEY}_1", "title": "T"}).video_id == KEY
    assert Video.objects.count() == 1


def test_a_report_id_finds_the_video_that_is_there():
    """The last characters of `AbC-dE_f123_0056c1` look like an id as well."""
    make_video(video_id=KEY)
    assert send({"id": f"title_{KEY}_0056c1", "title": "T"}).video_id == KEY


@pytest.mark.parametrize("field", ["id", "video_id"])
@pytest.mark.parametrize("native", ["1n4zk2p", "0123456789abcdef01234567"])
def test_a_bare_native_id_finds_the_video_that_came_with_its_address(native, field):
    address = "https://redd.it/1n4zk2p" if native == "1n4zk2p" else "https://blog.example.org/post"
    key = send({"id": native, "url": address, "title": "T"}).video_id
    assert key.endswith(f":{native}")
    assert send({field: native, "title": "Later"}).video_id == key
    assert Video.objects.values_list("pk", "title").get() == (key, "Later")


def test_a_lower_cased_old_id_alone_finds_the_only_video_that_reads_so():
    make_video(video_id=KEY)
    assert send({"id": "yt:abc-de_f123", "title": "T"}).video_id == KEY
    assert send({"id": "yt:abc-de_f123", "video_id": "abc-de_f123"}).video_id == "abc-de_f123"


def test_ids_that_differ_by_case_are_two_videos():
    make_video(video_id=KEY, legacy_id="yt:abc-de_f123")
    merged = send({"id": "yt:abc-de_f123", "video_id": "abc-de_f123", "title": "T"})
    assert (merged.video_id, merged.action) == ("abc-de_f123", Action.CREATED)
    assert Video.objects.get(pk="abc-de_f123").legacy_id == ""


def test_an_old_id_of_a_deleted_video_names_it():
    make_video(video_id=KEY, legacy_id="yt:abc-de_f123", deleted_at="2025-10-01T00:00:00Z")
    assert send({"id": "yt:abc-de_f123", "title": "T"}).action is Action.DELETED
    assert Video.objects.count() == 1


# Curated categories


def test_another_opinion_on_curated_categories_waits_as_a_proposal():
    categorise(make_video(video_id=KEY), [("History", None)])
    merged = send()
    assert (merged.proposed, merged.pairs_written) == (True, 0)
    assert merged.changes["proposal"] == [None, [["Technology", "Web Development"]]]
    assert stored_pairs() == [("History", None)]
    proposal = Proposal.objects.get()
    assert (proposal.video_id, proposal.pairs, proposal.proposed_by) == (
        KEY, [["Technology", "Web Development"]], "worker"
    )  # fmt: skip

    before = row_versions()
    assert (send().action, send().proposed) == (Action.UNCHANGED, False)
    assert row_versions() == before

    send(analysis={"categories": [{"category": "Gaming"}]})
    assert Proposal.objects.get().pairs == [["Gaming", None]]
    send(analysis={"categories": [{"category": "Old"}]}, processed_at=DAY.format(1))
    assert Proposal.objects.get().pairs == [["Gaming", None]]
    send(analysis={"categories": []})
    assert Proposal.objects.exists()


def test_the_same_opinion_takes_a_waiting_proposal_away():
    video = make_video(video_id=KEY)
    categorise(video, [("Technology", "Web Development"), ("History", None)])
    send()
    assert Proposal.objects.waiting().count() == 1
    merged = send(category=["History", "Technology"])
    assert not Proposal.objects.waiting().exists()
    assert (merged.action, merged.proposed) == (Action.UPDATED, False)


def test_proposals_of_many_videos_at_once():
    """As an import of a snapshot sends them."""
    for number in range(3):
        categorise(make_video(number), [("History", None)])
    keys = list(Video.objects.values_list("pk", flat=True).order_by("pk"))
    sent = {keys[0]: [Pair("A", "b", Origin.CURATED)], keys[1]: [Pair("History", None, Origin.IMPORTED)], keys[2]: []}
    assert Categorization.objects.merge(sent, newest=set(keys)) == 0
    assert list(Proposal.objects.values_list("video", "pairs")) == [(keys[0], [["A", "b"]])]


# As a whole


@pytest.mark.parametrize(
    "values",
    [
        {"title": "字" * 500_000, "channel_name": "ﷺ" * 20_000},
        {"key_topics": ["x" * 100_000, 5, None, {"a": [True]}], "named_entities": list(range(5000))},
        {"published_at": "0001-01-01", "created_at": "9999-12-31T23:59:59Z"},
        {"view_count": 2**63 - 1, "x": 10**4000, "y": -1e308},
        {"category": [f"Category {number}" for number in range(300)]},
        {"category": ["é" * 1000, "a/b, [c]"], "subcategory": "x" * 2000},
        {"summary_text": "\u202e\ufffe <script>", "summary_type": "é" * 900},
        {"summary_text": "{" * 100_000},
        {"": {"": ""}, "e\u0301": "é"},
        {"content_source": "a_new-source"},
        {"id": "é" * 200, "source_metadata": None},
    ],
)
def test_whatever_is_read_can_be_stored(values):
    body = {**REPORT, **values}
    assert send(body).action is Action.CREATED
    assert send(body).action is Action.UNCHANGED


def test_a_report_is_merged_whole_or_not_at_all():
    """The last step fails, as it may when the server goes away."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE summaries_summary ADD CONSTRAINT no_new CHECK (text <> 'New.')")
    send()
    before = row_versions()
    with pytest.raises(Exception, match="no_new"):
        send(title="Another", summary_text="New.", summary_variants=[], category=["New"])
    assert row_versions() == before


@pytest.mark.django_db(transaction=True)
def test_reports_of_one_video_at_once_leave_one_row_and_revisions_without_gaps():
    """All create the video, with the same new category, and disagree about the text."""
    clients, errors = 6, []
    barrier = threading.Barrier(clients)

    def work(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            for turn in range(4):
                send({**TIMELESS, "summary_variants": [{"text": f"{number} {turn}"}], "category": ["New", "Newer"]})
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Video.objects.count() == 1
    revisions = list(Summary.objects.order_by("revision").values_list("revision", flat=True))
    assert revisions == list(range(1, clients * 4 + 1))
    assert Summary.objects.filter(is_latest=True).count() == 1


class AnyOrder(TestCase):
    """Properties: in whatever order reports come, nothing real is lost, and all of them again change nothing."""

    reports = st.lists(
        st.fixed_dictionaries(
            {"processed_at": st.integers(1, 9).map(DAY.format)},
            optional={
                "title": st.sampled_from(["", None, "Untitled", f"Content {KEY}", "temp", "A", "B"]),
                "channel_name": st.sampled_from(["", "Unknown", "C"]),
                "duration_seconds": st.sampled_from([0, None, "90", 90]),
                "category": st.sampled_from([[], None, "", ["X"], ["Y"]]),
                "summary": st.sampled_from(["", None, {}, "Summary generation failed", "T1", {"text": "T2"}]),
                "processor_info": st.sampled_from([None, {}, {"model": "m"}]),
            },
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda report: report["processed_at"],
    )

    @settings(max_examples=25, deadline=None)
    @given(reports, st.randoms())
    def test_nothing_real_is_lost(self, reports, random):
        random.shuffle(reports)
        for report in reports:
            with transaction.atomic():
                send({"id": KEY, **report})

        def real(name: str, values: tuple) -> list:
            return [report[name] for report in reports if report.get(name) in values]

        video = stored()
        newest = max(reports, key=lambda report: report["processed_at"])
        if titles := real("title", ("A", "B")):
            assert video.title in titles
            assert video.title == newest.get("title") or newest.get("title") not in titles
        assert (video.channel_name == "C") == bool(real("channel_name", ("C",)))
        assert (video.duration_seconds == 90) == bool(real("duration_seconds", ("90", 90)))
        assert bool(stored_pairs()) == bool(real("category", (["X"], ["Y"])))
        assert Summary.objects.exists() == bool(real("summary", ("T1", {"text": "T2"})))
        assert (video.extra.get("processor_info") == {"model": "m"}) == bool(real("processor_info", ({"model": "m"},)))
        for report in reports:
            assert send({"id": KEY, **report}).action is Action.UNCHANGED


class Anything(TestCase):
    """Property: what is read can be stored, and is stored once."""

    @settings(max_examples=60, deadline=None)
    @given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), VALUES, max_size=6))
    def test_whatever_is_read_is_stored_once(self, body):
        body = {"title": "T", **body, "id": KEY}
        try:
            arrival = read_report(body)
        except (Odd, Unusable):
            return
        merge(arrival, by="worker")
        assert merge(arrival, by="worker") == Merged(merge(arrival, by="").video_id, Action.UNCHANGED, {}, 0, 0, False)
