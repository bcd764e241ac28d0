"""Names that people changed here: the verification tells them apart, imports keep to them, exports have them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pghistory
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from ingest.sqlite.exporter import export_library
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.verification.report import Equation, VerifyReport
from ingest.sqlite.verifier import verify_snapshot
from videos import taxonomy
from videos.models import Categorization, Category, Proposal, Subcategory

pytestmark = pytest.mark.django_db

MODERN = '{"categories": [{"category": "History", "subcategories": ["Modern History", "Ancient History"]}]}'
TWICE = (
    '{"categories": [{"category": "News", "subcategories": ["World"]},'
    ' {"category": "Politics", "subcategories": ["World"]}]}'
)


@pytest.fixture
def curator() -> Any:
    return get_user_model().objects.create_superuser("ada")


@pytest.fixture
def file(write_file, video) -> Path:
    return write_file(
        content=[
            video(1, category='["History"]', subcategories_json=MODERN),
            video(2, category='["News"]', subcategories_json=TWICE),
            video(3, category='["News", "Technology"]'),
            video(4, category='["Technology"]'),
        ]
    )


@contextmanager
def by(curator: Any) -> Iterator[None]:
    """As in a request of the admin."""
    with pghistory.context(user=curator.pk, url="/admin/"):
        yield


def change_names(curator: Any) -> None:
    """Rename one category and one subcategory, and merge another category."""
    with by(curator):
        taxonomy.rename(Subcategory.objects.get(name="Modern History"), "The Moderns", "ada")
        taxonomy.rename(Category.objects.get(name="History"), "Past", "ada")
        taxonomy.merge(Category.objects.get(name="News"), Category.objects.get(name="Politics"), "ada")


def assert_holds(report: VerifyReport) -> None:
    assert report.holds, [one for name in Equation for one in report.differences[name].examples]


def changes(report: VerifyReport) -> dict[tuple[str, str], int]:
    return {(change.kind, change.by): change.videos for change in report.changes}


def names() -> dict[str, list[tuple[str, str | None]]]:
    pairs = Categorization.objects.pairs_of(f"Video-_{number:04d}" for number in range(1, 5))
    return {key: [(pair.category, pair.subcategory) for pair in rows] for key, rows in pairs.items()}


def test_names_changed_after_an_import_are_explained_with_who_and_when(file, curator):
    import_snapshot(file)
    change_names(curator)
    report = verify_snapshot(file)
    assert_holds(report)
    assert changes(report) == {("changed", "ada"): 3}
    assert all(change.first for change in report.changes)
    assert report.triples.source_digest != report.triples.models_digest
    assert report.triples.explained >= 4


def test_names_changed_before_an_import_are_explained_too(file, curator, write_file, video):
    first = write_file("first.db", content=[video(9, category='["News"]', subcategories_json=MODERN)])
    import_snapshot(first)
    with by(curator):
        taxonomy.add("Politics", "ada")
    change_names(curator)
    import_snapshot(file)
    assert names()["Video-_0001"] == [("Past", "The Moderns"), ("Past", "Ancient History")]
    assert names()["Video-_0002"] == [("Politics", "World")]
    report = verify_snapshot(file)
    assert_holds(report)
    assert changes(report) == {("changed", "ada"): 3}
    assert_holds(verify_snapshot(first))


def test_the_same_snapshot_again_writes_nothing_and_holds(file, curator):
    import_snapshot(file)
    change_names(curator)
    before = names()
    again = import_snapshot(file)
    assert again.changed_nothing, again
    assert names() == before
    assert not Proposal.objects.exists()
    report = verify_snapshot(file)
    assert_holds(report)
    assert changes(report) == {("changed", "ada"): 3}


def test_an_export_has_the_new_names_and_the_old_snapshot_takes_none_back(file, curator, tmp_path):
    import_snapshot(file)
    change_names(curator)
    before = names(), set(Category.objects.present().values_list("name", flat=True))
    target = tmp_path / "export.db"
    export_library(target)
    with closing(sqlite3.connect(target)) as connection:
        texts = dict(connection.execute("SELECT video_id, category || ifnull(subcategories_json, '') FROM content"))
    assert "Past" in texts["Video-_0001"] and "The Moderns" in texts["Video-_0001"]
    assert "History" not in texts["Video-_0001"].replace("Ancient History", "")
    assert "Politics" in texts["Video-_0003"] and "News" not in texts["Video-_0003"]
    import_snapshot(file)
    assert (names(), set(Category.objects.present().values_list("name", flat=True))) == before


def test_what_is_wrong_is_not_explained_by_a_new_name(file, curator):
    import_snapshot(file)
    change_names(curator)
    politics, technology = (Category.objects.get(name=name) for name in ("Politics", "Technology"))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM videos_categorization WHERE video_id = 'Video-_0001' AND position = 0")
        cursor.execute(
            "UPDATE videos_categorization SET category_id = %s WHERE video_id = 'Video-_0004' AND category_id = %s",
            [politics.pk, technology.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    report = verify_snapshot(file)
    wrong = report.differences[Equation.TRIPLES].examples
    assert {one.video_id for one in wrong} == {"Video-_0001", "Video-_0004"}


def test_a_rename_back_leaves_nothing_to_explain(file, curator):
    import_snapshot(file)
    with by(curator):
        taxonomy.rename(Category.objects.get(name="History"), "Past", "ada")
        taxonomy.rename(Category.objects.get(name="Past"), "History", "ada")
    report = verify_snapshot(file)
    assert_holds(report)
    assert report.triples.source_digest == report.triples.models_digest
