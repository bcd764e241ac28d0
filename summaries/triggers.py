"""The latest pointer of each (video, variant), kept by the database itself."""

import pgtrigger

from videos.triggers import Trigger

# A unique index allows at most one latest revision; these see to it that there is one and that it is
# the newest, and that revisions only grow.


def older_revision(row: str) -> str:
    """PL/pgSQL that refuses a row because a newer revision is there."""
    return f"""
        RAISE EXCEPTION 'revision % of % of video % is older than one that is stored',
            {row}.revision, {row}.variant, {row}.video_id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'summaries_summary_revisions_only_grow';
    """


def latest_pointer_triggers() -> list[Trigger]:
    """Triggers of Summary. A refusal is an IntegrityError with the constraint's name."""
    return [
        # Once for a statement: looked up row by row, with the plan of a table that was empty when the
        # session began, each new row would read all others.
        Trigger(
            name="revisions_only_grow",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            func=f"""
                DECLARE
                    added summaries_summary%ROWTYPE;
                BEGIN
                    SELECT new_rows.* INTO added FROM new_rows JOIN summaries_summary AS other
                    USING (video_id, variant)
                    WHERE other.revision > new_rows.revision
                    AND NOT EXISTS (SELECT FROM new_rows AS same WHERE same.id = other.id)
                    LIMIT 1;
                    IF FOUND THEN {older_revision("added")} END IF;
                    RETURN NULL;
                END;
            """,
        ),
        Trigger(
            name="revisions_are_not_moved_back",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("revision", "variant", "video_id"),
            func=f"""
                IF EXISTS (
                    SELECT FROM summaries_summary AS other
                    WHERE other.video_id = NEW.video_id AND other.variant = NEW.variant
                    AND other.id <> NEW.id AND other.revision > NEW.revision
                ) THEN {older_revision("NEW")} END IF;
                RETURN NEW;
            """,
        ),
        # At the end of the transaction, because a new revision comes in two steps: the old latest one
        # steps down, the new one is inserted.
        Trigger(
            name="newest_is_latest",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            timing=pgtrigger.Deferred,
            func="""
                DECLARE
                    changed summaries_summary%ROWTYPE;
                    newest summaries_summary%ROWTYPE;
                BEGIN
                    IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
                    SELECT * INTO newest FROM summaries_summary
                    WHERE video_id = changed.video_id AND variant = changed.variant
                    ORDER BY revision DESC LIMIT 1;
                    IF FOUND AND NOT newest.is_latest THEN
                        RAISE EXCEPTION 'revision % of % of video % is the newest and not the latest',
                            newest.revision, newest.variant, newest.video_id
                        USING ERRCODE = 'integrity_constraint_violation',
                            CONSTRAINT = 'summaries_summary_newest_is_latest';
                    END IF;
                    RETURN NULL;
                END;
            """,
        ),
    ]
