"""Shadow reads: a sample of what is read is compared with the old system, beside the requests."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.urls import reverse

from ingest.cutover import shadow
from ingest.cutover.comparison import NoAnswer
from ingest.cutover.flags import current, set_flag
from ingest.models import FlagName, ShadowCount, ShadowRead
from ingest.sqlite.importer import import_snapshot
from tests.sqlite.conftest import video, write_file

from .old_dashboard import old_dashboard

__all__ = ("video", "write_file")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old_file(write_file: Callable[..., Path], video: Callable, settings, monkeypatch) -> Iterator[Path]:
    path = write_file(content=[video(number) for number in range(1, 6)])
    import_snapshot(path)
    settings.LEGACY_SQLITE, settings.LEGACY_URL, settings.SHADOW_READS_ONE_IN = str(path), "", 1
    monkeypatch.setattr(shadow, "SECOND_LOOK_SECONDS", 0)
    shadow.WAITING.clear()
    set_flag(FlagName.SHADOW_READS, True, "ada")
    yield path
    shadow.WAITING.clear()


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(sql)


def work() -> tuple[int, int]:
    """Compare what waits; how many requests were compared today, and how many disagreed."""
    shadow.work(current())
    day = ShadowCount.objects.first()
    return (day.compared, day.disagreed) if day else (0, 0)


def test_what_both_answer_alike_is_counted_and_not_kept(old_file, client):
    for url in ("/api/reports?size=3", "/api/filters", "/api/reports/Video-_0002", "/Video-_0001.json"):
        assert client.get(url).status_code == 200
    assert work() == (4, 0)
    assert not ShadowRead.objects.exists()


def test_a_disagreement_shows_in_the_admin_with_both_values(old_file, client, admin_client):
    change(old_file, "UPDATE content SET title = 'Another <b>title</b>' WHERE rowid = 2")
    client.get("/api/reports/Video-_0002")
    client.get("/api/reports/Video-_0003")
    assert work() == (2, 1)
    kept = ShadowRead.objects.get()
    assert (kept.request, kept.differences[0]["path"]) == ("/api/reports/Video-_0002", "title")
    page = admin_client.get(reverse("admin:ingest_shadowread_changelist")).content.decode()
    assert "2 compared, 1 disagreed" in page and "Video-_0002" in page
    shown = admin_client.get(reverse("admin:ingest_shadowread_change", args=[kept.pk])).content.decode()
    assert "Another &lt;b&gt;title" in shown and "Video number 2" in shown


def test_a_change_that_arrives_meanwhile_is_no_disagreement(old_file, client, monkeypatch):
    change(old_file, "UPDATE content SET title = 'Late' WHERE rowid = 2")
    client.get("/api/reports/Video-_0002")
    arrives = "UPDATE content SET title = 'Video number 2' WHERE rowid = 2"
    monkeypatch.setattr(shadow.time, "sleep", lambda seconds: change(old_file, arrives))
    assert work() == (1, 0)


def test_only_a_sample_only_what_was_found_and_nothing_while_it_is_off(old_file, client, settings):
    for url in ("/api/reports/unknown", "/api/reports?sort=%00", "/", "/videos/Video-_0001/"):
        client.get(url)
    client.head("/api/reports")
    client.post("/api/reports")
    assert not [request for request in shadow.WAITING if not request.startswith("/api/reports?")]
    shadow.WAITING.clear()
    settings.SHADOW_READS_ONE_IN = 10
    for _ in range(200):
        client.get("/api/reports/Video-_0001")
    assert 2 < len(shadow.WAITING) < 60
    set_flag(FlagName.SHADOW_READS, False, "ada")
    client.get("/api/reports/Video-_0001")
    assert work() == (0, 0) and not shadow.WAITING


def test_the_queue_is_bounded_and_never_in_the_way(old_file, client):
    for _ in range(shadow.WAITING.maxlen + 50):
        shadow.note("/api/reports")
    assert len(shadow.WAITING) == shadow.WAITING.maxlen
    assert work() == (shadow.AT_ONCE, 0)


def test_the_old_dashboard_is_asked_over_http_and_may_be_away(old_file, client, settings):
    with old_dashboard(old_file) as old:
        settings.LEGACY_URL = old.url
        client.get("/api/reports/Video-_0002")
        assert work()[0] == 1
        old.stop()
        client.get("/api/reports/Video-_0002")
        with pytest.raises(NoAnswer, match="does not answer"):
            work()
        assert client.get("/api/reports/Video-_0002").status_code == 200
