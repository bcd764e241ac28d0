"""`manage.py dual_write status|flush`: what the old system has been told, and telling it the rest now."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count
from django.utils import timezone
from rich.console import Console

from ingest.cutover.dual_write import NotConfigured, Sent, deliver_due, old_system, waiting
from ingest.cutover.flags import current
from ingest.management import base
from ingest.models import Delivery, OutboxEntry
from ingest.values import printable

DEFAULT_SECONDS = 60
PAUSE_SECONDS = 1.0
# Of a flush, so long at a time, and then it says how far it is.
TURN_SECONDS = 5


class Command(base.Command):
    help = (
        "Dual write: what is written and deleted here goes to the old system as well (DUAL_WRITE_MODE). "
        "`status` says where to, what waits and what came of it. `flush` sends all that waits now, whatever its pause, "
        "also while DUAL_WRITE_MODE is off. "
        "Exit codes: 0 fine, and for flush: nothing waits; 1 usage or internal error; 2 something still waits, with "
        "the reason; 4 nothing says where the old system is, or SYNC_SECRET is missing; 5 another process was sending "
        "all the time; 75 interrupted: run it again, nothing is lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        shown = verbs.add_parser("status", help="where to, on or off, how many wait, and the last day")
        flush = verbs.add_parser("flush", help="send all that waits now")
        flush.add_argument(
            "--seconds", type=float, default=DEFAULT_SECONDS, metavar="N",
            help=f"give up after so long (default {DEFAULT_SECONDS})",
        )  # fmt: skip
        for verb in (shown, flush):
            verb.error = partial(base.refuse_call, verb)

    def handle(self, *, verb: str, **options: Any) -> None:
        if verb == "status":
            self.stdout.write("\n".join(status()))
            return
        try:
            self.flush(options["seconds"])
        except NotConfigured as error:
            raise CommandError(str(error), returncode=4) from error
        except KeyboardInterrupt as error:
            raise CommandError(
                f"Interrupted; {counted(waiting())} still waiting. Run it again.", returncode=75
            ) from error

    def flush(self, seconds: float) -> None:
        """Send until nothing waits, the time is up, or what waits is refused."""
        target, deadline = old_system().name, monotonic() + seconds
        delivered = different = 0
        with Console(stderr=True).status("Sending …") as progress:
            while True:
                sent = deliver_due(ignore_backoff=True, seconds=min(deadline - monotonic(), TURN_SECONDS))
                delivered, different = delivered + sent.delivered, different + sent.different
                left = waiting()
                progress.update(f"Sending … {delivered:,} done, {left:,} wait")
                is_stuck = sent.refused and not (sent.delivered or sent.no_answer)
                if not left or is_stuck:
                    break
                pause = 0.0 if sent.delivered else PAUSE_SECONDS
                if monotonic() + pause >= deadline:
                    break
                sleep(pause)
        self.stdout.write(f"{delivered:,} sent to {printable(target)}; {counted(left)} still waiting.")
        if different:
            self.stdout.write(f"{counted(different)} not the same there: see Deliveries of dual write in the admin.")
        if left:
            raise unfinished(sent, seconds)


def unfinished(sent: Sent, seconds: float) -> CommandError:
    """Why something still waits."""
    if sent.is_locked:
        return CommandError(
            f"Another process was sending all of the {seconds:g} seconds. Look at dual_write status, and flush again "
            "if something still waits then.",
            returncode=5,
        )
    if sent.no_answer:
        return CommandError(printable(sent.no_answer), returncode=2)
    if sent.refusals:
        more = f" (and {len(sent.refusals) - 1:,} more)" if len(sent.refusals) > 1 else ""
        return CommandError(
            f"Refused: {printable(sent.refusals[0])}{more} All of it is in the admin, under Outbox of dual write.",
            returncode=2,
        )
    more_seconds = max(seconds * 10, DEFAULT_SECONDS)
    return CommandError(
        f"The {seconds:g} seconds were not enough. Run it again with more: --seconds {more_seconds:g}", returncode=2
    )


def status() -> Iterator[str]:
    """The state of dual write, a line each."""
    is_on = current().dual_write
    try:
        target = printable(old_system().name)
    except NotConfigured as error:
        target = ""
        yield f"Old system:  {error}"
    else:
        yield f"Old system:  {target}"
    yield f"Dual write:  {'on' if is_on else 'off'}"
    entries = OutboxEntry.objects.all()
    left = waiting()
    oldest = entries.order_by("enqueued_at").first()
    yield f"Waiting:     {left:,}" + (
        f", the oldest since {oldest.enqueued_at:%Y-%m-%d %H:%M:%S} UTC" if oldest else ""
    )
    failed = entries.exclude(last_error="").order_by("-next_attempt_at").first()
    if failed:
        yield f"Last error:  {printable(failed.video_id)}, tried {counted_times(failed.attempts)}: " + printable(
            failed.last_error
        )
    yield from last_day()
    yield ""
    yield next_step(is_on, target, left, failed)


def last_day() -> Iterator[str]:
    """The deliveries of the last 24 hours, by what was done and by parity."""
    deliveries = Delivery.objects.filter(at__gte=timezone.now() - timedelta(days=1)).order_by()
    actions = dict(deliveries.values_list("action").annotate(Count("pk")))
    parities = dict(deliveries.values_list("parity").annotate(Count("pk")))
    yield "Last day:    " + ", ".join(f"{actions.get(one.value, 0):,} {one.label}" for one in Delivery.Action)
    yield "Parity:      " + ", ".join(
        f"{parities.get(one.value, 0):,} {word}"
        for one, word in zip(Delivery.Parity, ("the same", "different", "not known"), strict=True)
    )


def next_step(is_on: bool, target: str, left: int, failed: OutboxEntry | None) -> str:
    if not target:
        return "Next: set LEGACY_URL or LEGACY_SQLITE." if is_on or left else "Next: nothing; dual write is not in use."
    if left and failed:
        return "Next: see to the last error; it is tried again by itself. At once: manage.py dual_write flush"
    if left:
        return "Next: " + ("wait a few seconds, or: " if is_on else "") + "manage.py dual_write flush"
    if not is_on:
        return (
            "Next: nothing waits, but what is written while it is off is not told. "
            "To turn it on: manage.py cutover set DUAL_WRITE_MODE true"
        )
    return "Next: nothing; the old system has been told of everything."


def counted(number: int) -> str:
    """`1 video is`, `2 videos are`."""
    return "1 video is" if number == 1 else f"{number:,} videos are"


def counted_times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"
