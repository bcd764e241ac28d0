import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations

import videos.triggers


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0014_lowered_keys"),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="categorizationevent",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="81d50b06be33caf1a64ea6314abeb552c492ceb8",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_f83be",
                    table="videos_categorizationevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="proposalevent",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="bbb750e3c8ada9df06e3b109479ad13d9cc71956",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_20af7",
                    table="videos_proposalevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="reviewevent",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="6df49bb487631bf27bf7561ec18aa7d7712789e8",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_436e6",
                    table="videos_reviewevent",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="titleordeleteevent",
            trigger=pgtrigger.compiler.Trigger(
                name="is_not_emptied",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN\n                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',\n                    TG_TABLE_NAME\n                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';\n            END IF;\n            RETURN NULL;\n        ",
                    hash="3872ddc12b80365952e4e196019e3bb635572a06",
                    level="STATEMENT",
                    operation="TRUNCATE",
                    pgid="pgtrigger_is_not_emptied_6e8f4",
                    table="videos_titleordeleteevent",
                    when="BEFORE",
                ),
            ),
        ),
    ]
