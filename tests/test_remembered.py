"""What a process remembers of the library is never shown after a change, and never to somebody else."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos.deciding import deciding
from videos.models import Category, Video

from .factories import categorise, make_library, make_video, summarise

pytestmark = pytest.mark.django_db(transaction=True)


def page(client: Client, path: str = "/") -> str:
    return client.get(path).content.decode()


def test_every_change_shows_at_once(client):
    make_library(3)
    assert "3 summaries found" in page(client)
    video = make_video(50, title="Brand new")
    assert "Brand new" in page(client)
    Video.objects.filter(pk=video.pk).update(title="Renamed")
    assert "Renamed" in page(client)
    categorise(video, [("Old name", None)])
    assert "Old name" in page(client)
    with deciding("ada"):
        Category.objects.filter(name="Old name").update(name="New name")
    assert "New name" in page(client)
    assert "Old name" not in page(client)
    assert "1 summary found" not in page(client, "/?q=falcon")
    summarise(video, "A falcon flies.")
    assert "1 summary found" in page(client, "/?q=falcon")
    Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now())
    assert "3 summaries found" in page(client)
    assert "Renamed" not in page(client)


def test_a_page_that_was_asked_for_before_costs_the_flags_and_the_revision(client):
    make_library(30)
    first = page(client, "/?q=number")
    with CaptureQueriesContext(connection) as captured:
        assert page(client, "/?q=number") == first
    assert len(captured) == 2


def test_what_a_transaction_sees_is_not_remembered_for_others(client):
    make_library(2)

    def look(found: list[str]) -> None:
        found.append(page(Client()))
        connection.close()

    with pytest.raises(RuntimeError), transaction.atomic():
        make_video(60, title="Never committed")
        assert "Never committed" in page(client)
        found: list[str] = []
        thread = threading.Thread(target=look, args=[found])
        thread.start()
        thread.join()
        assert "Never committed" not in found[0]
        raise RuntimeError
    make_video(61, title="Committed")
    assert "Never committed" not in page(client)
    assert "Committed" in page(client)


def test_staff_and_strangers_see_their_own_page(client, admin_client):
    make_library(2)
    assert "Sign in" in page(client)
    assert "Sign in" not in page(admin_client)
    assert "Sign in" in page(client)
