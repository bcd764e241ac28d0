"""What people decided comes back from a file exactly: triples, origins, who and when."""

import csv
import io
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from ingest import curation_files
from ingest.curation_files import (
    GUARDED,
    CurationReport,
    DamagedFile,
    Decision,
    Entry,
    Format,
    State,
    guarded,
    import_curation,
    read_curation,
    unguarded,
    write_csv,
    write_json,
)
from ingest.sqlite import importer
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from videos.curation import decide, mark_reviewed, note
from videos.deciding import deciding, share_names
from videos.models import (
    Categorization,
    CategorizationEvent,
    Category,
    Origin,
    Pair,
    Proposal,
    Review,
    ReviewEvent,
    Subcategory,
    Video,
)

from .database_sessions import wait_for
from .factories import categorise, make_video, new_video
from .sqlite.test_import import start

pytestmark = pytest.mark.django_db

NOON = datetime(2025, 9, 14, 12, 0, 0, 123456, tzinfo=UTC)
MODERN, ANCIENT, BARE = ("History", "Modern History"), ("History", "Ancient History"), ("Technology", None)
ODD_NAMES = (
    "=1+1",
    "-Zero",
    "@home",
    "'quoted",
    "'=both",
    'with "quotes", commas',
    "two\nlines\r",
    "\tTab",
    "naïve 歴史",
)


def curation() -> tuple[list[Any], list[Any]]:
    """All pairs with order and origin, and who said what when."""
    pairs = Categorization.objects.order_by("video", "position")
    reviews = Review.objects.order_by("video")
    return (
        list(pairs.values_list("video", "category__name", "subcategory__name", "origin")),
        list(reviews.values_list("video", "is_curated", "reviewed_by", "reviewed_at")),
    )


def forget_everything() -> None:
    """As after an accident: no categories, nothing that anybody decided."""
    with deciding("accident"):
        Categorization.objects.all().delete()
        Review.objects.all().delete()
        Proposal.objects.all().delete()


def run(command: str, *arguments: str | Path) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue()


def refused(command: str, *arguments: str | Path) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(command, *arguments)
    return caught.value


def some_curation() -> None:
    """One video for each thing that can be said, and one on which nobody said anything."""
    for number in range(1, 7):
        categorise(make_video(number), [BARE, MODERN], Origin.AI)
    decide({"video_00001": [MODERN, ANCIENT, BARE]}, "anna")
    decide({"video_00002": []}, "bert")
    mark_reviewed(["video_00003"], "anna")
    decide({"video_00004": [ANCIENT, MODERN]}, "bert")
    with deciding("bert"):
        Categorization.objects.filter(video="video_00004", position=0).update(origin=Origin.IMPORTED)
        note(["video_00004"], "bert", is_curated=True, at=NOON)
    decide({"video_00005": [(name, name) for name in ODD_NAMES]}, "=cmd|' /C calc'!A0")


@pytest.fixture(params=["csv", "json"])
def target(request, tmp_path) -> Path:
    return tmp_path / f"curation.{request.param}"


# There and back


def test_everything_that_was_decided_comes_back_after_an_accident(target):
    some_curation()
    before = curation()
    run("export_curation", target)
    forget_everything()
    for number in (3, 6):
        categorise(Video.objects.get(pk=f"video_0000{number}"), [BARE, MODERN], Origin.AI)
    report = import_curation(target, by="owner")
    assert curation() == before
    assert (len(report.differences), report.unchanged, report.missing) == (5, 0, [])


@pytest.mark.parametrize("generation", [Generation.FIRST, Generation.LAST])
def test_decisions_on_an_imported_library_come_back_after_a_new_import(tmp_path, target, generation):
    write_snapshot(tmp_path / "library.db", 60, 5, generation)
    import_snapshot(tmp_path / "library.db", accept_quarantine=True)
    keys = list(Video.objects.order_by("pk").values_list("pk", flat=True))
    for number, key in enumerate(keys[:20]):
        decide({key: [[MODERN, BARE], [("=Own", "-Below")], []][number % 3]}, f"person {number % 2}")
    mark_reviewed(keys[15:40], "anna")
    before = curation()
    run("export_curation", target)

    forget_everything()
    import_snapshot(tmp_path / "library.db", accept_quarantine=True)
    assert curation() != before
    run("import_curation", target)
    assert curation() == before
    events = (CategorizationEvent.objects.count(), ReviewEvent.objects.count())
    again = import_curation(target, by="owner")
    assert curation() == before
    assert (CategorizationEvent.objects.count(), ReviewEvent.objects.count()) == events
    assert (again.differences, again.unchanged) == ([], len(before[1]))
    assert run("import_curation", target, "--dry-run").endswith("A dry run: nothing was changed.\n")


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=12)
ODD_TEXTS = st.one_of(TEXTS, st.builds(str.__add__, st.sampled_from((*GUARDED, '"', ",", "\n", "\ufeff")), TEXTS))
PAIRS = st.lists(
    st.builds(Pair, ODD_TEXTS, st.none() | ODD_TEXTS, st.sampled_from(Origin)),
    unique_by=lambda pair: (pair.category, pair.subcategory),
    max_size=4,
)
NAMED = ODD_TEXTS.filter(str.strip)
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC))
DECISIONS = st.one_of(
    st.builds(Decision, st.just(State.CURATED), NAMED, TIMES, PAIRS.map(tuple)),
    st.builds(Decision, st.just(State.REVIEWED), NAMED, TIMES, st.just(())),
)
ENTRIES = st.dictionaries(ODD_TEXTS, DECISIONS, max_size=4).map(
    lambda found: [Entry(key, found[key]) for key in sorted(found)]
)


@pytest.mark.parametrize("form", Format)
def test_any_text_comes_back_from_either_form(tmp_path, form):
    path = tmp_path / f"curation.{form}"

    @given(ENTRIES)
    def round_trip(entries: list[Entry]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            (write_csv if form is Format.CSV else write_json)(file, entries)
        assert read_curation(path).entries == entries

    round_trip()


@given(st.text())
@example("'")
@example("''=")
@example("'plain")
def test_no_cell_is_a_formula_and_each_comes_back(text):
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(tuple("=+-@\t\r\n＝＋－＠"))


def test_a_spreadsheet_finds_no_formula_in_any_column(tmp_path):
    title = '=HYPERLINK("https://example.org","x")'
    make_video(1, video_id="-wTEo3bR0kQ", title=title)
    decide({"-wTEo3bR0kQ": [("+Category", "=Sub")]}, "@anna")
    run("export_curation", tmp_path / "curation.csv")
    with (tmp_path / "curation.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert row["video_id"] == "'-wTEo3bR0kQ"
    assert row["title"] == f"'{title}"
    assert (row["category"], row["subcategory"], row["reviewed_by"]) == ("'+Category", "'=Sub", "'@anna")
    assert read_curation(tmp_path / "curation.csv").entries[0].video_id == "-wTEo3bR0kQ"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_file_that_a_spreadsheet_has_sorted_and_rearranged_says_the_same(tmp_path, separator):
    some_curation()
    path = tmp_path / "curation.csv"
    run("export_curation", path)
    before = read_curation(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([row[::-1] for row in [header, *sorted(rows, key=lambda row: row[6])]])
    assert read_curation(path) == before


# Writing


def test_the_file_says_who_decided_what_and_when(tmp_path):
    make_video(1, title="First  steps")
    make_video(2, title="Nothing fits")
    decide({"video_00001": [MODERN, BARE], "video_00002": []}, "anna")
    with deciding("anna"):
        note(["video_00001", "video_00002"], "anna", is_curated=True, at=NOON)
    assert run("export_curation", "-", "--format", "csv").split("\r\n") == [
        "video_id,title,state,reviewed_by,reviewed_at,position,category,subcategory,origin,deleted",
        "video_00001,First steps,curated,anna,2025-09-14T12:00:00.123456+00:00,0,History,Modern History,curated,",
        "video_00001,First steps,curated,anna,2025-09-14T12:00:00.123456+00:00,1,Technology,,curated,",
        "video_00002,Nothing fits,curated,anna,2025-09-14T12:00:00.123456+00:00,,,,,",
        "",
    ]
    assert json.loads(run("export_curation", "-", "--format", "json"))[0] == {
        "video_id": "video_00001",
        "title": "First steps",
        "state": "curated",
        "reviewed_by": "anna",
        "reviewed_at": "2025-09-14T12:00:00.123456+00:00",
        "pairs": [
            {"category": "History", "subcategory": "Modern History", "origin": "curated"},
            {"category": "Technology", "subcategory": None, "origin": "curated"},
        ],
        "deleted": "",
    }


@pytest.mark.parametrize("form", Format)
def test_the_same_curation_gives_the_same_bytes_also_on_stdout(tmp_path, form):
    some_curation()
    for name in ("one", "two"):
        run("export_curation", tmp_path / f"{name}.{form}")
    first = (tmp_path / f"one.{form}").read_bytes()
    assert first == (tmp_path / f"two.{form}").read_bytes()
    assert first.decode("utf-8-sig") == run("export_curation", "-", "--format", form)


def test_all_adds_what_nobody_decided_on_and_importing_passes_it_over(target):
    some_curation()
    make_video(7)
    deleted = make_video(8)
    categorise(deleted, [BARE], Origin.AI)
    deleted.delete_by("anna", "")
    output = run("export_curation", target, "--all")
    assert "         1 videos on which nobody has decided\n" in output
    read = read_curation(target)
    assert ([entry.video_id for entry in read.entries][-1], len(read.entries)) == ("video_00005", 5)
    assert read.passed_over == 1
    before = curation()
    assert "Without a state, and passed over: 1 video.\n" in run("import_curation", target)
    assert curation() == before


def test_a_library_without_decisions_gives_a_file_that_says_so(target):
    make_video(1)
    assert run("export_curation", target) == f"{target.name}: written.\n"
    assert read_curation(target).entries == []
    assert "0 videos changed" in run("import_curation", target)


def test_the_file_is_there_whole_or_not_at_all(tmp_path, target, monkeypatch):
    some_curation()
    written = curation_files.guarded if target.suffix == ".csv" else curation_files.written_time
    calls = []

    def fail_late(value: Any) -> str:
        calls.append(value)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return written(value)

    monkeypatch.setattr(curation_files, written.__name__, fail_late)
    error = refused("export_curation", target)
    assert (error.returncode, list(tmp_path.iterdir())) == (75, [])


def test_a_file_that_exists_is_left_alone(target):
    target.write_text("mine")
    error = refused("export_curation", target)
    assert (error.returncode, target.read_text()) == (1, "mine")
    assert "exists already" in str(error)


def test_wrong_calls_end_with_1(tmp_path):
    for arguments in (
        ["-"],
        [tmp_path / "a.csv", "--format", "csv"],
        [tmp_path / "a.txt"],
        [tmp_path / "no" / "a.csv"],
    ):
        assert refused("export_curation", *arguments).returncode == 1
    assert refused("import_curation", tmp_path / "a.csv").returncode == 1
    (tmp_path / "a.txt").write_text("")
    assert "ends neither with .csv nor with .json" in str(refused("import_curation", tmp_path / "a.txt"))
    (tmp_path / "a.json").write_text("[]")
    assert refused("import_curation", tmp_path / "a.json", "--by", " ").returncode == 1


def test_an_export_reads_one_state_in_one_statement():
    some_curation()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        run("export_curation", "-", "--format", "csv")
    assert sum("videos_categorization" in query["sql"] for query in queries) <= 1


# Reading and applying


@pytest.fixture
def apply(tmp_path) -> Callable[..., CurationReport]:
    """Applies a file with these videos, each curated by anna at noon unless said otherwise."""

    def write_and_apply(*, dry_run: bool = False, **decisions: Any) -> CurationReport:
        path = tmp_path / "applied.json"
        entries = []
        for video_id, said in decisions.items():
            if not isinstance(said, Decision):
                said = curated(*said)
            entries.append(Entry(video_id, said))
        with path.open("w") as file:
            write_json(file, entries)
        return import_curation(path, by="owner", dry_run=dry_run)

    return write_and_apply


def curated(*pairs: tuple[str, str | None], by: str = "anna", at: datetime = NOON) -> Decision:
    return Decision(State.CURATED, by, at, tuple(Pair(*names, Origin.CURATED) for names in pairs))


def reviewed(by: str = "anna", at: datetime = NOON) -> Decision:
    return Decision(State.REVIEWED, by, at, ())


def test_a_dry_run_names_what_differs_changes_nothing_and_ends_with_2(target):
    some_curation()
    run("export_curation", target)
    decide({"video_00001": [BARE, MODERN, ("New", None)]}, "bert")
    decide({"video_00002": [BARE]}, "bert")
    with deciding("anna"):
        Review.objects.filter(pk="video_00003").delete()
        Categorization.objects.filter(video="video_00004").update(origin=Origin.CURATED)
        note(["video_00004"], "anna", is_curated=True, at=NOON + timedelta(microseconds=1))
    make_video(7)
    decide({"video_00006": [BARE], "video_00007": []}, "bert")
    before = curation()
    output = StringIO()
    with pytest.raises(CommandError, match="Differences: 4 videos") as caught:
        call_command("import_curation", target, "--dry-run", stdout=output)
    assert (caught.value.returncode, curation()) == (2, before)
    shown = output.getvalue()
    assert (
        "video_00001 Video number 1\n  + History › Ancient History\n  - New\n"
        "  order: History › Modern History, History › Ancient History, Technology\n"
    ) in shown
    assert "video_00002 Video number 2\n  - Technology\n" in shown
    assert "video_00003 Video number 3\n  state: none -> reviewed\n  nobody -> anna, 20" in shown
    assert (
        "video_00004 Video number 4\n  origins: curated, curated -> imported, curated\n"
        "  anna, 2025-09-14T12:00:00.123457+00:00 -> bert, 2025-09-14T12:00:00.123456+00:00\n"
    ) in shown
    assert f"{target.name}: 4 videos would change, 1 as in the file.\n" in shown
    assert "not in the file, and left as they are: 2 videos." in shown


def test_what_the_file_does_not_name_stays(apply):
    make_video(1)
    make_video(2)
    decide({"video_00002": [BARE]}, "bert")
    assert apply(video_00001=[MODERN]).not_in_file == 1
    assert curation()[0] == [
        ("video_00001", *MODERN, Origin.CURATED),
        ("video_00002", *BARE, Origin.CURATED),
    ]


def test_videos_that_are_deleted_or_unknown_here_are_named_and_left(apply, tmp_path):
    video = make_video(1)
    decide({"video_00001": [BARE]}, "bert")
    video.delete_by("bert", "")
    before = curation()
    report = apply(video_00001=[MODERN], nobody=[MODERN])
    assert (report.deleted, report.missing, report.differences, report.new_names) == (
        ["video_00001"],
        ["nobody"],
        [],
        [],
    )
    assert curation() == before
    output = run("import_curation", tmp_path / "applied.json")
    assert "Not in this library, and passed over:\n  nobody\nDeleted here, and left alone:\n  video_00001\n" in output
    assert "deleted" in run("export_curation", "-", "--format", "csv")
    rows = json.loads(run("export_curation", "-", "--format", "json"))
    assert [row["deleted"][:4] for row in rows] == [str(timezone.now().year)]


def test_what_was_decided_here_later_is_counted_and_stays_if_one_says_so(target):
    for number in (1, 2, 3):
        make_video(number)
    decide({f"video_0000{number}": [MODERN] for number in (1, 2, 3)}, "anna")
    run("export_curation", target)
    decide({"video_00001": [ANCIENT]}, "bert")
    mark_reviewed(["video_00002"], "bert")
    with deciding("import_sqlite"):
        # As by an import after an accident: later, but no person's.
        Categorization.objects.filter(video="video_00003").delete()
        note(["video_00003"], "import_sqlite", is_curated=True, at=timezone.now() + timedelta(hours=1))
        # The test is one transaction, so that all of its decisions have one time.
        note(["video_00001"], "bert", is_curated=True, at=timezone.now() + timedelta(hours=1))
    before = curation()[0]
    with pytest.raises(CommandError) as caught:
        call_command("import_curation", target, "--dry-run", stdout=(output := StringIO()))
    assert caught.value.returncode == 2 and "later than in the file: 1 video (see --keep-newer)" in output.getvalue()
    shown = run("import_curation", target, "--keep-newer")
    assert "later than in the file, and left as they are:\n  video_00001\n" in shown
    assert "1 video changed, 1 as in the file" in shown
    assert curation()[0] == [*before, ("video_00003", *MODERN, Origin.CURATED)]
    run("import_curation", target)
    assert [row[:3] for row in curation()[0]] == [(f"video_0000{number}", *MODERN) for number in (1, 2, 3)]


def test_unknown_names_are_added_and_named(apply):
    make_video(1)
    report = apply(video_00001=[("Whittling", "Spoons"), ("Whittling", "Bowls")])
    assert report.new_names == [("Whittling", None), ("Whittling", "Spoons"), ("Whittling", "Bowls")]
    assert not Category.objects.get(name="Whittling").is_new
    assert apply(video_00001=[("Whittling", "Spoons")]).new_names == []


def test_former_names_are_taken_as_the_present_ones_and_retired_ones_as_they_are(apply):
    make_video(1)
    present = Category.objects.create(name="Present", retired_at=timezone.now())
    below = Subcategory.objects.create(category=present, name="Below")
    Category.objects.create(name="Former", merged_into=present, merged_below=below)
    for _ in range(2):
        report = apply(video_00001=[("Former", None), ("Present", "Below"), ("Former", "Other")])
    assert (report.differences, report.unchanged) == ([], 1)
    assert [pair[1:3] for pair in curation()[0]] == [("Present", "Below"), ("Present", "Other")]


def test_only_looked_at_leaves_the_categories(apply):
    categorise(make_video(1), [BARE], Origin.AI)
    apply(video_00001=reviewed())
    assert curation() == (
        [("video_00001", *BARE, Origin.AI)],
        [("video_00001", False, "anna", NOON)],
    )
    categorise(Video.objects.get(), [MODERN], Origin.AI)
    assert curation() == ([("video_00001", *MODERN, Origin.AI)], []), "a machine's change asks for a look again"


def test_a_decision_is_never_taken_back_to_a_look(apply):
    make_video(1)
    decide({"video_00001": [BARE]}, "bert")
    before = curation()
    report = apply(video_00001=reviewed())
    assert (report.kept, report.differences, curation()) == (["video_00001"], [], before)


def test_machines_are_kept_from_what_came_from_a_file(apply):
    video = make_video(1)
    apply(video_00001=[MODERN])
    categorise(video, [BARE], Origin.AI)
    assert [pair[1:3] for pair in curation()[0]] == [MODERN]
    assert Proposal.objects.waiting().get().pairs == [list(BARE)]


def test_what_a_machine_had_said_is_kept_as_its_last_word(apply):
    categorise(make_video(1), [BARE], Origin.AI)
    apply(video_00001=[MODERN])
    assert Proposal.objects.get().pairs == [list(BARE)]
    assert not Proposal.objects.waiting().exists()


def test_the_history_says_who_imported(apply):
    make_video(1)
    apply(video_00001=[MODERN])
    assert CategorizationEvent.objects.get().pgh_context.metadata == {"curator": "owner"}
    assert ReviewEvent.objects.exclude(pgh_context__metadata={"curator": "owner"}).count() == 0


def test_an_error_in_the_last_batch_takes_all_of_it_back(apply, monkeypatch):
    for number in range(1, 4):
        make_video(number)
    monkeypatch.setattr(curation_files, "AT_ONCE", 1)
    calls = []

    def fail_third(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*arguments)

    write = curation_files.write
    monkeypatch.setattr(curation_files, "write", fail_third)
    with pytest.raises(KeyboardInterrupt):
        apply(**{f"video_0000{number}": [MODERN] for number in range(1, 4)})
    assert curation() == ([], [])
    assert not Category.objects.exists()


def large_file(path: Path, videos: int) -> None:
    """A library of so many videos without categories, and a file that has two for each, at different times."""
    Video.objects.bulk_create(map(new_video, range(videos)))
    with connection.cursor() as cursor:
        # As of any library that is not brand-new: the tests before may have left statistics of a few rows.
        cursor.execute("ANALYZE videos_video")
    with path.open("w") as file:
        write_json(
            file,
            [
                Entry(f"video_{number:05d}", curated(MODERN, BARE, at=NOON + timedelta(seconds=number)))
                for number in range(videos)
            ],
        )


def test_a_file_of_5000_videos_in_few_statements(tmp_path):
    large_file(tmp_path / "curation.json", 5000)
    statements: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        report = import_curation(tmp_path / "curation.json", by="owner")
    assert len(report.differences) == 5000
    assert len(statements) < 500
    assert Categorization.objects.count() == 10_000
    assert Review.objects.values("reviewed_at").distinct().count() == 5000
    again = import_curation(tmp_path / "curation.json", by="owner", dry_run=True)
    assert (again.differences, again.unchanged) == ([], 5000)


@pytest.mark.django_db(transaction=True)
def test_an_import_that_is_killed_in_the_middle_changes_nothing(tmp_path):
    """Another session holds the name of a category that only the last batch needs."""
    large_file(tmp_path / "curation.json", 600)
    rows = json.loads((tmp_path / "curation.json").read_text())
    rows[-1]["pairs"][0]["category"] = "Held"
    (tmp_path / "curation.json").write_text(json.dumps(rows))
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("INSERT INTO videos_category (name, position, is_new) VALUES ('Held', 0, false)")
        process = start("import_curation", tmp_path / "curation.json")
        try:
            wait_for("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%videos_category%%'")
        finally:
            process.kill()
            process.communicate()
        wait_for(f"SELECT WHERE pg_try_advisory_xact_lock({importer.LOCK})")
        other.rollback()
    assert curation() == ([], [])
    assert not Category.objects.exists()
    assert len(import_curation(tmp_path / "curation.json", by="owner").differences) == 600


@pytest.mark.django_db(transaction=True)
def test_two_at_once_come_one_after_the_other_and_the_second_finds_nothing_to_change(tmp_path):
    large_file(tmp_path / "curation.json", 20)
    barrier = threading.Barrier(2)
    changed: list[int] = []

    def apply_it() -> None:
        barrier.wait()
        changed.append(len(import_curation(tmp_path / "curation.json", by="owner").differences))
        connection.close()

    threads = [threading.Thread(target=apply_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [0, 20]
    assert Categorization.objects.count() == 40


@pytest.mark.django_db(transaction=True)
def test_while_another_import_runs_it_ends_with_5(tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0)
    large_file(tmp_path / "curation.json", 1)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [importer.LOCK])
        assert refused("import_curation", tmp_path / "curation.json").returncode == 5
    assert curation() == ([], [])


@pytest.mark.django_db(transaction=True)
def test_a_decision_made_meanwhile_is_compared_with_and_not_written_over_blindly(tmp_path):
    """A curator's transaction holds the video: the import waits, and then sees the decision."""
    large_file(tmp_path / "curation.json", 1)
    reports: list[CurationReport] = []

    def apply_it() -> None:
        reports.append(import_curation(tmp_path / "curation.json", by="owner"))
        connection.close()

    thread = threading.Thread(target=apply_it)
    with deciding("bert"):
        share_names()
        decide({"video_00000": [ANCIENT]}, "bert")
        thread.start()
        wait_for("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%FOR NO KEY UPDATE%%'")
    thread.join()
    (difference,) = reports[0].differences
    assert difference.removed == [ANCIENT]
    assert difference.before.by == "bert"


# Damaged files

HEADER = "video_id,title,state,reviewed_by,reviewed_at,position,category,subcategory,origin,deleted"
TIME = "2025-09-14T12:00:00+00:00"
GOOD = f"video_00001,,curated,anna,{TIME},0,History,Modern History,curated,"


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ([], 1, "the file is empty"),
        ([HEADER.replace("title", "titel"), GOOD], 1, "an unknown column, 'titel'"),
        ([HEADER.replace("origin,", ""), GOOD], 1, "no column 'origin'"),
        ([HEADER.replace("title", "state"), GOOD], 1, "the column 'state' is there twice"),
        ([HEADER, GOOD, "video_00002,,curated"], 3, "3 cells below 10 columns"),
        ([HEADER, GOOD, GOOD.replace("video_00001", "")], 3, "no video_id"),
        ([HEADER, GOOD.replace("curated,anna", "Curated,anna")], 2, "state is 'Curated'; known are reviewed, curated"),
        ([HEADER, GOOD.replace("anna", " ")], 2, "no reviewed_by"),
        ([HEADER, GOOD.replace(TIME, "14.09.2025 12:00")], 2, "is no time"),
        ([HEADER, GOOD.replace(TIME, "2025-09-14T12:00:00")], 2, "names no zone"),
        ([HEADER, GOOD.replace(TIME, "0001-01-01T00:00:00+05:00")], 2, "is no time"),
        ([HEADER, GOOD.replace(TIME, "")], 2, "is no time"),
        ([HEADER, GOOD.replace(",0,", ",first,")], 2, "position 'first' is no number"),
        ([HEADER, GOOD.replace(",0,", ",-1,")], 2, "position '-1' is no number"),
        ([HEADER, GOOD, GOOD.replace("Modern", "Ancient")], 3, "position 0 is there twice"),
        ([HEADER, GOOD, GOOD.replace(",0,", ",1,")], 3, "the same category and subcategory twice"),
        ([HEADER, GOOD.replace("History,Modern", ",Modern")], 2, "a subcategory without a category"),
        ([HEADER, GOOD.replace("History,Modern History", ",")], 2, "a position or an origin without a category"),
        ([HEADER, GOOD.replace("History,curated", "History,human")], 2, "origin is 'human'"),
        ([HEADER, GOOD.replace("curated,anna", "reviewed,anna")], 2, "only reviewed"),
        ([HEADER, GOOD, GOOD.replace("anna", "bert").replace(",0,", ",1,")], 3, "than an earlier line"),
        ([HEADER, GOOD, f"video_00001,,reviewed,anna,{TIME},,,,,"], 3, "than an earlier line"),
        ([HEADER, GOOD, "video_00001,,,,,0,History,,curated,"], 3, "than an earlier line"),
        ([HEADER, GOOD, f"video_00001,,curated,anna,{TIME},,,,,"], 3, "both with categories and without"),
        ([HEADER, *[f"video_00001,,curated,anna,{TIME},,,,,"] * 2], 3, "without categories again"),
        ([HEADER, "video_00002,,,anna,,,,,,"], 2, "without a state"),
        ([HEADER, GOOD.replace("Modern", "Mod\x00ern")], 2, "NUL"),
        ([HEADER, GOOD.replace("Modern", "M" * 2000)], 2, "more than 2,000 bytes"),
        ([HEADER, GOOD.replace("Modern", "M" * 200_000)], 2, "no readable CSV"),
        ([HEADER, GOOD.replace("Modern", '"Modern')], 2, "no readable CSV"),
        ([HEADER, GOOD, 'video_00002,"', "", "open"], 3, "no readable CSV"),
        ([HEADER, 'video_00002,"two', 'lines",,,,,,,,', "", "", "short"], 6, "1 cells below"),
    ],
)  # fmt: skip
def test_a_damaged_csv_is_refused_with_its_line_and_changes_nothing(tmp_path, rows, line, reason):
    make_video(1)
    path = tmp_path / "damaged.csv"
    path.write_text("\n".join(rows), newline="")
    error = refused("import_curation", path)
    assert error.returncode == 1
    assert f"damaged.csv, line {line}: " in str(error) and reason in str(error), str(error)
    assert str(error).endswith("Nothing was changed.")
    assert curation() == ([], [])


VIDEO = {
    "video_id": "video_00001", "state": "curated", "reviewed_by": "anna", "reviewed_at": TIME,
    "pairs": [{"category": "History", "subcategory": None, "origin": "curated"}],
}  # fmt: skip


def changed(**values: Any) -> str:
    return json.dumps({key: value for key, value in (VIDEO | values).items() if value is not ...})


def with_pair(**values: Any) -> str:
    pair = {key: value for key, value in (VIDEO["pairs"][0] | values).items() if value is not ...}
    return changed(pairs=[pair])


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "no list of videos"),
        ("\n{}", 2, "no list of videos"),
        ("[", 1, "no readable JSON"),
        ("[\n{]", 2, "no readable JSON"),
        (f"[\n{changed()},\n]", 3, "no readable JSON"),
        (f"[\n{changed()}\n{changed()}]", 3, "a comma or ] is missing"),
        (f"[\n{changed()}\n", 3, "a comma or ] is missing"),
        (f"[\n{changed()}\n]\n[]", 4, "something comes after the list"),
        ("[\n" + "[" * 100_000, 2, "no readable JSON"),
        ("[\n7]", 2, "a video is a number, and not an object"),
        ("[\n[]]", 2, "a video is a list, and not an object"),
        (f"[\n{changed()},\n{changed()}]", 3, "is there twice"),
        ('[{"video_id": "a",\n"video_id": "b"}]', 1, "a key is there twice"),
        (f"[{changed(colour='red')}]", 1, "an unknown key, 'colour'"),
        (f"[{changed(reviewed_at=...)}]", 1, "a video has no 'reviewed_at'"),
        (f"[{changed(pairs=...)}]", 1, "a video has no 'pairs'"),
        (f"[{changed(pairs=None)}]", 1, "pairs is null, and not a list"),
        (f"[{changed(pairs='History')}]", 1, "pairs is a text, and not a list"),
        (f"[{changed(pairs=[['History', None]])}]", 1, "a pair is a list, and not an object"),
        (f"[{changed(video_id=17)}]", 1, "video_id is a number, and not a text"),
        (f"[{changed(state=True)}]", 1, "state is true or false, and not a text"),
        (f"[{changed(state='done')}]", 1, "state is 'done'"),
        (f"[{changed(reviewed_at=1757851200)}]", 1, "reviewed_at is a number"),
        (f"[{changed(reviewed_by=None)}]", 1, "no reviewed_by"),
        (f"[{changed(video_id='a' + chr(0))}]", 1, "NUL"),
        (f"[{changed(reviewed_by='a' + chr(0xD800))}]", 1, "half of a surrogate pair"),
        (f"[{with_pair(origin=...)}]", 1, "a pair has no 'origin'"),
        (f"[{with_pair(extra=1)}]", 1, "a pair has an unknown key, 'extra'"),
        (f"[{with_pair(category=None)}]", 1, "a pair without a category"),
        (f"[{with_pair(subcategory=[])}]", 1, "subcategory is a list"),
        (f"[{with_pair(origin='human')}]", 1, "origin is 'human'; known are imported, ai, curated"),
        (f"[{changed(pairs=VIDEO['pairs'] * 2)}]", 1, "the same category and subcategory twice"),
        (f"[{changed(state='reviewed')}]", 1, "only reviewed"),
        ('[{"video_id": NaN}]', 1, "a video has no"),
    ],
)  # fmt: skip
def test_a_damaged_json_is_refused_with_its_line_and_changes_nothing(tmp_path, text, line, reason):
    make_video(1)
    path = tmp_path / "damaged.json"
    path.write_text(text)
    error = refused("import_curation", path)
    assert error.returncode == 1
    assert f"damaged.json, line {line}: " in str(error) and reason in str(error), str(error)
    assert curation() == ([], [])


@pytest.mark.parametrize("name", ["damaged.csv", "damaged.json"])
def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf[\n\n\xe9]")
    with pytest.raises(DamagedFile, match=f"{name}, line 3: the bytes are no valid UTF-8"):
        read_curation(path)


def test_any_bytes_at_all_are_read_or_refused(tmp_path):
    """Never another error, whatever a file was damaged to."""
    sound = io.StringIO(newline="")
    write_csv(sound, [Entry("video_00001", curated(MODERN, BARE)), Entry("video_00002", reviewed())])
    sound_json = io.StringIO()
    write_json(sound_json, [Entry("video_00001", curated(MODERN, BARE)), Entry("video_00002", reviewed())])

    @given(st.sampled_from(Format), st.integers(0, 400), st.integers(0, 30), st.binary(max_size=6))
    def damage(form: Format, start: int, length: int, put_in: bytes) -> None:
        data = (sound if form is Format.CSV else sound_json).getvalue().encode()
        path = tmp_path / f"damaged.{form}"
        path.write_bytes(data[:start] + put_in + data[start + length :])
        with suppress(DamagedFile):
            read_curation(path)

    damage()
