"""The old dashboard's SQLite schema in its three generations, as facts.

The DDL is that of the snapshots themselves, down to white space, so that a file written from it has the same
`sqlite_master` as a real one. Later generations only add: columns to `content`, and one table.
"""

from enum import StrEnum

# A snapshot stores this text with four spaces on each empty line.
CREATE_CONTENT = """CREATE TABLE content (
    id TEXT PRIMARY KEY,

    -- Basic metadata
    title TEXT NOT NULL,
    canonical_url TEXT,
    thumbnail_url TEXT,
    published_at TEXT,
    indexed_at TEXT DEFAULT CURRENT_TIMESTAMP,

    -- Content details
    duration_seconds INTEGER DEFAULT 0,
    word_count INTEGER DEFAULT 0,

    -- Media information
    has_audio BOOLEAN DEFAULT FALSE,
    audio_duration_seconds INTEGER DEFAULT 0,
    has_transcript BOOLEAN DEFAULT FALSE,
    transcript_chars INTEGER DEFAULT 0,

    -- YouTube specific
    video_id TEXT,
    channel_name TEXT,
    channel_id TEXT,
    view_count INTEGER DEFAULT 0,
    like_count INTEGER DEFAULT 0,
    comment_count INTEGER DEFAULT 0,

    -- Content classification
    category TEXT,  -- JSON array as text
    content_type TEXT,
    complexity_level TEXT,
    language TEXT DEFAULT 'en',

    -- Topics and analysis
    key_topics TEXT,  -- JSON array as text
    named_entities TEXT,  -- JSON array as text

    -- Processing metadata
    format_source TEXT,  -- 'complete', 'empty', 'enriched'
    processing_status TEXT DEFAULT 'imported',
    created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP
)""".replace("\n\n", "\n    \n")

CREATE_CONTENT_SUMMARIES = """CREATE TABLE content_summaries (
    content_id TEXT PRIMARY KEY,
    summary_text TEXT,
    summary_type TEXT,  -- 'audio', 'video', 'text'
    FOREIGN KEY (content_id) REFERENCES content(id)
)"""

CREATE_CONTENT_FILES = """CREATE TABLE content_files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content_id TEXT,
    file_type TEXT,  -- 'json', 'mp3', 'transcript'
    file_path TEXT,
    file_size INTEGER,
    created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (content_id) REFERENCES content(id)
)"""

CREATE_MIGRATION_LOG = """CREATE TABLE migration_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_file TEXT,
    content_id TEXT,
    status TEXT,  -- 'success', 'error', 'skipped'
    message TEXT,
    processed_at TEXT DEFAULT CURRENT_TIMESTAMP
)"""

CREATE_SUMMARY_VARIANTS = """CREATE TABLE summary_variants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    video_id TEXT,
    variant_type TEXT,
    revision INTEGER,
    content TEXT,
    raw_payload TEXT,
    metadata TEXT,
    is_latest BOOLEAN,
    created_at TEXT,
    updated_at TEXT,
    file_size INTEGER,
    word_count INTEGER
)"""

CREATE_INDEXES = (
    "CREATE INDEX idx_content_published_at ON content(published_at)",
    "CREATE INDEX idx_content_indexed_at ON content(indexed_at)",
    "CREATE INDEX idx_content_duration ON content(duration_seconds)",
    "CREATE INDEX idx_content_title ON content(title)",
    "CREATE INDEX idx_content_video_id ON content(video_id)",
    "CREATE INDEX idx_content_channel ON content(channel_name)",
    "CREATE INDEX idx_content_category ON content(category)",
    "CREATE INDEX idx_content_content_type ON content(content_type)",
    "CREATE INDEX idx_content_language ON content(language)",
)

CONTENT_COLUMNS = (
    "id",
    "title",
    "canonical_url",
    "thumbnail_url",
    "published_at",
    "indexed_at",
    "duration_seconds",
    "word_count",
    "has_audio",
    "audio_duration_seconds",
    "has_transcript",
    "transcript_chars",
    "video_id",
    "channel_name",
    "channel_id",
    "view_count",
    "like_count",
    "comment_count",
    "category",
    "content_type",
    "complexity_level",
    "language",
    "key_topics",
    "named_entities",
    "format_source",
    "processing_status",
    "created_at",
    "updated_at",
)
CONTENT_SUMMARIES_COLUMNS = ("content_id", "summary_text", "summary_type")
CONTENT_FILES_COLUMNS = ("id", "content_id", "file_type", "file_path", "file_size", "created_at")
MIGRATION_LOG_COLUMNS = ("id", "source_file", "content_id", "status", "message", "processed_at")
SUMMARY_VARIANTS_COLUMNS = (
    "id",
    "video_id",
    "variant_type",
    "revision",
    "content",
    "raw_payload",
    "metadata",
    "is_latest",
    "created_at",
    "updated_at",
    "file_size",
    "word_count",
)


class Generation(StrEnum):
    """A state of the old schema: as first met, with structured categories, and as it last was."""

    FIRST = "first"
    CATEGORISED = "categorised"
    LAST = "last"

    @property
    def added_columns(self) -> tuple[str, ...]:
        """The columns of `content` that were added since the first generation; all are TEXT."""
        return {
            Generation.FIRST: (),
            Generation.CATEGORISED: ("subcategory", "subcategories_json", "analysis"),
            Generation.LAST: ("subcategory", "subcategories_json", "summary", "analysis"),
        }[self]

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Each table with its columns, both in the order of the schema."""
        tables = {
            "content": CONTENT_COLUMNS + self.added_columns,
            "content_summaries": CONTENT_SUMMARIES_COLUMNS,
            "content_files": CONTENT_FILES_COLUMNS,
            "migration_log": MIGRATION_LOG_COLUMNS,
        }
        if self is Generation.LAST:
            tables["summary_variants"] = SUMMARY_VARIANTS_COLUMNS
        return tables

    def create_tables(self) -> list[str]:
        """The statements that make the tables. Columns are added as they once were, by ALTER TABLE."""
        statements = [CREATE_CONTENT, CREATE_CONTENT_SUMMARIES, CREATE_CONTENT_FILES, CREATE_MIGRATION_LOG]
        if self is Generation.LAST:
            statements.append(CREATE_SUMMARY_VARIANTS)
        added = [f"ALTER TABLE content ADD COLUMN {column} TEXT" for column in self.added_columns]
        return statements + added

    def create_indexes(self) -> list[str]:
        """The statements that make the indexes; run them after the rows, which is faster."""
        return list(CREATE_INDEXES)

    def statements(self) -> list[str]:
        """Every statement of the schema, in an order that works on an empty database."""
        return self.create_tables() + self.create_indexes()
