import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# What an import made of a row is not part of the row: the vault is written first. A vault of before has no
# rows for the schema; `vaulted_at` stays empty, and the next import of the file adds them.
MOVE_OUTCOMES = """
INSERT INTO ingest_rowoutcome (snapshot_id, "table", key, outcome, video_id)
SELECT snapshot_id, "table", key, outcome, video_id FROM ingest_vaultrow WHERE outcome <> 'kept';
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_tables"), ("videos", "0005_history")]

    operations = [
        migrations.CreateModel(
            name="AudioFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(help_text="The name in the storage.", unique=True)),
                ("source_name", models.TextField(blank=True, default="", help_text="The name it came with.")),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("added_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "ordering": ("-added_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="RowOutcome",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("table", models.TextField()),
                ("key", models.BigIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("modelled", "modelled"),
                            ("quarantined", "quarantined"),
                            ("skipped_deleted", "skipped: the video is deleted here"),
                        ],
                        max_length=15,
                    ),
                ),
                ("video_id", models.TextField(blank=True, default="")),
            ],
            options={
                "ordering": ("snapshot", "table", "key"),
            },
        ),
        migrations.AlterModelOptions(
            name="snapshot",
            options={"ordering": ("-pk",)},
        ),
        migrations.AddField(
            model_name="quarantinedrow",
            name="accepted_at",
            field=models.DateTimeField(help_text="When a person let it stay in the vault only.", null=True),
        ),
        migrations.AddField(
            model_name="quarantinedrow",
            name="accepted_by",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="quarantinedrow",
            name="resolved_at",
            field=models.DateTimeField(help_text="When it could be modelled after all.", null=True),
        ),
        migrations.AddField(
            model_name="quarantinedrow",
            name="resolved_by",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="pragmas",
            field=models.JSONField(default=dict, help_text="user_version, application_id, page_size, auto_vacuum."),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="tables",
            field=models.JSONField(
                default=dict,
                help_text="For each table its columns in order, and whether the keys of its rows are rowids.",
            ),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="vaulted_at",
            field=models.DateTimeField(help_text="When the last row was in the vault.", null=True),
        ),
        migrations.AlterField(
            model_name="quarantinedrow",
            name="value",
            field=models.BinaryField(help_text="The canonical bytes of the offending value.", null=True),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="imported_at",
            field=models.DateTimeField(help_text="When the rows became models, the first time.", null=True),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="schema",
            field=models.JSONField(
                help_text="The CREATE statements of the file, for reading; exact ones are in the vault."
            ),
        ),
        migrations.AlterField(
            model_name="vaultrow",
            name="key",
            field=models.BigIntegerField(help_text="The row's rowid, or its place in a table without."),
        ),
        migrations.AlterField(
            model_name="vaultrow",
            name="snapshot",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="rows", to="ingest.snapshot"
            ),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="video",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="audio_files", to="videos.video"
            ),
        ),
        migrations.AddField(
            model_name="rowoutcome",
            name="snapshot",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="outcomes",
                to="ingest.snapshot",
            ),
        ),
        migrations.AddConstraint(
            model_name="audiofile",
            constraint=models.UniqueConstraint(fields=("video", "sha256"), name="ingest_audiofile_once"),
        ),
        migrations.AddConstraint(
            model_name="audiofile",
            constraint=models.CheckConstraint(
                condition=models.Q(("size_bytes__gt", 0)), name="ingest_audiofile_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="rowoutcome",
            constraint=models.UniqueConstraint(fields=("snapshot", "table", "key"), name="ingest_rowoutcome_unique"),
        ),
        migrations.AddConstraint(
            model_name="rowoutcome",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["modelled", "quarantined", "skipped_deleted"])),
                name="ingest_rowoutcome_known",
            ),
        ),
        migrations.RunSQL(MOVE_OUTCOMES, migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="vaultrow",
            name="ingest_vaultrow_outcome_known",
        ),
        migrations.RemoveField(
            model_name="vaultrow",
            name="outcome",
        ),
        migrations.RemoveField(
            model_name="vaultrow",
            name="video_id",
        ),
    ]
