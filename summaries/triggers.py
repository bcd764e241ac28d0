"""The latest pointer of each (video, variant), kept by the database itself."""

import pgtrigger

from videos.triggers import Trigger

# A unique index allows at most one latest revision; these see to it that there is one and that it is
# the newest, and that revisions only grow.


def latest_pointer_triggers() -> list[Trigger]:
    """Triggers of Summary. A refusal is an IntegrityError with the constraint's name."""
    return [
        Trigger(
            name="revisions_only_grow",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("revision", "variant", "video_id"),
            func="""
                IF EXISTS (
                    SELECT FROM summaries_summary AS other
                    WHERE other.video_id = NEW.video_id AND other.variant = NEW.variant
                    AND other.id <> NEW.id AND other.revision > NEW.revision
                ) THEN
                    RAISE EXCEPTION 'revision % of % of video % is older than one that is stored',
                        NEW.revision, NEW.variant, NEW.video_id
                    USING ERRCODE = 'integrity_constraint_violation',
                        CONSTRAINT = 'summaries_summary_revisions_only_grow';
                END IF;
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
