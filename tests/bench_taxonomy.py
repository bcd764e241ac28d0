"""`python -m tests.bench_taxonomy --videos 100000`: how long a rename and a merge keep others waiting.

A made-up library of its own is imported once. While the largest category is renamed and then merged into the second
largest, one client reads the facets and one sends reports with the old name, to gunicorn as in production.
Nothing here passes or fails but the facets, which have to be right at once. Each run merges a category away.
"""

import argparse
import http.client
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .bench import INGEST_TOKEN, ROOT, environment, fetch, prepare, production, server


class Client(threading.Thread):
    """Sends requests one after the other, and remembers how long each took."""

    def __init__(self, send: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.send, self.seconds, self.is_done = send, [], threading.Event()

    def run(self) -> None:
        while not self.is_done.is_set():
            started = time.perf_counter()
            self.send()
            self.seconds.append(time.perf_counter() - started)

    def longest(self) -> float:
        """The longest wait since the last time."""
        seconds, self.seconds = self.seconds, []
        return max(seconds, default=0.0)


def reader(port: int) -> Callable[[], None]:
    return lambda: fetch(port, f"/api/filters?unasked={secrets.token_hex(4)}") and None


def writer(port: int, category: str) -> Callable[[], None]:
    """Reports of new videos with the name that the category had at first."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send() -> None:
        key = f"b{secrets.token_hex(5)}"
        body = {
            "video_id": key,
            "title": f"What {key} is about",
            "canonical_url": f"https://www.youtube.com/watch?v={key}",
            "analysis": {"categories": [{"category": category, "subcategories": []}]},
        }
        headers = {"Content-Type": "application/json", "X-INGEST-TOKEN": INGEST_TOKEN}
        connection.request("POST", "/ingest/report", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        if answer.read() and answer.status != 200:
            raise SystemExit(f"/ingest/report answered {answer.status}")

    return send


def facets(port: int) -> dict[str, int]:
    return {entry["value"]: entry["count"] for entry in fetch(port, "/api/filters")["category"]}


class Lock:
    """Notes when a verb got the names for itself."""

    since = 0.0

    def __call__(self, execute: Callable, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "pg_advisory_xact_lock(" in sql:
            self.since = time.perf_counter()
        return result


def measure(port: int, verbs: dict[str, Callable[[], Any]], category: str, expected: Callable[[], dict]) -> bool:
    """Run each verb with a reader and a writer beside it, and print how long it and they took."""
    clients = {"facets": Client(reader(port)), "ingest": Client(writer(port, category))}
    for client in clients.values():
        client.start()
    time.sleep(2)
    from django.db import connection

    waits = ", ".join(f"{name} {client.longest() * 1000:.0f} ms" for name, client in clients.items())
    print(f"before: longest {waits}")
    for name, run in verbs.items():
        lock = Lock()
        started = time.perf_counter()
        with connection.execute_wrapper(lock):
            done = run()
        waited, seconds = lock.since - started, time.perf_counter() - lock.since
        time.sleep(1)
        waits = ", ".join(f"{name} {client.longest() * 1000:.0f} ms" for name, client in clients.items())
        moved = f"{done.moved:,} pairs went over, {done.joined:,} joined" if done.moved else "no pair is written"
        print(
            f"{name}: {waited:.2f} s until it had the names, {seconds:.2f} s in all, {moved};",
            f"longest meanwhile: {waits}",
            flush=True,
        )
    for client in clients.values():
        client.is_done.set()
        client.join()
    return facets(port) == expected()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=20_000)
    options = parser.parse_args()
    values = environment(options.videos)
    if "EMBEDDED_POSTGRES_DIR" in values:
        values["EMBEDDED_POSTGRES_DIR"] = str(ROOT / f".postgres-bench/taxonomy-{options.videos}")
    prepare(values, options.videos)
    with server(values) as port:
        os.environ |= production(values) | {"DJANGO_SETTINGS_MODULE": "ytv2.settings", "LOG_LEVEL": "WARNING"}
        import django

        django.setup()
        from django.db.models import Count

        from videos import taxonomy
        from videos.models import Categorization, Category

        largest = sorted(Category.objects.offered(), key=taxonomy.videos_in, reverse=True)[:2]
        first, second = largest
        print(f"{first}: {taxonomy.videos_in(first):,} videos; {second}: {taxonomy.videos_in(second):,}")
        name = first.name
        verbs = {
            "rename": lambda: taxonomy.rename(first, f"{name} {secrets.token_hex(2)}", "bench"),
            "rename back": lambda: taxonomy.rename(first, name, "bench"),
            "merge": lambda: taxonomy.merge(first, second, "bench"),
        }

        def recounted() -> dict[str, int]:
            rows = Categorization.objects.filter(video__deleted_at=None).order_by()
            counts = rows.values_list("category__name").annotate(videos=Count("video", distinct=True))
            return dict(counts)

        is_right = measure(port, verbs, name, recounted)
    print("The facets are right at once." if is_right else "The facets are wrong.")
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
