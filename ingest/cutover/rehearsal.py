"""The whole way in a scratch database, with the real data: forward, some writes, back, and forward again.

The steps are those of steps.py themselves. The library, the old file and the old system are not touched.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from django.utils import timezone

from ingest.merge import merge
from ingest.models import FlagName
from ingest.payloads import read_report
from ingest.scratch import scratch_database
from ingest.sqlite.reader import file_sha256
from videos.models import Video

from . import steps
from .flags import set_flag
from .reports import write_report
from .state import Differs, Done, Run, code_sha256
from .steps import Expected, take

# Ids of the videos that a rehearsal makes up.
MADE_UP = "rehearsal"
WRITES = 10


def rehearse(run: Run, *, requests: int, expected: Expected, accept_quarantine: bool = False) -> Done:
    """Go the whole way; its numbers say of which program and which data it is proof.

    Raises what the steps raise: Refused, Differs, SnapshotError, ExportError, FreezeTimeout, ScratchError.
    """
    code = code_sha256()
    path, sha256 = take(run)
    done: list[dict[str, Any]] = []

    def do(name: str, act: Callable[[], Done]) -> Done:
        started = perf_counter()
        result = act()
        result.finish()
        seconds = round(perf_counter() - started, 2)
        done.append({"step": name, "seconds": seconds, "message": result.message, "numbers": result.numbers})
        run.say(f"{name:<16} {seconds:>7.2f} s")
        return result

    # What a rehearsal that failed has written stays, until the next one.
    folder = run.folder / "rehearsals" / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with scratch_database(migrated=True):
        inner = replace(run, folder=folder, source=path, is_rehearsal=True, say=lambda sentence: None)
        for name in (FlagName.DUAL_WRITE_MODE, FlagName.SHADOW_READS):
            set_flag(name, False, run.by)
        forward(inner, do, requests, expected, accept_quarantine)
        do("writes", write_something)
        way_back = do("rollback", lambda: steps.rollback(inner))
        check_way_back(way_back)
        again = replace(inner, source=Path(way_back.numbers["folder"], "library.db"))
        forward(again, do, requests, Expected(), accept_quarantine)
    shutil.rmtree(folder)
    if file_sha256(path) != sha256:
        raise Differs(f"{path} was changed by the rehearsal, or by somebody else. Do not go on; look who writes there.")
    report = write_report(
        run.folder / "rehearsals", "rehearsal",
        {"at": timezone.now(), "by": run.by, "code_sha256": code, "snapshot_sha256": sha256, "steps": done},
    )  # fmt: skip
    seconds = round(sum(one["seconds"] for one in done), 1)
    return Done(
        f"Rehearsed the whole way with {path.name}, forward, back and forward again, in {seconds} seconds. "
        f"All of it: {report}",
        {"code_sha256": code, "snapshot_sha256": sha256, "seconds": seconds, "report": str(report)},
    )


def forward(
    run: Run, do: Callable[[str, Callable[[], Done]], Done], requests: int, expected: Expected, accept_quarantine: bool
) -> None:
    do("freeze", lambda: steps.freeze_writes(run))
    do("sync", lambda: steps.sync(run, accept_quarantine=accept_quarantine))
    do("verify", lambda: steps.verify(run, requests=requests, expected=expected))
    do("go-live", lambda: steps.go_live(run))


def write_something() -> Done:
    """New videos, new texts of stored ones, and a delete, as the worker sends them."""
    for number in range(WRITES):
        merge(arrival(f"{MADE_UP}{number:02}", f"Rehearsal {number}"), by=MADE_UP)
    stored = list(Video.objects.live().exclude(pk__startswith=MADE_UP).order_by("pk")[: WRITES + 1])
    for video in stored[1:]:
        merge(arrival(video.pk, ""), by=MADE_UP)
    gone = [Video.objects.get(pk=f"{MADE_UP}00"), *stored[:1]]
    for video in gone:
        video.delete_by(MADE_UP, MADE_UP)
    return Done(
        f"{WRITES} new videos, {len(stored[1:])} new texts, {len(gone)} deletes.",
        {"written": WRITES + len(stored[1:]), "deleted": [video.pk for video in gone]},
    )


def arrival(video_id: str, title: str) -> Any:
    moment = timezone.now().isoformat()
    payload: dict[str, Any] = {
        "video_id": video_id,
        "processed_at": moment,
        "summary_variant": "comprehensive",
        "summary_text": f"Written in a rehearsal at {moment}.",
    }
    return read_report(json.loads(json.dumps(payload | ({"title": title} if title else {}))))


def check_way_back(way_back: Done) -> None:
    """What was written is in the file that leads back; what was deleted is not."""
    if not way_back.numbers["changed"]:
        raise Differs("The rehearsal's own writes are not seen as changes, so a way back would lose them.")
    live = Video.objects.live().count()
    if way_back.numbers["videos"] != live:
        raise Differs(f"The file that leads back has {way_back.numbers['videos']:,} videos, and there are {live:,}.")
