"""Dual write: what is written and deleted here goes to the old system as well, after the request and beside it.

1. Triggers (migration 0006) put a changed video into the outbox in the transaction of the change, while
   DUAL_WRITE_MODE is on. So whoever writes is never slower than that one row, and what is rolled back is not told.
2. One process at a time sends (an advisory lock). It sends the video as it is stored then, so an entry may be sent
   twice, or once for many changes. No transaction and no lock on a row is held while the old system is asked.
3. An entry is removed when its sequence is still the one that was sent; a change in between lets it go again.
4. What fails stays, with a pause that grows to five minutes. Where the old system does not answer at all, everything
   waits for that pause, so it is asked by one video and not by all that wait.
"""

import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, build_opener

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from ingest.models import Delivery, OutboxEntry
from ingest.sqlite.codec import Text
from ingest.sqlite.differences import StoredVideo
from ingest.sqlite.exporter import SUMMARY_FIELDS, one_state, stored_videos
from ingest.sqlite.inverse import content_values, old_id
from summaries.models import Summary, Variant
from videos.items import NO_SUMMARY, report_item
from videos.models import Pair
from videos.upsert import VideoRecord

from . import legacy
from .comparison import SameAddress, read_json, short, values_differ
from .flags import Flags
from .legacy import NotTaken, Unanswered
from .snapshot_library import SnapshotVideo, latest

logger = logging.getLogger(__name__)

SENDER_LOCK = 7_298_115_230_118
TIMEOUT_SECONDS, PROBE_SECONDS = 10, 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1, 300
# So long a background thread sends before it looks at the flags again.
TURN_SECONDS = 5
# So many videos in a row that the old system breaks down on: it is the system, not the videos.
FAULTS_IN_A_ROW = 3
# So long each delivery is kept; the newest of a video for good.
KEPT = timedelta(days=30)
# How the error of an entry begins that all others wait for.
NO_ANSWER = "No answer: "


class NotConfigured(Exception):
    """Nothing says where the old system is; the message says what to set."""


@dataclass(frozen=True)
class Stored:
    """What is stored of a video at one moment, all that the old system is told."""

    video: StoredVideo
    summaries: tuple[Summary, ...] = ()

    @property
    def record(self) -> VideoRecord:
        return self.video.record

    @property
    def best(self) -> Summary | None:
        texts = [summary for summary in self.summaries if summary.is_latest]
        return min(texts, key=lambda summary: Variant.rank(summary.variant), default=None)

    @property
    def item(self) -> dict[str, Any]:
        """The video as the read API answers it, as far as it is compared."""
        return item_of(self.record, self.video.pairs, self.best.text if self.best else "")


@dataclass
class Sent:
    """What a run did. `no_answer`: why it stopped before the end; `is_locked`: another process is sending."""

    delivered: int = 0
    different: int = 0
    refused: int = 0
    no_answer: str = ""
    is_locked: bool = False
    refusals: list[str] = field(default_factory=list)


# The old system -----------------------------------------------------------------------------------


class OldSystem(Protocol):
    """Where changes go. Both verbs may be done twice; they raise NotTaken and Unanswered."""

    @property
    def name(self) -> str: ...

    def write(self, stored: Stored) -> None: ...

    def delete(self, stored: Stored) -> None: ...

    def item(self, stored: Stored) -> dict[str, Any] | None:
        """What it says of the video now; None if it has none."""


def old_system() -> OldSystem:
    """The dashboard at LEGACY_URL, else the file LEGACY_SQLITE. Raises NotConfigured."""
    if settings.LEGACY_URL:
        if not (settings.SYNC_SECRET.isascii() and settings.SYNC_SECRET.isprintable() and settings.SYNC_SECRET):
            raise NotConfigured(
                "SYNC_SECRET is not set, or holds what no request can carry, so the old dashboard would refuse every "
                "write. Set it to the old dashboard's own, of letters and digits."
            )
        return dashboard()
    if settings.LEGACY_SQLITE:
        return File(Path(settings.LEGACY_SQLITE))
    raise NotConfigured(
        "Nothing says where the old system is. Set LEGACY_URL to the address of the old dashboard, with SYNC_SECRET, "
        "or LEGACY_SQLITE to the path of its file."
    )


@dataclass(frozen=True)
class Dashboard:
    """The old dashboard over HTTP."""

    url: str

    @property
    def name(self) -> str:
        return self.url

    def write(self, stored: Stored) -> None:
        status, body = self.ask("POST", "/api/content", payload(stored))
        if status != 200 or not isinstance(body, dict) or not body:
            raise NotTaken(f"The old dashboard answered {status} to POST /api/content: {reason(body)}.")

    def delete(self, stored: Stored) -> None:
        status, body = self.ask("DELETE", f"/api/delete/{address(stored)}")
        is_gone = status in (404, 410)
        if not is_gone and (status != 200 or not isinstance(body, dict) or not body):
            raise NotTaken(f"The old dashboard answered {status} to DELETE /api/delete/…: {reason(body)}.")

    def item(self, stored: Stored) -> dict[str, Any] | None:
        status, body = self.ask("GET", f"/api/reports/{address(stored)}")
        if status in (404, 410):
            return None
        if status != 200 or not isinstance(body, dict):
            raise NotTaken(f"The old dashboard answered {status} to GET /api/reports/…: {reason(body)}.")
        return body

    def total(self) -> int:
        """How many videos it lists. Raises Unanswered."""
        try:
            status, body = self.request("GET", "/api/reports?size=1", None, PROBE_SECONDS)
        except (OSError, HTTPException) as error:
            raise Unanswered(f"{self.url} does not answer ({getattr(error, 'reason', None) or error}).") from error
        try:
            return int(body["pagination"]["total_count"])
        except (LookupError, TypeError, ValueError) as error:
            raise Unanswered(f"{self.url} answers {status}, and not as a dashboard does. Check LEGACY_URL.") from error

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """One request. Raises Unanswered, or NotTaken where others are answered."""
        try:
            status, answered = self.request(method, path, body, TIMEOUT_SECONDS)
        except (OSError, HTTPException) as error:
            raise self.failure(f"{method} got no answer ({getattr(error, 'reason', None) or error})") from error
        if status >= 500:
            raise self.failure(f"{method} was answered {status} ({reason(answered)})")
        if status in (401, 403):
            raise Unanswered(f"{self.url} refuses the secret with {status}. Set SYNC_SECRET to that of the old system.")
        if status == 429:
            raise Unanswered(f"{self.url} wants fewer requests for now (429).")
        if 300 <= status < 400:
            raise Unanswered(
                f"{self.url} answers {status}, a redirect. Set LEGACY_URL to the address that it leads to."
            )
        return status, answered

    def failure(self, what: str) -> Exception:
        """Whether it is this video alone: ask for something else."""
        with suppress(OSError, HTTPException):
            if self.request("GET", "/api/reports?size=1", None, PROBE_SECONDS)[0] == 200:
                return NotTaken(f"{what}, while {self.url} answers to reads.", is_its_fault=True)
        return Unanswered(f"{self.url}: {what}. Look whether the old dashboard runs; it is tried again by itself.")

    def request(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> tuple[int, Any]:
        headers = {"Accept": "application/json", "X-Sync-Secret": settings.SYNC_SECRET}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        asked = Request(self.url + path, content, headers, method=method)
        try:
            with build_opener(SameAddress).open(asked, timeout=seconds) as response:
                return response.status, read_json(response.read())
        except HTTPError as error:
            with error:
                return error.code, read_json(error.read())


@dataclass(frozen=True)
class File:
    """The old dashboard's file, written by legacy.py."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def write(self, stored: Stored) -> None:
        legacy.write(self.path, stored.video, stored.summaries)

    def delete(self, stored: Stored) -> None:
        legacy.delete(self.path, stored.record)

    def item(self, stored: Stored) -> dict[str, Any] | None:
        if (found := legacy.read(self.path, stored.record)) is None:
            return None
        best = next(iter(latest(found.texts)), None)
        item = item_of(found.row.record, found.row.pairs, best.text if best else "")
        if not found.holds_subcategories:
            item["analysis"]["categories"] = stored.item["analysis"]["categories"]
        return item


def dashboard() -> Dashboard:
    """The old dashboard at LEGACY_URL."""
    return Dashboard(settings.LEGACY_URL.rstrip("/"))


def address(stored: Stored) -> str:
    return quote(old_id(stored.record), safe=":")


def reason(body: Any) -> str:
    """What an answer says of itself, short."""
    if isinstance(body, dict) and (said := body.get("message") or body.get("error")):
        return short(said)
    return "no JSON object" if not isinstance(body, dict) else short(body)


def payload(stored: Stored) -> dict[str, Any]:
    """The video as the worker sends it to POST /api/content, in the flat shape."""
    values: dict[str, Any] = {
        name: value.decode() if isinstance(value, Text) else value
        for name, value in content_values(stored.record, stored.video.pairs).items()
        if name != "summary"
    }
    for name in ("category", "key_topics", "named_entities", "analysis"):
        values[name] = json.loads(values[name] or "null")
    values["analysis"] = values["analysis"] or {}
    for name in ("has_audio", "has_transcript"):
        values[name] = bool(values[name])
    if stored.best:
        values |= {"summary_text": stored.best.text, "summary_type": stored.best.variant}
    return values


# Parity -------------------------------------------------------------------------------------------

Difference = dict[str, Any]
MEDIA = ("has_audio", "audio_duration_seconds", "has_transcript", "transcript_chars")


def item_of(record: VideoRecord, pairs: tuple[Pair, ...], text: str) -> dict[str, Any]:
    """A video as the read API answers it, with its best summary alone."""
    names = tuple((pair.category, pair.subcategory) for pair in pairs)
    item = report_item(SnapshotVideo(**vars(record), pairs=names))
    return item | {"summary": {"text": text or NO_SUMMARY}}


def held(item: dict[str, Any]) -> dict[str, Any]:
    """Of an item what the old system can hold; categories as sets."""
    analysis, media = item["analysis"], item["media"]
    plain = ("title", "channel", "canonical_url", "thumbnail_url", "published_at", "indexed_at", "duration_seconds")
    pairs = [(entry["category"], name) for entry in analysis["categories"] for name in entry["subcategories"]]
    return {
        **{name: item[name] for name in (*plain, "word_count")},
        **{name: media[name] for name in MEDIA},
        "categories": sorted(set(analysis["category"])),
        "subcategories": [list(pair) for pair in sorted(set(pairs))],
        **{name: analysis[name] for name in ("content_type", "complexity_level", "language")},
        **{name: analysis[name] for name in ("key_topics", "named_entities")},
        "summary": item["summary"]["text"],
    }


def differences(stored: Stored, old: dict[str, Any] | None) -> list[Difference]:
    """In what the old system says something else: field, old and new. Raises LookupError and TypeError for no item."""
    if stored.video.is_deleted or old is None:
        is_there = old is not None
        return [] if is_there != stored.video.is_deleted else [difference("is there", is_there, not is_there)]
    found = values_differ(held(old), held(stored.item), "", additions=False)
    return [difference(one.path, one.old, one.new) for one in found]


def difference(name: str, old: Any, new: Any) -> Difference:
    return {"field": name, "old": short(old), "new": short(new)}


# Sending ------------------------------------------------------------------------------------------


def waiting() -> int:
    """How many videos the old system has yet to be told of."""
    return OutboxEntry.objects.count()


def differing(moment: datetime) -> list[str]:
    """The videos of which the old system did not say the same when it was told of them last, since then."""
    last = Delivery.objects.filter(at__gte=moment).order_by("video_id", "-pk").distinct("video_id")
    return [video_id for video_id, parity in last.values_list("video_id", "parity") if parity != Delivery.Parity.EQUAL]


def tell_again(video_ids: list[str]) -> None:
    """Let videos wait once more, those too that have not changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_outboxentry (video_id, sequence, enqueued_at, attempts, next_attempt_at, last_error)"
            " SELECT video_id, nextval('ingest_outbox_sequence'), now(), 0, now(), ''"
            " FROM unnest(%s::text[]) AS video_id"
            " ON CONFLICT (video_id) DO NOTHING",
            [video_ids],
        )


def work(flags: Flags) -> None:
    """A turn of the background thread."""
    if flags.dual_write:
        deliver_due(seconds=TURN_SECONDS)


def deliver_due(ignore_backoff: bool = False, seconds: float | None = None) -> Sent:
    """Send what is due, once each, in the order of the changes; what was refused before comes last.

    After so many seconds it begins with no further video. Raises NotConfigured. Not for use in a transaction.
    """
    old, started = old_system(), monotonic()
    with sender() as is_ours:
        if not is_ours:
            return Sent(is_locked=True)
        return send(old, due(ignore_backoff), lambda: seconds is not None and monotonic() - started >= seconds)


@contextmanager
def sender() -> Iterator[bool]:
    """Whether this process is the one that sends, until the end of the block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [SENDER_LOCK])
        (is_ours,) = cursor.fetchone()
    held_by = connection.connection
    try:
        yield is_ours
    finally:
        # With a connection that is gone the lock is gone as well.
        if is_ours and connection.connection is held_by and not held_by.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [SENDER_LOCK])


def due(ignore_backoff: bool) -> list[str]:
    """The videos to send now, in order. While one waits because the old system did not answer, all wait."""
    entries = OutboxEntry.objects.all()
    if not ignore_backoff:
        now = timezone.now()
        if entries.filter(last_error__startswith=NO_ANSWER, next_attempt_at__gt=now).exists():
            return []
        entries = entries.filter(next_attempt_at__lte=now)
    was_refused = Q(attempts__gt=0) & ~Q(last_error__startswith=NO_ANSWER)
    return list(entries.alias(was_refused=was_refused).order_by("was_refused", "sequence").values_list("pk", flat=True))


def send(old: OldSystem, video_ids: list[str], is_over: Callable[[], bool]) -> Sent:
    sent, faults = Sent(), 0
    for video_id in video_ids:
        if is_over():
            break
        if (entry := OutboxEntry.objects.filter(pk=video_id).first()) is None:
            continue
        try:
            delivery = deliver(old, entry)
        except NotTaken as error:
            faults = faults + 1 if error.is_its_fault else 0
            sent.refused += 1
            sent.refusals.append(f"{video_id}: {error}")
            if faults == FAULTS_IN_A_ROW:
                sent.no_answer = str(error)
        except Unanswered as error:
            sent.no_answer = str(error)
        else:
            faults = 0
            sent.delivered += 1
            sent.different += delivery is not None and delivery.parity == Delivery.Parity.DIFFERENT
            continue
        if sent.no_answer:
            postpone(entry, NO_ANSWER + sent.no_answer)
            break
        postpone(entry, sent.refusals[-1].removeprefix(f"{video_id}: "))
    return sent


def deliver(old: OldSystem, entry: OutboxEntry) -> Delivery | None:
    """Tell the old system of one video and compare. None for a video whose row is gone, which is no delete.

    Raises NotTaken and Unanswered.
    """
    stored = read(entry.video_id)
    same_entry = OutboxEntry.objects.filter(pk=entry.pk, sequence=entry.sequence)
    if stored is None:
        logger.warning("dual write: the row of video %s is gone; the old system is not told of it", entry.video_id)
        same_entry.delete()
        return None
    if stored.video.is_deleted:
        old.delete(stored)
    else:
        old.write(stored)
    parity, found = compared(old, stored)
    with transaction.atomic(durable=True):
        delivery = Delivery.objects.create(
            video_id=entry.video_id,
            sequence=entry.sequence,
            action=Delivery.Action.DELETE if stored.video.is_deleted else Delivery.Action.WRITE,
            attempts=entry.attempts + 1,
            parity=parity,
            differences=found,
        )
        forget_older(delivery)
        same_entry.delete()
    names = ", ".join(one["field"] for one in found)
    if parity == Delivery.Parity.DIFFERENT:
        logger.warning("dual write: video %s differs in the old system: %s", entry.video_id, names)
    else:
        logger.info("dual write: video %s %s, parity %s", entry.video_id, delivery.action, parity)
    return delivery


def forget_older(delivery: Delivery) -> None:
    """Remove what was said of the same video long before; what holds is the newest."""
    long_ago = delivery.at - KEPT
    Delivery.objects.filter(video_id=delivery.video_id, pk__lt=delivery.pk, at__lt=long_ago).delete()


def read(video_id: str) -> Stored | None:
    """What is stored of a video, read at one moment."""
    with one_state():
        if (video := stored_videos([video_id]).get(video_id)) is None:
            return None
        if video.is_deleted:
            return Stored(video)
        return Stored(video, tuple(Summary.objects.filter(video=video_id).only(*SUMMARY_FIELDS)))


def compared(old: OldSystem, stored: Stored) -> tuple[Delivery.Parity, list[Difference]]:
    """Whether both say the same now, after the old system has taken it."""
    try:
        found = differences(stored, old.item(stored))
    except (NotTaken, Unanswered, LookupError, TypeError, AttributeError):
        return Delivery.Parity.UNKNOWN, []
    return (Delivery.Parity.DIFFERENT if found else Delivery.Parity.EQUAL), found


def file_says_the_same(path: Path, video_ids: Iterable[str]) -> bool:
    """Whether an old file says the same of these videos as is stored here."""
    stored = filter(None, map(read, video_ids))
    return all(compared(File(path), one)[0] == Delivery.Parity.EQUAL for one in stored)


def postpone(entry: OutboxEntry, error: str) -> None:
    """Try again after a pause that doubles; not if the video was changed meanwhile, which goes at once."""
    logger.log(
        logging.INFO if entry.attempts else logging.WARNING, "dual write: video %s waits: %s", entry.video_id, error
    )
    OutboxEntry.objects.filter(pk=entry.pk, sequence=entry.sequence).update(
        attempts=F("attempts") + 1,
        next_attempt_at=timezone.now() + timedelta(seconds=pause(entry.attempts)),
        last_error=error,
    )


def pause(attempts: int) -> float:
    """Seconds until the next attempt, after so many that failed before this one."""
    longest = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.75, 1)
