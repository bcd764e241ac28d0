"""Who may write: programs with a token, and signed-in staff.

A right token always passes, from whatever address. Wrong ones are counted for each address, so that nobody can try
many. Where no token was ever set up, nobody but staff can write. A secret is in no log, message or answer.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from .models import Scope, Token

View = Callable[..., HttpResponse]

# It shows a person, and a program that looks for leaked secrets, what this is.
PREFIX = "ytv2_"
NAME_CHARACTERS = 100
ENVIRONMENT_SECRETS = ("INGEST_TOKEN", "SYNC_SECRET")
# The worker's programs also fetch the library (contract/ingest.md, Routes).
ENVIRONMENT_SCOPES = frozenset(Scope)
# A write for each request would make every worker wait for the others.
LAST_USED_EVERY = timedelta(minutes=1)

WRONG_TOKENS_AT_ONCE = 20
SECONDS_PER_WRONG_TOKEN = 10
PRUNED_AT_ONCE = 1000
# As long as the worker pauses by itself after five failures.
NOT_CONFIGURED_RETRY_SECONDS = 300


# Errors


class TokenError(ValueError):
    """No token can be made of this name or these scopes; the message is one sentence with the next step."""


class Refused(Exception):
    """A caller that may not do this. `answer()` says so over HTTP; the message is a sentence for people."""

    status = 403
    code = "forbidden"

    def __init__(self, message: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    def answer(self) -> JsonResponse:
        response = JsonResponse({"error": self.code, "message": self.message}, status=self.status)
        if self.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="YTV2"'
        if self.retry_after_seconds is not None:
            response["Retry-After"] = str(self.retry_after_seconds)
        return response


class NotAuthenticated(Refused):
    """No token, or a wrong one."""

    status = 401
    code = "not_authenticated"


class Throttled(NotAuthenticated):
    """One wrong token too many from this address."""

    status = 429
    code = "too_many_wrong_tokens"


class NotConfigured(NotAuthenticated):
    """There is no token that could be right."""

    status = 503
    code = "not_configured"


class NotAllowed(Refused):
    """A known caller without the scope."""


class CsrfFailed(NotAllowed):
    """A session's request that may come from another site."""

    code = "csrf_failed"


# Callers


@dataclass(frozen=True)
class Caller:
    """Who sends a request: a token's name, or a person's user name with the user."""

    name: str
    scopes: frozenset[str]
    user: User | None = None


def authenticate(request: HttpRequest) -> Caller:
    """Who sends this request. Raises NotAuthenticated (Throttled, NotConfigured), or CsrfFailed for a session.

    A request with a token is judged by that alone, even from a browser where staff is signed in.
    """
    digests = offered_digests(request)
    if digests:
        if caller := caller_of(digests):
            return caller
        refuse_unless_configured()
        if not take_wrong_token(client_key(request)):
            raise Throttled(
                "Too many wrong tokens came from this address. Set a right one, which is taken at once.",
                SECONDS_PER_WRONG_TOKEN,
            )
        raise NotAuthenticated("This token is unknown or revoked. Set one that manage.py create_token has printed.")
    if request.user.is_authenticated and request.user.is_staff:
        refuse_forged(request)
        return Caller(request.user.get_username(), scopes_of(request.user), request.user)
    refuse_unless_configured()
    raise NotAuthenticated("A token is needed: send it as Authorization: Bearer TOKEN, or sign in as staff.")


def scopes_of(user: Any) -> frozenset[str]:
    """What staff may do without a token: everything only who may do everything."""
    if user.is_superuser:
        return frozenset(Scope.values)
    return frozenset({Scope.READ, Scope.DELETE} if user.has_perm("videos.change_video") else {Scope.READ})


def require(request: HttpRequest, scope: str) -> Caller:
    """Who sends this request, if they may do this. Raises as `authenticate`, and NotAllowed without the scope."""
    caller = authenticate(request)
    if scope not in caller.scopes:
        if caller.user is not None:
            raise NotAllowed("Your account may look, and not do this. Whoever runs the dashboard can let you.")
        raise NotAllowed(f"This token lacks the scope {scope}. Create one that has it: manage.py create_token.")
    return caller


def writes(scope: str) -> Callable[[View], View]:
    """Decorator: the view runs for callers with this scope, and finds them as `request.caller`.

    Others are answered in JSON, as is any Refused that the view raises. Django's own CSRF check is off, because
    programs have no cookie; for sessions `authenticate` does the same check.
    """

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                request.caller = require(request, scope)
                return view(request, *args, **kwargs)
            except Refused as refusal:
                return refusal.answer()

        return guarded

    return decorate


def refuse_forged(request: HttpRequest) -> None:
    """Raise CsrfFailed if a session's request may come from another site."""
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    if check.process_view(request, None, (), {}) is not None:
        raise CsrfFailed("The page that sent this is out of date or of another site. Reload it and try again.")


# Right tokens


def offered_digests(request: HttpRequest) -> list[bytes]:
    """The SHA-256 of each token in the three headers: either token may come in any of them."""
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    offered = (
        request.headers.get("X-INGEST-TOKEN", ""),
        credentials if scheme.lower() == "bearer" else "",
        request.headers.get("X-Sync-Secret", ""),
    )
    # WSGI hands on the bytes of a header as Latin-1.
    return [digest(token.strip().encode("latin-1", "backslashreplace")) for token in offered if token.strip()]


def digest(secret: bytes) -> bytes:
    """What is stored and compared: of one length, so that a comparison does not tell a secret's length."""
    return hashlib.sha256(secret).digest()


def caller_of(digests: list[bytes]) -> Caller | None:
    """The caller that one of these digests belongs to.

    First the environment's secrets, all of them, also when one was right already; then stored tokens, which are
    found by their digest. A comparison takes the same time wherever two digests differ.
    """
    right: list[Caller] = []
    environment = [
        (digest(secret.encode()), Caller(name, ENVIRONMENT_SCOPES)) for name, secret in environment_secrets()
    ]
    for known, caller in environment:
        right += [caller for offered in digests if hmac.compare_digest(known, offered)]
    if right:
        return right[0]
    for token in Token.objects.filter(sha256__in=digests, revoked_at__isnull=True):
        matches = [hmac.compare_digest(bytes(token.sha256), offered) for offered in digests]
        if any(matches):
            note_use(token)
            right.append(Caller(token.name, frozenset(token.scopes)))
    return right[0] if right else None


def environment_secrets() -> list[tuple[str, str]]:
    """Names and values of the secrets that the environment has set."""
    values = [(name, getattr(settings, name).strip()) for name in ENVIRONMENT_SECRETS]
    return [(name, value) for name, value in values if value]


def note_use(token: Token) -> None:
    """Write when a token was last used, unless that was written within the last minute."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - LAST_USED_EVERY:
        due = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - LAST_USED_EVERY)
        Token.objects.filter(due, pk=token.pk).update(last_used_at=now)


def is_configured() -> bool:
    """Whether a token was ever set up: in the environment, or created here, even if it is revoked now."""
    return bool(environment_secrets()) or Token.objects.exists()


def refuse_unless_configured() -> None:
    if not is_configured():
        raise NotConfigured(
            "No token is set up yet, so nothing is taken. Create one with manage.py create_token NAME --scope ingest.",
            NOT_CONFIGURED_RETRY_SECONDS,
        )


# Wrong tokens

# A bucket that nobody has taken from for so long is full again, and a full one need not be kept.
FULL_AGAIN_SECONDS = WRONG_TOKENS_AT_ONCE * SECONDS_PER_WRONG_TOKEN

# The second of two that meet waits for the row, and may have read the clock before the first: no time has passed then.
TAKE = """
INSERT INTO ingest_tokenbucket AS bucket (key, tokens, updated_at)
VALUES (%(key)s, %(capacity)s - 1, clock_timestamp())
ON CONFLICT (key) DO UPDATE SET
    tokens = LEAST(%(capacity)s, bucket.tokens + GREATEST(0, EXTRACT(EPOCH FROM
        excluded.updated_at - bucket.updated_at)) / %(seconds)s) - 1,
    updated_at = excluded.updated_at
WHERE bucket.tokens + GREATEST(0, EXTRACT(EPOCH FROM
        excluded.updated_at - bucket.updated_at)) / %(seconds)s >= 1
RETURNING tokens
"""

# SKIP LOCKED: it waits for nobody, so that it can be in no deadlock.
PRUNE = """
DELETE FROM ingest_tokenbucket WHERE key IN (
    SELECT key FROM ingest_tokenbucket
    WHERE updated_at < clock_timestamp() - make_interval(secs => %(full_again)s)
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""


def take_wrong_token(key: str) -> bool:
    """Count one wrong token against this address; False if it had none left, and then nothing changes.

    1. One statement refills the bucket by the time since the last, and takes one if there is one. Requests that
       meet wait for its row, so that each token goes to one of them. A refusal leaves the time as it was, so
       that trying on and on does not hold up the refill.
    2. An address that was not counted before, or whose bucket was full again, pays with a look for others that are
       full again: these rows are removed, so the table is never larger than the addresses of the last minutes.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE, {"key": key, "capacity": float(WRONG_TOKENS_AT_ONCE), "seconds": float(SECONDS_PER_WRONG_TOKEN)}
        )
        row = cursor.fetchone()
        if row and row[0] == WRONG_TOKENS_AT_ONCE - 1:
            cursor.execute(PRUNE, {"full_again": FULL_AGAIN_SECONDS, "limit": PRUNED_AT_ONCE})
    return row is not None


def client_key(request: HttpRequest) -> str:
    """The address that wrong tokens are counted against; of IPv6 its /64, which is what one customer gets.

    Behind a proxy, which SECURE_PROXY_SSL_HEADER says there is, REMOTE_ADDR is the proxy's. The proxy adds the
    address that it saw itself at the end of X-Forwarded-For; what stands before is the client's own word, which
    would let it choose a fresh bucket for each try. If there are more proxies, their clients share a bucket, and
    only wrong tokens are refused by it.
    """
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    for text in (hops.rpartition(",")[2], request.META.get("REMOTE_ADDR", "")):
        try:
            address = ip_address(text.strip())
        except ValueError:
            continue
        if not isinstance(address, IPv6Address):
            return str(address)
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((int(address), 64), strict=False))
    return "unknown"


# Creating and revoking


def create_token(name: str, scopes: Iterable[str]) -> str:
    """Store a token's digest under this name, and return its secret, which cannot be had again.

    Raises TokenError.
    """
    usable_name = checked_name(name)
    wanted = set(scopes)
    if not wanted or not wanted <= set(Scope.values):
        raise TokenError(f"Give at least one scope, of: {', '.join(Scope.values)}.")
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            Token.objects.create(
                name=usable_name,
                sha256=digest(secret.encode()),
                scopes=[scope for scope in Scope.values if scope in wanted],
            )
    except IntegrityError as error:
        raise name_taken(usable_name) from error
    return secret


def checked_name(name: str) -> str:
    """The name as it is stored, if a new token can have it. Raises TokenError."""
    name = name.strip()
    if not name or not name.isprintable() or len(name) > NAME_CHARACTERS:
        raise TokenError(f"Give the token a name of 1 to {NAME_CHARACTERS} letters, such as nas-worker.")
    if name in ENVIRONMENT_SECRETS:
        raise TokenError(f"{name} is the name of a secret from the environment. Choose another name.")
    if Token.objects.filter(name=name).exists():
        raise name_taken(name)
    return name


def name_taken(name: str) -> TokenError:
    return TokenError(
        f"There is a token named {name} already, in use or revoked: a name in the log means one token. "
        "Choose another name."
    )


def revoke(tokens: QuerySet[Token]) -> int:
    """Refuse these tokens from now on; the number of those that were valid until now."""
    return tokens.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
