import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0002_vault_first"),
        ("videos", "0006_proposal"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImageFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(help_text="The name in the storage.", unique=True)),
                ("source_name", models.TextField(blank=True, default="", help_text="The name it came with.")),
                ("content_type", models.TextField()),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("added_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "ordering": ("-added_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="IngestLogEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("route", models.TextField()),
                ("token_name", models.TextField(blank=True, default="")),
                ("video_id", models.TextField(blank=True, default="")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("created", "created"),
                            ("updated", "updated"),
                            ("unchanged", "unchanged"),
                            ("deleted", "deleted, or turned away because it is"),
                            ("quarantined", "quarantined"),
                            ("refused", "refused"),
                        ],
                        max_length=11,
                    ),
                ),
                ("status", models.PositiveSmallIntegerField(help_text="The HTTP status of the answer.")),
                ("message", models.TextField(blank=True, default="")),
                (
                    "changes",
                    models.JSONField(default=dict, help_text="For each field that changed, its old and its new value."),
                ),
                (
                    "body",
                    models.BinaryField(help_text="The raw body, for as long as INGEST_LOG_BODY_DAYS says.", null=True),
                ),
                ("body_bytes", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "ingest log",
                "ordering": ("-pk",),
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(unique=True)),
                ("sha256", models.BinaryField(max_length=32, unique=True)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(
                            choices=[
                                ("read", "read"),
                                ("ingest", "write summaries and files"),
                                ("delete", "delete videos"),
                            ]
                        ),
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="TokenBucket",
            fields=[
                ("key", models.TextField(primary_key=True, serialize=False)),
                ("tokens", models.FloatField()),
                ("updated_at", models.DateTimeField()),
            ],
        ),
        migrations.AlterField(
            model_name="audiofile",
            name="video",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="audio_files",
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="audiofile",
            index=models.Index(fields=["source_name"], name="ingest_audiofile_source_name"),
        ),
        migrations.AddField(
            model_name="imagefile",
            name="video",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="image_files",
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="ingestlogentry",
            index=models.Index(fields=["video_id", "-id"], name="ingest_log_video"),
        ),
        migrations.AddIndex(
            model_name="ingestlogentry",
            index=models.Index(fields=["outcome", "-id"], name="ingest_log_outcome"),
        ),
        migrations.AddIndex(
            model_name="imagefile",
            index=models.Index(fields=["source_name"], name="ingest_imagefile_source_name"),
        ),
        migrations.AddConstraint(
            model_name="imagefile",
            constraint=models.UniqueConstraint(fields=("video", "sha256"), name="ingest_imagefile_once"),
        ),
        migrations.AddConstraint(
            model_name="imagefile",
            constraint=models.CheckConstraint(
                condition=models.Q(("size_bytes__gt", 0)), name="ingest_imagefile_not_empty"
            ),
        ),
    ]
