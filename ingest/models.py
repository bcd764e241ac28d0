"""What came in, exactly: the vault of imported snapshots, and rows that could not be modelled."""

from django.db import models
from django.db.models import Q


class Snapshot(models.Model):
    """One imported SQLite file, known by the digest of its bytes."""

    sha256 = models.CharField(max_length=64, unique=True)
    name = models.TextField(help_text="The file's name, without its folder.")
    size_bytes = models.PositiveBigIntegerField()
    generation = models.TextField()
    schema = models.JSONField(help_text="The CREATE statements of the file, as they stand in it.")
    imported_at = models.DateTimeField(auto_now_add=True)
    report = models.JSONField(default=dict, help_text="What its first import did with every row.")

    class Meta:
        ordering = ("-imported_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.sha256[:12]})"


class Outcome(models.TextChoices):
    """What the import made of a row of the snapshot: each row has exactly one."""

    MODELLED = "modelled", "modelled"
    QUARANTINED = "quarantined", "quarantined"
    SKIPPED_DELETED = "skipped_deleted", "skipped: the video is deleted here"
    KEPT = "kept", "kept in the vault only"


class VaultRow(models.Model):
    """One row of a snapshot, verbatim (sqlite/codec.py): the proof that nothing was lost."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="rows")
    table = models.TextField()
    key = models.BigIntegerField(help_text="The row's rowid.")
    content = models.BinaryField(help_text="The canonical bytes of its values.")
    sha256 = models.BinaryField(max_length=32)
    outcome = models.CharField(max_length=15, choices=Outcome.choices)
    video_id = models.TextField(blank=True, default="", help_text="The video that the row became part of.")

    class Meta:
        ordering = ("snapshot", "table", "key")
        constraints = (
            models.UniqueConstraint(fields=("snapshot", "table", "key"), name="ingest_vaultrow_unique"),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="ingest_vaultrow_outcome_known"),
        )

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


class QuarantinedRow(models.Model):
    """Why a row could not become part of a model: a code for programs, a column and its bytes for people."""

    row = models.OneToOneField(VaultRow, on_delete=models.CASCADE, related_name="quarantine")
    code = models.TextField()
    column = models.TextField(blank=True, default="")
    value = models.BinaryField(null=True)
    message = models.TextField()

    class Meta:
        ordering = ("row",)

    def __str__(self) -> str:
        return f"{self.row}: {self.code}"
