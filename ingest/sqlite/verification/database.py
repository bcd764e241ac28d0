"""Equation 6: keys, constraints, triggers, pointers and counts of the database, by query."""

from collections.abc import Callable, Sequence
from typing import Any

import pgtrigger
from django.apps import apps
from django.db import connection, models

from ingest.values import printable
from videos.models import Category, Subcategory

from .report import DatabaseCheck, Equation
from .run import Run

# Table, what is wrong there, a sentence.
Fault = tuple[str, str, str]
OWN_APPS = ("videos", "summaries", "ingest")
OWN_TABLES = r"^(videos|summaries|ingest)_"


def query(statement: str, parameters: Sequence[Any] = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def check_foreign_keys() -> tuple[int, list[Fault]]:
    """Rows that refer to nothing, counted by query: constraints can be switched off."""
    keys = query(
        """
        SELECT conname, conrelid::regclass::text, confrelid::regclass::text, convalidated,
            (SELECT array_agg(attname ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS key(number, place)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = key.number)::text[],
            (SELECT array_agg(attname ORDER BY place) FROM unnest(confkey) WITH ORDINALITY AS key(number, place)
                JOIN pg_attribute ON attrelid = confrelid AND attnum = key.number)::text[]
        FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text ~ %s ORDER BY 2, 1
        """,
        [OWN_TABLES],
    )
    faults: list[Fault] = []
    for name, table, target, is_validated, columns, target_columns in keys:
        if not is_validated:
            faults.append((table, name, f"The foreign key {name} was never validated."))
        is_set = " AND ".join(f"one.{quoted(column)} IS NOT NULL" for column in columns)
        is_same = " AND ".join(
            f"other.{quoted(other)} = one.{quoted(column)}"
            for column, other in zip(columns, target_columns, strict=True)
        )
        ((orphans,),) = query(
            f"SELECT count(*) FROM {table} AS one WHERE {is_set}"
            f" AND NOT EXISTS (SELECT FROM {target} AS other WHERE {is_same})"
        )
        if orphans:
            faults.append((table, ", ".join(columns), f"{orphans} rows refer to rows of {target} that are not there."))
    there = {(table, tuple(columns)) for _, table, _, _, columns, _ in keys}
    for model in own_models():
        for reference in model._meta.local_concrete_fields:
            if reference.is_relation and reference.db_constraint:
                place = (model._meta.db_table, (reference.column,))
                if place not in there:
                    faults.append((place[0], reference.column, "The foreign key of this column is not there."))
    return len(keys), faults


def check_unique_keys() -> tuple[int, list[Fault]]:
    """Keys that are there twice, counted by query."""
    indexes = query(
        """
        SELECT indexrelid::regclass::text, indrelid::regclass::text, indisvalid, indnullsnotdistinct,
            (SELECT array_agg(pg_get_indexdef(indexrelid, place, true) ORDER BY place)
                FROM generate_series(1, indnkeyatts::int) AS place), pg_get_expr(indpred, indrelid)
        FROM pg_index WHERE indisunique AND indrelid::regclass::text ~ %s ORDER BY 2, 1
        """,
        [OWN_TABLES],
    )
    faults: list[Fault] = []
    for name, table, is_valid, _, keys, predicate in indexes:
        if not is_valid:
            faults.append((table, name, f"The unique index {name} is not valid."))
        where = " AND ".join([f"({key}) IS NOT NULL" for key in keys] + ([f"({predicate})"] if predicate else []))
        ((twice,),) = query(
            f"SELECT count(*) FROM"
            f" (SELECT FROM {table} WHERE {where} GROUP BY {', '.join(keys)} HAVING count(*) > 1) AS twice"
        )
        if twice:
            faults.append((table, ", ".join(keys), f"{twice} values of this key are there more than once."))
    return len(indexes), faults


def check_constraints() -> tuple[int, list[Fault]]:
    """Constraints and triggers of the models: all there, and switched on."""
    there = {
        name for (name,) in query("SELECT conname::text FROM pg_constraint UNION SELECT relname::text FROM pg_class")
    }
    expected = [(model, constraint.name) for model in own_models() for constraint in model._meta.constraints]
    faults = [
        (model._meta.db_table, name, f"The constraint {name} is not there.")
        for model, name in expected
        if name not in there
    ]
    faults += [
        (table, name, f"The constraint {name} was never validated.")
        for table, name in query(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE NOT convalidated AND contype <> 'f' AND conrelid::regclass::text ~ %s",
            [OWN_TABLES],
        )
    ]
    return len(expected), faults


def check_triggers() -> tuple[int, list[Fault]]:
    """Triggers that are off, or not there: those of foreign keys, of history, of counts and of tombstones."""
    triggers = query(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE tgrelid::regclass::text ~ %s",
        [OWN_TABLES],
    )
    there = {(table, name) for table, name, _ in triggers}
    faults = [
        (table, name, f"The trigger {name} is switched off.") for table, name, state in triggers if state not in "OA"
    ]
    for model, trigger in pgtrigger.registered():
        place = (model._meta.db_table, trigger.get_pgid(model))
        if model._meta.app_label in OWN_APPS and place not in there:
            faults.append((*place, f"The trigger {place[1]} is not there."))
    return len(triggers), faults


def check_latest_revisions() -> tuple[int, list[Fault]]:
    """Each variant of a video has one latest summary, the one with the highest revision."""
    rows = query(
        """
        SELECT video_id, variant, count(*) FILTER (WHERE is_latest), max(revision),
            max(revision) FILTER (WHERE is_latest)
        FROM summaries_summary GROUP BY 1, 2
        HAVING count(*) FILTER (WHERE is_latest) <> 1
            OR max(revision) <> max(revision) FILTER (WHERE is_latest)
        ORDER BY 1, 2
        """
    )
    ((variants,),) = query(
        "SELECT count(*) FROM (SELECT DISTINCT video_id, variant FROM summaries_summary) AS variants"
    )
    return variants, [
        (
            "summaries_summary",
            "is_latest",
            printable(
                f"{variant} of {video_id} has {latest} latest revisions;"
                f" the highest is {highest}, the latest is {shown}."
            ),
        )
        for video_id, variant, latest, highest, shown in rows
    ]


def check_facet_counts() -> tuple[int, list[Fault]]:
    """The kept counts are what counting the videos gives."""
    rows = query("""
        WITH live AS (SELECT * FROM videos_video WHERE deleted_at IS NULL), counted AS (
            SELECT facet.name, facet.value, NULL::bigint AS category, NULL::bigint AS subcategory, count(*) AS videos
            FROM live CROSS JOIN LATERAL (VALUES
                ('total', ''), ('source', source), ('language', language), ('content_type', content_type),
                ('complexity_level', complexity_level), ('channel', channel_name), ('has_audio', has_audio::text)
            ) AS facet(name, value) WHERE facet.value <> '' OR facet.name = 'total' GROUP BY 1, 2
            UNION ALL SELECT 'category', '', category_id, NULL, count(DISTINCT video_id)
            FROM videos_categorization JOIN live USING (video_id) GROUP BY 3
            UNION ALL SELECT 'subcategory', '', category_id, subcategory_id, count(*)
            FROM videos_categorization JOIN live USING (video_id) WHERE subcategory_id IS NOT NULL GROUP BY 3, 4
        ), kept AS (
            SELECT facet, value, category_id, subcategory_id, sum(count)::bigint AS videos
            FROM videos_facetcount WHERE facet <> 'revision' GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0
        )
        SELECT coalesce(facet, name), coalesce(kept.value, counted.value), coalesce(category_id, category),
            coalesce(subcategory_id, subcategory), coalesce(kept.videos, 0), coalesce(counted.videos, 0)
        FROM kept FULL JOIN counted ON name = facet AND counted.value = kept.value
            AND coalesce(category, 0) = coalesce(category_id, 0)
            AND coalesce(subcategory, 0) = coalesce(subcategory_id, 0)
    """)
    names = dict(Category.objects.values_list("pk", "name")) if rows else {}
    below = dict(Subcategory.objects.values_list("pk", "name")) if rows else {}
    return len(rows), [
        (
            "videos_facetcount",
            facet,
            printable(
                f"The count of {facet} {value or below.get(subcategory) or names.get(category) or ''} is {kept},"
                f" and {counted} by counting."
            ),
        )
        for facet, value, category, subcategory, kept, counted in rows
        if kept != counted
    ]


def own_models() -> list[type[models.Model]]:
    return [model for label in OWN_APPS for model in apps.get_app_config(label).get_models()]


DATABASE_CHECKS: dict[str, Callable[[], tuple[int, list[Fault]]]] = {
    "foreign keys without orphans": check_foreign_keys,
    "unique keys without duplicates": check_unique_keys,
    "constraints there and validated": check_constraints,
    "triggers there and switched on": check_triggers,
    "variants with one latest revision, the highest": check_latest_revisions,
    "counts of filters equal to a recount": check_facet_counts,
}


def check_database(run: Run) -> None:
    """Equation 6: every check."""
    for name, check in DATABASE_CHECKS.items():
        checked, faults = check()
        run.report.database.append(DatabaseCheck(name, checked, len(faults)))
        for table, what, message in faults:
            run.wrong(Equation.DATABASE, table, None, what, message)
        run.progress("database", 1)
