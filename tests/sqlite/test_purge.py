"""A purge and what was imported: nothing of a purged video is left in the vault, and nothing of another is lost."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from ingest.models import Outcome, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from ingest.purge import purge_deleted
from ingest.sqlite.codec import Text
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.verifier import verify_snapshot
from summaries.models import Summary
from videos.models import Video

pytestmark = pytest.mark.django_db

NOW = timedelta()
MARK = "Quagmire"


def delete(*numbers: int) -> None:
    for number in numbers:
        Video.objects.get(pk=f"Video-_{number:04d}").delete_by("owner", "gone")


def vaulted(table: str) -> list[int]:
    return list(VaultRow.objects.filter(table=table).order_by("key").values_list("key", flat=True))


def tables_with(text: str) -> set[str]:
    """The tables of the database that hold a text anywhere, also in bytes."""
    found = set()
    for table in connection.introspection.django_table_names():
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT FROM "{table}" AS stored WHERE strpos(stored::text, %s) > 0 OR strpos(stored::text, %s) > 0',
                [text, text.encode().hex()],
            )
            if cursor.rowcount:
                found.add(table)
    return found


@pytest.fixture
def library(video) -> dict[str, list[dict]]:
    """Rows of every table of two videos, of which the first has the mark in all of its texts."""
    marked = {
        "title": f"{MARK} 1", "channel_name": MARK, "category": json.dumps([MARK]), "key_topics": json.dumps([MARK]),
    }  # fmt: skip
    old_ids = ("yt:video-_0001", "yt:video-_0002")
    unreadable = Text(b"\xff" + MARK.encode())
    return {
        "content": [
            video(1, **marked),
            video(2),
            # Quarantined: of the first video a second time, of the second too, and one that names nobody.
            video(1, id="yt:other1", title=f"{MARK} again"),
            video(2, id="yt:other2"),
            video(3, id=None, video_id="", canonical_url="", title="Nobody's"),
        ],
        "content_summaries": [{"content_id": old_id, "summary_text": f"{MARK} flat"} for old_id in old_ids[:1]]
        + [{"content_id": old_ids[1], "summary_text": "Flat."}],
        "summary_variants": [
            {"video_id": "Video-_0001", "variant_type": "audio", "revision": 1, "content": f"{MARK} audio"},
            {"video_id": "Video-_0002", "variant_type": "audio", "revision": 1, "content": "Audio."},
            {"video_id": "Video-_0001", "variant_type": "audio", "revision": 2, "content": unreadable},
            {"video_id": "Video-_000", "variant_type": "audio", "revision": 1, "content": "An orphan's."},
            {"video_id": None, "variant_type": "audio", "revision": 1, "content": "Nobody's."},
        ],
        "content_files": [{"content_id": old_ids[0], "file_path": f"/{MARK}.mp3"}, {"content_id": old_ids[1]}],
        "migration_log": [{"content_id": old_ids[0], "source_file": f"{MARK}.json"}, {"source_file": "b.json"}],
    }  # fmt: skip


def test_nothing_of_a_purged_video_is_left_anywhere(import_rows, library):
    import_rows(**library)
    assert {"videos_video", "ingest_vaultrow", "summaries_summary"} < tables_with(MARK)
    delete(1)
    Video.objects.get(pk="Video-_0001").restore_by("owner")
    Summary.objects.filter(video="Video-_0001").update(language="en")
    delete(1)
    purge_deleted(NOW, by="owner")
    # The name of a category is no video's.
    assert tables_with(MARK) == {"videos_category", "videos_categoryevent"}
    assert Video.objects.get(pk="Video-_0001").is_purged


def test_nothing_of_another_video_is_lost(import_rows, library):
    import_rows(**library)
    delete(1)
    report = purge_deleted(NOW, by="owner").library
    # content 4 and 5 and three of the texts are of others, or of nobody.
    assert vaulted("content") == [2, 4, 5]
    assert vaulted("content_summaries") == [2]
    assert vaulted("summary_variants") == [2, 4, 5]
    assert vaulted("content_files") == [2]
    assert vaulted("migration_log") == [2]
    assert set(QuarantinedRow.objects.values_list("row__table", "row__key")) == {
        ("content", 4), ("content", 5), ("summary_variants", 4), ("summary_variants", 5),
    }  # fmt: skip
    assert (report.erased["rows in the vault"], report.erased["quarantined rows"]) == (7, 2)
    assert Summary.objects.filter(video="Video-_0002").count() == 2


def test_the_snapshot_says_which_rows_it_has_lost(import_rows, library):
    import_rows(**library)
    delete(1)
    purge_deleted(NOW, by="owner")
    snapshot = Snapshot.objects.get()
    first = {
        "content": [1, 3], "content_summaries": [1], "summary_variants": [1, 3], "content_files": [1],
        "migration_log": [1],
    }  # fmt: skip
    assert snapshot.report["purged"] == first
    assert not any(MARK in row["message"] for row in snapshot.report["quarantined"])
    # What became of each row is still known.
    assert RowOutcome.objects.filter(video_id="Video-_0001", outcome=Outcome.MODELLED).count() == 3
    delete(2)
    purge_deleted(NOW, by="owner")
    snapshot.refresh_from_db()
    assert snapshot.report["purged"] == {
        "content": [1, 2, 3, 4], "content_summaries": [1, 2], "summary_variants": [1, 2, 3], "content_files": [1, 2],
        "migration_log": [1],
    }  # fmt: skip


def test_rows_go_in_every_snapshot_also_in_one_that_comes_later(write_file, video):
    first = write_file("first.db", content=[video(1), video(2)])
    second = write_file("second.db", content=[video(2), video(1, title=f"{MARK} new", updated_at="2026-01-01")])
    import_snapshot(first)
    delete(1)
    purge_deleted(NOW, by="owner")
    assert import_snapshot(second).tables["content"].skipped_deleted == 1
    assert tables_with(MARK) == {"ingest_vaultrow"}
    report = purge_deleted(NOW, by="owner")
    assert report.library.erased == {"rows in the vault": 1}
    assert not tables_with(MARK)
    purged = Snapshot.objects.order_by("name").values_list("report__purged", flat=True)
    assert list(purged) == [{"content": [1]}, {"content": [2]}]


def test_the_same_snapshot_again_brings_nothing_back(write_file, video):
    path = write_file(content=[video(1), video(2)])
    import_snapshot(path)
    delete(1)
    purge_deleted(NOW, by="owner")
    report = import_snapshot(path)
    assert report.changed_nothing
    assert report.tables["content"].skipped_deleted == 1
    assert vaulted("content") == [2]
    assert Video.objects.get(pk="Video-_0001").is_purged
    assert Snapshot.objects.get().report["purged"] == {"content": [1]}


def test_a_row_that_two_videos_could_claim_stays(import_rows, video):
    """Only a whole name counts, and only one that is nobody else's."""
    import_rows(
        content=[video(1, id="Video-_0002"), video(2, id="yt:b")],
        content_files=[{"content_id": "Video-_0002"}, {"content_id": "Video-_00"}, {"content_id": "Video-_0001"}],
    )
    delete(1)
    purge_deleted(NOW, by="owner")
    assert vaulted("content_files") == [1, 2]


def test_a_snapshot_that_is_not_whole_in_the_vault_is_named(import_rows, video, capsys):
    import_rows(content=[video(1)])
    Snapshot.objects.update(vaulted_at=None)
    RowOutcome.objects.all().delete()
    delete(1)
    call_command("purge_deleted", "--older-than=0d")
    out = capsys.readouterr().out
    assert "Not looked at" in out
    assert "library.db" in out
    assert vaulted("content") == [1]


def test_quarantined_rows_that_were_purged_are_met_again(write_file, library):
    path = write_file(**library)
    import_snapshot(path, accept_quarantine=True)
    delete(1)
    purge_deleted(NOW, by="owner")
    report = import_snapshot(path)
    assert report.not_accepted == 0
    assert report.tables["content"].quarantined == 3
    assert tables_with(MARK) == {"videos_category", "videos_categoryevent"}
    assert Snapshot.objects.get().report["purged"]["content"] == [1, 3]


def test_a_snapshot_that_was_not_imported_yet_keeps_what_it_lost(write_file, library, video):
    import_snapshot(write_file("other.db", content=[video(1)]))
    path = write_file(**library)
    assert import_snapshot(path).not_accepted
    delete(1)
    purge_deleted(NOW, by="owner")
    import_snapshot(path, accept_quarantine=True)
    assert Snapshot.objects.get(name=path.name).report["purged"]["content"] == [1, 3]
    assert Video.objects.get(pk="Video-_0001").is_purged


def test_a_purge_is_told_apart_by_the_verification(write_file, library):
    path = write_file(**library)
    import_snapshot(path, accept_quarantine=True)
    assert verify_snapshot(path).holds
    delete(1)
    purge_deleted(NOW, "owner")
    report = verify_snapshot(path)
    assert report.holds, report.differences
    assert sum(table.purged for table in report.vault) > 3
    # Purged rows of a video that is not deleted would be lost ones.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ytv2.allow = 'restore'")
        cursor.execute("UPDATE videos_video SET deleted_at = NULL, deleted_by = '', deleted_reason = ''")
    assert not verify_snapshot(path).holds
