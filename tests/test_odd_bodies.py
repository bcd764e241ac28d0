"""Odd bodies at every route that takes one: each gets a plain answer, nothing is half stored, and memory stays flat.

Each request follows from a number, `odd_request(number, …)`. YTV2_BODIES says how many of them there are.
"""

import gzip
import hashlib
import json
import os
import random
import re
import select
import socket
import string
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db.models import Count, Q

from ingest.body import is_real, loads
from ingest.models import AudioFile, ImageFile, IngestLogEntry, IngestOutcome
from ingest.payloads import read_universal
from summaries.models import Summary
from videos.models import Categorization, Video

from .gunicorn_server import Server, gunicorn, wait_for
from .test_audio_files import mp3
from .test_facet_counts import kept, recounted
from .test_files import PNG_BYTES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]

BODIES = int(os.environ.get("YTV2_BODIES", "300"))
CLIENTS = 4
LONGEST_SECONDS = 60
# In a short run most kinds of body have not been met when memory is first measured.
MOST_GROWTH_KILOBYTES = 30 * 1024 if BODIES >= 5000 else 100 * 1024
MEGABYTE = 2**20

KEY = "AbC-dE_f123"
HOT_KEYS = tuple(f"HotVideo-{number:02d}" for number in range(8))
# Of the others, no request deletes one.
DELETED_KEYS = HOT_KEYS[:2]
TOKEN = {"X-INGEST-TOKEN": "a-secret-of-the-worker"}
# What our views refuse; the same statuses from the router have no entry in the log, as nothing was asked for.
FROM_THE_ROUTER = "There is nothing at this address."


# Payloads, and what can be odd in them --------------------------------------------------------------------

REPORT = {
    "id": f"yt:{KEY.lower()}", "video_id": KEY, "title": "A title", "channel_name": "A channel",
    "canonical_url": f"https://www.youtube.com/watch?v={KEY}", "processed_at": "2025-09-01T10:00:00Z",
    "published_at": "20250820", "duration_seconds": 1234, "word_count": 481, "has_audio": False, "language": "en",
    "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}], "key_topics": ["a"]},
    "subcategories_json": '{"categories": [{"category": "History", "subcategories": ["Modern History"]}]}',
    "summary_variants": [
        {"variant": "comprehensive", "text": "What it says.", "generated_at": "2025-09-01T10:00:00Z"},
        {"variant": "audio", "text": "What is said.", "audio_url": "/a.mp3", "language": "en"},
    ],
}  # fmt: skip
FLAT = {
    "id": f"yt:{KEY}", "title": "A title", "category": '["Technology"]', "summary_text": "What it says.",
    "summary_type": "audio", "indexed_at": "2025-09-12T00:49:47", "view_count": "12", "media": {"has_transcript": True},
    "media_metadata": {"video_duration_seconds": 12.5, "mp3_duration_seconds": 3}, "channel": "A channel",
}  # fmt: skip
NESTED = {
    "content_source": "youtube",
    "source_metadata": {"youtube": {"video_id": KEY, "title": "A title", "published_at": "2025-08-20T00:00:00+00:00"}},
    "content_analysis": {"language": "en", "category": ["Technology"], "named_entities": ["b"], "complexity_level": ""},
    "media_info": {"has_audio": False, "word_count": 481, "transcript_chars": 3161},
    "processing_metadata": {"indexed_at": "2025-09-06T06:52:15.737862", "content_id": f"{KEY}_0056c1"},
    "summary": {"content": {"summary": "What it says.", "summary_type": "comprehensive"}},
}
UNIVERSAL = {
    "schema_version": "1.0.0", "video": {"video_id": KEY, "title": "A title", "url": f"https://youtu.be/{KEY}"},
    "metadata": {"uploader": "A channel", "duration": 60, "like_count": 3}, "processor_info": {"model": "x"},
    "summary": {
        "headline": "A title", "summary": "{'comprehensive': 'What it says.', 'key_points': ['a', 'b']}",
        "analysis": {"category": ["World War I (WWI)"], "subcategory": ["Technology & Weapons"]},
        "variants": [{"variant": "audio-fr", "proficiency": "beginner", "text": "Ce que cela dit."}],
    },
}  # fmt: skip
CHANGES = {
    "has_audio": True, "audio_duration_seconds": 312, "title": "B", "duration_seconds": 60, "word_count": 7,
}  # fmt: skip

# What Python's json cannot write is put in afterwards.
RAW = {
    "1e400": "1e400", "-1e400": "-1e400", "0.1e-999": "0.1e-999", "5,000 digits": "1" * 5000, "-0": "-0.0",
    "400 digits": str(10**400), "NaN": "NaN", "Infinity": "Infinity",
    "10,000 lists": "[" * 10_000 + "]" * 10_000, "10,000 objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "10,000 open lists": "[" * 10_000, "900 lists": "[" * 900 + "]" * 900, "90 objects": '{"a":' * 90 + "1" + "}" * 90,
    "key twice": '{"title": "a", "text": "b", "text": "c"}', "half a pair": '"\\ud800"', "escape": '"\\q"',
    "two halves turned": '"\\udfff\\ud800"', "key with NUL": '{"a\\u0000b": 1}', "raw control": '"a\x01\x7fb"',
}  # fmt: skip
VALUES = {
    "null": None, "true": True, "false": False, "zero": 0, "minus": -1, "2**31": 2**31, "2**63": 2**63,
    "10**18": 10**18, "large float": 1e308, "fraction": 0.5, "blank": " \t", "nothing": "", "no list": [],
    "no object": {}, "nulls": [None, None], "mixed list": [1, "a", [None], {"b": []}], "object": {"text": {"text": 1}},
    "NUL": "\x00", "NUL inside": "a\x00b", "half of a pair": "a\udc00", "right to left": "\u202eabc\u2066",
    "no day": "2025-02-30", "far day": "10000-01-01T00:00:00Z", "no time": "0000-00-00", "first time": "0001-01-01",
    "last time": "9999-12-31T23:59:59-14:00", "far zone": "2025-01-01T00:00:00+99:99", "8 digits": "99999999",
    "other digits": "٣٢١", "power": "²", "30 digits": "9" * 30, "open text": '{"a": ',
    "text of NUL": '{"a": "\\u0000"}',
    "text of half": '{"text": "\\ud800"}', "text of Infinity": '{"summary": 1e999}', "text twice": '{"a": 1, "a": 2}',
    "literal": "{'a': ['b', None, True, (1, 2), {3}, b'x', 1e999]}", "deep literal": "{'a':" * 5000 + "}" * 5000,
    "text of lists": "[" * 5000 + "]" * 5000, "deep text": '{"a":' * 5000 + "1" + "}" * 5000,
    "minuses": "{" + "-" * 5000,
    "HTML": "<script>a</script><a href='javascript:b'>c</a>" * 20, "tags": "<b>" * 3000, "stars": "*" * 3000,
    "no address": "https://[::1", "javascript": "javascript:alert(1)", "many": list(range(20_000)),
    "many keys": {str(number): {"text": "a"} for number in range(2000)}, "example": "https://example.com/",
    "placeholder": "Untitled", "failure": "Summary generation failed", "variants": [{"variant": "\x00", "text": "a"}],
    "categories": {"categories": [{"category": None, "subcategories": {"a": 1}}, 5, ["b"]]},
    "category": [{"category": "x" * 3000, "subcategories": ["y" * 3000]}],
}  # fmt: skip
# Made anew each time. Text of many letters cannot be packed into an index; of many words it is much for a search.
LONG = ("one letter", "letters", "many letters", "words")
# Those of a megabyte are met now and then.
ODD_VALUES = (*VALUES, *RAW, "letters") * 8 + LONG
ODD_KEYS = ("", "\x00", "a\x00", "\ud800", "__proto__", "text", "title", "video_id", "summary", "variants", "k" * 3000)

CONTENT_TYPES = (
    "", "text/plain", "application/json; charset=utf-16", "application/json; charset=hex", "application/octet-stream",
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data",
    "multipart/form-data; boundary=b", "multipart/form-data; boundary=\xe9", "/", ";", "application/json;" * 200,
    "application/json; charset=" + "x" * 300, "application/json; charset=idna", "application/json; charset=undefined",
)  # fmt: skip


@cache
def payloads() -> list[str]:
    """One of each shape: ours, and those of the recorded contract where it is at hand."""
    recorded = sorted((settings.SHARED_DIR / "contract" / "payloads").glob("*.json"))
    return [json.dumps(shape) for shape in (REPORT, FLAT, NESTED, UNIVERSAL)] + [path.read_text() for path in recorded]


def letters(dice: random.Random, number: int) -> str:
    return "".join(map(chr, dice.choices(range(0x4E00, 0x9FFF), k=number)))


def odd_value(dice: random.Random) -> tuple[str, Any]:
    """A value, and what it is called; one of RAW stands for what is put in when it has become text."""
    match name := dice.choice(ODD_VALUES):
        case "one letter":
            return name, dice.choice("aé\u4e2d") * MEGABYTE
        case "letters":
            return name, letters(dice, dice.choice([90, 170, 300, 660, 1000, 3000]))
        case "many letters":
            return name, letters(dice, MEGABYTE // 3)
        case "words":
            return name, " ".join(f"{dice.getrandbits(56):x}" for _ in range(80_000))
    # A copy: more oddities may be put into it.
    return (name, deepcopy(VALUES[name])) if name in VALUES else (name, f"@@{name}@@")


def places(value: Any) -> Iterator[tuple[dict | list, Any]]:
    """Every place in a payload: what holds it, and its key or number there."""
    for step, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, step
        if isinstance(item, dict | list):
            yield from places(item)


def odd_json(dice: random.Random, key: str, shape: str) -> tuple[bytes, list[str]]:
    """A payload with something odd in it or about it, and what that is."""
    payload = json.loads(shape.replace(KEY, key).replace(KEY.lower(), key.lower()))
    oddities = []
    for _ in range(dice.choice([0, 1, 1, 1, 2, 4])):
        if not (found := list(places(payload))):
            break
        holder, step = dice.choice(found)
        match change := dice.choice(["value", "value", "value", "gone", "key", "more", "text", "elsewhere"]):
            case "value":
                change, holder[step] = odd_value(dice)
            case "gone":
                del holder[step]
            case "text":
                holder[step] = json.dumps(holder[step])
            case "elsewhere":
                holder[step] = json.loads(json.dumps(dice.choice(found)[0]))
            case "key" | "more" if isinstance(holder, dict):
                name, value = odd_value(dice)
                holder[dice.choice(ODD_KEYS)] = holder.pop(step) if change == "key" else value
                change = f"{change} {name}"
            case _:
                holder.append(holder[step]) if isinstance(holder, list) else None
        oddities.append(f"{step}: {change}"[:60])
    text = json.dumps(payload, ensure_ascii=dice.random() < 0.8)
    for name, raw in RAW.items():
        text = text.replace(f'"@@{name}@@"', raw)
    if dice.random() < 0.1:
        oddities.append("a key twice")
        text = text.replace("{", '{"title": "Another", ', 1) if dice.random() < 0.5 else text[:-1] + ', "id": "x"}'
    body = text.encode("utf-8", "surrogatepass")
    return odd_bytes(dice, body, oddities) if dice.random() < 0.25 else (body, oddities)


def odd_bytes(dice: random.Random, body: bytes, oddities: list[str]) -> tuple[bytes, list[str]]:
    """A body that something has happened to."""
    middle = dice.randrange(len(body) + 1)
    ways = {
        "cut": body[:middle], "no UTF-8": body[:middle] + b"\xff\xfe\xed\xa0\x80" + body[middle:],
        "NUL byte": body[:middle] + b"\x00" + body[middle:], "UTF-16": body.decode("utf-8", "replace").encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + body, "gzip": gzip.compress(body), "empty": b"", "space": b" \r\n\t",
        "twice": body + body, "a list": b"[" + body + b"]", "null": b"null", "text": b'"a"', "number": b"1" * 5000,
        "nothing in it": b"{}", "bytes": dice.randbytes(500), "open": b"[" * 100_000, "form": b"id=a&title=%00%ff",
        "objects": b'{"a":' * 100_000, "lower case": body.lower(), "NaN": b"NaN", "Latin-1": b'{"id": "\xe9"}',
    }  # fmt: skip
    way = dice.choice(list(ways))
    return ways[way], [*oddities, way]


# Forms, and what can be odd about them ----------------------------------------------------------------------

FORM_ODDITIES = (
    "nothing", "no boundary", "another boundary", "empty boundary", "long boundary", "boundary beyond ASCII",
    "cut off", "no end", "no disposition", "broken header", "long header", "1,000 parts", "1,500 parts", "300 files",
    "no file name", "odd file name", "empty file", "another name", "twice", "base64", "no base64", "quoted-printable",
    "charset of a part", "charset of the form", "line feeds", "JSON", "urlencoded", "empty", "bytes", "odd id",
    "other content", "large field", "form in a form", "text behind the end", "no names", "encoded names",
)  # fmt: skip
FILE_NAMES = (
    "", "\x00.mp3", "a\x00b.mp3", "../../etc/passwd", "/", "..", ".", "x" * 5000, "\\", '"', ";", "%00.mp3", "&#0;.mp3",
    "audio_AbC-dE_f123_99999999_999999.mp3", "\udcff.mp3", "CON", "a\tb", "\u202e3pm.exe", "名" * 300,
)  # fmt: skip
ENCODED_NAMES = ("utf-8''%ff%00.mp3", "hex''61", "x", "utf-16''%d8%00", "'%", "idna''" + "a" * 70, "undefined''%61")
CHARSETS = ("hex", "utf-16", "idna", "undefined", "rot13", "zlib", "x" * 300, "utf-8", "\xe9", "unicode_escape", "")
UPLOADS = {
    "/ingest/audio": ("video_id", "audio"), "/api/upload-audio": ("content_id", "audio"),
    "/api/upload-image": ("content_id", "image"), "/api/upload-report": ("stem", "report"),
    "/api/upload-database": ("id", "database"),
}  # fmt: skip


@dataclass
class Form:
    """A form to be sent: for each part its headers and its content."""

    parts: list[tuple[str, bytes]]
    boundary: str = "a-boundary"
    content_type: str = "multipart/form-data; boundary=a-boundary"

    def body(self) -> bytes:
        lines = []
        for head, content in self.parts:
            lines += [f"--{self.boundary}\r\n{head}\r\n\r\n".encode("utf-8", "surrogateescape"), content, b"\r\n"]
        return b"".join([*lines, f"--{self.boundary}--\r\n".encode()])


def disposition(name: str, file_name: str | None = None) -> str:
    end = "" if file_name is None else f'; filename="{file_name}"'
    return f'Content-Disposition: form-data; name="{name}"{end}'


def odd_form(dice: random.Random, key: str, route: str) -> tuple[bytes, str, list[str]]:
    """A form for a route, its content type, and what is odd about it."""
    id_name, file_part = UPLOADS[route]
    sounds = mp3(content=dice.randbytes(8), frames=dice.randint(2, 30))
    found: list[str] = []
    if file_part == "report":
        content, found = odd_json(dice, key, dice.choice(payloads()))
    else:
        # Bytes behind the end of a picture are allowed, a few.
        content = PNG_BYTES + dice.randbytes(8) if file_part == "image" else sounds
    name = {"audio": f"{key}.mp3", "image": f"{key}.png"}.get(file_part, f"some_title_{key}.json")
    form = Form([(disposition(id_name, None), key.encode()), (disposition(file_part, name), content)])
    if file_part == "report" and dice.random() < 0.5:
        form.parts.append((disposition("audio", f"{key}.mp3"), sounds if dice.random() < 0.8 else b""))
    body = None
    for oddity in dice.sample(FORM_ODDITIES, dice.choice([1, 1, 2])):
        found.append(oddity)
        part = dice.randrange(len(form.parts)) if form.parts else 0
        head, content = form.parts[part] if form.parts else ("", b"")
        changed: tuple[str, bytes] | None = None
        match oddity:
            case "no boundary":
                form.content_type = "multipart/form-data"
            case "another boundary":
                form.content_type = "multipart/form-data; boundary=another"
            case "empty boundary":
                form.content_type = "multipart/form-data; boundary="
            case "long boundary":
                form.boundary = "b" * dice.choice([70, 200, 201, 5000])
                form.content_type = f"multipart/form-data; boundary={form.boundary}"
            case "boundary beyond ASCII":
                form.content_type = "multipart/form-data; boundary=\xe9\xff"
            case "charset of the form":
                form.content_type += f"; charset={dice.choice(CHARSETS)}"
            case "JSON":
                form.content_type = "application/json"
            case "urlencoded":
                form.content_type = "application/x-www-form-urlencoded"
            case "no disposition":
                changed = ("X-Nothing: a", content)
            case "broken header":
                changed = (f"{head}\r\n: \x00\r\nno colon\r\nContent-Disposition", content)
            case "long header":
                changed = (f"{head}\r\nX-Long: {'x' * 5000}", content)
            case "1,000 parts" | "1,500 parts":
                number = 1000 if oddity == "1,000 parts" else 1500
                form.parts += [(disposition(f"f{one}"), b"x") for one in range(number - len(form.parts))]
            case "300 files":
                form.parts += [(disposition(f"f{one}", "a.mp3"), b"x") for one in range(300)]
            case "no file name":
                changed = (disposition(file_part), content)
            case "odd file name":
                changed = (disposition(file_part, dice.choice(FILE_NAMES)), content)
            case "encoded names":
                changed = (f"{disposition(file_part)}; filename*={dice.choice(ENCODED_NAMES)}", content)
            case "no names":
                changed = ("Content-Disposition: form-data", content)
            case "empty file":
                changed = (head, b"")
            case "another name":
                changed = (disposition("another", "a.mp3"), content)
            case "twice":
                form.parts.append((head, content[::-1]))
            case "base64" | "no base64":
                encoded = b"YWJj" if oddity == "base64" else b"Y$\x00J"
                changed = (f"{head}\r\nContent-Transfer-Encoding: base64", encoded)
            case "quoted-printable":
                changed = (f"{head}\r\nContent-Transfer-Encoding: quoted-printable", content)
            case "charset of a part":
                changed = (f"{head}\r\nContent-Type: text/plain; charset={dice.choice(CHARSETS)}", content)
            case "odd id":
                changed = (disposition(id_name), odd_id(dice, key).encode("utf-8", "surrogatepass"))
            case "other content":
                others = [b"<html>", PNG_BYTES, sounds[:417], b"ID3" + b"\x7f" * 50, b"\x00" * 9000]
                changed = (head, dice.choice(others))
            case "large field":
                changed = (disposition(id_name), dice.randbytes(200_000))
            case "form in a form":
                changed = (f"{head}\r\nContent-Type: multipart/mixed; boundary=in", b"--in\r\n\r\nx\r\n--in--")
            case "cut off":
                body = form.body()[: dice.randrange(len(form.body()))]
            case "no end":
                body = form.body()[: -len(form.boundary) - 8]
            case "line feeds":
                body = form.body().replace(b"\r\n", b"\n")
            case "empty":
                body = b""
            case "bytes":
                body = dice.randbytes(3000)
            case "text behind the end":
                body = form.body() + b"x" * dice.choice([10, 5000])
        if changed and form.parts:
            form.parts[part] = changed
    return form.body() if body is None else body, form.content_type, found


# Requests -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odd:
    """A request with something odd in it."""

    number: int
    method: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    oddities: tuple[str, ...] = ()

    @property
    def route(self) -> str:
        """The route, without the ids that it is sent to."""
        head = "/".join(self.path.partition("?")[0].split("/")[:3])
        return f"{self.method} {head}{'/<id>' if self.path.startswith(head + '/') else ''}"

    def __str__(self) -> str:
        sent = f"{len(self.body)} bytes {self.body[:300]!r}"
        return f"{self.number}: {self.method} {self.path[:300]} {self.headers} {self.oddities} {sent}"


def odd_id(dice: random.Random, key: str) -> str:
    """An id in a form that is known, or as no program should send it."""
    if dice.random() < 0.5:
        return dice.choice([key, f"yt:{key}", key.lower(), f"some_title_{key}", f"{key}_20250901_134325"])
    return dice.choice([
        "\x00", f"\x00{key}", f"{key}\x00", "x" * 5000, letters(dice, 330), letters(dice, 1000), letters(dice, 1500),
        "../../etc/passwd", "..", ".", "/", "%", "a\nb", "\r", " ", "yt:", "reddit:", "m", "%00", "'; --", "\udcff",
        "\ud800", "\u202e", "😀" * 250, "a/b/c", "?", f"{key}?", f"{key}#", "null", "{}", "-", "_" * 999, "\ufffe", "é",
    ])  # fmt: skip


def in_address(dice: random.Random, name: str) -> str:
    """An id as it stands in an address; now and then not well written."""
    raw = ["%", "%2", "%zz", "%FF", "%C0%80", "%ED%A0%80", "%00", "..%2F..%2Fetc", "%252e", "a%0d%0ab", "+", "%0a"]
    return dice.choice(raw) if dice.random() < 0.2 else quote(name, safe="", errors="surrogatepass")


def odd_request(number: int) -> Odd:
    """The request of this number."""
    dice = random.Random(f"odd body {number}")
    alphabet = string.ascii_letters + string.digits + "_-"
    # Most have a video of their own, of which it is seen afterwards whether it came whole.
    key = dice.choice(HOT_KEYS) if dice.random() < 0.25 else "".join(dice.choices(alphabet, k=11))
    kind = dice.choices(["json", "changes", "form", "delete"], [50, 12, 32, 6])[0]
    headers = {"Content-Type": "application/json"}
    if kind == "form":
        route = dice.choices(list(UPLOADS), [30, 20, 20, 30, 3])[0]
        body, headers["Content-Type"], oddities = odd_form(dice, key, route)
        if dice.random() < 0.2:
            stem = odd_id(dice, key).encode("utf-8", "replace").decode("latin-1")
            headers["X-Report-Stem"] = re.sub(r"[\x00\r\n]", "?", stem)[:4000]
        return Odd(number, "POST", route, body, headers, tuple(oddities))
    if kind == "json":
        method, path = "POST", dice.choice(["/ingest/report", "/api/content"])
        body, oddities = odd_json(dice, key, dice.choice(payloads()))
    elif kind == "changes":
        key = dice.choice(HOT_KEYS)
        method, path = dice.choice(["PUT", "POST"]), f"/api/content/{in_address(dice, odd_id(dice, key))}"
        body, oddities = odd_json(dice, key, json.dumps(CHANGES))
    else:
        key = dice.choice(DELETED_KEYS)
        method, path = dice.choice(["DELETE", "POST"]), "/api/delete"
        body, oddities = b"", []
        match dice.choice(["path", "query", "body"]):
            case "path":
                path += f"/{in_address(dice, odd_id(dice, key))}"
            case "query":
                path += f"?id={in_address(dice, odd_id(dice, key))}"
            case _:
                body, oddities = odd_json(dice, key, json.dumps({"id": odd_id(dice, key)}))
    if dice.random() < 0.15:
        headers["Content-Type"] = dice.choice(CONTENT_TYPES)
        oddities.append(headers["Content-Type"][:40])
    if dice.random() < 0.05:
        headers["Content-Encoding"] = "gzip"
    if not path.startswith("/api/delete") and dice.random() < 0.05:
        path += dice.choice(["?id=%00", "?%ff=%fe", "?a&a&=&;", "?" + "x=1&" * 2000])
    return Odd(number, method, path, body, headers, tuple(oddities))


# Answers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came back. `status` 0: nothing."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(port: int, odd: Odd) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=LONGEST_SECONDS)
    try:
        # It may be answered before all of it is sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(odd.method, odd.path, odd.body, TOKEN | odd.headers | {"Connection": "close"})
        got = connection.getresponse()
        return Answer(got.status, got.headers.get("Content-Type", ""), got.read())
    except (OSError, HTTPException) as error:
        return Answer(0, "", repr(error).encode())
    finally:
        connection.close()


def fault(answer: Answer) -> str:
    """What is wrong with an answer; empty for nothing."""
    if answer.status not in (200, 400, 404, 405, 410, 413):
        return f"it was answered with {answer.status}"
    try:
        got = answer.json()
    except ValueError:
        return "the answer is no JSON"
    if not isinstance(got, dict) or not got or not answer.content_type.startswith("application/json"):
        return "the answer is no object"
    is_refused = got.keys() == {"error", "message"} and all(isinstance(text, str) and text for text in got.values())
    return "" if is_refused == (answer.status != 200) else "a refusal and its status do not fit"


def is_from_the_router(answer: Answer) -> bool:
    return answer.status == 404 and answer.json()["message"] == FROM_THE_ROUTER


def memory(server: Server) -> dict[str, int]:
    """Kilobytes of memory that the process which answers has, and had at most."""
    lines = dict(line.split(":", 1) for line in (server.worker() / "status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM")}


# What must hold -------------------------------------------------------------------------------------------


def stored_files(media: Path) -> dict[str, Path]:
    return {str(path.relative_to(media)): path for path in media.rglob("*") if path.is_file()}


def assert_rows_and_files_agree(media: Path, before: set[str]) -> None:
    """No file without a row, none of another content than its row says, and nothing unfinished."""
    files = {name: path for name, path in stored_files(media).items() if name not in before}
    rows = {row.name: row for model in (AudioFile, ImageFile) for row in model.objects.all()}
    assert files.keys() == rows.keys()
    for name, path in files.items():
        content = path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (rows[name].size_bytes, rows[name].sha256), name


def as_numbers(value: Any) -> Any:
    """A value in which all numbers are of one kind: PostgreSQL gives 1e308 back as an integer."""
    return json.loads(json.dumps(value), parse_int=float)


def assert_nothing_is_half_stored() -> None:
    """Of each video that one body made: what is stored is all that the body says."""
    assert not Summary.objects.exclude(video__in=Video.objects.all()).exists()
    latest = Count("pk", filter=Q(is_latest=True))
    variants = Summary.objects.order_by().values("video", "variant").annotate(latest=latest, rows=Count("pk"))
    assert {entry["latest"] for entry in variants} <= {1}
    assert kept() == recounted()

    written = IngestLogEntry.objects.filter(outcome__in=[IngestOutcome.CREATED, IngestOutcome.UPDATED])
    written = written.filter(body__isnull=False)
    times_written = Counter(written.values_list("video_id", flat=True))
    assert set(Video.objects.values_list("pk", flat=True)) == times_written.keys()
    for entry in written.filter(outcome=IngestOutcome.CREATED, route__in=MERGED):
        if times_written[entry.video_id] > 1:
            continue
        video = Video.objects.get(pk=entry.video_id)
        sent = read_universal(loads(bytes(entry.body)), entry.video_id)
        assert (video.title, video.channel_name) == (sent.record.title, sent.record.channel_name), entry.pk
        assert as_numbers(video.extra) == as_numbers(sent.record.extra), entry.pk
        texts = {row.variant: row.text for row in Summary.objects.filter(video=video, is_latest=True)}
        assert texts == {text.variant: text.text for text in sent.texts}, entry.pk
        pairs = Categorization.objects.filter(video=video).values_list("category__name", "subcategory__name")
        assert set(pairs) == {(pair.category, pair.subcategory) for pair in sent.pairs}, entry.pk
    # Without a title is only what never came with one.
    for video in Video.objects.live().filter(title=""):
        for entry in written.filter(video_id=video.pk):
            record = read_universal(loads(bytes(entry.body)), video.pk).record
            assert not is_real(record.title), (video.pk, entry.pk)


MERGED = ("/ingest/report", "/api/content", "/api/upload-report")


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process that answers, for all tests here. What it says must hold no traceback."""
    with gunicorn(media_of(tmp_path_factory.getbasetemp()), INGEST_TOKEN=TOKEN["X-INGEST-TOKEN"]) as running:
        yield running


def media_of(folder: Path) -> Path:
    return folder / "odd-bodies-media"


@pytest.fixture
def media(server: Server, transactional_db: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media_of(tmp_path_factory.getbasetemp())


def test_an_odd_body_is_answered_plainly_logged_and_stored_whole_or_not_at_all(server, media):
    before = set(stored_files(media))
    worker = server.worker()
    faults: dict[tuple[str, str], list[Odd]] = defaultdict(list)
    answers: Counter[tuple[str, int]] = Counter()
    logged: Counter[int] = Counter()
    quarantined = 0
    measured: list[dict[str, int]] = []
    step = max(BODIES // 10, 100)
    started = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for first in range(0, BODIES, step):
            requests = [odd_request(number) for number in range(first, min(first + step, BODIES))]
            for odd, answer in zip(requests, pool.map(lambda odd: send(server.port, odd), requests), strict=True):
                answers[odd.route, answer.status] += 1
                if sentence := fault(answer):
                    faults[sentence, odd.route].append(odd)
                    continue
                if not is_from_the_router(answer):
                    logged[answer.status] += 1
                quarantined += answer.json().get("action") == "quarantined"
            measured.append(memory(server))
    sys.stdout.write(f"{BODIES} bodies in {time.monotonic() - started:.0f} s\n")
    for (route, status), number in sorted(answers.items()):
        sys.stdout.write(f"{route:32} {status} {number:6}\n")
    sys.stdout.write(f"kilobytes of memory, by {step} bodies: {measured}\n")
    smallest = {fault: str(min(odd, key=lambda odd: len(odd.body))) for fault, odd in faults.items()}
    assert not faults, "\n".join(f"{sentence}, {len(faults[sentence, route])} times, as for {odd}"
                                 for (sentence, route), odd in smallest.items())  # fmt: skip
    assert server.worker() == worker, "the process was replaced"
    assert_nothing_is_half_stored()
    assert_rows_and_files_agree(media, before)
    outcomes = Counter(IngestLogEntry.objects.values_list("outcome", flat=True))
    sys.stdout.write(f"{dict(outcomes)}, {AudioFile.objects.count()} sounds, {ImageFile.objects.count()} pictures\n")
    assert outcomes.keys() == set(IngestOutcome.values)
    assert Counter(IngestLogEntry.objects.values_list("status", flat=True)) == logged
    assert outcomes[IngestOutcome.QUARANTINED] == quarantined
    # A large body leaves memory behind that the next one takes; what leaks is never given back. So the least counts.
    warm, half = [sizes["VmRSS"] for sizes in measured[1:]], len(measured) // 2
    growth = min(warm[half:] or warm) - min(warm[:half])
    sys.stdout.write(f"the least memory of the second half is {growth} kilobytes above that of the first\n")
    assert growth < MOST_GROWTH_KILOBYTES


# Large bodies, and clients that go away ---------------------------------------------------------------------


def pieces(size: int) -> Iterator[bytes]:
    """A form with a sound of so many bytes."""
    yield f"--b\r\n{disposition('video_id')}\r\n\r\n{KEY}\r\n--b\r\n{disposition('audio', 'a.mp3')}\r\n\r\n".encode()
    block = mp3(frames=MEGABYTE // 417)
    for _ in range(size // len(block)):
        yield block
    yield b"\r\n--b--\r\n"


def stream(port: int, path: str, size: int, *, chunked: bool = False) -> tuple[Answer, int]:
    """Send so many bytes piece by piece until there is an answer; that, and how many bytes were sent."""
    length = sum(map(len, pieces(size)))
    head = {**TOKEN, "Host": "127.0.0.1", "Content-Type": "multipart/form-data; boundary=b"}
    head |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(length)}
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST_SECONDS) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        connection.sendall(f"POST {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        try:
            for piece in pieces(size):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
            else:
                connection.sendall(b"0\r\n\r\n" if chunked else b"")
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = HTTPResponse(connection)
        got.begin()
        return Answer(got.status, got.headers.get("Content-Type", ""), got.read()), sent


@pytest.mark.parametrize(
    ("path", "chunked", "status"),
    [
        ("/ingest/report", False, 413),
        ("/api/content", False, 413),
        (f"/api/content/{KEY}", False, 413),
        ("/ingest/audio", False, 413),
        ("/api/upload-image", False, 413),
        ("/api/upload-report", False, 413),
        ("/api/upload-database", False, 410),
        # Without a length the server reads none of it.
        ("/ingest/audio", True, 400),
        ("/ingest/report", True, 400),
    ],
)
def test_200_megabytes_are_refused_early_and_cost_no_memory(server, media, path, chunked, status):
    before, entries, files = memory(server), IngestLogEntry.objects.count(), set(stored_files(media))
    answer, sent = stream(server.port, path, 201 * MEGABYTE, chunked=chunked)
    assert (answer.status, fault(answer)) == (status, ""), answer
    assert sent < 100 * MEGABYTE
    assert memory(server)["VmHWM"] - before["VmHWM"] < 30 * 1024
    assert IngestLogEntry.objects.count() == entries + 1
    assert not Video.objects.exists() and set(stored_files(media)) == files
    assert server.answers()


def test_a_large_sound_is_taken_whole_and_costs_no_memory(server, media):
    size = (199 if BODIES >= 5000 else 40) * MEGABYTE
    before, files = memory(server), set(stored_files(media))
    answer, _ = stream(server.port, "/ingest/audio", size)
    assert (answer.status, fault(answer), answer.json()["action"]) == (200, "", "kept_aside")
    assert memory(server)["VmHWM"] - before["VmHWM"] < 30 * 1024
    assert_rows_and_files_agree(media, files)


@pytest.mark.parametrize("way", ["no more is sent", "the connection is reset"])
@pytest.mark.parametrize("path", ["/ingest/report", "/api/content", "/api/delete", *UPLOADS])
def test_a_client_that_goes_away_in_the_middle_leaves_nothing(server, media, path, way):
    files = set(stored_files(media))
    body = json.dumps(REPORT).encode() if path not in UPLOADS else b"".join(pieces(2 * MEGABYTE))
    kind = "application/json" if path not in UPLOADS else "multipart/form-data; boundary=b"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-INGEST-TOKEN: {TOKEN['X-INGEST-TOKEN']}\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONGEST_SECONDS) as connection:
        try:
            connection.sendall(head.encode() + body[: len(body) // 2])
            if way == "no more is sent":
                connection.shutdown(socket.SHUT_WR)
                got = HTTPResponse(connection)
                got.begin()
                answer = Answer(got.status, got.headers.get("Content-Type", ""), got.read())
                assert 400 <= answer.status < 500 and fault(answer) == ""
            else:
                # Not the usual end: what the other side reads is an error.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (BrokenPipeError, ConnectionResetError):
            assert path == "/api/upload-database"
    assert wait_for(lambda: IngestLogEntry.objects.filter(route=path).exists())
    assert not Video.objects.exists() and set(stored_files(media)) == files
    assert server.answers()
