import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import videos.triggers


class Migration(migrations.Migration):
    dependencies = [
        ("pghistory", "0007_auto_20250421_0444"),
        ("videos", "0007_deleting"),
    ]

    operations = [
        migrations.CreateModel(
            name="CategoryEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("name", models.TextField()),
                (
                    "position",
                    models.PositiveIntegerField(
                        default=0, db_default=0, help_text="The order in lists to choose from; then by name."
                    ),
                ),
                (
                    "is_new",
                    models.BooleanField(
                        default=False,
                        db_default=False,
                        help_text="A machine brought it, and nobody has said yes.",
                        verbose_name="to be placed",
                    ),
                ),
                (
                    "retired_at",
                    models.DateTimeField(blank=True, help_text="Since then it is not offered any more.", null=True),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ProposalEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("pairs", models.JSONField(help_text="[[category, subcategory or null], …] in order.")),
                ("proposed_at", models.DateTimeField()),
                ("proposed_by", models.TextField(blank=True, default="")),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("settled_by", models.TextField(blank=True, default="")),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "video",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="review",
                        serialize=False,
                        to="videos.video",
                    ),
                ),
                ("is_curated", models.BooleanField(default=False)),
                ("reviewed_by", models.TextField()),
                ("reviewed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ReviewEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("is_curated", models.BooleanField(default=False)),
                ("reviewed_by", models.TextField()),
                ("reviewed_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SubcategoryEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("name", models.TextField()),
                (
                    "position",
                    models.PositiveIntegerField(
                        default=0, db_default=0, help_text="The order within the category; then by name."
                    ),
                ),
                (
                    "is_new",
                    models.BooleanField(
                        default=False,
                        db_default=False,
                        help_text="A machine brought it, and nobody has said yes.",
                        verbose_name="to be placed",
                    ),
                ),
                (
                    "retired_at",
                    models.DateTimeField(blank=True, help_text="Since then it is not offered any more.", null=True),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TitleOrDeleteEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("video_id", models.TextField(serialize=False, verbose_name="video ID")),
                ("title", models.TextField(blank=True, default="")),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("deleted_by", models.TextField(blank=True, default="", editable=False)),
                ("deleted_reason", models.TextField(blank=True, default="", editable=False)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="category",
            name="is_new",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="A machine brought it, and nobody has said yes.",
                verbose_name="to be placed",
            ),
        ),
        migrations.AddField(
            model_name="category",
            name="merged_below",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="former_categories",
                to="videos.subcategory",
            ),
        ),
        migrations.AddField(
            model_name="category",
            name="merged_into",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="former_names",
                to="videos.category",
            ),
        ),
        migrations.AddField(
            model_name="category",
            name="position",
            field=models.PositiveIntegerField(
                default=0, db_default=0, help_text="The order in lists to choose from; then by name."
            ),
        ),
        migrations.AddField(
            model_name="category",
            name="retired_at",
            field=models.DateTimeField(blank=True, help_text="Since then it is not offered any more.", null=True),
        ),
        migrations.AddField(
            model_name="proposal",
            name="settled_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="proposal",
            name="settled_by",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="subcategory",
            name="is_new",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="A machine brought it, and nobody has said yes.",
                verbose_name="to be placed",
            ),
        ),
        migrations.AddField(
            model_name="subcategory",
            name="merged_into",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="former_names",
                to="videos.subcategory",
            ),
        ),
        migrations.AddField(
            model_name="subcategory",
            name="position",
            field=models.PositiveIntegerField(
                default=0, db_default=0, help_text="The order within the category; then by name."
            ),
        ),
        migrations.AddField(
            model_name="subcategory",
            name="retired_at",
            field=models.DateTimeField(blank=True, help_text="Since then it is not offered any more.", null=True),
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(
                models.F("video"), condition=models.Q(("settled_at__isnull", True)), name="videos_proposal_waiting"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_insert",
                sql=videos.triggers.UnskippableTriggerSql(
                    declare="DECLARE curated_video text;",
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') <> '' THEN\n                    \n            INSERT INTO videos_review (video_id, is_curated, reviewed_by, reviewed_at)\n            SELECT DISTINCT video_id, true, coalesce(current_setting('ytv2.curator', true), ''), now() FROM (SELECT video_id FROM new_rows WHERE origin = 'curated') AS decided\n            ON CONFLICT (video_id) DO UPDATE SET is_curated = true, reviewed_by = excluded.reviewed_by,\n                reviewed_at = excluded.reviewed_at;\n        \n                    RETURN NULL;\n                END IF;\n                SELECT changed.video_id INTO curated_video FROM (SELECT video_id, origin FROM new_rows) AS changed\n                WHERE changed.origin = 'curated' OR EXISTS (\n                    SELECT FROM videos_review AS review WHERE review.video_id = changed.video_id AND review.is_curated\n                ) LIMIT 1;\n                IF FOUND AND coalesce(current_setting('ytv2.allow', true), '') <> 'forget' THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', curated_video USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                DELETE FROM videos_review AS review USING (SELECT video_id, origin FROM new_rows) AS changed\n                WHERE review.video_id = changed.video_id;\n                RETURN NULL;\n            ",
                    hash="9bb0a0cd638876a4ad1b79268dc8f93917411d2b",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_curated_insert_9850d",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_update",
                sql=videos.triggers.UnskippableTriggerSql(
                    declare="DECLARE curated_video text;",
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') <> '' THEN\n                    \n            INSERT INTO videos_review (video_id, is_curated, reviewed_by, reviewed_at)\n            SELECT DISTINCT video_id, true, coalesce(current_setting('ytv2.curator', true), ''), now() FROM (\n        SELECT new_rows.video_id FROM new_rows LEFT JOIN old_rows USING (id)\n        WHERE new_rows.origin = 'curated' AND old_rows.origin IS DISTINCT FROM 'curated'\n    ) AS decided\n            ON CONFLICT (video_id) DO UPDATE SET is_curated = true, reviewed_by = excluded.reviewed_by,\n                reviewed_at = excluded.reviewed_at;\n        \n                    RETURN NULL;\n                END IF;\n                SELECT changed.video_id INTO curated_video FROM (SELECT video_id, origin FROM new_rows UNION ALL SELECT video_id, origin FROM old_rows) AS changed\n                WHERE changed.origin = 'curated' OR EXISTS (\n                    SELECT FROM videos_review AS review WHERE review.video_id = changed.video_id AND review.is_curated\n                ) LIMIT 1;\n                IF FOUND AND coalesce(current_setting('ytv2.allow', true), '') <> 'forget' THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', curated_video USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                DELETE FROM videos_review AS review USING (SELECT video_id, origin FROM new_rows UNION ALL SELECT video_id, origin FROM old_rows) AS changed\n                WHERE review.video_id = changed.video_id;\n                RETURN NULL;\n            ",
                    hash="38cf5a3fce014155bb9dc7e90760a881f8ab803e",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_curated_update_c4587",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_delete",
                sql=videos.triggers.UnskippableTriggerSql(
                    declare="DECLARE curated_video text;",
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') <> '' THEN\n                    \n                    RETURN NULL;\n                END IF;\n                SELECT changed.video_id INTO curated_video FROM (SELECT video_id, origin FROM old_rows) AS changed\n                WHERE changed.origin = 'curated' OR EXISTS (\n                    SELECT FROM videos_review AS review WHERE review.video_id = changed.video_id AND review.is_curated\n                ) LIMIT 1;\n                IF FOUND AND coalesce(current_setting('ytv2.allow', true), '') <> 'forget' THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', curated_video USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                DELETE FROM videos_review AS review USING (SELECT video_id, origin FROM old_rows) AS changed\n                WHERE review.video_id = changed.video_id;\n                RETURN NULL;\n            ",
                    hash="9e56935e1a7f866c3620b1d3cb99b09ca5d1d368",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_curated_delete_61b0e",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="videos_categorization",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="category",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categoryevent" ("id", "is_new", "merged_below_id", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT old_values."id", old_values."is_new", old_values."merged_below_id", old_values."merged_into_id", old_values."name", _pgh_attached_context.value, NOW(), \'update\', old_values."id", old_values."position", old_values."retired_at" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="cb6fb38f7f26e248c4412563335a5db0d741cc07",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_92519",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_category",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="category",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categoryevent" ("id", "is_new", "merged_below_id", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT old_values."id", old_values."is_new", old_values."merged_below_id", old_values."merged_into_id", old_values."name", _pgh_attached_context.value, NOW(), \'delete\', old_values."id", old_values."position", old_values."retired_at" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="0a1acbcd1c68c3f076d85a7c32556485638d6cb5",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_712e0",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_category",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="category",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_categoryevent" ("id", "is_new", "merged_below_id", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT new_values."id", new_values."is_new", new_values."merged_below_id", new_values."merged_into_id", new_values."name", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."position", new_values."retired_at" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="d1bdfe97de3cf6c13f559f7b30c6470e47268cfa",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_58c84",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="videos_category",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_insert",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM new_rows);\n                RETURN NULL;\n            ",
                    hash="c7e6f4f58b05753658b2a6e9f443c10d513ef248",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_revision_insert_75ec6",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_update",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM new_rows);\n                RETURN NULL;\n            ",
                    hash="992e6d8cb78abdc36a0c8f8ba05ef01d6f784d03",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_revision_update_a0201",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_delete",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM old_rows);\n                RETURN NULL;\n            ",
                    hash="c350777e391d2724cf5003e5a7b6ebe31d4a8d71",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_revision_delete_7e5eb",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_proposalevent" ("pairs", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "proposed_at", "proposed_by", "settled_at", "settled_by", "video_id") SELECT old_values."pairs", _pgh_attached_context.value, NOW(), \'update\', old_values."video_id", old_values."proposed_at", old_values."proposed_by", old_values."settled_at", old_values."settled_by", old_values."video_id" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."video_id") = (new_values."video_id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="24e715ca8c03b4b9ff7da9514ab57837560f4d00",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_ce891",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_proposalevent" ("pairs", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "proposed_at", "proposed_by", "settled_at", "settled_by", "video_id") SELECT old_values."pairs", _pgh_attached_context.value, NOW(), \'delete\', old_values."video_id", old_values."proposed_at", old_values."proposed_by", old_values."settled_at", old_values."settled_by", old_values."video_id" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="693bb98f97621dd438af6a37faeaa91b6297ebbb",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_62a36",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposal",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_proposalevent" ("pairs", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "proposed_at", "proposed_by", "settled_at", "settled_by", "video_id") SELECT new_values."pairs", _pgh_attached_context.value, NOW(), \'insert\', new_values."video_id", new_values."proposed_at", new_values."proposed_by", new_values."settled_at", new_values."settled_by", new_values."video_id" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="aca441a08f55114bdbccad0db3a5f46405e68c92",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_c344e",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="videos_proposal",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subcategory",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_subcategoryevent" ("category_id", "id", "is_new", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT old_values."category_id", old_values."id", old_values."is_new", old_values."merged_into_id", old_values."name", _pgh_attached_context.value, NOW(), \'update\', old_values."id", old_values."position", old_values."retired_at" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="697c35b2c6a9c7efd63dddddc0c267f75a3f7ee7",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_f52d0",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_subcategory",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subcategory",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_subcategoryevent" ("category_id", "id", "is_new", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT old_values."category_id", old_values."id", old_values."is_new", old_values."merged_into_id", old_values."name", _pgh_attached_context.value, NOW(), \'delete\', old_values."id", old_values."position", old_values."retired_at" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="c76d9adaee571a9b309ea86ebe300016a5762634",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_bf010",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_subcategory",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subcategory",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_subcategoryevent" ("category_id", "id", "is_new", "merged_into_id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "position", "retired_at") SELECT new_values."category_id", new_values."id", new_values."is_new", new_values."merged_into_id", new_values."name", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."position", new_values."retired_at" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="7c9303ef16a0d5f08d4032f5d5cc944b6bda2c34",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_e9792",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="videos_subcategory",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="video",
            trigger=pgtrigger.compiler.Trigger(
                name="title_or_delete_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_titleordeleteevent" ("deleted_at", "deleted_by", "deleted_reason", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "title", "video_id") SELECT old_values."deleted_at", old_values."deleted_by", old_values."deleted_reason", _pgh_attached_context.value, NOW(), \'title_or_delete\', old_values."video_id", old_values."title", old_values."video_id" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."video_id") = (new_values."video_id") WHERE (old_values."deleted_at" IS DISTINCT FROM (new_values."deleted_at") OR old_values."title" IS DISTINCT FROM (new_values."title")) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="3df9a5c304bb226f589dcb912eecabf4eadb6f8c",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_title_or_delete_update_0753c",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_video",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("merged_into__isnull", True),
                    models.Q(("merged_into", models.F("pk")), _negated=True),
                    _connector="OR",
                ),
                name="videos_category_not_into_itself",
            ),
        ),
        migrations.AddConstraint(
            model_name="subcategory",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("merged_into__isnull", True),
                    models.Q(("merged_into", models.F("pk")), _negated=True),
                    _connector="OR",
                ),
                name="videos_subcategory_not_into_itself",
            ),
        ),
        migrations.AddField(
            model_name="categoryevent",
            name="merged_below",
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
            model_name="categoryevent",
            name="merged_into",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="videos.category",
            ),
        ),
        migrations.AddField(
            model_name="categoryevent",
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
            model_name="categoryevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.category",
            ),
        ),
        migrations.AddField(
            model_name="proposalevent",
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
            model_name="proposalevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.proposal",
            ),
        ),
        migrations.AddField(
            model_name="proposalevent",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                serialize=False,
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(fields=["reviewed_at"], name="videos_review_time"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_is_kept",
                sql=videos.triggers.UnskippableTriggerSql(
                    condition='WHEN (OLD."is_curated")',
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') = '' AND coalesce(current_setting('ytv2.allow', true), '') <> 'forget' THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', OLD.video_id USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                IF TG_OP = 'DELETE' THEN\n                    RETURN OLD;\n                END IF;\n                RETURN NEW;\n            ",
                    hash="3833107fd4b9f5e24c05b809790b2d51263c529e",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_curated_is_kept_8a43f",
                    table="videos_review",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_insert",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM new_rows);\n                RETURN NULL;\n            ",
                    hash="d4fbcb63b3618017495cae658ae8ec9196e32bec",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_revision_insert_3580c",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_update",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM new_rows);\n                RETURN NULL;\n            ",
                    hash="25df5a48f410a87818229b4dbe77710c168e2b9b",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_revision_update_32e99",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="revision_delete",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                INSERT INTO videos_facetcount (facet, value, count)\n                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM old_rows);\n                RETURN NULL;\n            ",
                    hash="57f762ad96475fa7ecdda05c08fe5d1771ebafd7",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_revision_delete_1dad1",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_reviewevent" ("is_curated", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reviewed_at", "reviewed_by", "video_id") SELECT old_values."is_curated", _pgh_attached_context.value, NOW(), \'update\', old_values."video_id", old_values."reviewed_at", old_values."reviewed_by", old_values."video_id" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."video_id") = (new_values."video_id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="bb8317ff453c8b713cdc17cb45788d6eab2d7368",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_25772",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_reviewevent" ("is_curated", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reviewed_at", "reviewed_by", "video_id") SELECT old_values."is_curated", _pgh_attached_context.value, NOW(), \'delete\', old_values."video_id", old_values."reviewed_at", old_values."reviewed_by", old_values."video_id" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="ef9b274512a1a91af07741afb040f2fe1aacc620",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_8cdcc",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "videos_reviewevent" ("is_curated", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reviewed_at", "reviewed_by", "video_id") SELECT new_values."is_curated", _pgh_attached_context.value, NOW(), \'insert\', new_values."video_id", new_values."reviewed_at", new_values."reviewed_by", new_values."video_id" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;',
                    hash="cca538a0c40377810fe402bef0af46d4226e2206",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_90f2e",
                    referencing="REFERENCING NEW TABLE AS new_values ",
                    table="videos_review",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="reviewevent",
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
            model_name="reviewevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.review",
            ),
        ),
        migrations.AddField(
            model_name="reviewevent",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                serialize=False,
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="subcategoryevent",
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
            model_name="subcategoryevent",
            name="merged_into",
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
            model_name="subcategoryevent",
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
            model_name="subcategoryevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="events",
                to="videos.subcategory",
            ),
        ),
        migrations.AddField(
            model_name="titleordeleteevent",
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
            model_name="titleordeleteevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="video_id_title_deleted_at_deleted_by_deleted_reason_events",
                to="videos.video",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="categoryevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="15d3acddb26337703cedb69da37e20b5a0f631c9",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_d995a",
                    table="videos_categoryevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposalevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="c4747edbf8585c2a0d0d2701e930d2c7288e268c",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_4d7ff",
                    table="videos_proposalevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="reviewevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="bf89f26ba39e45cea22b4a1cd639aad02ced00e6",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_311f2",
                    table="videos_reviewevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subcategoryevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="927e9e37bad32d401ad6031ddf35a344bbf924fe",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_88662",
                    table="videos_subcategoryevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="titleordeleteevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="fec142e759915d6dbf6c4a687e4ab676da9a9593",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_e458c",
                    table="videos_titleordeleteevent",
                    when="BEFORE",
                ),
            ),
        ),
    ]
