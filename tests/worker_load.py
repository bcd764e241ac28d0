"""Many clients at once on few videos, over HTTP, and what must hold of the library afterwards."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from threading import Barrier, Lock
from typing import Any

import requests
from django.db import connections

from ingest.models import IngestLogEntry
from summaries.models import Summary
from videos.models import Video

from .test_facet_counts import kept, recounted

CATEGORIES = ("History", "Technology", "Education", "World War I (WWI)", "World War II (WWII)")
VARIANTS = ("comprehensive", "audio", "executive")
# Only the older route sends texts of this one: its answers do not count them.
OLD_VARIANT = "key-points"
OLD_TIME = "2020-01-01T00:00:00+00:00"
LONGEST_SECONDS = 60


def never_restored(keys: Sequence[str]) -> list[str]:
    """Keys that nobody restores: what is deleted of these is gone."""
    return list(keys[::5])


def never_changed(keys: Sequence[str]) -> list[str]:
    """Keys that only reports write: theirs is the title that the newest report says.

    A change that says no time of its own is dated on arrival, so it can be newer than reports that are under way.
    """
    return list(keys[1::5])


@dataclass
class Load:
    """What the clients were told. `broken`: answers that break a rule, as sentences.

    `statuses` counts by kind of request and status, which is 0 for a restore: that is no request. `accepted`: for each
    key the time and the title of all reports that were not turned away. `gone`: keys that are deleted for good.
    """

    seconds: float = 0.0
    requests: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    restored: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock, repr=False)

    def __str__(self) -> str:
        statuses: Counter[int] = Counter()
        for (_, status), number in self.statuses.items():
            statuses[status] += number
        restores = statuses.pop(0, 0)
        return (
            f"{self.requests} requests in {self.seconds:.1f} s ({self.requests / self.seconds:.0f} a second): "
            f"statuses {dict(statuses)}, {restores} restores without HTTP; actions {dict(self.actions)}; "
            f"deleted {self.deleted.total()}, restored {self.restored.total()}"
        )


@dataclass
class HotClient:
    """One client: what it sends follows from its seed, but for the times, which are those of sending."""

    load: Load
    dice: random.Random
    number: int
    keys: Sequence[str]
    site: str
    session: requests.Session
    accepted: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0

    def act(self) -> None:
        """Send one request of any kind, and note the answer."""
        self.sent += 1
        actions: dict[Callable[[str], None], int] = {
            self.new_report: 34, self.report_again: 12, self.old_report: 5, self.old_content: 5, self.change: 10,
            self.delete: 6, self.restore: 8, self.read: 10, self.read_list: 8, self.read_facets: 4, self.probe: 3,
        }  # fmt: skip
        [action] = self.dice.choices(list(actions), list(actions.values()))
        action(self.dice.choice(self.keys))

    def send(self, kind: str, method: str, path: str, key: str = "", **options: Any) -> requests.Response:
        """A request to one video; one that was gone before it was sent must be gone for it as well."""
        was_gone = key in self.load.gone
        answer = self.session.request(method, self.site + path, timeout=LONGEST_SECONDS, **options)
        with self.load.lock:
            self.load.statuses[kind, answer.status_code] += 1
        if answer.status_code >= 400 and answer.status_code != 404:
            self.breaks(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        if was_gone and not self.says_gone(answer):
            self.breaks(f"{method} {path}: {answer.status_code} {answer.text[:200]}, after {key} was deleted for good")
        return answer

    def says_gone(self, answer: requests.Response) -> bool:
        if answer.status_code == 404:
            return True
        got = answer.json()
        return got.get("action") == "deleted" or got.get("idempotent") is True

    def breaks(self, sentence: str) -> None:
        with self.load.lock:
            self.load.broken.append(sentence)

    # What the worker sends

    def payload(self, key: str, processed_at: str) -> dict[str, Any]:
        name = f"{self.number}.{self.sent}"
        variants = self.dice.sample(VARIANTS, self.dice.randint(1, len(VARIANTS)))
        return {
            "id": f"yt:{key.lower()}",
            "video_id": key,
            "title": f"Title {name}",
            "canonical_url": f"https://www.youtube.com/watch?v={key}",
            "channel_name": f"Channel {self.dice.randint(1, 3)}",
            "content_type": self.dice.choice(["News", "Review"]),
            "language": self.dice.choice(["en", "fr"]),
            "processed_at": processed_at,
            "analysis": {
                "categories": [
                    {"category": category, "subcategories": self.dice.sample(["One", "Two"], self.dice.randint(0, 2))}
                    for category in self.dice.sample(CATEGORIES, self.dice.randint(1, 3))
                ]
            },
            "summary_variants": [{"variant": variant, "text": f"{variant} {name}"} for variant in variants],
        }

    def post_report(self, kind: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Post to /ingest/report and note what became of it; the answer, if it is a success."""
        key = payload["video_id"]
        answer = self.send(kind, "POST", "/ingest/report", key, json=payload)
        if answer.status_code != 200:
            return None
        got = answer.json()
        with self.load.lock:
            self.load.actions[got["action"]] += 1
            self.load.created[key] += got["action"] == "created"
            self.load.texts[key] += got["summaries_upserted"]
            if got["action"] != "deleted":
                self.load.accepted.setdefault(key, []).append((payload["processed_at"], payload["title"]))
        return got

    def new_report(self, key: str) -> None:
        payload = self.payload(key, datetime.now(UTC).isoformat())
        got = self.post_report("new report", payload)
        if got and got["action"] != "deleted":
            self.accepted.append(payload)

    def report_again(self, key: str) -> None:
        if not self.accepted:
            return self.new_report(key)
        got = self.post_report("report again", self.dice.choice(self.accepted))
        if got and (got["action"] not in ("unchanged", "deleted") or got["summaries_upserted"]):
            self.breaks(f"a report that was sent before changed something: {got}")
        return None

    def old_report(self, key: str) -> None:
        self.post_report("old report", self.payload(key, OLD_TIME))

    def old_content(self, key: str) -> None:
        payload = {
            "id": f"some_title_{key}",
            "title": f"Old title {self.number}.{self.sent}",
            "category": '["Technology"]',
            "summary_text": f"Old text {self.number}.{self.sent}",
            "summary_type": OLD_VARIANT,
            "indexed_at": OLD_TIME,
        }
        answer = self.send("old content", "POST", "/api/content", key, json=payload)
        if answer.status_code == 200:
            action = answer.json()["action"]
            with self.load.lock:
                self.load.actions[action] += 1
                self.load.created[key] += action == "created"
                if action != "deleted":
                    self.load.accepted.setdefault(key, []).append((OLD_TIME, payload["title"]))

    def change(self, key: str) -> None:
        if key in never_changed(self.keys):
            return self.new_report(key)
        body = {"word_count": self.dice.randint(1, 10**6), "audio_duration_seconds": self.dice.randint(1, 5000)}
        method = self.dice.choice(["PUT", "POST"])
        answer = self.send("change", method, f"/api/content/{key}", key, json=body)
        if answer.status_code == 200:
            with self.load.lock:
                self.load.actions[answer.json()["action"]] += 1
        return None

    def delete(self, key: str) -> None:
        method, path, options = self.dice.choice(
            [
                ("DELETE", f"/api/delete/yt:{key}", {}),
                ("POST", f"/api/delete/some_title_{key}", {}),
                ("POST", f"/api/delete?id={key}", {}),
                ("POST", "/api/delete", {"json": {"id": key}}),
            ]
        )
        answer = self.send("delete", method, path, key, **options)
        if answer.status_code == 200 and not answer.json()["idempotent"]:
            with self.load.lock:
                self.load.deleted[key] += 1
                if key in never_restored(self.keys):
                    self.load.gone.add(key)

    # What the owner and readers do

    def restore(self, key: str) -> None:
        """By the verb: it has no address that programs may use."""
        if key in never_restored(self.keys):
            return self.read(key)
        with self.load.lock:
            self.load.statuses["restore", 0] += 1
        if (video := Video.objects.filter(pk=key).first()) and video.restore_by("owner"):
            with self.load.lock:
                self.load.restored[key] += 1
        return None

    def read(self, key: str) -> None:
        path = self.dice.choice([f"/api/reports/{key}", f"/some_title_{key}.json"])
        answer = self.send("read", "GET", path, key)
        if answer.status_code == 200:
            read = answer.json()
            texts = {entry["variant"] for entry in read["summary_variants"]}
            if not texts or len(texts) < len(read["summary_variants"]) or not read["analysis"]["category"]:
                self.breaks(f"GET {path}: {key} is half written, or a variant is there twice")

    def read_list(self, key: str) -> None:
        query = self.dice.choice(["size=50", "category=History", "q=title", "sort=title_az&page=2", "language=fr"])
        answer = self.send("list", "GET", f"/api/reports?{query}")
        keys = [item["video_id"] for item in answer.json()["reports"]]
        if len(set(keys)) < len(keys):
            self.breaks(f"{query}: a video stands twice on one page")

    def read_facets(self, key: str) -> None:
        self.send("facets", "GET", self.dice.choice(["/api/filters", "/api/filters?category=Technology"]))

    def probe(self, key: str) -> None:
        self.send("probe", "GET", self.dice.choice(["/health/ingest", "/health", "/health/db"]))


def mixed_requests(
    clients: int, requests_each: int, keys: Sequence[str], site: str, headers: Mapping[str, str], seed: int = 1
) -> Load:
    """So many clients at once, each with a connection of its own, send so many requests each about these videos."""
    load = Load(requests=clients * requests_each)
    start = Barrier(clients + 1)

    def run(number: int) -> None:
        try:
            with requests.Session() as session:
                session.headers.update(headers)
                client = HotClient(load, random.Random(seed * 1000 + number), number, keys, site, session)
                start.wait()
                for _ in range(requests_each):
                    client.act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run, number) for number in range(clients)]
        start.wait()
        started = time.monotonic()
        for client in running:
            client.result()
    load.seconds = time.monotonic() - started
    return load


def assert_nothing_lost(load: Load, keys: Sequence[str]) -> None:
    """What must hold when all clients of a load are done. The library was empty before."""
    assert not load.broken, load.broken[:10]
    assert load.statuses.total() == load.requests
    assert {status for _, status in load.statuses} <= {0, 200, 404}
    assert {kind for kind, status in load.statuses if status == 404} <= {"read", "change"}
    videos = {video.pk: video for video in Video.objects.all()}
    assert videos.keys() <= set(keys)
    for key in keys:
        video = videos.get(key)
        # One of those that met created it; none did without being told so.
        assert load.created[key] == (video is not None), key
        if video is None:
            continue
        # Each delete and each restore that counted was told to exactly one client.
        assert load.deleted[key] - load.restored[key] == (video.deleted_at is not None), key
        assert (video.deleted_at is not None) == (key in load.gone) or key not in never_restored(keys), key
        texts = 0
        for variant in (*VARIANTS, OLD_VARIANT):
            rows = list(Summary.objects.filter(video=key, variant=variant).order_by("revision"))
            assert [row.revision for row in rows] == list(range(1, len(rows) + 1)), (key, variant)
            assert [row.is_latest for row in rows] == [False] * (len(rows) - 1) + [True] * bool(rows), (key, variant)
            assert all(row.text != later.text for row, later in pairwise(rows)), (key, variant)
            texts += len(rows) if variant != OLD_VARIANT else 0
        assert texts == load.texts[key], key
        if key in never_changed(keys):
            newest, _ = max(load.accepted[key])
            assert video.title in {title for time, title in load.accepted[key] if time == newest}, key
    # Each request that wanted to write is in the log once.
    merged = IngestLogEntry.objects.exclude(route__startswith="/api/delete").exclude(outcome="refused")
    assert Counter(merged.values_list("outcome", flat=True)) == load.actions
    assert kept() == recounted()
