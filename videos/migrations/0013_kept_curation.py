import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations

import videos.triggers


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0012_topic_keys"),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="categorization",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="6e841c920a57efe11d15f7ac0525495357222791",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_f6259",
                    table="videos_categorization",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="category",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_name_is_kept",
                sql=videos.triggers.UnskippableTriggerSql(
                    condition='WHEN (OLD."name" IS DISTINCT FROM (NEW."name"))',
                    declare="DECLARE curated_video text;",
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') <> '' THEN\n                    RETURN NEW;\n                END IF;\n                SELECT video_id INTO curated_video\n                FROM videos_categorization AS stored JOIN videos_review AS review USING (video_id)\n                WHERE stored.category_id = OLD.id AND review.is_curated LIMIT 1;\n                IF FOUND THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', curated_video USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                RETURN NEW;\n            ",
                    hash="503b7b1b0c36f4d06e8aee926da8efa6fb2099b1",
                    operation='UPDATE OF "name"',
                    pgid="pgtrigger_curated_name_is_kept_25b2b",
                    table="videos_category",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_is_said",
                sql=videos.triggers.UnskippableTriggerSql(
                    condition='WHEN (NEW."is_curated")',
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') = '' AND coalesce(current_setting('ytv2.allow', true), '') <> 'forget' THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', NEW.video_id USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                IF TG_OP = 'DELETE' THEN\n                    RETURN OLD;\n                END IF;\n                RETURN NEW;\n            ",
                    hash="008ad9c9fe36847172aac495eeb8cf5faa64d3fd",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_curated_is_said_1116c",
                    table="videos_review",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="review",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="326196d166882155eaacde53dcba10bd9faa37dd",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_9557d",
                    table="videos_review",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="subcategory",
            trigger=pgtrigger.compiler.Trigger(
                name="curated_name_is_kept",
                sql=videos.triggers.UnskippableTriggerSql(
                    condition='WHEN (OLD."name" IS DISTINCT FROM (NEW."name"))',
                    declare="DECLARE curated_video text;",
                    func="\n                IF coalesce(current_setting('ytv2.curator', true), '') <> '' THEN\n                    RETURN NEW;\n                END IF;\n                SELECT video_id INTO curated_video\n                FROM videos_categorization AS stored JOIN videos_review AS review USING (video_id)\n                WHERE stored.subcategory_id = OLD.id AND review.is_curated LIMIT 1;\n                IF FOUND THEN\n                    RAISE EXCEPTION 'the categories of video % are a person''s decision', curated_video USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';\n                END IF;\n                RETURN NEW;\n            ",
                    hash="30a2ec5d46d87267dfc3b9666ec8488728a7047d",
                    operation='UPDATE OF "name"',
                    pgid="pgtrigger_curated_name_is_kept_c5cb6",
                    table="videos_subcategory",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="video",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="dcc62ac481f9d94b93ebdd9c9ba1f024a7118fbb",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_b62a3",
                    table="videos_video",
                    when="BEFORE",
                ),
            ),
        ),
    ]
