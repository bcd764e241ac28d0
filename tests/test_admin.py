"""The admin: every list and form opens, searching works, and nothing in it removes a row."""

from urllib.parse import unquote

import pytest
from django.contrib.admin.sites import site
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.urls import reverse

from ingest.models import (
    AudioFile,
    ImageFile,
    IngestLogEntry,
    QuarantinedRow,
    RowOutcome,
    Snapshot,
    Token,
    VaultRow,
)  # fmt: skip
from ingest.sqlite.codec import Text, encode
from ingest.tokens import create_token
from summaries.models import Summary
from videos.models import Category, Curation, Subcategory, Video

from .factories import make_library, make_video

MODELS = (
    Video, Curation, Category, Subcategory, Summary, Snapshot, VaultRow, RowOutcome, QuarantinedRow, AudioFile,
    ImageFile, IngestLogEntry, Token,
)  # fmt: skip

pytestmark = pytest.mark.django_db


def address(model, page: str, *arguments) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def everything(tmp_path) -> None:
    make_library(30)
    call_command("make_snapshot", str(tmp_path / "s.db"), videos=5, seed=1)
    call_command("import_sqlite", str(tmp_path / "s.db"))
    QuarantinedRow.objects.create(
        row=VaultRow.objects.first(), code="nul_in_text", column="title", message="A NUL.",
        value=encode((Text(b"a\x00\xff<script>"),)),
    )  # fmt: skip
    AudioFile.objects.create(
        video=Video.objects.first(), name="audio/a.mp3", source_name="<script>alert(1)</script>.mp3", size_bytes=1
    )

    ImageFile.objects.create(
        video=Video.objects.first(), name="images/a.png", source_name="<script>alert(1)</script>.png", size_bytes=1,
        content_type="image/png",
    )  # fmt: skip
    IngestLogEntry.objects.create(
        route="/ingest/report", outcome="updated", status=200, message="<script>alert(1)</script>",
        changes={"title": ["a", "<script>alert(1)</script>"]}, body=b"\x00\xff<script>alert(1)</script>",
    )  # fmt: skip
    create_token("<script>alert(1)</script>", ["ingest"])


@pytest.mark.parametrize("model", MODELS)
def test_every_list_search_and_form_opens(everything, admin_client, model):
    assert site.is_registered(model)
    assert admin_client.get(address(model, "changelist")).status_code == 200
    assert admin_client.get(address(model, "changelist"), {"q": "number 7"}).status_code == 200
    page = admin_client.get(address(model, "change", model.objects.first().pk))
    assert page.status_code == 200
    assert b"<script>\xff" not in page.content
    assert "<script>alert" not in page.content.decode()


def test_a_video_is_found_by_title_channel_and_id(everything, admin_client):
    for q in ("NUMBER 17", "video_00017"):
        page = admin_client.get(address(Video, "changelist"), {"q": q}).content.decode()
        assert "Video number 17" in page
        assert "Video number 18" not in page


def test_the_videos_are_sorted_by_title(everything, admin_client):
    page = admin_client.get(address(Video, "changelist"), {"o": "1"}).content.decode()
    assert page.index("Video number 1<") < page.index("Video number 10<") < page.index("Video number 2<")


def test_the_history_of_a_video_is_what_the_triggers_kept(admin_client):
    video = make_video(1, video_id="a_:b-c", title="Then")
    Video.objects.filter(pk=video.pk).update(title="Now")
    page = admin_client.get(address(Video, "history", quote(video.pk)), follow=True).content.decode()
    assert '<del dir="auto">Then</del>' in page and '<ins dir="auto">Now</ins>' in page


def test_a_persons_title_outlives_the_same_snapshot(tmp_path, admin_client):
    call_command("make_snapshot", str(tmp_path / "s.db"), videos=5, seed=1)
    call_command("import_sqlite", str(tmp_path / "s.db"))
    video = Video.objects.first()
    form = admin_client.get(address(Video, "change", video.pk)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields}
    data = {name: "" if value is None else value for name, value in data.items()} | {
        "title": "A better title", "categorizations-TOTAL_FORMS": 0, "categorizations-INITIAL_FORMS": 0,
        "published_at_0": "", "published_at_1": "", "indexed_at_0": "2025-09-01", "indexed_at_1": "00:00:00",
    }  # fmt: skip
    answer = admin_client.post(address(Video, "change", video.pk), data)
    assert answer.status_code == 302, answer.context["errors"]
    call_command("import_sqlite", str(tmp_path / "s.db"))
    video.refresh_from_db()
    assert video.title == "A better title"


@pytest.mark.parametrize("model", [Video, Summary, Snapshot, VaultRow, RowOutcome, QuarantinedRow, AudioFile])
def test_nothing_can_be_removed(everything, admin_client, model):
    row = model.objects.first()
    assert admin_client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_the_number_of_queries_of_the_video_list_does_not_grow(admin_client, django_assert_max_num_queries):
    make_library(45)
    with django_assert_max_num_queries(16):
        admin_client.get(address(Video, "changelist"))


def test_strangers_are_asked_to_sign_in(client):
    answer = client.get(address(Video, "changelist"))
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


def test_the_ingest_log_is_filtered_by_addresses_without_ids_and_found_by_any_id(admin_client):
    make_video(video_id="AbC-dE_f123")
    for route, video_id in (
        ("/api/content", "x"),
        ("/api/content/a_AbC-dE_f123", "AbC-dE_f123"),
        ("/api/delete/z", ""),
    ):
        IngestLogEntry.objects.create(route=route, video_id=video_id, outcome="updated", status=200)
    page = admin_client.get(address(IngestLogEntry, "changelist"))
    assert "address=/api/delete" in unquote(page.content.decode()) and "delete/z&" not in unquote(page.content.decode())
    for query, routes in (
        ({"address": "/api/content"}, ["/api/content/a_AbC-dE_f123", "/api/content"]),
        ({"address": "/api/delete"}, ["/api/delete/z"]),
        ({"address": "/api"}, ["/api/delete/z", "/api/content/a_AbC-dE_f123", "/api/content"]),
        ({"q": "yt:abc-de_f123"}, ["/api/content/a_AbC-dE_f123"]),
        ({"q": "title_AbC-dE_f123"}, ["/api/content/a_AbC-dE_f123"]),
        ({"q": "AbC-dE"}, []),
    ):
        found = admin_client.get(address(IngestLogEntry, "changelist"), query).context["cl"].result_list
        assert [entry.route for entry in found] == routes, query
