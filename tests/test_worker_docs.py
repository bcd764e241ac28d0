"""docs/worker.md tells the truth: its lines are run by a shell, against a server, one after the other."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ingest.tokens import create_token
from videos.models import Video

from .test_files import PNG_BYTES

ROOT = Path(__file__).resolve().parent.parent
# An MPEG 1 layer III frame of 128 kbit/s at 44.1 kHz has 417 bytes.
SILENT_FRAME = bytes.fromhex("fffb9000") + bytes(413)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_of_the_workers_manual_work(live_server, tmp_path, settings):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    sound = tmp_path / "sound.mp3"
    sound.write_bytes(SILENT_FRAME * 20)
    picture = tmp_path / "picture.png"
    picture.write_bytes(PNG_BYTES)
    environment = os.environ | {
        "SITE": live_server.url,
        "TOKEN": create_token("worker", ["ingest", "delete", "read"]),
        "MP3": str(sound),
        "PNG": str(picture),
    }
    answers = []
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "worker.md").read_text(), re.DOTALL)
    for block in blocks:
        done = subprocess.run(["sh", "-ec", block], env=environment, capture_output=True, text=True, timeout=30,
                              cwd=tmp_path)  # fmt: skip
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        answers.append(done.stdout)
    assert len(blocks) >= 5
    assert '"action": "created"' in answers[1] and '"summaries_upserted": 1' in answers[1]
    assert '"action": "updated"' in answers[2]
    assert '"report_stem": "some_title_AbC-dE_f123"' in answers[3] and '"action": "updated"' in answers[3]
    assert answers[4].count('"action": "unchanged"') == 1 and answers[4].count('"action": "added"') == 1
    assert (tmp_path / "library.db").read_bytes().startswith(b"SQLite format 3\0")
    assert Video.objects.get(pk="AbC-dE_f123").deleted_at is not None
