"""Quarantined rows in the admin: a person sees why and what, exactly, and decides; nothing else can be done there."""

import hashlib
import html
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest.admin import EXPLANATIONS, RETRIES_AT_ONCE, TEXT_BYTES
from ingest.models import SCHEMA_TABLE, Outcome, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from ingest.sqlite.codec import Text, encode
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.schema import Generation
from ingest.values import HEX_BYTES, marked, shown
from summaries.models import Summary

from .factories import make_video
from .sqlite.conftest import insert

LIST = "/admin/ingest/quarantinedrow/"
HOSTILE = b"a\x00\xff<script>alert(1)</script>\xe2\x80\xae" + "שלום".encode()


def import_file(path: Path, **tables: Iterable[dict]) -> Snapshot:
    """Import a file with these rows, in the old schema; what cannot be modelled is quarantined."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in Generation.LAST.statements():
            connection.execute(statement)
        for table, rows in tables.items():
            for row in rows:
                insert(connection, table, row)
        connection.commit()
    import_snapshot(path)
    return Snapshot.objects.get(name=path.name)


def quarantine(name: str, table: str, rows: list[dict], code: str, column: str, message: str) -> list[QuarantinedRow]:
    """Rows of a snapshot as an import leaves them that quarantines them all, less its file."""
    columns = Generation.LAST.columns
    snapshot = Snapshot.objects.create(
        name=name,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size_bytes=1,
        generation=Generation.LAST,
        schema=[],
        tables={table: {"columns": list(listed), "has_rowid": True} for table, listed in columns.items()},
        vaulted_at=timezone.now(),
        report={"tables": {table: {"rows": len(rows), "modelled": 0, "quarantined": len(rows)}}},
    )
    quarantined = []
    for key, values in enumerate(rows, start=1):
        content = encode(tuple(values.get(name) for name in columns[table]))
        row = VaultRow.objects.create(snapshot=snapshot, table=table, key=key, content=content, sha256=b"")
        value = values[column]
        quarantined.append(
            QuarantinedRow.objects.create(
                row=row, code=code, column=column, value=encode((value,)), message=f"{message} {value!r}"
            )
        )
    return quarantined


def orphans(name: str, number: int, first: int = 0) -> list[QuarantinedRow]:
    """Texts whose videos are missing."""
    rows = [
        {
            "content_id": Text(b"yt:nowhere%04d" % n),
            "summary_text": Text(b"Summary %d" % n),
            "summary_type": Text(b"audio"),
        }
        for n in range(first, first + number)
    ]
    return quarantine(name, "content_summaries", rows, "orphan", "content_id", "There is no video")


def page(row: QuarantinedRow, name: str = "change") -> str:
    return reverse(f"admin:ingest_quarantinedrow_{name}", args=[row.pk])


def words(answer) -> str:
    """What a page says, as a person reads it."""
    text = answer.content.decode()
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text.split('id="content-start"')[-1], flags=re.S)
    return " ".join(html.unescape(re.sub(r"<(?!wbr)[^>]+>", " ", text).replace("<wbr>", "")).split())


def act(client: Client, action: str, rows: Iterable[QuarantinedRow], query: str = "", **data: str) -> str:
    """Do an action of the list; what the page says then."""
    data |= {"action": action, "index": "0", "_selected_action": [str(row.pk) for row in rows]}
    return words(client.post(LIST + query, data, follow=True))


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def one(db) -> QuarantinedRow:
    """A row with a hostile title."""
    row = {"id": Text(b"yt:abc-de_f123"), "video_id": Text(b"AbC-dE_f123"), "title": Text(HOSTILE), "view_count": 7}
    return quarantine("one.db", "content", [row], "invalid_utf8", "title", "title is no valid UTF-8.")[0]


@pytest.fixture
def three(db) -> list[QuarantinedRow]:
    """Three texts whose videos are missing."""
    return orphans("three.db", 3)


@pytest.fixture
def onlooker(client, django_user_model) -> Client:
    """Somebody who may look at everything of this app, and change nothing."""
    user = django_user_model.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="ingest", codename__startswith="view_"))
    client.force_login(user)
    return client


class TestList:
    def test_open_rows_are_shown_first_and_the_filter_counts_each_state(self, three, admin_client):
        QuarantinedRow.objects.filter(pk=three[0].pk).accept(by="curator")
        text = words(admin_client.get(LIST))
        assert "open (2)" in text and "accepted (1)" in text and "resolved (0)" in text and "all (3)" in text
        for query, keys in {"": [2, 3], "?state=accepted": [1], "?state=resolved": [], "?state=all": [1, 2, 3]}.items():
            rows = admin_client.get(LIST + query).context["cl"].result_list
            assert [row.row.key for row in rows] == keys
            assert all(row.row.table == "content_summaries" for row in rows)

    def test_it_is_searched_by_message_and_narrowed_by_code_table_and_snapshot(self, one, admin_client):
        orphans("other.db", 2)
        other = Snapshot.objects.get(name="other.db")
        for query, number in {
            "?q=nowhere0001": 1, "?q=nothing+of+it": 0, "?code=orphan": 2, "?table=content": 1,
            "?table=migration_log": 0,
            f"?snapshot={other.pk}": 2, f"?snapshot={other.pk}&table=content": 0, "?table=%00": 0, "?snapshot=x": 0,
            f"?table={SCHEMA_TABLE}": 0, "?state=nonsense": 3,
        }.items():  # fmt: skip
            assert len(admin_client.get(LIST + query).context["cl"].result_list) == number, query

    def test_the_number_of_queries_does_not_grow(self, three, admin_client, django_assert_max_num_queries):
        orphans("more.db", 17, 3)
        with django_assert_max_num_queries(20):
            assert len(admin_client.get(LIST).context["cl"].result_list) == 20

    def test_hostile_messages_are_only_text(self, one, admin_client):
        QuarantinedRow.objects.update(message="<script>alert(1)</script>\u202egnp", code="<b>new</b>")
        for address in (LIST, page(one)):
            content = admin_client.get(address).content.decode()
            assert "<script>alert" not in content and "<b>new" not in content and "\u202e" not in content
            assert "<mark>\\u202e</mark>" in content


class TestPage:
    def test_it_says_why_where_and_what(self, one, admin_client):
        text = words(admin_client.get(page(one)))
        assert EXPLANATIONS[one.code] in text
        assert "Column: title" in text and f"text, {len(HOSTILE)} bytes" in text
        assert r"a \x00\xff <script>alert(1)</script> \u202e שלום" in text
        assert "00000000 61 00 ff 3c 73 63 72 69 70 74 3e 61 6c 65 72 74 a..<script>alert" in text
        # The whole row, column by column.
        assert "view_count integer 7" in text and "video_id text, 11 bytes AbC-dE_f123" in text
        assert (
            reverse("admin:ingest_vaultrow_change", args=[one.row_id]) in admin_client.get(page(one)).content.decode()
        )

    def test_the_exact_bytes_can_be_kept(self, one, admin_client):
        title = list(one.row.snapshot.tables["content"]["columns"]).index("title")
        for address in (page(one, "value"), reverse("admin:ingest_vaultrow_value", args=[one.row_id, title])):
            answer = admin_client.get(address)
            assert answer.content == HOSTILE
            assert answer["Content-Type"] == "application/octet-stream"
            assert re.fullmatch(r'attachment; filename="[a-z0-9-]+\.bin"', answer["Content-Disposition"])
            assert answer["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("index", [6, 8, 500])
    def test_there_is_no_file_of_a_number_or_of_no_column(self, one, admin_client, index):
        assert admin_client.get(reverse("admin:ingest_vaultrow_value", args=[one.row_id, index])).status_code == 404

    def test_a_long_value_is_cut_at_what_is_wrong_with_it(self, db, admin_client):
        title = ("é" * 40_000).encode() + b"\x00 the end"
        [row] = quarantine("long.db", "content", [{"title": Text(title)}], "nul_in_text", "title", "A NUL.")
        QuarantinedRow.objects.update(message="A NUL.")
        answer = admin_client.get(page(row))
        assert r"\x00 the end" in words(answer) and len(answer.content) < 60_000
        assert re.search(r"Bytes 79,[0-9]{3} to 80,009 of 80,009", words(answer))
        assert "\\xa9" not in words(answer) and "\\xc3" not in words(answer)
        assert "00013880 00 20 74 68 65 20 65 6e 64" in words(answer)
        assert admin_client.get(page(row, "value")).content == title

    @pytest.mark.parametrize("content", [b"", b"\x00" * 7, encode((1, 2))[:-1], b"\xff" * 20])
    def test_damaged_bytes_do_not_break_the_page(self, one, admin_client, content):
        VaultRow.objects.filter(pk=one.row_id).update(content=content)
        QuarantinedRow.objects.update(value=content)
        assert "damaged" in words(admin_client.get(page(one)))
        assert admin_client.get(page(one, "value")).status_code == 404

    def test_a_row_without_a_stored_value_and_with_an_unknown_code_opens(self, one, admin_client):
        QuarantinedRow.objects.update(value=None, code="of_tomorrow", column="")
        assert "not stored" in words(admin_client.get(page(one)))

    def test_a_row_of_more_values_than_known_columns_opens(self, one, admin_client):
        Snapshot.objects.update(tables={})
        assert "column 2" in words(admin_client.get(page(one)))

    def test_every_code_of_the_documentation_is_explained(self):
        document = Path(settings.BASE_DIR, "docs", "import.md").read_text()
        table = document.partition("**Quarantine codes**")[2].partition("\n\n")[2].partition("\n\n")[0]
        codes = {code for line in table.splitlines() for code in re.findall(r"`(\w+)`", line.split("|")[1])}
        assert len(codes) > 10
        assert codes <= EXPLANATIONS.keys()


class TestRetry:
    def test_what_an_import_quarantined_is_taken_once_nothing_is_in_its_way(self, tmp_path, db, admin_client):
        row = {"content_id": "yt:abc-de_f123", "summary_text": "A text", "summary_type": "audio"}
        snapshot = import_file(
            tmp_path / "real.db",
            content=[{"id": "yt:abc-de_f123", "video_id": "AbC-dE_f123", "title": Text(HOSTILE)}],
            content_summaries=[row],
        )
        video, text = QuarantinedRow.objects.order_by("row__table")
        assert (video.code, text.code, snapshot.imported_at) == ("invalid_utf8", "orphan", None)
        assert r"a \x00\xff <script>" in words(admin_client.get(page(video)))
        make_video(video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
        said = act(admin_client, "retry", [video, text])
        assert "1 row is resolved." in said and "1 row stays quarantined." in said
        assert Summary.objects.get().video_id == "AbC-dE_f123"

    def test_a_text_is_taken_when_its_video_is_there(self, three, admin_client, admin_user):
        make_video(video_id="x", legacy_id="yt:nowhere0001")
        text = act(admin_client, "retry", three)
        assert "1 row is resolved. content_summaries 2: " in text
        assert "2 rows stay quarantined. The first: content_summaries 1: There is no video yt:nowhere0000" in text
        assert Summary.objects.get().text == "Summary 1"
        resolved = QuarantinedRow.objects.get(resolved_at__isnull=False)
        assert (resolved.row.key, resolved.resolved_by) == (2, admin_user.username)
        assert RowOutcome.objects.get(key=2).outcome == Outcome.MODELLED
        assert "1 row was resolved before." in act(admin_client, "retry", [resolved], "?state=all")

    def test_the_button_does_the_same_for_one_row(self, three, admin_client):
        make_video(video_id="x", legacy_id="yt:nowhere0000")
        text = words(admin_client.post(page(three[0], "retry"), follow=True))
        assert "1 row is resolved." in text and "Resolved 20" in text
        assert 'value="Retry"' not in admin_client.get(page(three[0])).content.decode()
        text = words(admin_client.post(page(three[1], "retry"), follow=True))
        assert "1 row stays quarantined." in text and "Open: " in text

    def test_an_accepted_row_can_still_be_retried(self, three, admin_client):
        QuarantinedRow.objects.accept(by="curator")
        content = admin_client.get(page(three[0])).content.decode()
        assert 'value="Retry"' in content and 'value="Accept"' not in content
        make_video(video_id="x", legacy_id="yt:nowhere0000")
        assert "1 row is resolved." in act(admin_client, "retry", three[:1], "?state=accepted")

    def test_too_many_at_once_are_refused_before_any_is_tried(self, three, admin_client):
        snapshot = Snapshot.objects.get()
        rows = VaultRow.objects.bulk_create(
            VaultRow(snapshot=snapshot, table="content", key=key, content=encode((None,)), sha256=b"")
            for key in range(RETRIES_AT_ONCE)
        )
        QuarantinedRow.objects.bulk_create(QuarantinedRow(row=row, code="no_id", message="x") for row in rows)
        make_video(video_id="x", legacy_id="yt:nowhere0000")
        assert "Nothing was retried: select 500 rows at most" in act(admin_client, "retry", three, select_across="1")
        assert not QuarantinedRow.objects.filter(resolved_at__isnull=False)


class TestAccept:
    def test_a_selection_is_accepted_under_the_persons_name(self, three, admin_client, admin_user):
        text = act(admin_client, "accept", three[:2])
        assert "2 rows are accepted: in the vault, and not in the library." in text
        accepted = QuarantinedRow.objects.exclude(accepted_at=None)
        assert {(row.pk, row.accepted_by) for row in accepted} == {(row.pk, admin_user.username) for row in three[:2]}
        assert "2 rows were accepted or resolved before." in act(admin_client, "accept", three[:2], "?state=all")

    def test_all_of_a_filter_are_accepted_and_no_others(self, three, admin_client):
        orphans("other.db", 2, 7)
        other = Snapshot.objects.get(name="other.db")
        act(admin_client, "accept", three[:1], f"?snapshot={other.pk}", select_across="1")
        assert {row.row.snapshot_id for row in QuarantinedRow.objects.exclude(accepted_at=None)} == {other.pk}
        assert QuarantinedRow.objects.open().count() == 3

    def test_the_button_accepts_one_row(self, three, admin_client, admin_user):
        text = words(admin_client.post(page(three[0], "accept"), follow=True))
        assert "1 row is accepted" in text and f"by {admin_user.username}: it stays in the vault only." in text
        assert QuarantinedRow.objects.open().count() == 2


class TestWhoMay:
    def test_an_onlooker_sees_everything_and_decides_nothing(self, three, onlooker):
        content = onlooker.get(page(three[0])).content.decode()
        assert 'value="Retry"' not in content and 'value="Accept"' not in content
        assert onlooker.get(page(three[0], "value")).content == b"yt:nowhere0000"
        assert 'name="action"' not in onlooker.get(LIST).content.decode()
        act(onlooker, "accept", three)
        act(onlooker, "retry", three)
        for name in ("retry", "accept"):
            assert onlooker.post(page(three[0], name)).status_code == 403
        assert QuarantinedRow.objects.open().count() == 3

    def test_staff_without_permission_and_strangers_see_nothing(self, three, client, django_user_model):
        addresses = [
            LIST, page(three[0]), page(three[0], "value"),
            reverse("admin:ingest_vaultrow_value", args=[three[0].row_id, 0]),
        ]  # fmt: skip
        for address in addresses:
            assert "/admin/login/" in client.get(address)["Location"]
        client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
        for address in addresses:
            assert client.get(address).status_code == 403
        assert client.post(page(three[0], "accept")).status_code == 403

    def test_a_decision_needs_a_post_with_its_token(self, three, admin_user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)
        for name in ("retry", "accept"):
            assert client.get(page(three[0], name)).status_code == 405
            assert client.post(page(three[0], name)).status_code == 403
        token = {"csrfmiddlewaretoken": client.get(page(three[0])).cookies["csrftoken"].value}
        assert client.post(page(three[0], "accept"), token).status_code == 302
        assert client.get("/admin/ingest/quarantinedrow/999999/value/").status_code == 404

    def test_nothing_can_be_added_changed_or_removed(self, three, admin_client):
        assert admin_client.get(LIST + "add/").status_code == 403
        assert admin_client.post(page(three[0]), {"code": "other"}).status_code == 403
        assert admin_client.post(page(three[0], "delete"), {"post": "yes"}).status_code == 403
        assert list(QuarantinedRow.objects.order_by("pk").values()) == [
            {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields} for row in three
        ]


class TestSnapshotAndVault:
    def test_the_snapshot_says_its_state_its_report_and_what_is_quarantined(self, three, admin_client):
        snapshot = Snapshot.objects.get()
        QuarantinedRow.objects.filter(pk=three[0].pk).accept(by="curator")
        answer = admin_client.get(reverse("admin:ingest_snapshot_change", args=[snapshot.pk]))
        assert "2 open, 1 accepted, 0 resolved" in words(answer)
        assert re.search(r"content_summaries 3 rows, .*3 quarantined", words(answer))
        links = re.findall(r'href="([^"]+snapshot=\d+)"', answer.content.decode())
        numbers = [len(admin_client.get(html.unescape(link)).context["cl"].result_list) for link in links]
        assert numbers == [2, 1, 0]

    @pytest.mark.parametrize(
        ("vaulted", "imported", "sentence"),
        [(None, None, "not all in the vault"), ("2025-09-11T10:00Z", None, "none is part of the library yet"),
         ("2025-09-11T10:00Z", "2025-09-12T11:00Z", "since 2025-09-11 10:00 UTC; imported 2025-09-12 11:00 UTC.")],
    )  # fmt: skip
    def test_each_state_is_a_sentence(self, three, admin_client, vaulted, imported, sentence):
        Snapshot.objects.update(vaulted_at=vaulted, imported_at=imported, report={})
        snapshot = Snapshot.objects.get()
        assert sentence in words(admin_client.get(reverse("admin:ingest_snapshot_change", args=[snapshot.pk])))

    def test_rows_of_the_vault_have_their_outcome_and_video(self, three, admin_client, django_assert_max_num_queries):
        Snapshot.objects.update(imported_at=timezone.now())
        for row, outcome, video in ((three[0], Outcome.QUARANTINED, ""), (three[1], Outcome.MODELLED, "AbC-dE_f123")):
            RowOutcome.objects.create(
                snapshot=row.row.snapshot, table=row.row.table, key=row.row.key, outcome=outcome, video_id=video
            )
        with django_assert_max_num_queries(8):
            answer = admin_client.get("/admin/ingest/vaultrow/?table=content_summaries")
        assert [(row.key, row.outcome, row.video) for row in answer.context["cl"].result_list] == [
            (1, "quarantined", ""), (2, "modelled", "AbC-dE_f123"), (3, None, None),
        ]  # fmt: skip
        assert "kept as it is" in words(answer)
        assert reverse("admin:videos_video_change", args=["AbC-dE_f123"]) in answer.content.decode()
        found = admin_client.get("/admin/ingest/vaultrow/?q=3&table=content_summaries").context["cl"].result_list
        assert [row.key for row in found] == [3]
        for q in ("3x", "9" * 30, "-9223372036854775808"):
            assert admin_client.get("/admin/ingest/vaultrow/", {"q": q}).context["cl"].result_count == 0

    def test_no_list_counts_or_sorts_every_row_of_the_vault(self, three, admin_client, django_assert_max_num_queries):
        with django_assert_max_num_queries(8) as queries:
            admin_client.get("/admin/ingest/vaultrow/")
        rows = [query["sql"] for query in queries if 'FROM "ingest_vaultrow"' in query["sql"]]
        assert rows and all("LIMIT" in sql for sql in rows) and not any("DISTINCT" in sql for sql in rows)
        assert 'ORDER BY "ingest_vaultrow"."snapshot_id" ASC, "ingest_vaultrow"."table" ASC' in rows[-1]


class TestShownValues:
    @given(text=st.text())
    @hypothesis_settings(max_examples=300)
    def test_marked_text_is_only_text_and_can_be_read_back(self, text):
        shown_text = marked(text)
        assert all(char.isprintable() or char in "\t" for char in shown_text)
        assert set(re.findall(r"<[^>]*>?", shown_text)) <= {"<mark>", "</mark>", "<br>", "<wbr>"}
        plain = shown_text.replace("<wbr>", "").replace("<br>", "\n")
        parts = re.split(r"<mark>(.*?)</mark>", plain, flags=re.S)
        read = [html.unescape(part) if n % 2 == 0 else part.encode().decode("unicode_escape") for n, part in
                enumerate(parts)]  # fmt: skip
        assert "".join(read) == re.sub("[\ud800-\udfff]", lambda match: match[0], text)

    @given(
        value=st.none()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats()
        | st.binary(max_size=3000)
        | st.binary(max_size=3000).map(Text)
        | st.builds(lambda n, end: Text("é".encode() * n + end), st.integers(0, 5000), st.binary(max_size=9)),
        with_hex=st.booleans(),
    )
    @hypothesis_settings(max_examples=300)
    def test_every_value_can_be_shown(self, value, with_hex):
        item = shown(value, "column", TEXT_BYTES, "/x", with_hex)
        assert len(item.text) < TEXT_BYTES * 20
        if with_hex and isinstance(value, bytes) and value:
            lines = item.hex_dump.splitlines()
            start = int(lines[0][:8], 16)
            dumped = bytes.fromhex("".join(line[10:58] for line in lines))
            assert dumped == value[start : start + HEX_BYTES]
            odd = min((n for n in (value.find(b"\x00"), bad_byte(value)) if n >= 0), default=None)
            if odd is not None and isinstance(value, Text):
                assert start <= odd < start + len(dumped)

    def test_numbers_are_shown_as_they_are(self):
        assert [shown(value, "c", 9).text for value in (-0.0, 1e300, float("inf"), 2**63 - 1, None)] == [
            "-0.0", "1e+300", "inf", "9223372036854775807", "",
        ]  # fmt: skip


def bad_byte(value: bytes) -> int:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1
