"""Who may write: tokens in any header, staff with CSRF, and nobody else; wrong tokens run out, right ones never."""

import hashlib
import hmac
import logging
import re
import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone

from ingest.models import Token, TokenBucket
from ingest.tokens import (
    FULL_AGAIN_SECONDS,
    SECONDS_PER_WRONG_TOKEN,
    WRONG_TOKENS_AT_ONCE,
    NotAllowed,
    TokenError,
    client_key,
    create_token,
    is_configured,
    revoke,
    take_wrong_token,
    writes,
)
from ytv2.urls import urlpatterns as site_patterns

INGEST_TOKEN = "environment-ingest-secret"
SYNC_SECRET = "environment-sync-secret"
LIST = "/admin/ingest/token/"


# A site of three views, which tell the caller's name


@writes("ingest")
def write(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"caller": request.caller.name, "user": getattr(request.caller.user, "username", None)})


@writes("read")
def read(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"caller": request.caller.name})


@writes("ingest")
def refuse_late(request: HttpRequest) -> HttpResponse:
    raise NotAllowed("This video is yours no more.")


urlpatterns = [
    path("api/write", write),
    path("api/read", read),
    path("api/refuse-late", refuse_late),
    *site_patterns,
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _no_secrets(settings) -> None:
    settings.INGEST_TOKEN = settings.SYNC_SECRET = ""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def environment(settings) -> None:
    settings.INGEST_TOKEN, settings.SYNC_SECRET = INGEST_TOKEN, SYNC_SECRET


@pytest.fixture
def worker() -> str:
    """The secret of a token that may write, not delete."""
    return create_token("worker", ["ingest"])


@pytest.fixture
def anyone() -> Client:
    """A client that Django checks for CSRF as it does outside of tests."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def curator(anyone) -> Client:
    """A signed-in member of the staff whose browser has a CSRF cookie, and `csrf` its token."""
    anyone.force_login(User.objects.create_superuser("curator"))
    page = anyone.get("/admin/").content.decode()
    anyone.csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    return anyone


def send(client: Client, token: str = "", address: str = "/api/write", header: str = "X-INGEST-TOKEN", **extra: str):
    headers = {header: token} if token else {}
    return client.post(address, "{}", content_type="application/json", headers=headers, **extra)


# Right tokens


@pytest.mark.parametrize("header", ["X-INGEST-TOKEN", "Authorization", "X-Sync-Secret"])
@pytest.mark.parametrize("name", ["INGEST_TOKEN", "SYNC_SECRET", "worker"])
def test_either_token_is_taken_in_any_of_the_three_headers(environment, worker, anyone, header, name):
    token = {"INGEST_TOKEN": INGEST_TOKEN, "SYNC_SECRET": SYNC_SECRET, "worker": worker}[name]
    answer = send(anyone, f"Bearer {token}" if header == "Authorization" else token, header=header)
    assert (answer.status_code, answer.json()) == (200, {"caller": name, "user": None})


@pytest.mark.parametrize("written", ["bearer {}", "BEARER   {}", " Bearer {} "])
def test_the_word_bearer_is_taken_in_any_case_and_space(worker, anyone, written):
    assert send(anyone, written.format(worker), header="Authorization").status_code == 200


def test_a_right_token_passes_beside_a_wrong_one(worker, anyone):
    headers = {"X-INGEST-TOKEN": "wrong", "X-Sync-Secret": worker}
    assert anyone.post("/api/write", headers=headers).status_code == 200
    assert not TokenBucket.objects.exists()


def test_only_a_digest_of_a_token_is_stored(worker):
    assert worker.startswith("ytv2_")
    assert len(worker) > 45
    token = Token.objects.values().get()
    assert bytes(token["sha256"]) == hashlib.sha256(worker.encode()).digest()
    assert worker not in str(token)


def test_the_environments_secrets_may_do_what_the_workers_programs_do(environment, anyone):
    assert send(anyone, INGEST_TOKEN, "/api/read").status_code == 200
    assert send(anyone, SYNC_SECRET).status_code == 200


def test_a_token_without_the_scope_is_forbidden_and_told_which(worker, anyone):
    answer = send(anyone, worker, "/api/read")
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "the scope read" in answer.json()["message"]
    assert "create_token" in answer.json()["message"]


def test_what_a_view_refuses_is_answered_in_the_same_shape(worker, anyone):
    answer = send(anyone, worker, "/api/refuse-late")
    assert (answer.status_code, answer.json()) == (
        403, {"error": "forbidden", "message": "This video is yours no more."},
    )  # fmt: skip


def test_last_use_is_written_at_most_once_a_minute(worker, anyone, django_assert_num_queries):
    # Three of them are the freeze's: a lock, the flag, the end of the lock.
    with django_assert_num_queries(5):
        send(anyone, worker)
    first = Token.objects.get().last_used_at
    assert timezone.now() - first < timedelta(seconds=10)
    with django_assert_num_queries(4):
        send(anyone, worker)
    assert Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=first - timedelta(seconds=61))
    with django_assert_num_queries(5):
        send(anyone, worker)
    assert Token.objects.get().last_used_at > first


def test_the_environments_secrets_cost_no_query(environment, anyone, django_assert_num_queries):
    # None but those of the freeze.
    with django_assert_num_queries(3):
        send(anyone, SYNC_SECRET)


# Wrong tokens, and none


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-INGEST-TOKEN": ""},
        {"X-Sync-Secret": "  "},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dXNlcjpwYXNz"},
    ],
)
def test_without_a_token_the_answer_is_401_and_nothing_is_counted(worker, anyone, headers):
    answer = anyone.post("/api/write", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert not TokenBucket.objects.exists()


@pytest.mark.parametrize("header", ["X-INGEST-TOKEN", "Authorization", "X-Sync-Secret"])
@pytest.mark.parametrize("token", ["wrong", "Ã¼\x80\xff", "ytv2_ € 視", "\x00", "\ud800", "x" * 8000, "Bearer"])
def test_a_wrong_token_of_any_bytes_is_401(environment, worker, anyone, header, token):
    answer = send(anyone, f"Bearer {token}" if header == "Authorization" else token, header=header)
    assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda token: token[:-1], lambda token: token + "a"])
def test_a_token_is_right_as_a_whole_or_wrong(worker, anyone, change):
    assert send(anyone, change(worker)).status_code == 401


def test_a_revoked_token_is_refused_at_once_and_its_name_stays_taken(worker, anyone):
    assert send(anyone, worker).status_code == 200
    assert revoke(Token.objects.filter(name="worker")) == 1
    assert revoke(Token.objects.filter(name="worker")) == 0
    assert send(anyone, worker).status_code == 401
    with pytest.raises(TokenError, match="Choose another name"):
        create_token("worker", ["ingest"])


@pytest.mark.parametrize("token", ["", "anything"])
def test_without_any_token_set_up_writes_are_refused_with_the_next_step(anyone, token):
    assert not is_configured()
    answer = send(anyone, token)
    assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")
    assert "manage.py create_token" in answer.json()["message"]
    assert int(answer["Retry-After"]) > 0


def test_a_blank_secret_of_the_environment_is_none(settings, anyone):
    settings.INGEST_TOKEN = "  \n"
    assert send(anyone, "  \n").status_code == 503


def test_a_secret_read_from_a_file_with_a_line_end_is_right_without(settings, anyone):
    settings.SYNC_SECRET = SYNC_SECRET + "\n"
    assert send(anyone, SYNC_SECRET).status_code == 200


@pytest.mark.parametrize("token", [INGEST_TOKEN, SYNC_SECRET, "wrong"])
def test_every_secret_of_the_environment_is_compared_in_constant_time(environment, anyone, monkeypatch, token):
    compared, compare = [], hmac.compare_digest

    def counting(known: bytes, offered: bytes) -> bool:
        compared.append((known, offered))
        return compare(known, offered)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    send(anyone, token)
    offered = hashlib.sha256(token.encode()).digest()
    assert compared == [(hashlib.sha256(secret.encode()).digest(), offered) for secret in (INGEST_TOKEN, SYNC_SECRET)]


def test_a_stored_token_is_compared_in_constant_time(worker, anyone, monkeypatch):
    """The database finds it by its digest; that alone does not make it right."""
    monkeypatch.setattr(hmac, "compare_digest", lambda known, offered: False)
    assert send(anyone, worker).status_code == 401


def test_no_secret_is_in_the_log_or_in_an_answer(environment, worker, anyone, caplog):
    caplog.set_level(logging.DEBUG)
    revoke(Token.objects.all())
    answers = [send(anyone, token) for token in [worker, INGEST_TOKEN, *["wrong-secret"] * WRONG_TOKENS_AT_ONCE]]
    assert {answer.status_code for answer in answers} == {200, 401, 429}
    said = caplog.text + "".join(f"{answer.content.decode()}{dict(answer.headers)}" for answer in answers)
    for secret in (worker, INGEST_TOKEN, SYNC_SECRET, "wrong-secret"):
        assert secret not in said


# Throttling


def earlier(seconds: float) -> None:
    """Let time pass for every bucket."""
    for bucket in TokenBucket.objects.all():
        TokenBucket.objects.filter(pk=bucket.pk).update(updated_at=bucket.updated_at - timedelta(seconds=seconds))


def test_wrong_tokens_run_out_for_an_address_while_right_ones_pass(environment, worker, anyone):
    statuses = [send(anyone, f"wrong {n}").status_code for n in range(WRONG_TOKENS_AT_ONCE + 2)]
    assert statuses == [401] * WRONG_TOKENS_AT_ONCE + [429] * 2
    answer = send(anyone, "wrong")
    assert answer.json()["error"] == "too_many_wrong_tokens"
    assert answer["Retry-After"] == str(SECONDS_PER_WRONG_TOKEN)
    assert [send(anyone, token).status_code for token in (worker, INGEST_TOKEN, SYNC_SECRET)] == [200] * 3
    assert send(anyone).status_code == 401
    assert send(anyone, "wrong", REMOTE_ADDR="192.0.2.1").status_code == 401


def test_wrong_tokens_come_again_one_by_one_with_time_and_never_more_than_all():
    taken = [take_wrong_token("a") for _ in range(WRONG_TOKENS_AT_ONCE + 1)]
    assert taken == [True] * WRONG_TOKENS_AT_ONCE + [False]
    earlier(2 * SECONDS_PER_WRONG_TOKEN)
    assert [take_wrong_token("a") for _ in range(3)] == [True, True, False]
    earlier(10 * FULL_AGAIN_SECONDS)
    assert sum(take_wrong_token("a") for _ in range(2 * WRONG_TOKENS_AT_ONCE)) == WRONG_TOKENS_AT_ONCE


def test_trying_on_does_not_hold_up_the_refill():
    TokenBucket.objects.create(key="a", tokens=0, updated_at=timezone.now())
    for _ in range(3):
        earlier(0.3 * SECONDS_PER_WRONG_TOKEN)
        assert not take_wrong_token("a")
    earlier(0.3 * SECONDS_PER_WRONG_TOKEN)
    assert take_wrong_token("a")


def test_a_clock_that_was_set_back_takes_nothing_away_and_the_refill_goes_on():
    TokenBucket.objects.create(key="a", tokens=1, updated_at=timezone.now() + timedelta(hours=1))
    assert [take_wrong_token("a"), take_wrong_token("a")] == [True, False]
    earlier(SECONDS_PER_WRONG_TOKEN)
    assert take_wrong_token("a")


def test_buckets_that_are_full_again_are_removed():
    now = timezone.now()
    for key, seconds in (("old", FULL_AGAIN_SECONDS + 1), ("recent", FULL_AGAIN_SECONDS - 5)):
        TokenBucket.objects.create(key=key, tokens=0, updated_at=now - timedelta(seconds=seconds))
    take_wrong_token("new")
    assert set(TokenBucket.objects.values_list("key", flat=True)) == {"recent", "new"}


@pytest.mark.parametrize(
    ("production", "hops", "remote", "key"),
    [
        (False, "", "192.0.2.1", "192.0.2.1"),
        (False, "198.51.100.7", "192.0.2.1", "192.0.2.1"),
        (True, "198.51.100.7", "10.0.0.1", "198.51.100.7"),
        (True, "203.0.113.9, 198.51.100.7", "10.0.0.1", "198.51.100.7"),
        (True, "", "10.0.0.1", "10.0.0.1"),
        (True, "203.0.113.9, somewhere", "10.0.0.1", "10.0.0.1"),
        (True, "2001:db8:1:2:3:4:5:6", "10.0.0.1", "2001:db8:1:2::/64"),
        (False, "", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        (False, "", "fe80::1%eth0", "fe80::/64"),
        (False, "", "::ffff:192.0.2.1", "192.0.2.1"),
        (False, "", "", "unknown"),
    ],
)
def test_the_address_is_the_one_that_nobody_can_choose(settings, production, hops, remote, key):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if production else None
    headers = {"X-Forwarded-For": hops} if hops else {}
    assert client_key(RequestFactory().post("/", headers=headers, REMOTE_ADDR=remote)) == key


@pytest.mark.django_db(transaction=True)
def test_the_last_wrong_token_of_an_address_goes_to_one_of_two():
    """The second comes while the first has not committed, waits for it, and gets none."""
    TokenBucket.objects.create(key="a", tokens=1, updated_at=timezone.now())
    second: list[bool] = []

    def take() -> None:
        try:
            second.append(take_wrong_token("a"))
        finally:
            connection.close()

    thread = threading.Thread(target=take)
    with transaction.atomic():
        assert take_wrong_token("a")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert second == [False]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_no_more_than_there_is():
    TokenBucket.objects.create(key="a", tokens=3, updated_at=timezone.now())
    barrier, taken = threading.Barrier(8), []

    def take() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            taken.extend(take_wrong_token(key) for key in ("a", "a", "new"))
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), taken.count(True)) == (24, 3 + 8)
    assert TokenBucket.objects.get(key="new").tokens == pytest.approx(WRONG_TOKENS_AT_ONCE - 8, abs=0.5)


# Signed-in staff


def test_staff_writes_with_csrf_in_a_header_or_a_form(curator):
    by_header = curator.post("/api/write", headers={"X-CSRFToken": curator.csrf})
    by_form = curator.post("/api/write", {"csrfmiddlewaretoken": curator.csrf})
    for answer in (by_header, by_form):
        assert (answer.status_code, answer.json()) == (200, {"caller": "curator", "user": "curator"})
    assert curator.put("/api/write", headers={"X-CSRFToken": curator.csrf}).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "a" * 32}, {"X-CSRFToken": "é"}])
def test_staff_without_csrf_is_forbidden(curator, method, headers):
    answer = getattr(curator, method)("/api/write", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "csrf_failed")


def test_staff_from_another_site_is_forbidden(curator):
    headers = {"X-CSRFToken": curator.csrf, "Origin": "https://evil.example"}
    assert curator.post("/api/write", headers=headers).status_code == 403


def test_staff_reads_without_csrf(curator):
    assert curator.get("/api/read").status_code == 200


def test_staff_with_a_token_is_the_token_and_needs_no_csrf(curator, worker):
    assert send(curator, worker).json() == {"caller": "worker", "user": None}
    assert send(curator, "wrong").status_code == 401
    assert send(curator, worker, "/api/read").status_code == 403


def test_a_reader_who_is_signed_in_may_not_write(anyone, worker):
    anyone.force_login(User.objects.create_user("reader"))
    assert anyone.post("/api/write").status_code == 401


# The command


def test_the_command_prints_the_secret_alone_and_once(anyone, capsys):
    call_command("create_token", "nas", "--scope", "delete", "--scope", "ingest", "--scope", "ingest")
    out, err = capsys.readouterr()
    secret = out.strip()
    assert re.fullmatch(r"ytv2_[\w-]{43}", secret)
    assert "once" in err and "nas" in err and secret not in err
    assert Token.objects.get().scopes == ["ingest", "delete"]
    assert send(anyone, secret).json()["caller"] == "nas"


@pytest.mark.parametrize("name", ["worker", " worker ", "", " ", "a\x00b", "a\nb", "\ud800", "x" * 101, "SYNC_SECRET"])
def test_a_name_that_is_taken_or_no_name_is_refused_with_a_sentence(worker, name):
    with pytest.raises(CommandError, match=r"Choose another name\.|Give the token a name") as refused:
        call_command("create_token", name, "--scope", "ingest")
    assert refused.value.returncode == 1
    assert Token.objects.count() == 1


@pytest.mark.parametrize("arguments", [["nas"], ["nas", "--scope", "everything"], ["--scope", "ingest"]])
def test_a_wrong_call_ends_with_1(arguments):
    with pytest.raises(CommandError) as refused:
        call_command("create_token", *arguments)
    assert refused.value.returncode == 1


@pytest.mark.parametrize("scopes", [[], ["ingest", "everything"]])
def test_a_token_has_known_scopes(scopes):
    with pytest.raises(TokenError, match="read, ingest, delete"):
        create_token("nas", scopes)


def test_the_command_says_that_the_database_is_not_ready():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ingest_token RENAME TO elsewhere")
    with pytest.raises(CommandError, match=r"manage\.py migrate") as refused:
        call_command("create_token", "nas", "--scope", "ingest")
    assert refused.value.returncode == 4


# The admin


def post(client: Client, address: str, **data: object) -> HttpResponse:
    return client.post(address, data | {"csrfmiddlewaretoken": client.csrf})


def test_the_admin_creates_a_token_and_shows_it_once(curator):
    form = curator.get(f"{LIST}add/").content.decode()
    assert "_save" in form and "_addanother" not in form and "_continue" not in form
    page = post(curator, f"{LIST}add/", name="nas", scopes=["delete", "ingest"])
    secret = re.search(r"ytv2_[\w-]{43}", page.content.decode())[0]
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    assert not any(secret in cookie.value for cookie in curator.cookies.values())
    assert send(Client(), secret).json()["caller"] == "nas"
    token = Token.objects.get()
    assert token.scopes == ["ingest", "delete"]
    for address in (LIST, f"{LIST}{token.pk}/change/", f"{LIST}{token.pk}/history/"):
        shown = curator.get(address).content.decode()
        assert "nas" in shown
        assert secret not in shown
        assert token.sha256.hex()[:12] not in shown
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr) == (str(token.pk), "nas")
    assert secret not in entry.change_message


@pytest.mark.parametrize("data", [{"name": "worker", "scopes": "ingest"}, {"name": "nas"}, {"scopes": "ingest"}])
def test_the_admin_refuses_a_taken_name_or_no_scope_on_the_form(curator, worker, data):
    page = post(curator, f"{LIST}add/", **data)
    assert page.status_code == 200
    assert page.context["errors"]
    assert Token.objects.count() == 1


def test_the_list_says_scopes_last_use_and_state(curator, worker):
    page = curator.get(LIST).content.decode()
    assert "ingest" in page and "never" in page and "valid" in page
    send(curator, worker)
    revoke(Token.objects.all())
    page = curator.get(LIST).content.decode()
    assert "never" not in page and "revoked" in page


def test_the_admin_revokes_after_a_question(curator, worker, anyone):
    token = Token.objects.get()
    chosen = {"action": "revoke_selected", "_selected_action": token.pk}
    question = post(curator, LIST, **chosen).content.decode()
    assert "worker" in question and "Are you sure" in question
    assert send(anyone, worker).status_code == 200
    curator.get(LIST, chosen | {"confirmed": "yes"})
    assert send(anyone, worker).status_code == 200
    assert post(curator, LIST, **chosen, confirmed="yes").status_code == 302
    assert send(anyone, worker).status_code == 401
    assert LogEntry.objects.get().change_message == "Revoked."
    assert "1 token is revoked." in curator.get(LIST).content.decode()
    assert post(curator, LIST, **chosen, confirmed="yes").status_code == 302
    assert LogEntry.objects.count() == 1


def test_a_token_is_neither_changed_nor_deleted_in_the_admin(curator, worker):
    token = Token.objects.get()
    assert post(curator, f"{LIST}{token.pk}/change/", name="other", scopes=["delete"]).status_code == 403
    assert post(curator, f"{LIST}{token.pk}/delete/", post="yes").status_code == 403
    assert (Token.objects.get().name, Token.objects.get().scopes) == ("worker", ["ingest"])


def test_who_may_only_look_can_neither_add_nor_revoke(anyone, worker):
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_token"))
    client = Client()
    client.force_login(looker)
    assert client.get(LIST).status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    client.post(LIST, {"action": "revoke_selected", "_selected_action": Token.objects.get().pk, "confirmed": "yes"})
    assert send(anyone, worker).status_code == 200
