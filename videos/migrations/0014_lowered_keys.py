"""A video that came in under its true id is found by the lower-cased one of the old system (VideoQuerySet.named)."""

from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0013_kept_curation"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="video",
            index=models.Index(Lower("video_id"), name="videos_video_lowered"),
        ),
    ]
