"""Static files as production serves them: collected, hashed and compressed."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import override_settings

NAMED = {
    ".js": re.compile(r"""(?:\bfrom|\bimport)[\s(]*["'](\.[^"']+)["']"""),
    ".css": re.compile(r"""url\(["']?([^"')]+)["']?\)"""),
}


PRODUCTION = {
    "STORAGES": {"staticfiles": {"BACKEND": "ytv2.static.HashedFilesStorage"}},
    "WHITENOISE_KEEP_ONLY_HASHED_FILES": True,
}


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `collectstatic` fills in production."""
    folder = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=folder, **PRODUCTION):
        call_command("collectstatic", interactive=False, verbosity=0)
    return folder


@pytest.fixture
def collected(filled: Path) -> Iterator[Path]:
    """The same; the settings are production's meanwhile."""
    with override_settings(STATIC_ROOT=filled, **PRODUCTION):
        yield filled


def test_every_file_that_a_file_names_is_there_under_the_name_of_its_content(collected: Path):
    """A name without a hash would be kept by browsers beyond the next deploy; one with two is nowhere."""
    ours = [path for folder in ("js", "css") for path in (collected / folder).iterdir() if path.suffix in NAMED]
    named = [(path, urldefrag(name).url) for path in ours for name in NAMED[path.suffix].findall(path.read_text())]
    assert len(named) > 10
    for path, name in named:
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", name), f"{path.name} names {name}"
        assert (path.parent / name).resolve().is_file(), f"{path.name} names {name}"


def test_pages_name_the_hashed_files(collected: Path, client, db):
    html = client.get("/").content.decode()
    for kind in ("css/ytv2", "js/app", "django_htmx/htmx-2.min"):
        assert re.search(rf'"/static/{kind}\.[0-9a-f]{{12}}\.(css|js)"', html), kind
    assert staticfiles_storage.url("js/app.js") in html


def test_files_that_change_least_are_compressed(collected: Path):
    assert list((collected / "js").glob("app.*.js.br"))
    assert list((collected / "css").glob("ytv2.*.css.gz"))
