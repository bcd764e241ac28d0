"""The documentation tells the truth: every command, setting, address, rule and code is in it."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
IMPORT = (ROOT / "docs" / "import.md").read_text()
OWN_APPS = ("ytv2", "videos", "summaries", "ingest")


def own_commands() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app in OWN_APPS)


@pytest.mark.parametrize("name", own_commands())
def test_every_command_is_in_the_readme_and_says_what_it_does(name):
    assert f"manage.py {name}" in README
    assert len(load_command_class(get_commands()[name], name).help) > 60


def test_every_setting_is_in_the_readme_and_in_the_example():
    source = (ROOT / "ytv2" / "settings.py").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_0-9]+)"', source)) | set(
        re.findall(r'required_in_production\(\s*"([A-Z_]+)"', source)
    )
    assert len(names) > 10
    example = (ROOT / ".env.example").read_text()
    for name in names:
        assert f"`{name}`" in README, name
        assert name in example or name in ("DEBUG", "YTV2_SHARED"), name


def addresses(resolver: URLResolver, prefix: str = "") -> list[str]:
    found = []
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            found.append("/" + route)
        elif not route.startswith("admin/"):
            found += addresses(pattern, route)
    return found


def test_every_address_is_in_the_readme():
    names = {
        "/api/": "/api/docs",
        "/<str:stem>.json": "/<stem>.json",
        "/videos/<path:video_id>/": "/videos/<video_id>/",
        "/api/content/<path:content_id>": "/api/content/<id>",
        "/api/delete/<path:content_id>": "/api/delete/<id>",
    }
    for address in set(addresses(get_resolver())) - {"/favicon.ico"}:
        shown = names.get(address, address.replace("{path:video_id}", "<id>").replace("<path:video_id>", "<id>"))
        assert f"`{shown}" in README, address


def test_every_rule_and_code_of_the_import_is_explained():
    sources = "".join(path.read_text() for path in (ROOT / "ingest" / "sqlite").glob("*.py"))
    rules = set(re.findall(r'rules\[\s*"([a-z_]+)"', sources)) | set(
        re.findall(r'rules\["[a-z_]+" if [^\]]+ else "([a-z_]+)"\]', sources)
    )
    codes = set(re.findall(r'Unmodelled\(\s*"([a-z_0-9]+)"', sources))
    assert len(rules) > 8
    assert len(codes) > 10
    for name in rules | codes:
        assert f"`{name}`" in IMPORT, name


def test_every_make_target_is_in_the_readme():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in set(targets) - {"help"}:
        assert f"make {target}" in README, target


def test_no_file_names_a_package_registry():
    for path in ROOT.glob("requirements*.txt"):
        assert "://" not in path.read_text()
    assert settings.BASE_DIR == ROOT


@pytest.mark.parametrize("number", range(1, len(OWN_APPS)))
def test_imports_point_one_way(number):
    """ytv2 → ingest → summaries → videos (README, "Where things are")."""
    order = ("ytv2", "ingest", "summaries", "videos")
    above = "|".join(order[:number])
    for path in (ROOT / order[number]).rglob("*.py"):
        assert not re.search(rf"^\s*(from|import) ({above})\b", path.read_text(), re.MULTILINE), path
