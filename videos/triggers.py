"""What the database itself refuses or counts, whoever writes: the ORM, a bulk update or raw SQL.

Installed by migrations (django-pgtrigger); `manage.py pgtrigger ls` lists them. A refusal is an
IntegrityError with the constraint's name, as if a CHECK had failed.
"""

import pgtrigger
from django.db import models
from pgtrigger import compiler


class UnskippableTriggerSql(compiler.UpsertTriggerSql):
    """A trigger without pgtrigger's way round it (`pgtrigger.ignore`), which any session could take.

    It is also what makes deferred triggers bearable: the library's check opens a subtransaction for each
    row, and ending one walks over all rows that wait, so 100,000 rows took the square of that.
    Migrations refer to this class: never change the template, add another class.
    """

    def get_template(self) -> str:
        return """
            CREATE OR REPLACE FUNCTION {pgid}()
            RETURNS TRIGGER AS $$
                {declare}
                BEGIN
                    {func}
                END;
            $$ LANGUAGE plpgsql;

            DROP TRIGGER IF EXISTS {pgid} ON {table};
            CREATE {constraint} TRIGGER {pgid}
                {when} {operation} ON {table}
                {timing}
                {referencing}
                FOR EACH {level} {condition}
                EXECUTE PROCEDURE {execute};

            COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';
        """


class Trigger(pgtrigger.Trigger):
    """A pgtrigger trigger that nothing skips."""

    def compile(self, model: type[models.Model]) -> compiler.Trigger:
        compiled = super().compile(model)
        return compiler.Trigger(name=compiled.name, sql=UnskippableTriggerSql(**compiled.sql.kwargs))


# Verbs that may restore or purge say so for their own transaction: SET LOCAL ytv2.allow = 'restore'.
ALLOWED = "coalesce(current_setting('ytv2.allow', true), '')"


def refusal(constraint: str, message: str) -> str:
    """PL/pgSQL that refuses with an IntegrityError naming the row's video and the constraint."""
    return (
        f"RAISE EXCEPTION '{message}', OLD.video_id"
        f" USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = '{constraint}';"
    )


def emptying_trigger() -> Trigger:
    """A table is not emptied: a TRUNCATE fires no other trigger, so nothing would be counted, kept or in the history.

    A session that means it says so, as `manage.py flush` does: SET ytv2.empty = 'yes'.
    """
    return Trigger(
        name="is_not_emptied",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="""
            IF coalesce(current_setting('ytv2.empty', true), '') <> 'yes' THEN
                RAISE EXCEPTION 'the table % is not emptied: what people decided, and every delete, would be lost',
                    TG_TABLE_NAME
                    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_is_not_emptied';
            END IF;
            RETURN NULL;
        """,
    )


def tombstone_triggers() -> list[Trigger]:
    """A deleted row is its own tombstone: no statement brings it back or removes it (design.md, Deletes).

    They raise, and do not RETURN NULL: that would hand Django wrong primary keys in bulk_create.
    """
    return [
        Trigger(
            name="deleted_stays_deleted",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("deleted_at"),
            condition=pgtrigger.Q(old__deleted_at__isnull=False, new__deleted_at__isnull=True),
            func=f"""
                IF {ALLOWED} <> 'restore' THEN
                    {refusal("videos_video_deleted_stays_deleted", "video % is deleted, and a delete is final")}
                END IF;
                RETURN NEW;
            """,
        ),
        Trigger(
            name="key_is_kept",
            when=pgtrigger.Before,
            operation=pgtrigger.Delete,
            func=f"""
                IF {ALLOWED} <> 'forget' THEN
                    {refusal("videos_video_key_is_kept", "video % keeps its key for ever: set deleted_at instead")}
                END IF;
                RETURN OLD;
            """,
        ),
        Trigger(
            name="key_is_final",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("video_id"),
            condition=pgtrigger.Q(old__video_id__df=pgtrigger.F("new__video_id")),
            func=refusal("videos_video_key_is_final", "the key of video % is final"),
        ),
    ]


# Facet counts -------------------------------------------------------------------------------------
#
# videos_facetcount holds differences, not totals: a count is the sum of its rows. Writers only ever
# insert, so they never wait for each other and cannot deadlock; now and then one of them adds the
# rows up (videos_compact_facet_counts, migration 0017).


def video_facets(rows: str, sign: int) -> str:
    """SELECT of one difference for each facet value of the live videos among `rows`."""
    return f"""
        SELECT facet.name, facet.value, NULL::bigint AS category_id, NULL::bigint AS subcategory_id, {sign} AS n
        FROM {rows} AS video CROSS JOIN LATERAL (VALUES
            ('total', ''), ('source', video.source), ('language', video.language),
            ('content_type', video.content_type), ('complexity_level', video.complexity_level),
            ('channel', video.channel_name), ('has_audio', video.has_audio::text)
        ) AS facet(name, value)
        WHERE video.deleted_at IS NULL AND (facet.value <> '' OR facet.name = 'total')
    """


CATEGORIES_OF_CHANGED_VIDEOS = """
    SELECT 'category', '', categorization.category_id, NULL, changed.n
    FROM changed CROSS JOIN LATERAL (
        SELECT DISTINCT category_id FROM videos_categorization AS own WHERE own.video_id = changed.video_id
    ) AS categorization
    UNION ALL
    SELECT 'subcategory', '', categorization.category_id, categorization.subcategory_id, changed.n
    FROM changed JOIN videos_categorization AS categorization USING (video_id)
    WHERE categorization.subcategory_id IS NOT NULL
"""


def add_differences(differences: str, changed_rows: str, before: str = "") -> str:
    """Insert the differences that do not cancel out, and 1 to the library's revision if a row was written.

    Every thousandth insert adds the table up.
    """
    return f"""
        {before}
        INSERT INTO videos_facetcount (facet, value, category_id, subcategory_id, count)
        SELECT name, value, category_id, subcategory_id, sum(n)
        FROM ({differences}) AS difference(name, value, category_id, subcategory_id, n)
        GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0
        UNION ALL SELECT 'revision', '', NULL, NULL, 1 WHERE EXISTS (SELECT FROM {changed_rows});
        PERFORM videos_compact_facet_counts(1000);
        RETURN NULL;
    """


def video_count_triggers() -> list[Trigger]:
    """Keep the counts exact when videos are written."""
    changed = """
        WITH changed AS (
            SELECT video_id, CASE WHEN new_rows.deleted_at IS NULL THEN 1 ELSE -1 END AS n
            FROM new_rows JOIN old_rows USING (video_id)
            WHERE (new_rows.deleted_at IS NULL) <> (old_rows.deleted_at IS NULL)
        )
    """
    return [
        Trigger(
            name="count_insert",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=add_differences(video_facets("new_rows", 1), "new_rows"),
        ),
        Trigger(
            name="count_update",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
            func=add_differences(
                f"{changed} {video_facets('new_rows', 1)} UNION ALL {video_facets('old_rows', -1)}"
                f" UNION ALL {CATEGORIES_OF_CHANGED_VIDEOS}",
                "new_rows",
            ),
        ),
        Trigger(
            name="count_delete",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Delete,
            referencing=pgtrigger.Referencing(old="old_rows"),
            func=add_differences(video_facets("old_rows", -1), "old_rows"),
        ),
    ]


def categorization_count_triggers() -> list[Trigger]:
    """Keep the counts exact when categorisations are written.

    1. Lock the videos concerned, in order of their keys. A delete or restore of the same video then
       either came before (and the row read here says so) or waits until this transaction is done
       (and then sees these rows). Without the lock each would miss the other's half.
    2. A category counts a video once, however many of its subcategories the video has: compare
       whether any row is there after the statement with whether any was there before it.
    """

    def trigger(name: str, operation: pgtrigger.Operation, changes: str, **tables: str) -> Trigger:
        lock = f"""
            PERFORM 1 FROM videos_video WHERE video_id IN (SELECT video_id FROM ({changes}) AS changes)
            ORDER BY video_id FOR NO KEY UPDATE;
        """
        differences = f"""
            WITH changes AS (
                SELECT changes.* FROM ({changes}) AS changes JOIN videos_video AS video USING (video_id)
                WHERE video.deleted_at IS NULL
            ), touched AS (
                SELECT video_id, category_id, sum(n) AS n FROM changes GROUP BY 1, 2
            ), present AS (
                SELECT touched.category_id, touched.n, (
                    SELECT count(*) FROM videos_categorization AS stored
                    WHERE stored.video_id = touched.video_id AND stored.category_id = touched.category_id
                ) AS now FROM touched
            )
            SELECT 'category', '', category_id, NULL, (now > 0)::int - (now - n > 0)::int FROM present
            UNION ALL
            SELECT 'subcategory', '', category_id, subcategory_id, n FROM changes WHERE subcategory_id IS NOT NULL
        """
        return Trigger(
            name=name,
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**tables),
            func=add_differences(differences, next(iter(tables.values())), before=lock),
        )

    inserted = "SELECT video_id, category_id, subcategory_id, 1 AS n FROM new_rows"
    removed = "SELECT video_id, category_id, subcategory_id, -1 AS n FROM old_rows"
    return [
        trigger("count_insert", pgtrigger.Insert, inserted, new="new_rows"),
        trigger("count_update", pgtrigger.Update, f"{inserted} UNION ALL {removed}", old="old_rows", new="new_rows"),
        trigger("count_delete", pgtrigger.Delete, removed, old="old_rows"),
    ]


# The revision -------------------------------------------------------------------------------------
#
# The sum of the rows with facet "revision" grows with every statement that writes something the pages
# show, at the moment its transaction commits. What was read at one revision holds until the next.


def revision_triggers() -> list[Trigger]:
    """Let a write to this table make a new revision of the library."""

    def trigger(name: str, operation: pgtrigger.Operation, **tables: str) -> Trigger:
        (rows,) = tables.values()
        return Trigger(
            name=name,
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**tables),
            func=f"""
                INSERT INTO videos_facetcount (facet, value, count)
                SELECT 'revision', '', 1 WHERE EXISTS (SELECT FROM {rows});
                RETURN NULL;
            """,
        )

    return [
        trigger("revision_insert", pgtrigger.Insert, new="new_rows"),
        trigger("revision_update", pgtrigger.Update, new="new_rows"),
        trigger("revision_delete", pgtrigger.Delete, old="old_rows"),
    ]


# What a person decided ----------------------------------------------------------------------------
#
# A transaction that may change it names who does: SET LOCAL ytv2.curator = 'name' (deciding.py).

CURATOR = "coalesce(current_setting('ytv2.curator', true), '')"


def curated_refusal(video: str) -> str:
    return (
        f"RAISE EXCEPTION 'the categories of video % are a person''s decision', {video}"
        " USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'videos_categorization_curated';"
    )


def curation_triggers() -> list[Trigger]:
    """What is curated changes in a person's name only, and what was only looked at is to be looked at again.

    1. Nobody is named: refuse to touch a curated video's rows, or to make one curated; a machine's change of others
       takes the note away that a person has looked at them.
    2. Somebody is named: a curated row makes the video that person's decision, from now on.

    After the statement, and for all its rows at once. They follow the triggers of the counts, which lock the videos.
    """

    def trigger(name: str, operation: pgtrigger.Operation, changed: str, note: str, **tables: str) -> Trigger:
        return Trigger(
            name=name,
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**tables),
            declare=[("curated_video", "text")],
            func=f"""
                IF {CURATOR} <> '' THEN
                    {note}
                    RETURN NULL;
                END IF;
                SELECT changed.video_id INTO curated_video FROM ({changed}) AS changed
                WHERE changed.origin = 'curated' OR EXISTS (
                    SELECT FROM videos_review AS review WHERE review.video_id = changed.video_id AND review.is_curated
                ) LIMIT 1;
                IF FOUND AND {ALLOWED} <> 'forget' THEN
                    {curated_refusal("curated_video")}
                END IF;
                DELETE FROM videos_review AS review USING ({changed}) AS changed
                WHERE review.video_id = changed.video_id;
                RETURN NULL;
            """,
        )

    def note(decided: str) -> str:
        return f"""
            INSERT INTO videos_review (video_id, is_curated, reviewed_by, reviewed_at)
            SELECT DISTINCT video_id, true, {CURATOR}, now() FROM ({decided}) AS decided
            ON CONFLICT (video_id) DO UPDATE SET is_curated = true, reviewed_by = excluded.reviewed_by,
                reviewed_at = excluded.reviewed_at;
        """

    inserted = "SELECT video_id FROM new_rows WHERE origin = 'curated'"
    # Not those whose category only got another name or place.
    updated = """
        SELECT new_rows.video_id FROM new_rows LEFT JOIN old_rows USING (id)
        WHERE new_rows.origin = 'curated' AND old_rows.origin IS DISTINCT FROM 'curated'
    """
    added, removed = "SELECT video_id, origin FROM new_rows", "SELECT video_id, origin FROM old_rows"
    return [
        trigger("curated_insert", pgtrigger.Insert, added, note(inserted), new="new_rows"),
        trigger(
            "curated_update",
            pgtrigger.Update,
            f"{added} UNION ALL {removed}",
            note(updated),
            old="old_rows",
            new="new_rows",
        ),
        trigger("curated_delete", pgtrigger.Delete, removed, "", old="old_rows"),
    ]


def review_triggers() -> list[Trigger]:
    """That somebody has decided is said, taken back or rewritten in a person's name only."""

    def trigger(name: str, operation: pgtrigger.Operation, row: str, condition: pgtrigger.Q) -> Trigger:
        return Trigger(
            name=name,
            when=pgtrigger.Before,
            operation=operation,
            condition=condition,
            func=f"""
                IF {CURATOR} = '' AND {ALLOWED} <> 'forget' THEN
                    {curated_refusal(f"{row}.video_id")}
                END IF;
                IF TG_OP = 'DELETE' THEN
                    RETURN OLD;
                END IF;
                RETURN NEW;
            """,
        )

    return [
        trigger("curated_is_kept", pgtrigger.Update | pgtrigger.Delete, "OLD", pgtrigger.Q(old__is_curated=True)),
        trigger("curated_is_said", pgtrigger.Insert | pgtrigger.Update, "NEW", pgtrigger.Q(new__is_curated=True)),
    ]


def name_triggers(column: str) -> list[Trigger]:
    """What people put videos under gets another name in a person's name only (taxonomy.py).

    `column`: where a pair refers to the table.
    """
    return [
        Trigger(
            name="curated_name_is_kept",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("name"),
            condition=pgtrigger.Q(old__name__df=pgtrigger.F("new__name")),
            declare=[("curated_video", "text")],
            func=f"""
                IF {CURATOR} <> '' THEN
                    RETURN NEW;
                END IF;
                SELECT video_id INTO curated_video
                FROM videos_categorization AS stored JOIN videos_review AS review USING (video_id)
                WHERE stored.{column} = OLD.id AND review.is_curated LIMIT 1;
                IF FOUND THEN
                    {curated_refusal("curated_video")}
                END IF;
                RETURN NEW;
            """,
        ),
    ]
