"""What a made-up snapshot promises: the schema, the oddities of real ones, the same bytes, all or nothing."""

import ast
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import FIRST_DAY, LAST_INDEXED, PLANTED_WORD, TAXONOMY, Library, write_snapshot

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("YTV2_SHARED", ROOT.parent / "shared"))
VIDEOS = 6_000
EMPTY_LIBRARY = Library(0, 1)


def open_snapshot(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def schema_of(path: Path) -> list[tuple[str, ...]]:
    with open_snapshot(path) as connection:
        return sorted(
            (row["type"], row["name"], row["tbl_name"], row["sql"] or "")
            for row in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
        )


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("snapshot") / "library.db"
    write_snapshot(path, VIDEOS, 1)
    connection = open_snapshot(path)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def content(snapshot: sqlite3.Connection) -> list[sqlite3.Row]:
    return snapshot.execute("SELECT * FROM content ORDER BY rowid").fetchall()


@pytest.fixture(scope="module")
def summaries(snapshot: sqlite3.Connection) -> list[sqlite3.Row]:
    return snapshot.execute("SELECT * FROM content_summaries ORDER BY rowid").fetchall()


def share(rows: list[sqlite3.Row], holds: Callable[[sqlite3.Row], object]) -> float:
    return sum(bool(holds(row)) for row in rows) / len(rows)


# The schema


@pytest.mark.parametrize(
    ("generation", "name"),
    [
        (Generation.FIRST, "snapshot-2025-09-11.db"),
        (Generation.CATEGORISED, "snapshot-2025-09-13-categorised.db"),
    ],
)
def test_schema_is_that_of_the_real_snapshot(generation: Generation, name: str, tmp_path: Path) -> None:
    real = SHARED / "data" / name
    if not real.exists():
        pytest.skip(f"The real snapshot {real} is not here; set YTV2_SHARED to the folder that has data/.")
    write_snapshot(tmp_path / "made.db", 3, 1, generation)
    assert schema_of(tmp_path / "made.db") == schema_of(real)


@pytest.mark.parametrize("generation", Generation)
def test_column_names_are_those_of_the_tables(generation: Generation) -> None:
    connection = sqlite3.connect(":memory:")
    for statement in generation.statements():
        connection.execute(statement)
    made = {
        table: tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if table != "sqlite_sequence"
    }
    assert made == generation.columns


def test_every_generation_of_a_seed_holds_the_same_videos(tmp_path: Path) -> None:
    columns = ", ".join(Generation.FIRST.columns["content"])
    rows = []
    for generation in Generation:
        path = tmp_path / f"{generation}.db"
        write_snapshot(path, 200, 5, generation)
        with open_snapshot(path) as connection:
            rows.append([tuple(row) for row in connection.execute(f"SELECT {columns} FROM content")])
    assert rows[0] == rows[1] == rows[2]


# The same bytes


@pytest.mark.parametrize("generation", Generation)
def test_same_seed_gives_the_same_bytes_in_another_process(generation: Generation, tmp_path: Path) -> None:
    here, there = tmp_path / "here.db", tmp_path / "there.db"
    write_snapshot(here, 1_500, 7, generation)
    code = (
        "import sys; from pathlib import Path; from ingest.sqlite.schema import Generation; "
        "from ingest.sqlite.synthetic import write_snapshot; "
        "write_snapshot(Path(sys.argv[1]), 1_500, 7, Generation(sys.argv[2]))"
    )
    # Another hash seed gives sets another order.
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, there, generation], cwd=ROOT, env=environment, check=True)
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize(("one", "other"), [(1, 2), (1, -1), (0, 10**30)])
def test_another_seed_gives_another_library(one: int, other: int, tmp_path: Path) -> None:
    keys = []
    for seed in (one, other):
        path = tmp_path / f"{seed}.db"
        write_snapshot(path, 50, seed)
        with open_snapshot(path) as connection:
            keys.append({row["video_id"] for row in connection.execute("SELECT video_id FROM content")})
    assert not keys[0] & keys[1]


# Ids


def test_native_ids_differ_even_in_lower_case(content: list[sqlite3.Row]) -> None:
    assert len({row["video_id"] for row in content}) == VIDEOS
    assert len({row["video_id"].lower() for row in content}) == VIDEOS


@pytest.mark.parametrize("bits", range(4, 13))
def test_scrambled_numbers_are_all_numbers_in_another_order(bits: int) -> None:
    numbers = range(1 << bits)
    scrambled = [EMPTY_LIBRARY.scramble(number, bits) for number in numbers]
    assert scrambled != list(numbers)
    assert sorted(scrambled) == list(numbers)


def test_row_ids_are_lower_cased_for_all_but_a_few(content: list[sqlite3.Row]) -> None:
    youtube = [row for row in content if row["id"].startswith("yt:")]
    assert {row["id"].lower() for row in youtube} == {f"yt:{row['video_id']}".lower() for row in youtube}
    assert 0.97 < share(youtube, lambda row: row["id"] == row["id"].lower()) < 1


def test_addresses_and_thumbnails_name_the_true_id(content: list[sqlite3.Row]) -> None:
    kinds = Counter()
    for row in content:
        source, _, native = row["video_id"].rpartition(":")
        kinds[source] += 1
        assert native in row["canonical_url"]
        if source == "reddit":
            assert re.fullmatch("[0-9a-z]{6}", native)
            assert row["canonical_url"].startswith("https://www.reddit.com/")
        elif source == "web":
            assert re.fullmatch("[0-9a-f]{24}", native)
            assert row["canonical_url"].startswith("https://example.org/")
        else:
            assert re.fullmatch(r"[\w-]{11}", native, re.ASCII)
            assert f"/{native}/" in row["thumbnail_url"]
    assert kinds["reddit"]
    assert kinds["web"]
    assert kinds[""] > 0.95 * VIDEOS


# Times


def test_many_videos_share_their_time_of_indexing_to_the_second(content: list[sqlite3.Row]) -> None:
    imports = Counter(row["indexed_at"] for row in content)
    assert VIDEOS / 40 < len(imports) < VIDEOS / 10
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", time) for time in imports)


def test_publication_times_have_every_format_ties_and_gaps(content: list[sqlite3.Row]) -> None:
    times = [row["published_at"] for row in content]
    known = [time for time in times if time]
    assert 0.04 < times.count(None) / VIDEOS < 0.08
    assert 0.4 < sum(time.endswith("T00:00:00+00:00") for time in known) / VIDEOS < 0.6
    assert sum(len(time) == 32 and "." in time for time in known) > 0.2 * VIDEOS
    assert sum(len(time) == 25 for time in known) > 0.6 * VIDEOS
    assert max(Counter(known).values()) > 2
    assert f"{FIRST_DAY:%Y}" <= min(known)
    assert max(known) <= f"{LAST_INDEXED.isoformat()}+00:00"
    assert all(row["published_at"] < row["indexed_at"] for row in content if row["published_at"])


# Categories and other JSON


def test_every_structured_pair_is_in_the_taxonomy(content: list[sqlite3.Row]) -> None:
    taxonomy = json.loads(TAXONOMY.read_text(encoding="utf-8"))
    known = {entry["category"]: set(entry["subcategories"]) for entry in taxonomy["categories"]}
    met = set()
    for row in content:
        if row["subcategories_json"] is None:
            assert row["subcategory"] is None
            continue
        entries = json.loads(row["subcategories_json"])["categories"]
        assert [entry["category"] for entry in entries] == json.loads(row["category"])
        assert row["subcategory"] == entries[0]["subcategories"][0]
        for entry in entries:
            assert set(entry["subcategories"]) <= known[entry["category"]]
            met.update((entry["category"], subcategory) for subcategory in entry["subcategories"])
    named_people = len(known["CJCLDS"]) - 2
    assert len(met) == sum(map(len, known.values())) - named_people
    assert 0.6 < share(content, lambda row: row["subcategories_json"]) < 0.85


def test_flat_categories_include_older_names_and_none(content: list[sqlite3.Row]) -> None:
    flat = [json.loads(row["category"]) for row in content if row["subcategories_json"] is None]
    met = {category for categories in flat for category in categories}
    assert {"News", "Science", "DIY", "Health"} <= met
    assert 0.03 < sum(categories == [] for categories in flat) / VIDEOS < 0.08


def test_json_columns_hold_json_and_the_analysis_agrees_with_the_columns(content: list[sqlite3.Row]) -> None:
    analysed = 0
    for row in content:
        topics, entities = json.loads(row["key_topics"]), json.loads(row["named_entities"])
        assert isinstance(topics, list)
        assert isinstance(entities, list)
        if row["analysis"] is None:
            continue
        analysed += 1
        analysis = json.loads(row["analysis"])
        structured = json.loads(row["subcategories_json"] or '{"categories": []}')
        assert analysis["categories"] == structured["categories"]
        assert analysis["category"] == json.loads(row["category"])
        assert analysis["key_topics"] == topics
        assert analysis["named_entities"] == entities
        for name in ("content_type", "complexity_level", "language"):
            assert analysis[name] == row[name]
    assert 0.2 < analysed / VIDEOS < 0.6


# Titles, channels, and what is missing


def test_titles_are_varied_long_decorated_foreign_or_missing(content: list[sqlite3.Row]) -> None:
    titles = [row["title"] for row in content]
    assert len(set(titles)) > VIDEOS / 2
    assert 0.01 < sum(title in ("", "Untitled") for title in titles) / VIDEOS < 0.08
    for pattern in ("^.{150,}$", "🔥", '"', "'", "&", "<", ">", "[一-龥]", "[ء-ي]", "[à-ü]"):
        assert any(re.search(pattern, title) for title in titles), pattern


def test_channels_are_a_few_large_ones_a_long_tail_and_some_unknown(content: list[sqlite3.Row]) -> None:
    channels = Counter(row["channel_name"] for row in content)
    unknown, missing = channels.pop("Unknown"), channels.pop(None)
    assert 0.02 < unknown / VIDEOS < 0.09
    assert missing
    assert 0.9 * VIDEOS / 50 < len(channels) <= VIDEOS / 50
    assert sum(count for _, count in channels.most_common(5)) > 0.3 * VIDEOS


def test_languages_levels_audio_and_counts_are_sometimes_missing(content: list[sqlite3.Row]) -> None:
    assert {"en", "fr", "es", "de", "", None} == {row["language"] for row in content}
    assert {"", None} < {row["content_type"] for row in content}
    assert {"", None} < {row["complexity_level"] for row in content}
    audio = {(row["has_audio"], row["audio_duration_seconds"] > 0) for row in content}
    assert audio == {(0, False), (1, False), (1, True)}
    assert {row["duration_seconds"] == 0 for row in content} == {True, False}
    assert {bool(row["word_count"]) for row in content} == {True, False}
    assert all(bool(row["transcript_chars"]) == bool(row["has_transcript"]) for row in content)


# Summaries


def test_most_videos_have_a_summary_of_a_typical_length(summaries: list[sqlite3.Row]) -> None:
    lengths = sorted(len(row["summary_text"]) for row in summaries)
    assert 0.8 < len(summaries) / VIDEOS < 0.9
    assert lengths[len(lengths) // 50] > 400
    assert lengths[-len(lengths) // 50] < 3_500
    assert 900 < sum(lengths) / len(lengths) < 1_800


def test_summary_texts_come_in_every_form(summaries: list[sqlite3.Row]) -> None:
    by_type: dict[str, list[str]] = {}
    for row in summaries:
        by_type.setdefault(row["summary_type"], []).append(row["summary_text"])
    assert {"audio", "audio-es", "bullet-points", "key-points", "key-insights"} <= set(by_type)
    assert {"comprehensive", "executive", "adaptive", "deep-research", "reddit-discussion"} <= set(by_type)
    assert any(text.startswith("• **Main topic:** ") for text in by_type["bullet-points"])
    assert any("\n• **Takeaway:** " in text for text in by_type["key-points"])
    objects = [text for text in by_type["comprehensive"] if text.startswith("{")]
    as_json = [json.loads(text) for text in objects if text.startswith('{"')]
    as_python = [ast.literal_eval(text) for text in objects if text.startswith("{'") and "\\\\n" not in text]
    assert as_json
    assert as_python
    assert all("comprehensive" in renditions for renditions in as_json + as_python)
    assert any("\\n\\n" in text and "\n" not in text for text in by_type["audio"])


def test_french_audio_is_in_french(summaries: list[sqlite3.Row]) -> None:
    texts = [row["summary_text"] for row in summaries if row["summary_type"].startswith("audio-fr")]
    assert len(texts) > 100
    assert all(re.search(r"\b(la|le|les|des)\b", text) and re.search("[àéêÀ]", text) for text in texts)


def test_searches_meet_common_rare_and_very_rare_words(summaries: list[sqlite3.Row]) -> None:
    texts = [row["summary_text"] for row in summaries]
    words = Counter(word for text in texts for word in set(re.findall(r"\w+", text.lower())))
    for word in ("hospitals", "museums", "elegant", "fewer"):
        assert 0.1 < words[word] / len(texts) < 0.3, word
    rare = sum(count < 0.001 * len(texts) for count in words.values())
    assert rare > 1_000


def test_one_token_is_planted_in_one_of_twenty_thousand_summaries(
    snapshot: sqlite3.Connection, summaries: list[sqlite3.Row]
) -> None:
    assert any(PLANTED_WORD in row["summary_text"] for row in summaries)
    variants = snapshot.execute("SELECT content FROM summary_variants")
    texts = {row["content"] for row in variants} | {row["summary_text"] for row in summaries}
    assert sum(PLANTED_WORD in text for text in texts) == 1


def test_variants_have_revisions_of_which_the_last_is_the_latest(
    snapshot: sqlite3.Connection, summaries: list[sqlite3.Row], content: list[sqlite3.Row]
) -> None:
    by_video: dict[str, dict[str, list[sqlite3.Row]]] = {}
    for row in snapshot.execute("SELECT * FROM summary_variants ORDER BY id"):
        by_video.setdefault(row["video_id"], {}).setdefault(row["variant_type"], []).append(row)
        assert isinstance(json.loads(row["raw_payload"]), dict)
        assert isinstance(json.loads(row["metadata"]), dict)
        assert row["file_size"] == len(row["content"].encode())
    assert 0.25 < len(by_video) / VIDEOS < 0.4
    assert {len(kinds) for kinds in by_video.values()} == {1, 2, 3}
    for kinds in by_video.values():
        for revisions in kinds.values():
            assert [row["revision"] for row in revisions] in ([1], [1, 2])
            assert [row["is_latest"] for row in revisions] in ([1], [0, 1])

    native = {row["id"]: row["video_id"] for row in content}
    for row in summaries:
        kinds = by_video.get(native[row["content_id"]], {})
        if row["summary_type"] in kinds:
            assert kinds[row["summary_type"]][-1]["content"] == row["summary_text"]


def test_some_texts_are_in_content_only(content: list[sqlite3.Row], summaries: list[sqlite3.Row]) -> None:
    elsewhere = {row["content_id"]: row["summary_text"] for row in summaries}
    inline = [row for row in content if row["summary"] is not None]
    assert 0.1 < len(inline) / VIDEOS < 0.35
    assert {row["id"] in elsewhere for row in inline} == {True, False}
    assert all(elsewhere.get(row["id"], row["summary"]) == row["summary"] for row in inline)


# Files


def test_each_video_has_a_report_file_and_a_log_row_and_some_an_mp3(snapshot: sqlite3.Connection) -> None:
    files = snapshot.execute("SELECT * FROM content_files").fetchall()
    kinds = Counter(row["file_type"] for row in files)
    assert kinds["json"] == VIDEOS
    assert 0.2 * VIDEOS < kinds["mp3"] < 0.5 * VIDEOS
    native = dict(snapshot.execute("SELECT id, video_id FROM content").fetchall())
    for row in files:
        name = native[row["content_id"]].replace(":", "_")
        folder, ending = ("data/reports/", "json") if row["file_type"] == "json" else ("exports/", "mp3")
        assert re.fullmatch(f"{folder}[a-z0-9_]{{1,50}}_{re.escape(name)}[.]{ending}", row["file_path"])
    assert snapshot.execute("SELECT count(*) FROM migration_log").fetchone()[0] == VIDEOS


# Complete or absent


@pytest.mark.parametrize("videos", [0, 1, 2, 1_001])
def test_any_number_of_videos_is_written_and_counted(videos: int, tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    written: list[int] = []
    summary = write_snapshot(path, videos, 1, progress=written.append)
    assert written == sorted(written)
    assert written[-1:] == ([videos] if videos else [])
    assert (summary.path, summary.size_bytes) == (path, path.stat().st_size)
    with open_snapshot(path) as connection:
        for table, rows in summary.rows.items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == rows
        assert summary.rows["content"] == videos
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(written: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_snapshot(tmp_path / "library.db", 50, 1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_run_leaves_the_older_file_as_it_was(tmp_path: Path) -> None:
    def interrupt(written: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "library.db"
    path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        write_snapshot(path, 50, 1, progress=interrupt, overwrite=True)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    path.write_bytes(b"older")
    with pytest.raises(FileExistsError, match=r"exists already\."):
        write_snapshot(path, 5, 1)
    assert path.read_bytes() == b"older"
    write_snapshot(path, 5, 1, overwrite=True)
    assert path.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_log_of_an_older_database_is_never_left_beside_a_new_file(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"library.db{ending}").write_bytes(b"pages")
    with pytest.raises(OSError, match="remove it first"):
        write_snapshot(tmp_path / "library.db", 5, 1, overwrite=True)
    assert not (tmp_path / "library.db").exists()


# The command


def test_command_says_what_it_wrote(tmp_path: Path) -> None:
    path, out, err = tmp_path / "library.db", StringIO(), StringIO()
    call_command("make_snapshot", str(path), "--videos", "40", "--seed", "3", stdout=out, stderr=err)
    lines = out.getvalue().splitlines()
    assert lines[0] == "content: 40"
    assert [line.partition(":")[0] for line in lines] == [*Generation.LAST.columns, "file", "bytes"]
    assert lines[-2:] == [f"file: {path}", f"bytes: {path.stat().st_size}"]
    assert err.getvalue() == ""


def test_command_writes_three_hundred_videos_of_seed_one_in_the_last_schema_by_default(
    tmp_path: Path,
) -> None:
    call_command("make_snapshot", str(tmp_path / "default.db"), stdout=StringIO())
    write_snapshot(tmp_path / "explicit.db", 300, 1, Generation.LAST)
    assert (tmp_path / "default.db").read_bytes() == (tmp_path / "explicit.db").read_bytes()


def test_command_writes_the_generation_that_is_asked_for(tmp_path: Path) -> None:
    out = StringIO()
    call_command("make_snapshot", str(tmp_path / "first.db"), "--generation", "first", stdout=out)
    assert "summary_variants" not in out.getvalue()


def test_command_refuses_an_existing_file_and_names_force(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    path.write_bytes(b"older")
    with pytest.raises(CommandError, match=r"exists already\. Use --force to replace it\."):
        call_command("make_snapshot", str(path), stdout=StringIO())
    call_command("make_snapshot", str(path), "--videos", "5", "--force", stdout=StringIO())
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["library.db", "--videos", "-3"], r"cannot be negative, and it is -3\."),
        (["missing/library.db"], r"The folder .*missing does not exist\."),
        (["."], r"is a folder\."),
    ],
)
def test_command_explains_a_wrong_argument_in_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=sentence) as caught:
        call_command("make_snapshot", *arguments, stdout=StringIO())
    assert caught.value.returncode == 1
    assert list(tmp_path.iterdir()) == []
