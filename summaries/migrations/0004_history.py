import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import videos.triggers


class Migration(migrations.Migration):
    dependencies = [
        ("pghistory", "0007_auto_20250421_0444"),
        ("summaries", "0003_statistics"),
        ("videos", "0004_planner"),
    ]

    operations = [
        migrations.CreateModel(
            name="SummaryEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("variant", models.TextField()),
                ("revision", models.PositiveIntegerField()),
                ("text", models.TextField(help_text="As it was sent.")),
                ("language", models.TextField(blank=True, default="")),
                ("metadata", models.JSONField(blank=True, null=True)),
                ("raw_payload", models.JSONField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="summary",
            name="revisions_only_grow",
        ),
        migrations.RemoveField(
            model_name="summary",
            name="search_vector",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="summary",
            trigger=pgtrigger.compiler.Trigger(
                name="revisions_only_grow",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                DECLARE\n                    added summaries_summary%ROWTYPE;\n                BEGIN\n                    SELECT new_rows.* INTO added FROM new_rows JOIN summaries_summary AS other\n                    USING (video_id, variant)\n                    WHERE other.revision > new_rows.revision\n                    AND NOT EXISTS (SELECT FROM new_rows AS same WHERE same.id = other.id)\n                    LIMIT 1;\n                    IF FOUND THEN \n        RAISE EXCEPTION 'revision % of % of video % is older than one that is stored',\n            added.revision, added.variant, added.video_id\n        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'summaries_summary_revisions_only_grow';\n     END IF;\n                    RETURN NULL;\n                END;\n            ",
                    hash="c35def051c11d9124e22b530edd593a765299e2c",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_revisions_only_grow_6f250",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="summaries_summary",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="summary",
            trigger=pgtrigger.compiler.Trigger(
                name="revisions_are_not_moved_back",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n                IF EXISTS (\n                    SELECT FROM summaries_summary AS other\n                    WHERE other.video_id = NEW.video_id AND other.variant = NEW.variant\n                    AND other.id <> NEW.id AND other.revision > NEW.revision\n                ) THEN \n        RAISE EXCEPTION 'revision % of % of video % is older than one that is stored',\n            NEW.revision, NEW.variant, NEW.video_id\n        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'summaries_summary_revisions_only_grow';\n     END IF;\n                RETURN NEW;\n            ",
                    hash="c5e126917fb43ff121f8285ecff2842c858fc975",
                    operation='UPDATE OF "revision", "variant", "video_id"',
                    pgid="pgtrigger_revisions_are_not_moved_back_fe3ee",
                    table="summaries_summary",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="summary",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "summaries_summaryevent" ("language", "metadata", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "raw_payload", "revision", "text", "variant", "video_id") SELECT old_values."language", old_values."metadata", _pgh_attached_context.value, NOW(), \'update\', old_values."id", old_values."raw_payload", old_values."revision", old_values."text", old_values."variant", old_values."video_id" FROM ( SELECT old_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values."language" IS DISTINCT FROM (new_values."language") OR old_values."metadata" IS DISTINCT FROM (new_values."metadata") OR old_values."raw_payload" IS DISTINCT FROM (new_values."raw_payload") OR old_values."revision" IS DISTINCT FROM (new_values."revision") OR old_values."text" IS DISTINCT FROM (new_values."text") OR old_values."variant" IS DISTINCT FROM (new_values."variant") OR old_values."video_id" IS DISTINCT FROM (new_values."video_id")) ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="24e8abbb3a78a299b6ff8ca73e10d2764dd79e07",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_b23b7",
                    referencing="REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ",
                    table="summaries_summary",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="summary",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "summaries_summaryevent" ("language", "metadata", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "raw_payload", "revision", "text", "variant", "video_id") SELECT old_values."language", old_values."metadata", _pgh_attached_context.value, NOW(), \'delete\', old_values."id", old_values."raw_payload", old_values."revision", old_values."text", old_values."variant", old_values."video_id" FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context; RETURN NULL;',
                    hash="cdb0e560b6fb8cc58bd70be118d671e617c69736",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_c7cf3",
                    referencing="REFERENCING OLD TABLE AS old_values ",
                    table="summaries_summary",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="summaryevent",
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
            model_name="summaryevent",
            name="pgh_obj",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="video_variant_revision_text_language_metadata_raw_payload_events",
                to="summaries.summary",
            ),
        ),
        migrations.AddField(
            model_name="summaryevent",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                related_query_name="+",
                to="videos.video",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="summaryevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="2e675068b5e2e3cf068515eb861f71f046908dc2",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_55649",
                    table="summaries_summaryevent",
                    when="BEFORE",
                ),
            ),
        ),
    ]
