"""The list of known categories is added to what is there, and changes none of it."""

import json
import threading
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from ingest.management.commands.load_taxonomy import TaxonomyReport, load_taxonomy
from videos.deciding import NAMES_LOCK
from videos.known_categories import FILE, known_categories
from videos.models import Category, CategoryEvent, Subcategory

pytestmark = pytest.mark.django_db

WARS = ("World War I (WWI)", "World War II (WWII)")


def taxonomy() -> list[tuple[str, str | None, int]]:
    """Every name with its place."""
    return [
        *Category.objects.order_by("pk").values_list("name", "merged_into__name", "position"),
        *Subcategory.objects.order_by("pk").values_list("category__name", "name", "position"),
    ]


@pytest.fixture
def load(tmp_path):
    """Loads a list that says this of each category."""

    def write_and_load(categories: dict[str, list[str]], *, dry_run: bool = False) -> TaxonomyReport:
        path = tmp_path / "taxonomy.json"
        entries = [{"category": name, "subcategories": below, "icon": "x"} for name, below in categories.items()]
        path.write_text(json.dumps({"version": 3, "categories": entries}))
        return load_taxonomy(path, dry_run=dry_run)

    return write_and_load


def run(*arguments: str | Path) -> str:
    output = StringIO()
    call_command("load_taxonomy", *arguments, stdout=output)
    return output.getvalue()


def test_the_known_categories_are_added_in_their_order():
    output = run()
    offered = {
        category.name: tuple(category.subcategories.order_by("position").values_list("name", flat=True))
        for category in Category.objects.offered().order_by("position")
    }
    assert offered == known_categories()
    assert list(offered) == list(known_categories())
    assert not Category.objects.filter(is_new=True).exists()
    below = sum(map(len, offered.values()))
    assert output.endswith(
        f"{len(offered)} categories and {below} subcategories added, 0 names there already, 0 left out.\n"
    )
    assert "  World War I (WWI) › Aftermath & Interwar\n" in output


def test_three_names_stand_below_both_world_wars():
    load_taxonomy(FILE)
    first, second = (
        set(Subcategory.objects.filter(category__name=name).values_list("name", flat=True)) for name in WARS
    )
    assert len(first & second) == 3


def test_loading_it_again_changes_nothing():
    load_taxonomy(FILE)
    before, events = taxonomy(), CategoryEvent.objects.count()
    report = load_taxonomy(FILE)
    assert (taxonomy(), CategoryEvent.objects.count()) == (before, events)
    assert (report.added, report.left_out) == ([], {})
    assert report.there == len(before)


def test_the_history_says_where_a_name_came_from(load):
    load({"History": []})
    assert CategoryEvent.objects.get().pgh_context.metadata == {"curator": "load_taxonomy"}


def test_a_dry_run_says_it_and_adds_nothing(load, tmp_path):
    assert load({"History": ["Ancient History"]}, dry_run=True).added == [
        ("History", None),
        ("History", "Ancient History"),
    ]
    assert taxonomy() == []
    output = run(tmp_path / "taxonomy.json", "--dry-run")
    assert output.startswith("Would be added:\n  History\n  History › Ancient History\n")
    assert taxonomy() == []


def test_what_is_there_keeps_its_place_and_all_else(load):
    history = Category.objects.create(name="History", position=70, retired_at=timezone.now())
    Subcategory.objects.create(category=history, name="Ancient History", position=80)
    before = list(Category.objects.values()) + list(Subcategory.objects.values())
    report = load({"Science": [], "History": ["Modern History", "Ancient History"]})
    assert report.added == [("Science", None), ("History", "Modern History")]
    assert report.there == 2
    kept = list(Category.objects.filter(pk=history.pk).values())
    assert before == kept + list(Subcategory.objects.filter(name="Ancient History").values())
    assert Subcategory.objects.get(name="Modern History").position == 0


def test_what_is_to_be_placed_is_named_and_left(load, tmp_path):
    history = Category.objects.create(name="History", is_new=True)
    Subcategory.objects.create(category=history, name="Ancient History", is_new=True)
    report = load({"History": ["Ancient History"]})
    assert report.to_be_placed == [("History", None), ("History", "Ancient History")]
    assert not Category.objects.filter(is_new=False).exists()
    assert "to be placed by a person:\n  History\n  History › Ancient History\n" in run(tmp_path / "taxonomy.json")


@pytest.mark.parametrize("stored", ["ai software development", "AI  Software–Development", "AISoftware Development"])
def test_a_name_that_looks_like_one_that_is_there_is_left_out_with_what_is_below(load, stored):
    Category.objects.create(name=stored)
    report = load({"AI Software Development": ["Prompts"]})
    assert report.added == []
    assert report.left_out == {
        ("AI Software Development", None): f"looks like {stored}, which is there",
        ("AI Software Development", "Prompts"): "its category was left out",
    }
    assert [name for name, *_ in taxonomy()] == [stored]


def test_a_subcategory_that_looks_like_one_of_the_same_category_is_left_out(load, tmp_path):
    first = Category.objects.create(name=WARS[0])
    Category.objects.create(name=WARS[1])
    Subcategory.objects.create(category=first, name="Aftermath and inter-war")
    report = load({name: ["Aftermath and Interwar"] for name in WARS})
    assert report.added == [(WARS[1], "Aftermath and Interwar")]
    assert report.left_out == {
        (WARS[0], "Aftermath and Interwar"): "looks like Aftermath and inter-war, which is there"
    }
    assert "Left out:\n  World War I (WWI) › Aftermath and Interwar: looks like" in run(tmp_path / "taxonomy.json")


def test_two_names_of_the_list_that_look_alike_become_one(load):
    report = load({"Science & Nature": ["Space Flight", "Space-flight"], "Science  & nature": []})
    assert report.added == [("Science & Nature", None), ("Science & Nature", "Space Flight")]
    assert set(report.left_out) == {("Science & Nature", "Space-flight"), ("Science  & nature", None)}


def test_former_names_are_not_added_again(load):
    history = Category.objects.create(name="World History")
    Category.objects.create(name="History", merged_into=history)
    ancient = Subcategory.objects.create(category=history, name="Antiquity")
    Subcategory.objects.create(category=history, name="Ancient History", merged_into=ancient)
    Subcategory.objects.create(category=history, name="Modern History")
    before = taxonomy()
    report = load({"History": ["Modern History", "Wars"], "World History": ["Ancient History"]})
    assert taxonomy() == before
    assert report.added == []
    assert report.left_out == {
        ("History", None): "a former name of World History",
        ("History", "Wars"): "its category is a former name",
        ("World History", "Ancient History"): "a former name of World History › Antiquity",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no readable JSON"),
        ("[" * 100_000, "no readable JSON"),
        ("[]", "no list of categories"),
        ('{"categories": {}}', "no list of categories"),
        ('{"categories": ["History"]}', "category 1: no category with a list"),
        ('{"categories": [{"category": "History"}]}', "category 1: no category with a list"),
        ('{"categories": [{"subcategories": []}]}', "category 1: a name is missing"),
        ('{"categories": [{"category": "History", "subcategories": [7]}]}', "category 1: a name is missing"),
        ('{"categories": [{"category": "History", "subcategories": [null]}]}', "category 1: a name is missing"),
        ('{"categories": [{"category": "Hist\\u0000ory", "subcategories": []}]}', "a name has a NUL"),
        ('{"categories": [{"category": "Hist\\ud800ory", "subcategories": []}]}', "half of a surrogate pair"),
        (f'{{"categories": [{{"category": "{"é" * 1001}", "subcategories": []}}]}}', "too long"),
        ('{"categories": [{"category": "History", "subcategories": ["A", "A"]}]}', "History › A is there twice"),
        (
            '{"categories": [{"category": "A", "subcategories": []}, {"category": "A", "subcategories": []}]}',
            "category 2: A is there twice",
        ),
    ],
)
def test_a_list_that_cannot_be_taken_changes_nothing(tmp_path, text, reason):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=reason) as caught:
        run(path)
    assert caught.value.returncode == 1
    assert taxonomy() == []


def test_bytes_that_are_no_text_and_no_file_at_all_are_refused(tmp_path):
    path = tmp_path / "list.json"
    path.write_bytes(b'{"categories": ["\xff"]}')
    with pytest.raises(CommandError, match="no readable JSON"):
        run(path)
    with pytest.raises(CommandError, match="cannot be read") as caught:
        run(tmp_path / "none.json")
    assert caught.value.returncode == 1


@pytest.mark.django_db(transaction=True)
def test_while_somebody_writes_categories_for_long_it_ends_with_5():
    with psycopg.connect(**connection.get_connection_params()) as writer:
        writer.execute("SELECT pg_advisory_xact_lock_shared(%s)", [NAMES_LOCK])
        with pytest.raises(CommandError, match="run it again") as caught:
            run()
    assert caught.value.returncode == 5
    assert taxonomy() == []


@pytest.mark.django_db(transaction=True)
def test_two_at_once_add_each_name_once():
    barrier = threading.Barrier(2)
    reports: list[TaxonomyReport] = []

    def load_it() -> None:
        barrier.wait()
        reports.append(load_taxonomy(FILE))
        connection.close()

    threads = [threading.Thread(target=load_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(len(report.added) for report in reports)
    assert numbers == [0, len(taxonomy())]
