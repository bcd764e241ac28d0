"""The old dashboard, played by a process of its own over a copy of its file: plain sqlite3, and no code of ours.

    python -m tests.old_dashboard COPY.db PORT

It takes what the worker sends, stores it in the old tables and answers from them. POST /_test {"mode": …} lets it be
slow, answer 500 to everything, or hang; "refuse" lets it turn away the video that is named beside it, with 400, and
"break" lets it answer 500 to that video alone. GET /_test says what came in.
"""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

SECRET = "the-secret-of-both"
SLOW_SECONDS = 0.2
JSON_COLUMNS = ("category", "key_topics", "named_entities", "analysis")


class Dashboard(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    path_of_file: Path
    mode: dict[str, str] = {"mode": "ok", "video_id": ""}
    received: list[list[str]] = []
    lock = Lock()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_test":
            return self.answer(200, {"received": self.received})
        if self.is_out_of_order():
            return None
        if url.path == "/health":
            return self.answer(200, {"status": "ok"})
        if url.path == "/api/reports":
            return self.list_reports(parse_qs(url.query))
        if url.path.startswith("/api/reports/"):
            return self.report(unquote(url.path.removeprefix("/api/reports/")))
        return self.answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "null")
        if self.path == "/_test":
            self.mode.update({"video_id": ""} | body)
            return self.answer(200, {"mode": self.mode})
        if self.is_out_of_order() or not self.may_write():
            return None
        if self.path != "/api/content" or not body.get("id") or not body.get("title"):
            return self.answer(400, {"error": "id and title are required"})
        if body["video_id"] == self.mode["video_id"] and self.mode["mode"] in ("refuse", "break"):
            return self.answer(400 if self.mode["mode"] == "refuse" else 500, {"error": "this one I do not take"})
        with self.lock, closing(self.connect()) as connection, connection:
            self.received.append(["write", body["video_id"]])
            self.store(connection, body)
        return self.answer(200, {"success": True, "id": body["id"], "upserted": True})

    def do_DELETE(self) -> None:
        if self.is_out_of_order() or not self.may_write():
            return None
        name = unquote(self.path.removeprefix("/api/delete/"))
        with self.lock, closing(self.connect()) as connection, connection:
            self.received.append(["delete", name])
            connection.execute("DELETE FROM content_summaries WHERE content_id = ?", (name,))
            gone = connection.execute("DELETE FROM content WHERE id = ?", (name,)).rowcount
        return self.answer(200, {"status": "success", "deleted_files": 0, "errors": [], "idempotent": not gone})

    # The file

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path_of_file, timeout=10)
        connection.row_factory = sqlite3.Row
        return connection

    def columns(self, connection: sqlite3.Connection) -> list[str]:
        return [row["name"] for row in connection.execute("PRAGMA table_info(content)")]

    def store(self, connection: sqlite3.Connection, body: dict[str, Any]) -> None:
        values = {name: body[name] for name in self.columns(connection) if name in body}
        for name in JSON_COLUMNS:
            if values.get(name) is not None:
                values[name] = json.dumps(values[name])
        known = connection.execute("SELECT 1 FROM content WHERE id = ?", (body["id"],)).fetchone()
        if known:
            changes = ", ".join(f'"{name}" = ?' for name in values)
            connection.execute(f"UPDATE content SET {changes} WHERE id = ?", [*values.values(), body["id"]])
        else:
            names, places = ", ".join(f'"{name}"' for name in values), ", ".join("?" for _ in values)
            connection.execute(f"INSERT INTO content ({names}) VALUES ({places})", list(values.values()))
        if body.get("summary_text"):
            connection.execute(
                "INSERT OR REPLACE INTO content_summaries (content_id, summary_text, summary_type) VALUES (?, ?, ?)",
                (body["id"], body["summary_text"], body["summary_type"]),
            )

    def report(self, name: str) -> None:
        with closing(self.connect()) as connection:
            row = connection.execute("SELECT * FROM content WHERE id = ? OR video_id = ?", (name, name)).fetchone()
            if row is None:
                return self.answer(404, {"error": "Report not found"})
            said = connection.execute("SELECT * FROM content_summaries WHERE content_id = ?", (row["id"],)).fetchone()
            text, kind = (said["summary_text"], said["summary_type"]) if said else ("No summary available.", "none")
            summary = {"text": text, "type": kind, "content": {"summary": text, "summary_type": kind}}
            return self.answer(200, item(dict(row)) | {"summary": summary})

    def list_reports(self, query: dict[str, list[str]]) -> None:
        size, page = int(query.get("size", ["20"])[0]), int(query.get("page", ["1"])[0])
        with closing(self.connect()) as connection:
            total = connection.execute("SELECT count(*) FROM content").fetchone()[0]
            rows = connection.execute(
                "SELECT * FROM content ORDER BY published_at DESC LIMIT ? OFFSET ?", (size, (page - 1) * size)
            ).fetchall()
        pages = -(-total // size)
        pagination = {"page": page, "size": size, "total_count": total, "total_pages": pages}
        pagination |= {"has_next": page < pages, "has_prev": page > 1}
        reports = [item(dict(row)) for row in rows]
        return self.answer(200, {"reports": reports, "pagination": pagination, "sort": "newest", "filters": {}})

    # Answers

    def is_out_of_order(self) -> bool:
        mode = self.mode["mode"]
        if mode == "slow":
            time.sleep(SLOW_SECONDS)
        if mode == "hang":
            time.sleep(60)
        if mode == "500":
            self.answer(500, {"error": "database is locked"})
        return mode in ("500", "hang")

    def may_write(self) -> bool:
        if self.headers["X-Sync-Secret"] == os.environ["SYNC_SECRET"]:
            return True
        self.answer(401, {"error": "Unauthorized"})
        return False

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        # The body of a request may not have been read.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def item(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the old dashboard answers it."""

    def parsed(name: str) -> Any:
        try:
            return json.loads(row.get(name) or "null")
        except ValueError:
            return row[name]

    sent = parsed("subcategories_json") or parsed("analysis") or {}
    listed = (sent.get("categories") if isinstance(sent, dict) else sent) or []
    categories = [entry for entry in listed if entry.get("subcategories")]
    flat = parsed("category") or []
    number = {name: row[name] or 0 for name in ("duration_seconds", "audio_duration_seconds", "word_count")}
    return {
        "id": row["id"],
        "title": row["title"] or "Untitled",
        "thumbnail_url": row["thumbnail_url"] or "",
        "canonical_url": row["canonical_url"] or "",
        "channel": row["channel_name"] or "",
        "published_at": row["published_at"] or "",
        "duration_seconds": number["duration_seconds"],
        "analysis": {
            "category": flat if isinstance(flat, list) else [flat],
            "subcategory": categories[0]["subcategories"][0] if categories else None,
            "categories": categories,
            "content_type": row["content_type"] or "",
            "complexity_level": row["complexity_level"] or "",
            "language": row["language"] or "en",
            "key_topics": parsed("key_topics") or [],
            "named_entities": parsed("named_entities") or [],
        },
        "media": {
            "has_audio": bool(row["has_audio"]),
            "audio_duration_seconds": number["audio_duration_seconds"],
            "has_transcript": bool(row["has_transcript"]),
            "transcript_chars": row["transcript_chars"] or 0,
        },
        "media_metadata": {
            "video_duration_seconds": number["duration_seconds"],
            "mp3_duration_seconds": number["audio_duration_seconds"],
        },
        "file_stem": row["video_id"],
        "video_id": row["video_id"],
        "subcategories_json": row.get("subcategories_json"),
        "indexed_at": row["indexed_at"] or "",
        "original_language": row["language"] or "en",
        "summary_language": "en",
        "audio_language": "en",
        "word_count": number["word_count"],
    }


# For tests


@dataclass
class OldDashboard:
    """A running old dashboard: where it answers, and its file."""

    url: str
    path: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, at the same port as before."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.old_dashboard", str(self.path), str(urlsplit(self.url).port)],
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"SYNC_SECRET": SECRET},
        )
        deadline = time.monotonic() + 30
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, "the old dashboard does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, at once."""
        if self.process:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def answers(self) -> bool:
        try:
            return bool(self.received() or True)
        except (URLError, OSError):
            return False

    def set_mode(self, mode: str, video_id: str = "") -> None:
        body = json.dumps({"mode": mode, "video_id": video_id}).encode()
        with urlopen(Request(f"{self.url}/_test", body, method="POST"), timeout=10) as response:
            response.read()

    def received(self) -> list[list[str]]:
        """What was written and deleted since it started, in order: ["write", video_id] or ["delete", old id]."""
        with urlopen(f"{self.url}/_test", timeout=10) as response:
            return json.load(response)["received"]

    def report(self, name: str) -> dict[str, Any] | None:
        try:
            with urlopen(f"{self.url}/api/reports/{name}", timeout=10) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                return None


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextmanager
def old_dashboard(path: Path) -> Iterator[OldDashboard]:
    """The old dashboard over this file, in a process of its own; its secret is SECRET."""
    dashboard = OldDashboard(f"http://127.0.0.1:{free_port()}", path)
    try:
        dashboard.start()
        yield dashboard
    finally:
        dashboard.stop()


def main(path: str, port: str) -> None:
    Dashboard.path_of_file = Path(path)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Dashboard).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
