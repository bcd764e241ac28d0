"""Any sequence of what the worker, the owner and a curator do, against a simple model of the rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ingest.merge import merge
from ingest.payloads import read_report
from videos.models import Categorization, Origin, Pair, Video
from videos.upsert import Action

KEYS = st.sampled_from(["AbC-dE_f123", "abc-de_f123", "Zzz-zz_z999"])
DAYS = st.integers(1, 28)
FIRST = datetime(2025, 9, 1, tzinfo=UTC)
CURATED = ("History", "Modern History")


class Library(RuleBasedStateMachine):
    """What must hold of each video: deleted stays deleted, newer wins, curated stays, texts only grow."""

    @initialize()
    def empty(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE videos_video, videos_category, videos_facetcount, videos_videoevent,"
                " videos_categorizationevent, summaries_summaryevent CASCADE"
            )
        self.titles: dict[str, tuple[int, str]] = {}
        self.texts: dict[str, list[str]] = {}
        self.deleted: set[str] = set()
        self.curated: set[str] = set()

    @rule(key=KEYS, day=DAYS, title=st.sampled_from(["A", "B", "C", "Untitled", ""]), text=st.sampled_from("xyz"))
    def ingest(self, key: str, day: int, title: str, text: str) -> None:
        merged = merge(read_report(payload(key, day, title, text)), by="worker")
        assert (merged.action is Action.DELETED) == (key in self.deleted)
        if key in self.deleted:
            return
        stored_day, stored_title = self.titles.get(key, (0, ""))
        real = title not in ("", "Untitled")
        better = real and (stored_title in ("", "Untitled") or day >= stored_day)
        blank = not stored_title and title
        self.titles[key] = (max(day, stored_day), title if better or blank else stored_title)
        texts = self.texts.setdefault(key, [])
        if not texts or (day >= stored_day and texts[-1] != text):
            texts.append(text)
        again = merge(read_report(payload(key, day, title, text)), by="worker")
        assert again.action is Action.UNCHANGED or again.summaries_added == 0

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if (video := Video.objects.filter(pk=key).first()) is None:
            return
        assert video.delete_by("owner", "because") == (key not in self.deleted)
        self.deleted.add(key)

    @rule(key=KEYS)
    def restore(self, key: str) -> None:
        if key not in self.deleted:
            return
        assert Video.objects.get(pk=key).restore_by("owner")
        self.deleted.discard(key)

    @rule(key=KEYS)
    def curate(self, key: str) -> None:
        if key not in self.titles or key in self.deleted:
            return
        Categorization.objects.filter(video=key).delete()
        Categorization.objects.merge({key: [Pair(*CURATED, Origin.CURATED)]}, newest={key})
        self.curated.add(key)

    @invariant()
    def holds(self) -> None:
        for video in Video.objects.prefetch_related("summaries"):
            assert (video.deleted_at is not None) == (video.pk in self.deleted)
            assert video.title == self.titles[video.pk][1]
            texts = [summary.text for summary in video.summaries.order_by("revision")]
            assert texts == self.texts[video.pk]
            pairs = set(Categorization.objects.filter(video=video).values_list("category__name", "subcategory__name"))
            assert pairs == ({CURATED} if video.pk in self.curated else {("Technology", "Web Development")})


def payload(key: str, day: int, title: str, text: str) -> dict[str, Any]:
    return {
        "video_id": key,
        "title": title,
        "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "processed_at": (FIRST + timedelta(days=day)).isoformat(),
        "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}]},
        "summary_variants": [{"variant": "audio", "text": text}],
    }


class TestLibrary(TransactionTestCase):
    def test_any_sequence_keeps_the_rules(self) -> None:
        run_state_machine_as_test(Library, settings=settings(max_examples=12, stateful_step_count=15, deadline=None))
