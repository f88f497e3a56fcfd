"""The proof that people are kept apart: it holds for the built-in schema, and finds each kind of hole."""

from __future__ import annotations

import asyncpg
import pytest

from kimbledb.testing import IsolationReport, check_isolation
from tests.support.folders import Folder

#: Notes of people, and lines of notes, as they should be; each hole is a change to it.
TABLES = """
    CREATE FUNCTION me() RETURNS text LANGUAGE sql STABLE SET search_path FROM CURRENT AS
        $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub' $$;
    REVOKE ALL ON FUNCTION me() FROM PUBLIC;
    CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text NOT NULL, body text NOT NULL);
    CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b')),
                        note_id bigint NOT NULL REFERENCES notes (id) ON DELETE CASCADE);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE lines ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (user_id = (SELECT me())) WITH CHECK (user_id = (SELECT me()));
    CREATE POLICY own ON lines USING (EXISTS (SELECT FROM notes WHERE notes.id = note_id AND user_id = (SELECT me())));
"""


async def everything(dsn: str) -> list[str]:
    """The schemas that are there, and the roles that a check makes for its time."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_' UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname ~ '^kimbledb_(people|nobody)_' ORDER BY 1"
    )
    await connection.close()
    return [row[0] for row in rows]


async def test_the_builtin_schema(database: str) -> None:
    """The built-in schema keeps people apart, every table is tried, and nothing is left on the server, no role either."""
    await keeps_people_apart(database)


async def test_the_builtin_schema_on_a_hosted_platform(hosted_database: str) -> None:
    """So it does with the roles of a hosted platform."""
    report = await keeps_people_apart(hosted_database)
    assert report.roles == ("authenticated", "anon")


async def keeps_people_apart(dsn: str) -> IsolationReport:
    """Check the built-in schema."""
    before = await everything(dsn)

    report = await check_isolation(dsn)

    assert report.ok, report
    assert len(report.tables) > 35
    assert sum(count > 0 for count in report.tables.values()) > 30, "people see their own, or nothing was proved"
    assert await everything(dsn) == before
    return report


@pytest.mark.parametrize(
    ("hole", "found"),
    [
        ("", []),
        ("DROP POLICY own ON notes; CREATE POLICY own ON notes USING (true) WITH CHECK (user_id = (SELECT me()))", [
            "notes: delete", "notes: read", "notes: steal",
        ]),
        ("CREATE POLICY all_read ON notes FOR SELECT USING (true)", ["notes: read"]),
        ("CREATE POLICY all_insert ON notes FOR INSERT WITH CHECK (true)", ["notes: insert"]),
        ("DROP POLICY own ON notes; CREATE POLICY own ON notes USING (user_id = (SELECT me())) WITH CHECK (true)", [
            "notes: insert", "notes: give",
        ]),
        ("CREATE POLICY all_insert ON lines FOR INSERT WITH CHECK (true)", ["lines: insert"]),
        ("ALTER TABLE lines DISABLE ROW LEVEL SECURITY", [
            "lines: change", "lines: delete", "lines: insert", "lines: read", "lines: give",
        ]),
        ("GRANT SELECT ON notes TO PUBLIC", ["table notes: SELECT"]),
        ("GRANT EXECUTE ON FUNCTION me() TO PUBLIC", ["function"]),
    ],
    ids=["none", "all is open", "read", "insert", "give", "insert under a parent", "no row level security", "table", "function"],
)  # fmt: skip
async def test_a_hole_is_found(database: str, folder: Folder, hole: str, found: list[str]) -> None:
    """Each way to another's row is found and named, and nothing else."""
    folder.add(1, "notes", TABLES + hole, rollback="DROP TABLE lines, notes; DROP FUNCTION me()")

    report = await check_isolation(database, catalog=folder.catalog)

    said = [str(breach) for breach in report.breaches]
    assert [each for each in found if not any(line.startswith(each) for line in said)] == [], report
    assert [line for line in said if not line.startswith(tuple(found))] == [], report
    assert report.ok == (not found)
    assert ("NOT REFUSED" in str(report)) == bool(found)


async def test_a_row_whose_kind_requires_more(database: str, folder: Folder) -> None:
    """Where the first kind of row that a table lists requires a column of its own, another kind is made up."""
    folder.add(
        1,
        "notes",
        TABLES
        + """
        ALTER TABLE notes
            ADD kind text NOT NULL CHECK (kind IN ('dated', 'linked')),
            ADD day date,
            ADD link text,
            ADD CHECK (kind <> 'dated' OR day IS NOT NULL),
            ADD CHECK (kind <> 'linked' OR link IS NOT NULL)
        """,
        rollback="DROP TABLE lines, notes; DROP FUNCTION me()",
    )

    report = await check_isolation(database, catalog=folder.catalog)

    assert report.ok, report
    assert report.tables["notes"] == 2


async def test_a_row_that_cannot_be_made_up(database: str, folder: Folder) -> None:
    """A table in which no row can be made is said, and is no success; values for it may be given."""
    folder.add(
        1,
        "notes",
        TABLES + "ALTER TABLE notes ADD CHECK (body ~ '^[A-Z]{3}$')",
        rollback="DROP TABLE lines, notes; DROP FUNCTION me()",
    )
    report = await check_isolation(database, catalog=folder.catalog)
    assert not report.ok
    assert sorted(report.untried) == ["lines", "notes"]
    assert "notes: not tried" in str(report)

    report = await check_isolation(database, catalog=folder.catalog, values={"notes": {"body": "ABC"}})
    assert report.ok, report
