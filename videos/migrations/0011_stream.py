from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pghistory", "0007_auto_20250421_0444"),
        ("videos", "0010_curation_list"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="categorizationevent",
            options={"verbose_name": "change of categories", "verbose_name_plural": "history"},
        ),
        migrations.AddIndex(
            model_name="categorizationevent",
            index=models.Index(fields=["pgh_created_at"], name="categorizationevent_time"),
        ),
        migrations.AddIndex(
            model_name="proposalevent",
            index=models.Index(fields=["pgh_created_at"], name="proposalevent_time"),
        ),
        migrations.AddIndex(
            model_name="reviewevent",
            index=models.Index(fields=["pgh_created_at"], name="reviewevent_time"),
        ),
        migrations.AddIndex(
            model_name="titleordeleteevent",
            index=models.Index(fields=["pgh_created_at"], name="titleordeleteevent_time"),
        ),
    ]
