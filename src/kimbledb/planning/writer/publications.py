"""Publications that list columns of a table, or have a condition on them: they let go of it while the columns change. Pure.

A publication belongs to the database, and no snapshot holds it. So the first statement looks for them, and leaves the
statements that add the table again in a setting of the session for the last one.
"""

from __future__ import annotations

from collections.abc import Iterable

from kimbledb.model.names import quote_literal
from kimbledb.planning.writer.names import written

_LET_GO = """DO $kimbledb$
DECLARE
    each record;
    again text := '';
BEGIN
    FOR each IN
        SELECT p.pubname, r.prrelid::regclass AS relation, pg_get_expr(r.prqual, r.prrelid) AS condition, (
            SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)
        ) AS listed
        FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
        WHERE r.prrelid = ANY (ARRAY[{tables}]::regclass[]) AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)
    LOOP
        again := again || format('ALTER PUBLICATION %I ADD TABLE ONLY %s%s%s;', each.pubname, each.relation,
            ' (' || each.listed || ')', ' WHERE (' || each.condition || ')');
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE ONLY %s', each.pubname, each.relation);
    END LOOP;
    PERFORM set_config('kimbledb.publications', again, false);
END $kimbledb$"""
_TAKE_BACK = """DO $kimbledb$
BEGIN
    EXECUTE current_setting('kimbledb.publications');
    PERFORM set_config('kimbledb.publications', '', false);
END $kimbledb$"""


def around(tables: Iterable[str], statements: list[str]) -> list[str]:
    """Return statements with those that take tables from publications before them, and give them back after them.

    Args:
        tables: The tables of which columns change; the statements stay alone where there are none.
        statements: The statements that change them.
    """
    names = ", ".join(quote_literal(written(table)).strip() for table in tables)
    return [_LET_GO.format(tables=names), *statements, _TAKE_BACK] if names else statements
