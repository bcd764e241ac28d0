"""`make bench N=100000`: how fast the answers are, beside the old systems' figures.

gunicorn as in production, one client on one connection, warm: p50 and p95 of each row. "New" requests
carry a parameter that nobody asks for, so that no answer is one that the server remembers (but the page
drops what it does not know, so its two figures are of the same kind); "same" are the same request again.
A made-up library of N videos is imported once into a database of its own and used again the next time.
Then reports are sent to it as the worker does, by one client and by 16: new ones, and the same again.
Nothing here passes or fails: machines differ. Rows whose new requests fall short of the aims are named.
"""

import argparse
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
SEED = 1
WARM_UP = 10
INGEST_TOKEN = secrets.token_urlsafe(32)
COMMON = ("system", "history", "because", "simple", "people", "years")
RARE = ("zyzzyva",)

# Medians in milliseconds: the first dashboard at 100,000 videos; its PostgreSQL version at 20,000.
OLD = {
    "list page 1": (5.8, 240),
    "list page 800": (5.4, 1350),
    "one category": (790, 146),
    "pair": (700, 190),
    "q common": (300, 1100),
    "q rare": (310, 2270),
    "facets": (1620, 1870),
    "page /": (6.7, None),
}


def environment(videos: int) -> dict[str, str]:
    """The environment of a production server over the benchmark's own database."""
    values = dict(os.environ)
    if url := values.get("DATABASE_URL"):
        parts = urlsplit(url)
        values["DATABASE_URL"] = urlunsplit(parts._replace(path=f"/ytv2_bench_{videos}"))
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            name = f"ytv2_bench_{videos}"
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    else:
        values["EMBEDDED_POSTGRES_DIR"] = str(ROOT / f".postgres-bench/{videos}")
        (ROOT / ".postgres-bench").mkdir(exist_ok=True)
    return values


def manage(values: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=values, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(values: dict[str, str], videos: int) -> None:
    """Import the made-up library, unless it was imported before."""
    manage(values, "migrate", "-v0")
    count = "from videos.models import Video; print(Video.objects.count())"
    # Earlier runs have sent it some more.
    if int(manage(values, "shell", "-v0", "-c", count)) >= videos:
        return
    snapshot = ROOT / ".postgres-bench" / f"{videos}.db"
    snapshot.parent.mkdir(exist_ok=True)
    print(f"Importing {videos:,} made-up videos …", flush=True)
    manage(values, "make_snapshot", str(snapshot), "--videos", str(videos), "--seed", str(SEED), "--force")
    started = time.perf_counter()
    manage(values, "import_sqlite", str(snapshot))
    print(f"… in {time.perf_counter() - started:.0f} s.", flush=True)
    snapshot.unlink()


def production(values: dict[str, str]) -> dict[str, str]:
    """The environment of a production server over the same database; the embedded server runs as long as this does."""
    if "DATABASE_URL" not in values:
        from ytv2.embedded_postgres.server import socket_folder

        folder = socket_folder(Path(values["EMBEDDED_POSTGRES_DIR"]))
        values = values | {"DATABASE_URL": f"postgres://postgres@/{quote(folder, safe='')}/ytv2"}
    return values | {
        "DJANGO_ENV": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "INGEST_TOKEN": INGEST_TOKEN,
    }


@contextmanager
def server(values: dict[str, str]) -> Iterator[int]:
    """gunicorn as the Procfile starts it, on a free port of 127.0.0.1. Yields the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = production(values) | {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING"}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "-v0"], cwd=ROOT, env=values, check=True
    )
    command = [sys.executable, "-m", "gunicorn", "ytv2.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=values)
    try:
        for _ in range(100):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def measure(port: int, paths: list[str], requests: int, new: bool) -> tuple[float, float, int]:
    """(p50, p95, bytes) of requests to these paths in turn, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times = []
    size = 0
    for number in range(requests + WARM_UP):
        path = paths[number % len(paths)]
        if new:
            path += f"{'&' if '?' in path else '?'}unasked={secrets.token_hex(4)}"
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
        if number >= WARM_UP:
            times.append((time.perf_counter() - started) * 1000)
            size = max(size, len(body))
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], size


def fetch(port: int, path: str) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def rows(port: int) -> dict[str, list[str]]:
    """The paths of each row."""
    filters = fetch(port, "/api/filters")
    category = filters["category"][0]
    pair = max(((c, s) for c in filters["category"] for s in c.get("subcategories", [])), key=lambda p: p[1]["count"])
    pages = fetch(port, "/api/reports?size=20")["pagination"]["pages"]

    def listed(**parameters: object) -> str:
        return "/api/reports?" + urlencode({"size": 20, **parameters})

    return {
        "list page 1": [listed(sort="added_desc")],
        "list page 800": [listed(sort="added_desc", page=min(800, pages))],
        "one category": [listed(category=category["value"])],
        "pair": [listed(subcategory=pair[1]["value"], parentCategory=pair[0]["value"])],
        "q common": [listed(q=word) for word in COMMON],
        "q rare": [listed(q=word) for word in RARE],
        "facets": ["/api/filters"],
        "facets, filtered": ["/api/filters?" + urlencode({"category": category["value"]})],
        "page /": ["/"],
        "page /, category": ["/?" + urlencode({"category": category["value"]})],
    }


def report(video_id: str) -> bytes:
    """A report as the worker sends it: one video, two categories, three summaries of some 2 KB."""
    words = "the system explains how people learned from history because simple ideas last for years. " * 25
    return json.dumps(
        {
            "video_id": video_id,
            "title": f"What {video_id} is about",
            "canonical_url": f"https://www.youtube.com/watch?v={video_id}",
            "channel_name": f"Channel {video_id[:2]}",
            "duration_seconds": 600,
            "processed_at": "2025-09-10T10:00:00Z",
            "analysis": {"categories": [{"category": "Technology", "subcategories": ["Web Development"]}]},
            "summary_variants": [
                {"variant": variant, "text": f"{video_id} {words}"}
                for variant in ("comprehensive", "key-insights", "audio")
            ],
        }
    ).encode()  # fmt: skip


def ingests_per_second(port: int, bodies: list[bytes], clients: int) -> float:
    """How many of these reports are taken in a second, sent by so many clients, each on one connection."""

    def send(part: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for body in part:
            headers = {"Content-Type": "application/json", "X-INGEST-TOKEN": INGEST_TOKEN}
            connection.request("POST", "/ingest/report", body, headers)
            answer = connection.getresponse()
            if answer.read() and answer.status != 200:
                raise SystemExit(f"/ingest/report answered {answer.status}")

    with ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        list(pool.map(send, (bodies[number::clients] for number in range(clients))))
        return len(bodies) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=60, help="counted requests for each row (default: 60)")
    options = parser.parse_args()
    values = environment(options.videos)
    prepare(values, options.videos)
    short = []
    with server(values) as port:
        for word in COMMON + RARE:
            started = time.perf_counter()
            count = fetch(port, f"/api/reports?q={word}&size=1")["pagination"]["total"]
            print(f"q={word}: {count:,} videos, {(time.perf_counter() - started) * 1000:.0f} ms the first time")
        print(f"\n{options.videos:,} videos; all in ms. Old medians: SQLite at 100,000 videos, PostgreSQL at 20,000.\n")
        print(
            f"{'':<18}{'new p50':>9}{'p95':>8}{'same p50':>10}{'p95':>8}{'KB':>6}"
            f"{'SQLite':>10}{'ratio':>8}{'PostgreSQL':>12}{'ratio':>8}"
        )
        for name, paths in rows(port).items():
            p50, p95, size = measure(port, paths, options.requests, new=True)
            same50, same95, _ = measure(port, paths, options.requests, new=False)
            sqlite, postgresql = OLD.get(name, (None, None))
            line = f"{name:<18}{p50:>9.1f}{p95:>8.1f}{same50:>10.1f}{same95:>8.1f}{size / 1000:>6.0f}"
            for old, width in ((sqlite, 10), (postgresql, 12)):
                line += f"{old:>{width},.1f}{old / p50:>7.1f}×" if old else f"{'–':>{width}}{'':>8}"
            print(line, flush=True)
            if sqlite:
                best = min(filter(None, (sqlite, postgresql)))
                aim = best if best < 100 else best / 10
                if p50 > aim:
                    short.append(f"{name}: {p50:.1f} ms, the aim is {aim:.1f} ms")
        print("\nReports of 7 KB taken in a second (gunicorn: 1 process, 8 threads):\n")
        print(f"{'':<18}{'new':>9}{'unchanged':>12}")
        for clients, number in ((1, 200), (16, 800)):
            bodies = [report(f"b{secrets.token_hex(5)}") for _ in range(number)]
            new, unchanged = (ingests_per_second(port, bodies, clients) for _ in range(2))
            print(f"{f'clients: {clients}':<18}{new:>9.0f}{unchanged:>12.0f}")
    print("\nFalls short: " + "; ".join(short) if short else "\nEvery row meets its aim.")


if __name__ == "__main__":
    main()
