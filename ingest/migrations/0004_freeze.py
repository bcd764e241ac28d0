import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0003_worker"),
    ]

    operations = [
        migrations.CreateModel(
            name="CutoverStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("by", models.TextField()),
                ("verb", models.CharField(max_length=20)),
                ("outcome", models.CharField(choices=[("done", "done"), ("refused", "refused")], max_length=7)),
                ("message", models.TextField()),
                ("numbers", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "step of the cut-over",
                "verbose_name_plural": "cut-over",
                "ordering": ("-pk",),
            },
        ),
        migrations.CreateModel(
            name="Flag",
            fields=[
                (
                    "name",
                    models.CharField(
                        choices=[("FROZEN", "writes are refused, reads go on")],
                        max_length=20,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("value", models.BooleanField()),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.TextField()),
            ],
        ),
    ]
