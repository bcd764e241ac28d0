"""The one way in for what the worker sends of a video: the row, its categories and its texts, in one transaction.

The rules are those of contract/ingest.md, "Merge"; they are kept by `Video.objects.upsert`,
`Categorization.objects.merge` and `Summary.objects.merge`, which the import of snapshots calls as well.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pghistory
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models.functions import Greatest, Now

from summaries.models import Summary, SummaryText
from videos.deciding import share_names
from videos.models import Categorization, Pair, Proposal, Video, VideoEvent
from videos.upsert import COLUMNS, Action, UpsertResult, VideoRecord

from .body import is_real
from .files import adopt
from .payloads import Arrival

# Of a value that changed, so many characters say enough.
SHORT = 200
LEGACY_ID_TAKEN = "videos_video_legacy_id_unique"


@dataclass(frozen=True)
class Merged:
    """What became of an Arrival.

    `changes`: for each field that changed its old and its new value, short; of a new video none. `proposed`: its
    categories now wait for the curator, because a person has decided on others.
    """

    video_id: str
    action: Action
    changes: dict[str, list[Any]]
    summaries_added: int
    pairs_written: int
    proposed: bool


def merge(arrival: Arrival, *, by: str) -> Merged:
    """Merge what came in of one video, in the name of a token. A deleted video is left as it is.

    1. An old id may name a stored video. 2. The guarded upsert locks the row, or says that it is deleted.
    3. Categories and texts follow while the row is locked. 4. The time of the row follows what they changed.

    An old id that belongs to another video is left out: it is a name of that one.
    """
    try:
        return merge_once(arrival, by)
    except IntegrityError as error:
        if getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") != LEGACY_ID_TAKEN:
            raise
    return merge_once(replace(arrival, record=replace(arrival.record, legacy_id="")), by)


def merge_once(arrival: Arrival, by: str) -> Merged:
    with transaction.atomic(), pghistory.context(token=by):
        share_names()
        record = replace(arrival.record, video_id=stored_key(arrival))
        key = record.video_id
        result = Video.objects.upsert([record], arriving=True)[key]
        if result.action is Action.DELETED:
            return Merged(key, Action.DELETED, {}, 0, 0, False)
        changes = changed_fields(key) if result.action is Action.UPDATED else {}
        newest = {key} if result.is_newest else set()

        pairs, proposal, pairs_written, after = [], None, 0, None
        if arrival.pairs:
            pairs, proposal = stored_pairs(key), proposed_pairs(key)
            named = Categorization.objects.with_present_names({key: arrival.pairs})[key]
            sent = completed(named, pairs)
            pairs_written = Categorization.objects.merge({key: sent}, newest, by=by)
            after = proposed_pairs(key)
        summaries_added = Summary.objects.merge({key: arrival.texts}, newest).added
        told = [text for text in arrival.texts if text.metadata]
        metadata_written = keep_metadata(key, told, result) if told else 0
        action = result.action
        if action is not Action.CREATED:
            if pairs_written:
                changes["categories"] = [short(pairs), short(stored_pairs(key))]
            if after != proposal:
                changes["proposal"] = [short(proposal), short(after)]
            if summaries_added or metadata_written:
                changes["summaries"] = [None, sorted(text.variant for text in arrival.texts)]
            if changes and action is Action.UNCHANGED:
                action = Action.UPDATED
                touch(record)
        if action is Action.CREATED:
            adopt(key)
        return Merged(key, action, changes, summaries_added, pairs_written, bool(after) and after != proposal)


def stored_key(arrival: Arrival) -> str:
    """The key of the stored video that the arrival's ids name; its own key where none is stored."""
    for alias in arrival.aliases:
        try:
            return Video.objects.only("video_id", "legacy_id").named(alias).pk
        except Video.DoesNotExist:
            continue
    return arrival.record.video_id


def changed_fields(key: str) -> dict[str, list[Any]]:
    """For each field that the upsert has changed its old and its new value: what history has just kept is the old."""
    old = VideoEvent.objects.filter(pgh_obj=key, pgh_label="update").values(*COLUMNS).latest("pgh_id")
    new = Video.objects.values(*COLUMNS).get(pk=key)
    changes = {}
    for name in COLUMNS:
        before, after = old[name], new[name]
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [inner for inner in after if before.get(inner) != after[inner] or inner not in before]
            before = {inner: before[inner] for inner in keys if inner in before}
            after = {inner: after[inner] for inner in keys}
        changes[name] = [short(before), short(after)]
    return changes


def short(value: Any) -> Any:
    """A value as it is, or the beginning of it as text."""
    text = value if isinstance(value, str) else json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    if len(text) > SHORT:
        return f"{text[:SHORT]}…"
    return value if isinstance(value, str) else json.loads(text)


def stored_pairs(key: str) -> list[list[str | None]]:
    rows = Categorization.objects.filter(video=key).order_by("position")
    return [list(names) for names in rows.values_list("category__name", "subcategory__name")]


def completed(sent: Sequence[Pair], stored: Sequence[Sequence[str | None]]) -> list[Pair]:
    """The categories that came in, beside those that are stored: what they leave empty is not replaced.

    Placeholders alone are none; a category that comes without subcategories has those that are stored under it.
    """
    if stored and not any(is_real(pair.category) for pair in sent):
        return []
    below: dict[str, list[str | None]] = defaultdict(list)
    for category, subcategory in stored:
        if subcategory:
            below[category].append(subcategory)
    return [
        replace(pair, subcategory=name)
        for pair in sent
        for name in ([pair.subcategory] if pair.subcategory else below.get(pair.category, [None]))
    ]


def proposed_pairs(key: str) -> list[list[str | None]] | None:
    return Proposal.objects.waiting().filter(video=key).values_list("pairs", flat=True).first()


def keep_metadata(key: str, texts: Sequence[SummaryText], result: UpsertResult) -> int:
    """Keep what came beside texts that are known already, such as an address of audio; the number of rows written."""
    metadata_of = {(text.variant, text.text): text.metadata for text in texts}
    written = 0
    for row in Summary.objects.filter(video=key, variant__in=[text.variant for text in texts], is_latest=True).only(
        "video", "variant", "text", "metadata"
    ):
        sent, stored = metadata_of.get((row.variant, row.text)), row.metadata
        if sent is None or not isinstance(stored, dict | None):
            continue
        known = stored or {}
        real = {name: value for name, value in sent.items() if value not in (None, "", [], {})}
        united = known | real if result.is_newest else real | known
        if united != known:
            row.metadata = united
            row.save(update_fields=["metadata"])
            written += 1
    return written


def touch(record: VideoRecord) -> None:
    """The row's time follows what changed beside it, where the payload says no time of its own."""
    if record.updated_at is None:
        Video.objects.filter(pk=record.video_id).update(updated_at=Greatest("updated_at", Now()))
