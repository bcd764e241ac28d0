"""What each step of the cut-over does. Each returns what it did; the caller (state.step) keeps it and enters the phase.

The old file is only read: what is worked with is a copy, known by its SHA-256.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from ingest.models import Delivery, Flag, FlagName, Phase, RowOutcome
from ingest.sqlite.importer import ImportReport, import_snapshot
from ingest.sqlite.manifest import manifest_path, take_snapshot
from ingest.sqlite.reader import file_sha256
from ingest.sqlite.verifier import verify_snapshot
from summaries.models import Summary
from videos.models import Categorization, Video

from . import dual_write, freeze
from .changed_library import ChangedLibrary, more_here, only_here
from .comparison import Comparison, Database, Snapshot, compare
from .flags import current, set_flag
from .reports import write_report
from .requests import generate
from .state import Differs, Done, Refused, Run, code_sha256, enter, last_done, require, state
from .way_back import WayBack, changed_since, write_way_back

SHOWN_NAMES = 10
SETTLE_SECONDS = 60
NEXT = {
    Phase.PARALLEL: "Freeze writes first: manage.py cutover freeze",
    Phase.FROZEN: "First bring the newest data over: manage.py cutover sync",
    Phase.SYNCED: "First prove that all is here: manage.py cutover verify",
    Phase.VERIFIED: "Next: manage.py cutover go-live",
    Phase.LIVE: "To go back: manage.py cutover rollback",
    Phase.FINALISED: "There is nothing left to do.",
}


@dataclass(frozen=True)
class Expected:
    """What the owner knows of the library: videos, those with a summary, and those with a subcategory."""

    total: int | None = None
    summaries: int | None = None
    categorised: int | None = None

    def unmet(self, found: "Expected") -> list[str]:
        """A sentence for each number that is another one."""
        names = {"total": "videos", "summaries": "videos with a summary", "categorised": "videos with a subcategory"}
        return [
            f"{getattr(self, name):,} {label} were expected, and there are {getattr(found, name):,}."
            for name, label in names.items()
            if getattr(self, name) not in (None, getattr(found, name))
        ]


def numbers() -> Expected:
    """The same of the database."""
    live = Video.objects.live()
    pairs = Categorization.objects.filter(video=OuterRef("pk"), subcategory__isnull=False)
    return Expected(
        total=live.count(),
        summaries=live.filter(Exists(Summary.objects.filter(video=OuterRef("pk")))).count(),
        categorised=live.filter(Exists(pairs)).count(),
    )


# The old file


def take(run: Run) -> tuple[Path, str]:
    """A copy of the old file as it is now, under its SHA-256; the same again is the same copy. Raises SnapshotError."""
    if run.source is None:
        raise Refused("There is no old file to take. Set LEGACY_SQLITE to its path, or name the file here.")
    folder = run.folder / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    taking = folder / "taking.db"
    for left in (taking, manifest_path(taking)):
        left.unlink(missing_ok=True)
    sha256 = take_snapshot(run.source, taking).sha256
    target = kept(run, sha256)
    manifest_path(taking).replace(manifest_path(target))
    taking.replace(target)
    return target, sha256


def kept(run: Run, sha256: str) -> Path:
    return run.folder / "snapshots" / f"{sha256[:16]}.db"


def checked_copy(run: Run, sha256: str) -> Path:
    """The copy that `sync` took, unchanged, of an old file that was not written to since. Raises Refused."""
    path = kept(run, sha256)
    if not path.is_file() or file_sha256(path) != sha256:
        raise Refused(f"{path} is not what was brought over. Bring it over again: manage.py cutover sync")
    if run.source is not None and take(run)[1] != sha256:
        raise Refused(
            f"{run.source} was written to since it was brought over. Stop whoever writes there, and bring it over "
            "again: manage.py cutover sync"
        )
    return path


def settle(run: Run) -> None:
    """Let the old system have what waits for it. Raises Refused while something does."""
    if waiting := send_what_waits(run):
        raise Refused(
            f"{waiting:,} changes wait for the old system, which must have them first. "
            "Look why, and send them: manage.py dual_write status; manage.py dual_write flush"
        )


def send_what_waits(run: Run) -> int:
    """Send it, for a minute at most; how many changes wait then. The site's own processes may be sending as well."""
    deadline = monotonic() + SETTLE_SECONDS
    if current().dual_write and dual_write.waiting():
        run.say("Sending what waits for the old system …")
        while dual_write.waiting() and monotonic() < deadline:
            try:
                sent = dual_write.deliver_due(ignore_backoff=True, seconds=deadline - monotonic())
            except dual_write.NotConfigured as error:
                run.say(str(error))
                break
            if sent.is_locked:
                sleep(0.2)
            elif not sent.delivered:
                break
    return dual_write.waiting()


# Freezing


def freeze_writes(run: Run) -> Done:
    """Refuse writes; raises FreezeTimeout. While this system is in charge that is no step of the way."""
    changed = freeze.freeze(run.by)
    message = (
        "Writes are frozen, and none is under way. Reads go on. To end it: manage.py cutover unfreeze"
        if changed
        else "Writes were frozen before, and none is under way. To end it: manage.py cutover unfreeze"
    )
    found = {"videos": numbers().total}
    if state().phase == Phase.PARALLEL:
        return Done(message, found, lambda: enter(Phase.FROZEN))
    return Done(message, found)


def unfreeze_writes(run: Run) -> Done:
    """Take writes again. What was brought over and proven before is out of date then."""

    def finish() -> None:
        freeze.unfreeze(run.by)
        if state().phase in (Phase.FROZEN, Phase.SYNCED, Phase.VERIFIED):
            enter(Phase.PARALLEL)

    message = "Writes are taken again." if current().frozen else "Writes were not frozen."
    return Done(message, {"videos": numbers().total}, finish)


# Bringing over, and proving


def sync(run: Run, *, missing: str = "ask", accept_quarantine: bool = False) -> Done:
    """Bring the newest state of the old file over.

    `missing` says what of videos that are here and not in that file: "delete" them, "keep" them, or "ask".
    Raises Refused, Differs, SnapshotError.
    """
    require(Phase.FROZEN, Phase.SYNCED, Phase.VERIFIED, next_step=NEXT)
    if not current().frozen:
        raise Refused("Writes are taken. Freeze them first: manage.py cutover freeze")
    settle(run)
    path, sha256 = take(run)
    run.say(f"Copied as {path.name}.")
    missing_there = only_here(path)
    deleted_there, never_there = told_apart(missing_there)
    if missing_there and missing == "ask":
        raise Refused(missing_in_words(run.source, deleted_there, never_there))
    enter(Phase.FROZEN)
    with nothing_for_the_old_system():
        report = import_snapshot(path, accept_quarantine=accept_quarantine)
        check(report)
        if missing == "delete":
            for video in Video.objects.filter(pk__in=deleted_there):
                video.delete_by(run.by, "deleted in the old dashboard")
    found = numbers()
    stay = f" Never seen there, so they stay ({len(never_there):,}): {listed(never_there)}." if never_there else ""
    return Done(
        f"{report.tables['content'].rows:,} videos of {path.name} are here; {found.total:,} in all, "
        f"{found.summaries:,} with a summary, {found.categorised:,} with a subcategory.{stay}",
        {
            "snapshot_sha256": sha256,
            **asdict(found),
            "videos": dict(report.videos),
            "deleted_here": report.tables["content"].skipped_deleted,
            "quarantined": report.tables["content"].quarantined,
            "missing_there": len(missing_there),
            "never_there": len(never_there),
            "missing": missing,
        },
        lambda: enter(Phase.SYNCED, snapshot_sha256=sha256),
    )


def told_apart(missing_there: list[str]) -> tuple[list[str], list[str]]:
    """Of videos that the old file does not have: those that the old system once had, and those that it never had.

    It had what came from it in a snapshot, and what dual write told it.
    """
    rows = RowOutcome.objects.filter(table="content", video_id__in=missing_there)
    told = Delivery.objects.filter(action=Delivery.Action.WRITE, video_id__in=missing_there)
    once = {*rows.values_list("video_id", flat=True), *told.values_list("video_id", flat=True)}
    return [key for key in missing_there if key in once], [key for key in missing_there if key not in once]


def missing_in_words(source: Path | None, deleted_there: list[str], never_there: list[str]) -> str:
    said = []
    if deleted_there:
        said.append(
            f"Here, and no longer in {source} ({len(deleted_there):,}): {listed(deleted_there)}. They were deleted "
            "there: run this with --missing delete, which deletes them here; to keep them, with --missing keep."
        )
    if never_there:
        said.append(
            f"Here, and never seen in the old system ({len(never_there):,}): {listed(never_there)}. They came here "
            "alone, and stay: run this with --missing keep, or with --missing delete if others were deleted there. "
            "Should they be in the old system, because it was given the file of a rollback? Then look whether it runs "
            "with that file."
        )
    return " ".join(said)


def check(report: ImportReport) -> None:
    if report.not_accepted:
        raise Differs(
            f"{report.not_accepted:,} rows cannot be taken as they are, so nothing was imported. Look at them in the "
            "admin (Quarantined rows) and accept them there, or run this with --accept-quarantine."
        )


@contextmanager
def nothing_for_the_old_system() -> Iterator[None]:
    """What comes from the old system is not told to it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('ytv2.outbox', 'off', false)")
        try:
            yield
        finally:
            if connection.is_usable():
                cursor.execute("SELECT set_config('ytv2.outbox', '', false)")


def verify(run: Run, *, requests: int, expected: Expected) -> Done:
    """Prove that everything of the copy is here, and answers alike. Raises Refused, Differs, SnapshotError."""
    now = require(Phase.SYNCED, Phase.VERIFIED, next_step=NEXT)
    if not current().frozen:
        raise Refused("Writes are taken, so a proof would not last. Freeze them: manage.py cutover freeze")
    path = checked_copy(run, now.snapshot_sha256)
    settle(run)
    run.say("Comparing every row with the vault and the models …")
    report = verify_snapshot(path)
    run.say(f"Asking {requests:,} requests of both …")
    comparison, changed, new = compared(path, report.changed_videos, requests)
    found = numbers()
    problems = expected.unmet(found)
    if not report.holds:
        problems.append(f"{report.wrong:,} values differ and nothing explains it: manage.py verify_sqlite {path}")
    if not comparison.holds:
        problems.append(f"{comparison.unexplained:,} answers differ and nothing explains it.")
    if file_sha256(path) != now.snapshot_sha256:
        problems.append(f"{path} was written to meanwhile.")
    written = write_report(
        run.folder / "reports", "verify",
        {
            "at": timezone.now(), "snapshot_sha256": now.snapshot_sha256, "problems": problems,
            "numbers": asdict(found), "expected": asdict(expected), "changed_here": changed, "only_here": new,
            "verify_sqlite": asdict(report) | {"holds": report.holds}, "compare_api": comparison.document(),
        },
    )  # fmt: skip
    if problems:
        raise Differs(f"{' '.join(problems)} All of it: {written}")
    return Done(
        f"Everything of {path.name} is here, value by value; {comparison.requests:,} requests have the same answers. "
        f"{found.total:,} videos, {found.summaries:,} with a summary, {found.categorised:,} with a subcategory; "
        f"{len(changed):,} changed here since, {len(new):,} only here.",
        {
            "snapshot_sha256": now.snapshot_sha256, **asdict(found), "triples": report.triples.models,
            "triples_digest": report.triples.models_digest, "requests": comparison.requests,
            "changed_here": len(changed), "only_here": len(new), "report": str(written),
        },
        lambda: enter(Phase.VERIFIED),
    )  # fmt: skip


def compared(path: Path, changed: list[str], requests: int) -> tuple[Comparison, list[str], list[str]]:
    """The file beside the database, request by request; whose changes are known, and who is only here."""
    new, changed = only_here(path), sorted({*changed, *more_here(path)})
    side = Snapshot(ChangedLibrary(path, {*changed, *new}))
    return compare(side, Database(), generate(requests, 1, side.answer)), changed, new


# Forward and back


def go_live(run: Run) -> Done:
    """Put this system in charge. Raises Refused."""
    if state().phase == Phase.LIVE:
        return Done("This system is in charge already.")
    now = require(Phase.VERIFIED, next_step=NEXT)
    if not current().frozen:
        raise Refused("Writes are taken, so the proof does not hold any more: manage.py cutover freeze, and sync again")
    if not run.is_rehearsal:
        check_rehearsal(now.snapshot_sha256)
    checked_copy(run, now.snapshot_sha256)
    settle(run)
    moment = timezone.now()

    def finish() -> None:
        set_flag(FlagName.READ_FROM_POSTGRES, True, run.by)
        enter(Phase.LIVE, live_since=moment)
        freeze.unfreeze(run.by)

    both = "Each write goes to the old system as well." if current().dual_write else "The old system gets nothing more."
    return Done(
        f"This system is in charge. {both} Point the worker and the name at it; watch: manage.py cutover status. "
        "To go back: manage.py cutover rollback",
        {"snapshot_sha256": now.snapshot_sha256, **asdict(numbers())},
        finish,
    )


def check_rehearsal(sha256: str) -> None:
    """Raises Refused unless this program has gone the whole way with this data."""
    if not last_done("rehearse"):
        raise Refused("Nobody has rehearsed it. Run: manage.py cutover rehearse")
    if not last_done("rehearse", code_sha256=code_sha256()):
        raise Refused("The program is another one than that of the rehearsal. Run: manage.py cutover rehearse")
    if sha256 and not last_done("rehearse", code_sha256=code_sha256(), snapshot_sha256=sha256):
        raise Refused("The data are newer than those of the rehearsal. Run: manage.py cutover rehearse")


def rollback(run: Run) -> Done:
    """Put the old system in charge again. Raises Refused, Differs, FreezeTimeout, ExportError."""
    now = state()
    if now.phase == Phase.PARALLEL:
        return Done("The old system is in charge already; nothing was changed.")
    if now.phase == Phase.FINALISED:
        raise Refused("The old system was given up. docs/cutover.md says how to run it from the archive.")
    if now.phase != Phase.LIVE or now.live_since is None:
        return Done(
            "The old system is in charge; it was never left, so nothing is lost. Writes are taken as before.",
            finish=lambda: back(run, reads_old=False, takes_writes=True),
        )
    is_frozen_now = freeze.freeze(run.by)
    try:
        return from_live(run, now.live_since)
    except Exception:
        # Nothing came of it, so writes go on as before.
        if is_frozen_now:
            freeze.unfreeze(run.by)
        raise


def from_live(run: Run, live_since: datetime) -> Done:
    """Back from this system, in which nobody writes meanwhile."""
    changed = changed_since(live_since)
    is_dual = current().dual_write
    if is_dual:
        # It may have been told, and have gone away before it could be asked what it says.
        dual_write.tell_again(dual_write.differing(live_since))
    waiting, differing = send_what_waits(run), len(dual_write.differing(live_since))
    way_back = write_way_back(run.folder / "rollbacks", live_since)
    was_told = is_dual and not (waiting or differing) and dual_write_since(live_since)
    is_complete = was_told or not changed
    reads_old = is_complete and not run.is_rehearsal and old_file_has(changed)
    # What it is told before it gets the file would be missing in that file.
    takes_writes = (is_dual and is_complete) or run.is_rehearsal
    counts = {"changed": len(changed), "waiting": waiting, "differing": differing, "folder": str(way_back.folder)}
    return Done(
        back_in_words(len(changed), way_back, was_told, is_dual),
        counts | way_back.numbers,
        lambda: back(run, reads_old=reads_old, takes_writes=takes_writes),
    )


def dual_write_since(moment: datetime) -> bool:
    """Whether the old system was told of everything since then."""
    return Flag.objects.filter(name=FlagName.DUAL_WRITE_MODE, value=True, changed_at__lte=moment).exists()


def old_file_has(changed: set[str]) -> bool:
    """Whether LEGACY_SQLITE says the same of these videos. It may be a copy, which the old system does not write."""
    return bool(settings.LEGACY_SQLITE) and dual_write.file_says_the_same(Path(settings.LEGACY_SQLITE), changed)


def back(run: Run, *, reads_old: bool, takes_writes: bool) -> None:
    if reads_old:
        set_flag(FlagName.READ_FROM_POSTGRES, False, run.by)
    enter(Phase.PARALLEL, live_since=None)
    if takes_writes:
        freeze.unfreeze(run.by)


def back_in_words(changed: int, way_back: WayBack, was_told: bool, is_dual: bool) -> str:
    if not changed:
        head = "The old system is in charge. Nothing was written here since it was left, so its file is complete."
    elif was_told:
        head = f"The old system is in charge. It has all {changed:,} videos that changed since it was left."
    else:
        head = (
            f"The old system is in charge, and {changed:,} videos changed since it was left. Give it this file before "
            f"it starts: {way_back.folder / 'library.db'} (what its schema cannot hold: library.db.report.json; what "
            "came in, to be sent again: ingests.jsonl)."
        )
    if not is_dual:
        tail = (
            "Writes stay refused here, because the old system would not have them: point the worker there. To take "
            "them all the same: manage.py cutover unfreeze"
        )
    elif was_told or not changed:
        tail = "Writes that come here go on to the old system."
    else:
        tail = (
            "Writes stay refused here until it runs with that file, or the file would lack them. "
            "Then: manage.py cutover unfreeze, and they go on to the old system."
        )
    return f"{head} {tail}"


def listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES:,} more"
