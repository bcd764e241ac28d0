"""The old JSON comes out the same: recorded answers of the old dashboard against a server over a socket."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("samples", "snapshot"),
    [("real", "snapshot-2025-09-11.db"), ("enriched", "snapshot-2025-09-13-categorised.db")],
)
def test_every_recorded_answer_comes_out_the_same(
    samples: str, snapshot: str, shared: Path, live_server, monkeypatch, capsys
):
    call_command("import_sqlite", str(shared / "data" / snapshot))
    compare: Callable[[], int] = runpy.run_path(str(shared / "tools" / "parity.py"))["main"]
    folder = shared / "contract" / "samples" / samples
    monkeypatch.setattr("sys.argv", ["parity.py", "--base-url", live_server.url, "--samples", str(folder)])
    code = compare()
    assert code == 0, capsys.readouterr().out
