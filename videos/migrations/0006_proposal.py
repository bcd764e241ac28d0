import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0005_history"),
    ]

    operations = [
        migrations.CreateModel(
            name="Proposal",
            fields=[
                (
                    "video",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="proposal",
                        serialize=False,
                        to="videos.video",
                    ),
                ),
                ("pairs", models.JSONField(help_text="[[category, subcategory or null], …] in order.")),
                ("proposed_at", models.DateTimeField()),
                ("proposed_by", models.TextField(blank=True, default="")),
            ],
        ),
    ]
