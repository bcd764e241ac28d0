"""What the database itself refuses, tried by raw SQL: no code of ours stands between."""

import pgtrigger
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from summaries.models import Summary, SummaryText
from videos.models import Categorization, Category, Origin, Subcategory, Video

from .factories import categorise, make_video, summarise

pytestmark = pytest.mark.django_db


def run(sql: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def refused(sql: str, *parameters: object) -> str:
    """The name of the constraint that refused a statement, at once or at the end of the transaction."""
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        run(sql, *parameters)
        run("SET CONSTRAINTS ALL IMMEDIATE")
    return refusal.value.__cause__.diag.constraint_name


def deleted_video() -> Video:
    video = make_video()
    run("UPDATE videos_video SET deleted_at = now(), deleted_by = 'owner' WHERE video_id = %s", video.pk)
    return video


def test_a_deleted_video_cannot_be_undeleted():
    video = deleted_video()
    undelete = "UPDATE videos_video SET deleted_at = NULL, deleted_by = '' WHERE video_id = %s"
    assert refused(undelete, video.pk) == "videos_video_deleted_stays_deleted"


def test_no_setting_of_the_trigger_library_opens_a_way_round():
    video = deleted_video()
    run("SELECT set_config('pgtrigger.ignore', '{pgtrigger_deleted_stays_deleted_d5a6e,videos_video}', true)")
    undelete = "UPDATE videos_video SET deleted_at = NULL, deleted_by = '' WHERE video_id = %s"
    assert refused(undelete, video.pk) == "videos_video_deleted_stays_deleted"


@pytest.mark.parametrize("state", [make_video, deleted_video])
def test_a_row_cannot_be_removed(state):
    assert refused("DELETE FROM videos_video WHERE video_id = %s", state().pk) == "videos_video_key_is_kept"


def test_the_orm_cannot_remove_a_row_either():
    video = make_video()
    with pytest.raises(IntegrityError, match="keeps its key for ever"), transaction.atomic():
        Video.objects.all().delete()
    with pytest.raises(IntegrityError, match="keeps its key for ever"), transaction.atomic():
        video.delete()


def test_a_key_cannot_change():
    video = make_video()
    rename = "UPDATE videos_video SET video_id = 'other' WHERE video_id = %s"
    assert refused(rename, video.pk) == "videos_video_key_is_final"


def test_a_key_cannot_be_empty():
    with pytest.raises(IntegrityError, match="videos_video_key_not_empty"), transaction.atomic():
        make_video(video_id="")


def test_two_videos_cannot_share_an_old_id_but_many_have_none():
    make_video(1, legacy_id="yt:a")
    make_video(2)
    make_video(3)
    with pytest.raises(IntegrityError, match="videos_video_legacy_id_unique"), transaction.atomic():
        make_video(4, legacy_id="yt:a")


def test_keys_that_differ_by_case_are_two_videos():
    make_video(1, video_id="AbC-dE_f123")
    make_video(2, video_id="abc-de_f123")
    assert Video.objects.count() == 2


def two_revisions() -> Video:
    video = make_video()
    summarise(video, "first")
    summarise(video, "second")
    return video


def test_two_revisions_cannot_both_be_the_latest():
    two_revisions()
    assert refused("UPDATE summaries_summary SET is_latest = true") == "summaries_summary_one_latest"


def test_a_second_latest_revision_cannot_be_inserted():
    video = two_revisions()
    insert = """
        INSERT INTO summaries_summary (video_id, variant, revision, is_latest, text, html, language)
        VALUES (%s, 'comprehensive', 3, true, 'third', '', '')
    """
    assert refused(insert, video.pk) == "summaries_summary_one_latest"


def test_the_newest_revision_is_the_latest():
    two_revisions()
    assert refused("UPDATE summaries_summary SET is_latest = false") == "summaries_summary_newest_is_latest"
    swap = "UPDATE summaries_summary SET is_latest = (revision = 1)"
    assert refused(swap) in ("summaries_summary_newest_is_latest", "summaries_summary_one_latest")
    assert refused("DELETE FROM summaries_summary WHERE is_latest") == "summaries_summary_newest_is_latest"


def test_revisions_only_grow():
    video = two_revisions()
    Summary.objects.merge({video.pk: [SummaryText("comprehensive", "seventh", revision=7)]}, newest={video.pk})
    insert = """
        INSERT INTO summaries_summary (video_id, variant, revision, is_latest, text, html, language)
        VALUES (%s, 'comprehensive', 5, false, 'older', '', '')
    """
    assert refused(insert, video.pk) == "summaries_summary_revisions_only_grow"


def test_a_revision_number_is_given_once_and_from_1():
    video = two_revisions()
    insert = """
        INSERT INTO summaries_summary (video_id, variant, revision, is_latest, text, html, language)
        VALUES (%s, %s, %s, %s, 'text', '', '')
    """
    assert refused(insert, video.pk, "comprehensive", 2, False) == "summaries_summary_revision_unique"
    assert refused(insert, video.pk, "audio", 0, True) == "summaries_summary_revision_from_1"
    assert refused(insert, video.pk, "", 1, True) == "summaries_summary_variant_not_empty"


def test_a_subcategory_cannot_stand_under_a_foreign_category():
    video = make_video()
    categorise(video, [("History", "Modern History"), ("Technology", None)], Origin.AI)
    foreign = "UPDATE videos_categorization SET category_id = %s WHERE subcategory_id IS NOT NULL"
    technology = Category.objects.get(name="Technology")
    assert refused(foreign, technology.pk) == "videos_categorization_pair_real"


def test_a_pair_and_a_flat_name_are_given_once():
    video = make_video()
    categorise(video, [("History", "Modern History"), ("Technology", None)])
    history, technology = Category.objects.order_by("name")
    modern = Subcategory.objects.get()
    insert = """
        INSERT INTO videos_categorization (video_id, position, category_id, subcategory_id, origin)
        VALUES (%s, 9, %s, %s, %s)
    """
    assert refused(insert, video.pk, history.pk, modern.pk, "ai") == "videos_categorization_unique"
    assert refused(insert, video.pk, technology.pk, None, "ai") == "videos_categorization_flat_unique"
    assert refused(insert, video.pk, history.pk, None, "rumour") == "videos_categorization_origin_known"


def test_empty_names_are_refused():
    for sql in (
        "INSERT INTO videos_category (name, position, is_new) VALUES ('', 0, false)",
        "UPDATE videos_video SET source = ''",
    ):
        make_video(video_id=sql[:20])
        assert refused(sql).endswith("_not_empty")


def test_a_category_in_use_cannot_be_removed():
    video = make_video()
    categorise(video, [("History", "Modern History")])
    assert "subcategory_id" in refused("DELETE FROM videos_subcategory")
    assert Categorization.objects.count() == 1


def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_trigger_is_installed_as_the_models_have_it():
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(oid) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_%'")
        installed = {row[0] for row in cursor.fetchall()}
    expected = {trigger.compile(model).hash for model, trigger in pgtrigger.registered()}
    assert expected <= installed
    assert len(expected) >= 20
