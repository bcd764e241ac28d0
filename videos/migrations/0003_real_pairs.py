from django.db import migrations


class Migration(migrations.Migration):
    """A pair is real: a foreign key over both columns, which Django's models cannot say."""

    dependencies = [("videos", "0002_tables")]
    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE videos_categorization ADD CONSTRAINT videos_categorization_pair_real
            FOREIGN KEY (subcategory_id, category_id) REFERENCES videos_subcategory (id, category_id)
            DEFERRABLE INITIALLY DEFERRED
            """,
            "ALTER TABLE videos_categorization DROP CONSTRAINT videos_categorization_pair_real",
        )
    ]
