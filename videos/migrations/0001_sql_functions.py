"""SQL functions that generated columns, indexes and triggers of the next migrations call.

Lower case must not depend on the database's locale (an embedded server has "C", which knows ASCII
only), so the collation is named: the built-in Unicode one of PostgreSQL 17 and later, else ICU's.
https://www.postgresql.org/docs/current/collation.html#COLLATION-MANAGING-STANDARD
"""

from django.db import migrations

WHITE_SPACE = r"[\s\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
# What the search compares as a space or a hyphen, and then runs of spaces as one.
FOLDED = (
    *((character, " ") for character in "\n\r\t\u00a0\u202f"),
    ("–", "-"),
    *[("  ", " ")] * 5,
)
# An entry of an index holds 2,700 bytes at most, and a character takes up to 4.
KEY_LENGTH = 600
COMBINING_MARKS = r"[\u0300-\u036f]"

FUNCTIONS = """
CREATE FUNCTION videos_match_key(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT left(btrim(regexp_replace(replace(name, '–', '-'), '{white_space}', ' ', 'g')), {length})
$$;

-- replace() and not a regular expression or translate(): ten times as fast on the long texts of summaries.
CREATE FUNCTION videos_fold(content text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT lower({folded} COLLATE "{collation}")
$$;

CREATE FUNCTION videos_sort_key(title text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT left(
        lower(regexp_replace(normalize(btrim(title), NFKD), '{marks}', '', 'g') COLLATE "{collation}"), {length}
    )
$$;

-- Adds the differences up when an id that is a multiple of `every` was just given out. Deletes only rows
-- that it read, so differences of transactions still open stay as they are; one at a time, without waiting.
CREATE FUNCTION videos_compact_facet_counts(every bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF every > 1 AND NOT EXISTS (
        SELECT FROM videos_facetcount
        WHERE id % every = 0 AND id > coalesce(pg_sequence_last_value('videos_facetcount_id_seq'), 0) - every
    ) THEN RETURN; END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('videos_facetcount')) THEN RETURN; END IF;
    WITH summed AS (DELETE FROM videos_facetcount RETURNING *)
    INSERT INTO videos_facetcount (facet, value, category_id, subcategory_id, count)
    SELECT facet, value, category_id, subcategory_id, sum(count) FROM summed
    GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0;
END $$;
"""

REVERSE = """
DROP FUNCTION videos_compact_facet_counts(bigint);
DROP FUNCTION videos_sort_key(text);
DROP FUNCTION videos_fold(text);
DROP FUNCTION videos_match_key(text);
"""

NO_COLLATION = (
    "This PostgreSQL has no Unicode collation (pg_c_utf8 or und-x-icu), so search could not ignore case. "
    "Use PostgreSQL 17 or later, or one that was built with ICU, with a database in UTF8."
)


def create_functions(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT collname FROM pg_collation WHERE collname IN ('pg_c_utf8', 'und-x-icu') "
            "AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding())) ORDER BY collname"
        )
        row = cursor.fetchone()
        if row is None:
            raise RuntimeError(NO_COLLATION)
        folded = "content"
        for found, replacement in FOLDED:
            folded = f"replace({folded}, '{found}', '{replacement}')"
        cursor.execute(
            FUNCTIONS.format(
                white_space=WHITE_SPACE, marks=COMBINING_MARKS, folded=folded, collation=row[0], length=KEY_LENGTH
            )
        )


def drop_functions(apps, schema_editor):
    schema_editor.execute(REVERSE)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunPython(create_functions, drop_functions)]
