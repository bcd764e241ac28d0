"""Any sequence of what the worker, the owner, a curator and an import do, against a simple model of the rules."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.test import TransactionTestCase
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from ingest.merge import merge
from ingest.payloads import Arrival, read_content, read_report
from ingest.purge import purge_deleted
from ingest.sqlite.importer import import_snapshot
from videos.curation import decide
from videos.models import Categorization, FacetCount, Video
from videos.upsert import Action

from .factories import truncate
from .test_disasters import content_row, write_snapshot

# `YTV2_EXAMPLES=200 YTV2_STEPS=40 make test ARGS="-k any_sequence"` takes minutes, for longer and more sequences.
EXAMPLES = int(os.environ.get("YTV2_EXAMPLES", "14"))
STEPS = int(os.environ.get("YTV2_STEPS", "18"))

NAMES = ("AbC-dE_f123", "abc-de_f123", "Zzz-zz_z999")
# Few of each, so that they meet.
KEYS = st.sampled_from([NAMES[0], *NAMES])
DAYS = st.sampled_from([1, 9, 10, 11, 28])
FIRST = datetime(2025, 9, 1, tzinfo=UTC)
CURATED, SENT, FILED = ("History", "Modern History"), ("Technology", "Web Development"), ("Business", None)
# The day, the title and the text of each video in the old snapshot.
FILE_DAY, FILE_TITLE, FILE_TEXT = 10, "Filed", "filed"


class Library(RuleBasedStateMachine):
    """What must hold of each video: deleted stays deleted, newer wins, curated stays, texts only grow."""

    snapshot: Path

    @initialize()
    def empty(self) -> None:
        truncate(
            "videos_video, videos_category, videos_facetcount, videos_videoevent, videos_categorizationevent,"
            " summaries_summaryevent, ingest_snapshot CASCADE"
        )
        self.titles: dict[str, tuple[int, str]] = {}
        self.texts: dict[str, list[str]] = {}
        self.pairs: dict[str, tuple[str, str | None]] = {}
        self.deleted: set[str] = set()
        self.purged: set[str] = set()
        self.curated: set[str] = set()
        self.sent: list[tuple[str, int, str, str]] = []

    @property
    def live(self) -> list[str]:
        return sorted(self.titles.keys() - self.deleted)

    def expect(self, key: str, day: int, title: str, text: str, pair: tuple[str, str | None], is_new: bool) -> None:
        """What data of this day does to a video that is not deleted; the text counts where it is new."""
        stored_day, stored_title = self.titles.get(key, (0, ""))
        is_newest = day >= stored_day
        better = title not in ("", "Untitled") and (stored_title in ("", "Untitled") or is_newest)
        blank = not stored_title and title
        self.titles[key] = (max(day, stored_day), title if better or blank else stored_title)
        texts = self.texts.setdefault(key, [])
        if not texts or (is_newest and is_new):
            texts.append(text)
        if key not in self.pairs or (is_newest and key not in self.curated):
            self.pairs[key] = pair

    def arrive(self, arrival: Arrival, key: str, day: int, title: str, text: str) -> None:
        merged = merge(arrival, by="worker")
        assert (merged.action is Action.DELETED) == (key in self.deleted)
        if key in self.deleted:
            return
        assert (merged.action is Action.CREATED) == (key not in self.titles)
        self.expect(key, day, title, text, SENT, is_new=self.texts.get(key, [""])[-1:] != [text])
        again = merge(arrival, by="worker")
        assert again.action is Action.UNCHANGED or again.summaries_added == 0

    @rule(key=KEYS, day=DAYS, title=st.sampled_from(["A", "B", "C", "D", "Untitled", ""]), text=st.sampled_from("xyz"))
    def ingest(self, key: str, day: int, title: str, text: str) -> None:
        self.sent.append((key, day, title, text))
        self.arrive(read_report(payload(key, day, title, text)), key, day, title, text)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def re_ingest_old_json(self, data: st.DataObject) -> None:
        """A backfill: something that was sent before, in the older shape."""
        key, day, title, text = data.draw(st.sampled_from(self.sent))
        self.arrive(read_content(old_payload(key, day, title, text)), key, day, title, text)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.live))
        assert Video.objects.get(pk=key).delete_by("owner", "because")
        assert not Video.objects.get(pk=key).delete_by("worker", "again")
        self.deleted.add(key)

    @precondition(lambda self: self.deleted)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.deleted)))
        assert Video.objects.get(pk=key).restore_by("owner")
        self.deleted.discard(key)
        self.purged.discard(key)

    @precondition(lambda self: self.deleted)
    @rule()
    def purge(self) -> None:
        """The content of all that is deleted goes, and the key stays."""
        purge_deleted(timedelta(), by="owner")
        for key in self.deleted:
            self.titles[key] = (0, "")
            self.texts.pop(key, None)
            self.pairs.pop(key, None)
        self.curated -= self.deleted
        self.purged |= self.deleted

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def curate(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.live))
        decide({key: [CURATED]}, "curator")
        self.curated.add(key)
        self.pairs[key] = CURATED

    @rule()
    def import_old_snapshot(self) -> None:
        report = import_snapshot(self.snapshot)
        assert report.tables["content"].skipped_deleted == report.videos[Action.DELETED] == len(self.deleted)
        for key in set(NAMES) - self.deleted:
            is_new = FILE_TEXT not in self.texts.get(key, [])
            self.expect(key, FILE_DAY, FILE_TITLE, FILE_TEXT, FILED, is_new)

    @invariant()
    def holds(self) -> None:
        videos = Video.objects.prefetch_related("summaries")
        assert {video.pk for video in videos} == self.titles.keys()
        for video in videos:
            assert (video.deleted_at is not None) == (video.pk in self.deleted)
            assert video.is_purged == (video.pk in self.purged)
            assert video.title == self.titles[video.pk][1]
            texts = video.summaries.order_by("revision")
            assert [text.text for text in texts] == self.texts.get(video.pk, [])
            assert [text.is_latest for text in texts] == [False] * (len(texts) - 1) + [True] * bool(texts)
            assert [text.revision for text in texts] == list(range(1, len(texts) + 1))
            pairs = set(Categorization.objects.filter(video=video).values_list("category__name", "subcategory__name"))
            assert pairs == ({self.pairs[video.pk]} if video.pk in self.pairs else set())
        assert FacetCount.objects.revision().videos == len(self.live)


def payload(key: str, day: int, title: str, text: str) -> dict[str, Any]:
    return {
        "video_id": key,
        "title": title,
        "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "processed_at": time_of(day),
        "analysis": {"categories": [{"category": SENT[0], "subcategories": [SENT[1]]}]},
        "summary_variants": [{"variant": "audio", "text": text}],
    }


def old_payload(key: str, day: int, title: str, text: str) -> dict[str, Any]:
    """The same as an older version of the worker has it."""
    return {
        "id": f"yt:{key}",
        "title": title,
        "metadata": {"video_id": key, "url": f"https://www.youtube.com/watch?v={key}"},
        "generated_at": time_of(day),
        "subcategories_json": {"categories": [{"category": SENT[0], "subcategories": [SENT[1]]}]},
        "summary": {"summary_type": "audio", "summary": text},
    }


def time_of(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()


def write_old_snapshot(path: Path) -> Path:
    """A file with the three videos, as they were on one day."""
    rows = [
        content_row(key, id=f"yt:{key}", title=FILE_TITLE, category=f'["{FILED[0]}"]', updated_at=time_of(FILE_DAY))
        for key in NAMES
    ]
    texts = [{"content_id": row["id"], "summary_text": FILE_TEXT, "summary_type": "audio"} for row in rows]
    return write_snapshot(path, rows, texts)


class TestLibrary(TransactionTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Library.snapshot = write_old_snapshot(Path(folder.name, "old.db"))

    def test_any_sequence_keeps_the_rules(self) -> None:
        run_machine(Library, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None))
