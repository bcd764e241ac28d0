import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations

import videos.triggers


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0006_proposal"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="video",
            name="count_update",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="video",
            trigger=pgtrigger.compiler.Trigger(
                name="count_update",
                sql=videos.triggers.UnskippableTriggerSql(
                    func="\n        \n        INSERT INTO videos_facetcount (facet, value, category_id, subcategory_id, count)\n        SELECT name, value, category_id, subcategory_id, sum(n)\n        FROM (\n        WITH changed AS (\n            SELECT video_id, CASE WHEN new_rows.deleted_at IS NULL THEN 1 ELSE -1 END AS n\n            FROM new_rows JOIN old_rows USING (video_id)\n            WHERE (new_rows.deleted_at IS NULL) <> (old_rows.deleted_at IS NULL)\n        )\n     \n        SELECT facet.name, facet.value, NULL::bigint AS category_id, NULL::bigint AS subcategory_id, 1 AS n\n        FROM new_rows AS video CROSS JOIN LATERAL (VALUES\n            ('total', ''), ('source', video.source), ('language', video.language),\n            ('content_type', video.content_type), ('complexity_level', video.complexity_level),\n            ('channel', video.channel_name), ('has_audio', video.has_audio::text)\n        ) AS facet(name, value)\n        WHERE video.deleted_at IS NULL AND (facet.value <> '' OR facet.name = 'total')\n     UNION ALL \n        SELECT facet.name, facet.value, NULL::bigint AS category_id, NULL::bigint AS subcategory_id, -1 AS n\n        FROM old_rows AS video CROSS JOIN LATERAL (VALUES\n            ('total', ''), ('source', video.source), ('language', video.language),\n            ('content_type', video.content_type), ('complexity_level', video.complexity_level),\n            ('channel', video.channel_name), ('has_audio', video.has_audio::text)\n        ) AS facet(name, value)\n        WHERE video.deleted_at IS NULL AND (facet.value <> '' OR facet.name = 'total')\n     UNION ALL \n    SELECT 'category', '', categorization.category_id, NULL, changed.n\n    FROM changed CROSS JOIN LATERAL (\n        SELECT DISTINCT category_id FROM videos_categorization AS own WHERE own.video_id = changed.video_id\n    ) AS categorization\n    UNION ALL\n    SELECT 'subcategory', '', categorization.category_id, categorization.subcategory_id, changed.n\n    FROM changed JOIN videos_categorization AS categorization USING (video_id)\n    WHERE categorization.subcategory_id IS NOT NULL\n) AS difference(name, value, category_id, subcategory_id, n)\n        GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0\n        UNION ALL SELECT 'revision', '', NULL, NULL, 1 WHERE EXISTS (SELECT FROM new_rows);\n        PERFORM videos_compact_facet_counts(1000);\n        RETURN NULL;\n    ",
                    hash="91a2141209b38200320cce4807077c549a0afa63",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_count_update_3766a",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="videos_video",
                    when="AFTER",
                ),
            ),
        ),
    ]
