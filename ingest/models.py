"""What came in, exactly: the vault of imported snapshots, what became of each row, and files of sound."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Q, When
from django.utils import timezone

from videos.models import Video

from .sqlite.schema import Generation

# The vault's name for the rows of `sqlite_master`, less the page numbers: (type, name, tbl_name, sql).
SCHEMA_TABLE = "sqlite_schema"


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    def imported(self) -> "SnapshotQuerySet":
        """Snapshots whose rows have become models; first of them the one that an export goes back to.

        It is of the latest generation of the schema, which can hold the most, and imported last.
        """
        ranks = [When(generation=generation, then=rank) for rank, generation in enumerate(Generation)]
        return self.filter(imported_at__isnull=False).order_by(Case(*ranks, default=-1).desc(), "-imported_at", "-pk")


class Snapshot(models.Model):
    """One SQLite file, known by the digest of its bytes.

    Its import goes through three states: rows go into the vault, batch by batch (`vaulted_at` is empty);
    all are there; they have become models (`imported_at`), which happens in one transaction.
    """

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.TextField(help_text="The file's name, without its folder.")
    size_bytes = models.PositiveBigIntegerField()
    generation = models.TextField()
    schema = models.JSONField(help_text="The CREATE statements of the file, for reading; exact ones are in the vault.")
    tables = models.JSONField(
        default=dict, help_text="For each table its columns in order, and whether the keys of its rows are rowids."
    )
    pragmas = models.JSONField(default=dict, help_text="user_version, application_id, page_size, auto_vacuum.")
    vaulted_at = models.DateTimeField(null=True, help_text="When the last row was in the vault.")
    imported_at = models.DateTimeField(null=True, help_text="When the rows became models, the first time.")
    report = models.JSONField(default=dict, help_text="What its first import did with every row.")

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:12]})"


class VaultRow(models.Model):
    """One row of a snapshot, verbatim (sqlite/codec.py): the proof that nothing was lost."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="rows", db_index=False)
    table = models.TextField()
    key = models.BigIntegerField(help_text="The row's rowid, or its place in a table without.")
    content = models.BinaryField(help_text="The canonical bytes of its values.")
    sha256 = models.BinaryField(max_length=32)

    class Meta:
        ordering = ("snapshot", "table", "key")
        constraints = (models.UniqueConstraint(fields=("snapshot", "table", "key"), name="ingest_vaultrow_unique"),)

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


class Outcome(models.TextChoices):
    """What the import made of a row of the tables that are modelled: each has exactly one."""

    MODELLED = "modelled", "modelled"
    QUARANTINED = "quarantined", "quarantined"
    SKIPPED_DELETED = "skipped_deleted", "skipped: the video is deleted here"


class RowOutcome(models.Model):
    """What the last import of a snapshot made of a row, and the video that it became part of.

    Rows of tables that are kept in the vault only have none.
    """

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="outcomes", db_index=False)
    table = models.TextField()
    key = models.BigIntegerField()
    outcome = models.CharField(max_length=15, choices=Outcome.choices)
    video_id = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("snapshot", "table", "key")
        constraints = (
            models.UniqueConstraint(fields=("snapshot", "table", "key"), name="ingest_rowoutcome_unique"),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="ingest_rowoutcome_known"),
        )

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.outcome}"


class QuarantinedRowQuerySet(models.QuerySet["QuarantinedRow"]):
    def open(self) -> "QuarantinedRowQuerySet":
        """Rows that are in no model and that nobody has accepted as such."""
        return self.filter(resolved_at__isnull=True, accepted_at__isnull=True)

    def unresolved(self) -> "QuarantinedRowQuerySet":
        """Rows that are in no model."""
        return self.filter(resolved_at__isnull=True)

    def accept(self, by: str) -> int:
        """Let these rows stay in the vault only, by a person's word; the number of rows accepted now."""
        return self.open().update(accepted_at=timezone.now(), accepted_by=by)


class QuarantinedRow(models.Model):
    """Why a row could not become part of a model: a code for programs, a column and its bytes for people."""

    row = models.OneToOneField(VaultRow, on_delete=models.CASCADE, related_name="quarantine")
    code = models.TextField()
    column = models.TextField(blank=True, default="")
    value = models.BinaryField(null=True, help_text="The canonical bytes of the offending value.")
    message = models.TextField()
    accepted_at = models.DateTimeField(null=True, help_text="When a person let it stay in the vault only.")
    accepted_by = models.TextField(blank=True, default="")
    resolved_at = models.DateTimeField(null=True, help_text="When it could be modelled after all.")
    resolved_by = models.TextField(blank=True, default="")

    objects = QuarantinedRowQuerySet.as_manager()

    class Meta:
        ordering = ("row",)

    def __str__(self) -> str:
        return f"{self.row}: {self.code}"


class AudioFile(models.Model):
    """A file of sound, under a name of our own in the default storage; kept aside while no video is known."""

    video = models.ForeignKey(Video, on_delete=models.PROTECT, related_name="audio_files", null=True, blank=True)
    name = models.TextField(unique=True, help_text="The name in the storage.")
    source_name = models.TextField(blank=True, default="", help_text="The name it came with.")
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-added_at", "-pk")
        indexes = (models.Index(fields=("source_name",), name="ingest_audiofile_source_name"),)
        constraints = (
            models.UniqueConstraint(fields=("video", "sha256"), name="ingest_audiofile_once"),
            models.CheckConstraint(condition=Q(size_bytes__gt=0), name="ingest_audiofile_not_empty"),
        )

    def __str__(self) -> str:
        return self.name


class ImageFile(models.Model):
    """A picture of a video's summary, under a name of our own in the default storage."""

    video = models.ForeignKey(Video, on_delete=models.PROTECT, related_name="image_files", null=True, blank=True)
    name = models.TextField(unique=True, help_text="The name in the storage.")
    source_name = models.TextField(blank=True, default="", help_text="The name it came with.")
    content_type = models.TextField()
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-added_at", "-pk")
        indexes = (models.Index(fields=("source_name",), name="ingest_imagefile_source_name"),)
        constraints = (
            models.UniqueConstraint(fields=("video", "sha256"), name="ingest_imagefile_once"),
            models.CheckConstraint(condition=Q(size_bytes__gt=0), name="ingest_imagefile_not_empty"),
        )

    def __str__(self) -> str:
        return self.name


class Scope(models.TextChoices):
    """What a token may do."""

    READ = "read", "read"
    INGEST = "ingest", "write summaries and files"
    DELETE = "delete", "delete videos"


class Token(models.Model):
    """A named secret of a program. Only its SHA-256 is stored: the secret is random, so that is enough."""

    name = models.TextField(unique=True)
    sha256 = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.TextField(choices=Scope.choices))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TokenBucket(models.Model):
    """How many more wrong tokens an address may send: a token bucket, refilled with time."""

    key = models.TextField(primary_key=True)
    tokens = models.FloatField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class IngestOutcome(models.TextChoices):
    """What became of a request that wanted to write."""

    CREATED = "created", "created"
    UPDATED = "updated", "updated"
    UNCHANGED = "unchanged", "unchanged"
    DELETED = "deleted", "deleted, or turned away because it is"
    QUARANTINED = "quarantined", "quarantined"
    REFUSED = "refused", "refused"


class IngestLogEntry(models.Model):
    """One request that wanted to write: by whom, to what, with what outcome."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    route = models.TextField()
    token_name = models.TextField(blank=True, default="")
    video_id = models.TextField(blank=True, default="")
    outcome = models.CharField(max_length=11, choices=IngestOutcome.choices)
    status = models.PositiveSmallIntegerField(help_text="The HTTP status of the answer.")
    message = models.TextField(blank=True, default="")
    changes = models.JSONField(default=dict, help_text="For each field that changed, its old and its new value.")
    body = models.BinaryField(null=True, help_text="The raw body, for as long as INGEST_LOG_BODY_DAYS says.")
    body_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "ingest log"
        indexes = (
            models.Index(fields=("video_id", "-id"), name="ingest_log_video"),
            models.Index(fields=("outcome", "-id"), name="ingest_log_outcome"),
        )

    def __str__(self) -> str:
        return f"{self.route} {self.outcome}"


class FlagName(models.TextChoices):
    """What the processes look up for each request, so that all turn at once."""

    FROZEN = "FROZEN", "writes are refused, reads go on"
    READ_FROM_POSTGRES = "READ_FROM_POSTGRES", "lists, searches and pages are answered from PostgreSQL"
    DUAL_WRITE_MODE = "DUAL_WRITE_MODE", "what is written and deleted here goes to the old system as well"
    SHADOW_READS = "SHADOW_READS", "a sample of what is read is asked of the old system as well, and compared"


class Flag(models.Model):
    """A flag that somebody has set or taken off; without a row it is as the settings say (ingest/cutover/flags.py)."""

    name = models.CharField(max_length=20, primary_key=True, choices=FlagName.choices)
    value = models.BooleanField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField()

    def __str__(self) -> str:
        return f"{self.name}={'true' if self.value else 'false'}"


class CutoverStep(models.Model):
    """One step of moving from the old system to this one, and back: who did it, when, what came of it."""

    class Outcome(models.TextChoices):
        BEGUN = "begun", "begun, and not ended"
        DONE = "done", "done"
        REFUSED = "refused", "refused"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    by = models.TextField()
    verb = models.CharField(max_length=20)
    outcome = models.CharField(max_length=7, choices=Outcome.choices)
    message = models.TextField()
    numbers = models.JSONField(default=dict)

    class Meta:
        ordering = ("-pk",)
        verbose_name = "step of the cut-over"
        verbose_name_plural = "cut-over"

    def __str__(self) -> str:
        return f"{self.verb}: {self.outcome}"


class OutboxEntry(models.Model):
    """A video that has changed here since the old system was told last (ingest/cutover/dual_write.py).

    Triggers write it in the transaction of the change, while DUAL_WRITE_MODE is on. What is sent is the video as it is
    then, so each entry can be sent again, and in what order entries of one video are made up for does not matter.
    """

    video_id = models.TextField(primary_key=True)
    sequence = models.BigIntegerField(help_text="Grows with each change of any video: the order of sending.")
    enqueued_at = models.DateTimeField(default=timezone.now, help_text="When the first change was made that waits.")
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("sequence",)
        verbose_name = "change that waits for the old system"
        verbose_name_plural = "outbox of dual write"

    def __str__(self) -> str:
        return f"{self.video_id} ({self.sequence})"


class Delivery(models.Model):
    """One video told to the old system, and whether both say the same of it afterwards."""

    class Action(models.TextChoices):
        WRITE = "write", "written"
        DELETE = "delete", "deleted"

    class Parity(models.TextChoices):
        EQUAL = "equal", "both say the same"
        DIFFERENT = "different", "they differ"
        UNKNOWN = "unknown", "the old system could not be asked"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    video_id = models.TextField()
    sequence = models.BigIntegerField()
    action = models.CharField(max_length=6, choices=Action.choices)
    attempts = models.PositiveIntegerField(help_text="How often it was tried, this time included.")
    parity = models.CharField(max_length=9, choices=Parity.choices)
    differences = models.JSONField(default=list, help_text="For each field that differs: its name, old, and new.")

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "deliveries of dual write"
        indexes = (models.Index(fields=("video_id", "-id"), name="ingest_delivery_video"),)

    def __str__(self) -> str:
        return f"{self.video_id}: {self.action}, {self.parity}"


class ShadowRead(models.Model):
    """A request that the old system was asked as well, and answered otherwise (ingest/cutover/shadow.py)."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    request = models.TextField(help_text="The path with its query.")
    differences = models.JSONField(default=list, help_text="Where, old, new.")

    class Meta:
        ordering = ("-pk",)
        verbose_name = "disagreement of shadow reads"
        verbose_name_plural = "disagreements of shadow reads"

    def __str__(self) -> str:
        return self.request


class ShadowCount(models.Model):
    """How many requests of a day were compared, and how many of them disagreed."""

    day = models.DateField(primary_key=True)
    compared = models.PositiveBigIntegerField(default=0)
    disagreed = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ("-day",)
        verbose_name = "day of shadow reads"
        verbose_name_plural = "days of shadow reads"

    def __str__(self) -> str:
        return f"{self.day}: {self.compared} compared, {self.disagreed} disagreed"


class Phase(models.TextChoices):
    """Where the cut-over stands (ingest/cutover/state.py)."""

    PARALLEL = "parallel", "the old system is in charge; this one runs beside it"
    FROZEN = "frozen", "writes are refused while the library is being moved"
    SYNCED = "synced", "the newest snapshot is in the database"
    VERIFIED = "verified", "the database was proven equal to the snapshot"
    LIVE = "live", "this system is in charge; the way back is open"
    FINALISED = "finalised", "the old system is gone"


class Cutover(models.Model):
    """The one row that says where the cut-over stands; without it, at the beginning."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    phase = models.CharField(max_length=9, choices=Phase.choices, default=Phase.PARALLEL)
    since = models.DateTimeField(default=timezone.now)
    snapshot_sha256 = models.CharField(max_length=64, blank=True, default="", help_text="What `sync` has imported.")
    live_since = models.DateTimeField(null=True, help_text="When this system was put in charge.")

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(pk=1), name="ingest_cutover_one"),)

    def __str__(self) -> str:
        return self.phase
