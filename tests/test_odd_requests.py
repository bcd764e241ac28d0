"""Requests that no worker sends: refused with a sentence, logged, and never an error of ours."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from ingest.models import IngestLogEntry
from ingest.tokens import create_token

pytestmark = pytest.mark.django_db
UPLOADS = ("/ingest/audio", "/api/upload-audio", "/api/upload-image", "/api/upload-report")


@pytest.fixture
def headers() -> dict[str, str]:
    return {"X-INGEST-TOKEN": create_token("worker", ["ingest", "delete"])}


@pytest.mark.parametrize("name", ["a%00b", "é" * 3000, "x" * 5000, "%ED%A0%80"])
def test_an_address_that_nothing_can_store_is_logged_all_the_same(headers, name):
    answers = [
        Client().put(f"/api/content/{name}", {"title": "x"}, content_type="application/json", headers=headers),
        Client().post(f"/api/delete/{name}", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [404, 200]
    assert IngestLogEntry.objects.count() == 2


@pytest.mark.parametrize("sent_id", ["a\x00b", "é" * 3000, "\U0001f600" * 3000])
@pytest.mark.parametrize("address", UPLOADS[:3])
def test_a_form_with_an_odd_id_is_refused_or_kept_aside(headers, address, sent_id, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    assert Client().post(address, {"video_id": sent_id}, headers=headers).status_code == 400
    part = "image" if "image" in address else "audio"
    file = SimpleUploadedFile("x.mp3", b"no sound and no picture")
    answer = Client().post(address, {"content_id": sent_id, part: file}, headers=headers)
    assert answer.status_code < 500
    assert IngestLogEntry.objects.count() == 2


@pytest.mark.parametrize("address", UPLOADS)
@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=é",
        "multipart/form-data; boundary=b; charset=undefined",
        "multipart/form-data; boundary=b; charset=idna",
        "multipart/form-data; boundary=b; charset=hex",
        "application/x-www-form-urlencoded; charset=undefined",
    ],
)
def test_a_body_that_is_no_form_is_400_in_the_one_shape(headers, address, content_type):
    body = b'--b\r\nContent-Disposition: form-data; name="video_id"\r\n\r\nx\r\n--b--\r\n'
    answer = Client().generic("POST", address, body, content_type, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "message"}
    assert IngestLogEntry.objects.count() == 1
