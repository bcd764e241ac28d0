from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0009_reviews"),
    ]

    operations = [
        migrations.CreateModel(
            name="Curation",
            fields=[],
            options={
                "verbose_name": "video to curate",
                "verbose_name_plural": "curation",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("videos.video",),
        ),
    ]
