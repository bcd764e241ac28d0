"""While writes are frozen, every write is refused plainly and every read goes on."""

import json
import threading
import time

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from ingest.cutover import freeze as freezing
from ingest.cutover.flags import current
from ingest.cutover.freeze import FreezeTimeout, freeze, unfreeze, writing
from ingest.models import CutoverStep
from videos.models import Video

from .factories import make_video

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = {"X-INGEST-TOKEN": "a-secret"}


@pytest.fixture(autouse=True)
def _secret(settings) -> None:
    settings.INGEST_TOKEN = TOKEN["X-INGEST-TOKEN"]


def report(client, key: str = "AbC-dE_f123"):
    payload = {"video_id": key, "title": "T"}
    return client.post("/ingest/report", json.dumps(payload), content_type="application/json", headers=TOKEN)


def test_a_frozen_library_refuses_writes_with_a_time_to_come_back_and_answers_reads(client, admin_client):
    video = make_video()
    assert freeze("ada")
    answer = report(client)
    assert (answer.status_code, answer.json()["error"], answer["Retry-After"]) == (503, "frozen", "120")
    for method, path in (
        ("post", "/api/content"), ("put", "/api/content/x"), ("delete", f"/api/delete/{video.pk}"),
        ("post", "/ingest/audio"), ("post", "/api/upload-image"), ("post", "/api/upload-report"),
    ):  # fmt: skip
        assert getattr(client, method)(path, headers=TOKEN).status_code == 503, path
    assert admin_client.post(f"/delete/{video.pk}/").status_code == 503
    assert admin_client.post(reverse("admin:videos_curation_change", args=[video.pk])).status_code == 503
    assert list(Video.objects.live()) == [video]
    for path in ("/", "/api/reports", f"/videos/{video.pk}/", "/health/ingest", "/admin/videos/curation/"):
        assert admin_client.get(path).status_code == 200, path
    assert client.get("/health/backend").json()["frozen"] is True
    assert unfreeze("ada") and not unfreeze("ada")
    assert report(client).status_code == 200


def test_every_page_says_so_and_no_remembered_one_goes_on_saying_it(client, admin_client):
    make_video()
    said = "changes wait for a few minutes"
    for path in ("/", "/videos/video_00001/"):
        assert said not in client.get(path).content.decode()
    freeze("ada")
    for path in ("/", "/videos/video_00001/"):
        assert said in client.get(path).content.decode()
    assert said in admin_client.get("/admin/").content.decode()
    unfreeze("ada")
    assert said not in client.get("/").content.decode()


def test_signing_in_is_no_write_of_the_library(client):
    get_user_model().objects.create_superuser("ada", password="secret")
    freeze("ada")
    answer = client.post(reverse("admin:login"), {"username": "ada", "password": "secret", "next": "/"})
    assert answer.status_code == 302


def test_a_freeze_waits_for_the_write_that_is_under_way():
    order, started, go_on = [], threading.Event(), threading.Event()

    def write() -> None:
        try:
            with writing():
                started.set()
                go_on.wait(10)
                make_video()
                order.append("written")
        finally:
            connection.close()

    def freeze_now() -> None:
        try:
            freeze("ada")
            order.append("frozen")
        finally:
            connection.close()

    threads = [threading.Thread(target=write), threading.Thread(target=freeze_now)]
    threads[0].start()
    started.wait(10)
    threads[1].start()
    while not current().frozen:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert order == ["written", "frozen"]


def test_a_freeze_that_cannot_have_its_way_leaves_writes_as_they_were(client, monkeypatch, capsys):
    monkeypatch.setattr(freezing, "WAIT_SECONDS", 1)
    started, go_on = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with writing():
                started.set()
                go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    started.wait(10)
    with pytest.raises(FreezeTimeout, match="nothing was changed"):
        freeze("ada")
    with pytest.raises(CommandError) as refusal:
        call_command("cutover", "freeze", by="ada")
    go_on.set()
    thread.join()
    assert refusal.value.returncode == 4
    assert not current().frozen and report(client).status_code == 200
    assert CutoverStep.objects.get().outcome == "refused"


def test_the_command_keeps_who_did_what_and_can_be_repeated(capsys, admin_client):
    make_video()
    for verb, said in (
        ("status", "writes are taken"), ("freeze", "Writes are frozen"), ("freeze", "were frozen before"),
        ("status", "cutover sync"), ("unfreeze", "taken again"), ("unfreeze", "were not frozen"),
    ):  # fmt: skip
        options = {} if verb == "status" else {"by": "ada"}
        call_command("cutover", verb, **options)
        assert said in capsys.readouterr().out
    steps = list(CutoverStep.objects.order_by("pk").values_list("verb", "by", "numbers"))
    assert steps == [(verb, "ada", {"videos": 1}) for verb in ("freeze", "freeze", "unfreeze", "unfreeze")]
    page = admin_client.get(reverse("admin:ingest_cutoverstep_changelist")).content.decode()
    assert "were not frozen" in page
