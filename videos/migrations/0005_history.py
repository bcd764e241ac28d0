import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pghistory", "0007_auto_20250421_0444"),
        ("videos", "0004_planner"),
    ]

    operations = [
        migrations.CreateModel(
            name="CategorizationEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("position", models.PositiveIntegerField(help_text="The order within the video, from 0.")),
                (
                    "origin",
                    models.CharField(
                        choices=[("imported", "imported"), ("ai", "proposed by a machine"), ("curated", "curated")],
                        default="curated",
                        max_length=8,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="VideoEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("video_id", models.TextField(serialize=False, verbose_name="video ID")),
                (
                    "legacy_id",
                    models.TextField(
                        blank=True, default="", help_text="The key of the old database.", verbose_name="old ID"
                    ),
                ),
                (
                    "source",
                    models.TextField(default="other", help_text="youtube, reddit, web, wikipedia, lds, other …"),
                ),
                ("title", models.TextField(blank=True, default="")),
                ("canonical_url", models.TextField(blank=True, default="", verbose_name="address")),
                ("thumbnail_url", models.TextField(blank=True, default="", verbose_name="thumbnail")),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("indexed_at", models.DateTimeField(blank=True, null=True, verbose_name="added at")),
                ("duration_seconds", models.PositiveBigIntegerField(default=0, verbose_name="duration in seconds")),
                ("word_count", models.PositiveBigIntegerField(default=0)),
                ("has_audio", models.BooleanField(default=False)),
                (
                    "audio_duration_seconds",
                    models.PositiveBigIntegerField(default=0, verbose_name="audio duration in seconds"),
                ),
                ("has_transcript", models.BooleanField(default=False)),
                (
                    "transcript_chars",
                    models.PositiveBigIntegerField(default=0, verbose_name="characters of transcript"),
                ),
                ("channel_name", models.TextField(blank=True, default="", verbose_name="channel")),
                ("channel_id", models.TextField(blank=True, default="", verbose_name="channel ID")),
                ("view_count", models.PositiveBigIntegerField(default=0, verbose_name="views")),
                ("like_count", models.PositiveBigIntegerField(default=0, verbose_name="likes")),
                ("comment_count", models.PositiveBigIntegerField(default=0, verbose_name="comments")),
                ("content_type", models.TextField(blank=True, default="")),
                ("complexity_level", models.TextField(blank=True, default="", verbose_name="complexity")),
                ("language", models.TextField(blank=True, default="")),
                ("original_language", models.TextField(blank=True, default="")),
                ("summary_language", models.TextField(blank=True, default="")),
                ("audio_language", models.TextField(blank=True, default="")),
                ("key_topics", models.JSONField(blank=True, default=list)),
                ("named_entities", models.JSONField(blank=True, default=list)),
                (
                    "subcategories_json",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="The text that came in. It is answered as it came for as long as it says what the rows say.",
                        verbose_name="categories as sent",
                    ),
                ),
                ("analysis", models.JSONField(blank=True, help_text="The analysis as sent.", null=True)),
                (
                    "extra",
                    models.JSONField(blank=True, default=dict, help_text="What was sent and has no field of its own."),
                ),
                ("format_source", models.TextField(blank=True, default="")),
                ("processing_status", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                (
                    "updated_at",
                    models.DateTimeField(blank=True, help_text="The time of the newest data merged.", null=True),
                ),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("deleted_by", models.TextField(blank=True, default="", editable=False)),
                ("deleted_reason", models.TextField(blank=True, default="", editable=False)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.RemoveField(
            model_name="video",
            name="search_vector",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categorizationevent" ("category_id", "id", "origin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "subcategory_id", "video_id") SELECT old_values."category_id", old_values."id", old_values."origin", _pgh_attached_context.value, NOW(), \'update\', old_values."id", old_values."position", old_values."subcategory_id", old_values."video_id" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="7b8651353993041c5fe5ff8fdf53dc76038d1dc2",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_588c9",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categorizationevent" ("category_id", "id", "origin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "subcategory_id", "video_id") SELECT old_values."category_id", old_values."id", old_values."origin", _pgh_attached_context.value, NOW(), \'delete\', old_values."id", old_values."position", old_values."subcategory_id", old_values."video_id" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="0d9d9b72f258d90d173f73c55de95e1e70e063b5",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_9da68",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categorizationevent" ("category_id", "id", "origin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "subcategory_id", "video_id") SELECT new_values."category_id", new_values."id", new_values."origin", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."position", new_values."subcategory_id", new_values."video_id" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="05830ee7347cf88fffe3034c0853a535908d5be6",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_79891",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="video",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_videoevent" ("analysis", "audio_duration_seconds", "audio_language", "canonical_url", "channel_id", "channel_name", "comment_count", "complexity_level", "content_type", "created_at", "deleted_at", "deleted_by", "deleted_reason", "duration_seconds", "extra", "format_source", "has_audio", "has_transcript", "indexed_at", "key_topics", "language", "legacy_id", "like_count", "named_entities", "original_language", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "processing_status", "published_at", "source", "subcategories_json", "summary_language", "thumbnail_url", "title", "transcript_chars", "updated_at", "video_id", "view_count", "word_count") SELECT old_values."analysis", old_values."audio_duration_seconds", old_values."audio_language", old_values."canonical_url", old_values."channel_id", old_values."channel_name", old_values."comment_count", old_values."complexity_level", old_values."content_type", old_values."created_at", old_values."deleted_at", old_values."deleted_by", old_values."deleted_reason", old_values."duration_seconds", old_values."extra", old_values."format_source", old_values."has_audio", old_values."has_transcript", old_values."indexed_at", old_values."key_topics", old_values."language", old_values."legacy_id", old_values."like_count", old_values."named_entities", old_values."original_language", _pgh_attached_context.value, NOW(), \'update\', old_values."video_id", old_values."processing_status", old_values."published_at", old_values."source", old_values."subcategories_json", old_values."summary_language", old_values."thumbnail_url", old_values."title", old_values."transcript_chars", old_values."updated_at", old_values."video_id", old_values."view_count", old_values."word_count" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."video_id") = (new_values."video_id") WHERE (old_values."analysis" IS DISTINCT FROM (new_values."analysis") OR old_values."audio_duration_seconds" IS DISTINCT FROM (new_values."audio_duration_seconds") OR old_values."audio_language" IS DISTINCT FROM (new_values."audio_language") OR old_values."canonical_url" IS DISTINCT FROM (new_values."canonical_url") OR old_values."channel_id" IS DISTINCT FROM (new_values."channel_id") OR old_values."channel_name" IS DISTINCT FROM (new_values."channel_name") OR old_values."comment_count" IS DISTINCT FROM (new_values."comment_count") OR old_values."complexity_level" IS DISTINCT FROM (new_values."complexity_level") OR old_values."content_type" IS DISTINCT FROM (new_values."content_type") OR old_values."created_at" IS DISTINCT FROM (new_values."created_at") OR old_values."deleted_at" IS DISTINCT FROM (new_values."deleted_at") OR old_values."deleted_by" IS DISTINCT FROM (new_values."deleted_by") OR old_values."deleted_reason" IS DISTINCT FROM (new_values."deleted_reason") OR old_values."duration_seconds" IS DISTINCT FROM (new_values."duration_seconds") OR old_values."extra" IS DISTINCT FROM (new_values."extra") OR old_values."format_source" IS DISTINCT FROM (new_values."format_source") OR old_values."has_audio" IS DISTINCT FROM (new_values."has_audio") OR old_values."has_transcript" IS DISTINCT FROM (new_values."has_transcript") OR old_values."indexed_at" IS DISTINCT FROM (new_values."indexed_at") OR old_values."key_topics" IS DISTINCT FROM (new_values."key_topics") OR old_values."language" IS DISTINCT FROM (new_values."language") OR old_values."legacy_id" IS DISTINCT FROM (new_values."legacy_id") OR old_values."like_count" IS DISTINCT FROM (new_values."like_count") OR old_values."named_entities" IS DISTINCT FROM (new_values."named_entities") OR old_values."original_language" IS DISTINCT FROM (new_values."original_language") OR old_values."processing_status" IS DISTINCT FROM (new_values."processing_status") OR old_values."published_at" IS DISTINCT FROM (new_values."published_at") OR old_values."source" IS DISTINCT FROM (new_values."source") OR old_values."subcategories_json" IS DISTINCT FROM (new_values."subcategories_json") OR old_values."summary_language" IS DISTINCT FROM (new_values."summary_language") OR old_values."thumbnail_url" IS DISTINCT FROM (new_values."thumbnail_url") OR old_values."title" IS DISTINCT FROM (new_values."title") OR old_values."transcript_chars" IS DISTINCT FROM (new_values."transcript_chars") OR old_values."updated_at" IS DISTINCT FROM (new_values."updated_at") OR old_values."video_id" IS DISTINCT FROM (new_values."video_id") OR old_values."view_count" IS DISTINCT FROM (new_values."view_count") OR old_values."word_count" IS DISTINCT FROM (new_values."word_count")) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="3aae3a98a8d2f1f79afc24b815f11a3f988bc705",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_efd23",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_video",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="video",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_videoevent" ("analysis", "audio_duration_seconds", "audio_language", "canonical_url", "channel_id", "channel_name", "comment_count", "complexity_level", "content_type", "created_at", "deleted_at", "deleted_by", "deleted_reason", "duration_seconds", "extra", "format_source", "has_audio", "has_transcript", "indexed_at", "key_topics", "language", "legacy_id", "like_count", "named_entities", "original_language", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "processing_status", "published_at", "source", "subcategories_json", "summary_language", "thumbnail_url", "title", "transcript_chars", "updated_at", "video_id", "view_count", "word_count") SELECT old_values."analysis", old_values."audio_duration_seconds", old_values."audio_language", old_values."canonical_url", old_values."channel_id", old_values."channel_name", old_values."comment_count", old_values."complexity_level", old_values."content_type", old_values."created_at", old_values."deleted_at", old_values."deleted_by", old_values."deleted_reason", old_values."duration_seconds", old_values."extra", old_values."format_source", old_values."has_audio", old_values."has_transcript", old_values."indexed_at", old_values."key_topics", old_values."language", old_values."legacy_id", old_values."like_count", old_values."named_entities", old_values."original_language", _pgh_attached_context.value, NOW(), \'delete\', old_values."video_id", old_values."processing_status", old_values."published_at", old_values."source", old_values."subcategories_json", old_values."summary_language", old_values."thumbnail_url", old_values."title", old_values."transcript_chars", old_values."updated_at", old_values."video_id", old_values."view_count", old_values."word_count" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="74013eec2c375c7243a4e4623871d85e2a7b6403",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_c1af9",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_video",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="categorizationevent",
            name="category",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="videos.category",
            ),
        ),
        migrations.AddField(
            model_name="categorizationevent",
            name="pgh_context",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pghistory.context",
            ),
        ),
        migrations.AddField(
            model_name="categorizationevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.categorization",
            ),
        ),
        migrations.AddField(
            model_name="categorizationevent",
            name="subcategory",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="videos.subcategory",
            ),
        ),
        migrations.AddField(
            model_name="categorizationevent",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="videoevent",
            name="pgh_context",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="pghistory.context",
            ),
        ),
        migrations.AddField(
            model_name="videoevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.video",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorizationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="fdd89ae4b3701c5c4c25cff4a17d65099b34ae3d",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_6909f",
                    table="videos_categorizationevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="videoevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="3efb41557c253e604e0490cfc9000f9f1b799ae9",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_6c06d",
                    table="videos_videoevent",
                    when="BEFORE",
                ),
            ),
        ),
    ]
