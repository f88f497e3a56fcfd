"""Settings of a database, a role or a session that change how texts are read, printed or compared."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import kimbledb
from tests.support.databases import take_snapshot
from tests.support.folders import Folder

#: A script that each of the settings below would change in its meaning, or in how it is shown.
SCRIPT = r"""
CREATE TABLE t (
    p text CHECK (p ~ '^\d+$'),
    path text DEFAULT 'C:\temp',
    quoted text DEFAULT E'it\'s',
    day date DEFAULT '01/02/2024',
    span interval DEFAULT '-1 2:03:04',
    bytes bytea DEFAULT '\x4142ff',
    part double precision DEFAULT '0.1234567890123'::double precision,
    several text[] DEFAULT '{NULL,b}',
    document xml DEFAULT 'a<b/>',
    "Mixed" integer CHECK ("Mixed" > 0),
    "at" timestamptz DEFAULT '2024-01-01 00:00+00'
);
CREATE VIEW v AS SELECT p, "Mixed" FROM t WHERE day > '2024-01-31';
CREATE FUNCTION f(t) RETURNS text LANGUAGE sql IMMUTABLE RETURN ($1).p || '\d';
INSERT INTO t ("Mixed") VALUES (1);
"""
VERIFY = r"""
-- name: read_as_written
SELECT path = 'C:' || chr(92) || 'temp' AND day = make_date(2024, 1, 2) AND several[1] IS NULL AND '\d' = chr(92) || 'd'
       AND span = -make_interval(days => 1) + make_interval(hours => 2, mins => 3, secs => 4) AND document IS NOT NULL AS passed
FROM t
;
-- name: kept_as_written
SELECT pg_get_constraintdef(oid) LIKE '%^' || chr(92) || chr(92) || 'd+$%' AS passed
FROM pg_constraint WHERE conname = 't_p_check'
"""
SETTINGS = {
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "'-10'",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "xmloption": "document",
    "exit_on_error": "on",
    "TimeZone": "'America/New_York'",
    "session_replication_role": "replica",
    "default_transaction_isolation": "serializable",
    "plpgsql.extra_errors": "'all'",
    "plpgsql.variable_conflict": "use_column",
    "lc_messages": "'C'",
}


async def set_for_database(dsn: str, **settings: str) -> None:
    """Have the database's sessions begin with settings."""
    connection = await asyncpg.connect(dsn)
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    for name, value in settings.items():
        await connection.execute(f"ALTER DATABASE {database} SET {name} = {value}")
    await connection.close()


@pytest.fixture
async def catalog(folder: Folder, database: str) -> kimbledb.Catalog:
    """A folder of one migration that reads, prints and compares values of many types."""
    connection = await asyncpg.connect(database)
    has_xml = await connection.fetchval(
        "SELECT bool_or(setting LIKE '%--with-libxml%') FROM pg_config() WHERE name = 'CONFIGURE'"
    )
    await connection.close()
    # A server built without libxml has no such values.
    script, verify = (
        (SCRIPT, VERIFY)
        if has_xml
        else (SCRIPT.replace("document xml DEFAULT 'a<b/>',", ""), VERIFY.replace("AND document IS NOT NULL", ""))
    )
    folder.add(1, "a", script, verify=verify, rollback="DROP FUNCTION f; DROP VIEW v; DROP TABLE t;")
    catalog: kimbledb.Catalog = folder.catalog
    return catalog


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_script_means_the_same_whatever_is_set(database: str, catalog: kimbledb.Catalog, name: str) -> None:
    """A script makes the same schema and values whatever the database sets, and every call reads them alike."""
    await set_for_database(database, **{name: SETTINGS[name]})

    applied = await kimbledb.migrate(database, catalog=catalog)
    verified = await kimbledb.verify(database, catalog=catalog)
    seen = await take_snapshot(database)
    connection = await asyncpg.connect(database)
    await connection.execute(f"ALTER DATABASE {database.rpartition('/')[2]} RESET ALL")
    await connection.close()

    assert [check.passed for check in applied.verification.checks] == [True, True]
    assert verified.ok, verified
    assert str((await take_snapshot(database)).since(seen)) == "no difference"
    assert len((await kimbledb.rollback(database, "a.sql", catalog=catalog, allow_data_loss=True)).rolled_back) == 1


async def test_the_built_in_catalog_under_every_setting(database: str) -> None:
    """The built-in migrations are applied, proved, shown and adopted where everything is set otherwise."""
    await set_for_database(database, **SETTINGS)

    applied = (await kimbledb.migrate(database)).applied
    verified = await kimbledb.verify(database)
    connection = await asyncpg.connect(database)
    await connection.execute("SET session_replication_role = origin; DROP TABLE migration_history, migration_log")
    await connection.close()
    adopted = await kimbledb.adopt(database)

    assert len(applied) == 34
    assert verified.ok, verified
    assert len(adopted.adopted) == 34


@pytest.mark.parametrize("how", ["role", "dsn", "session"])
async def test_wherever_it_is_set(database: str, catalog: kimbledb.Catalog, how: str) -> None:
    """A setting of the role, of the DSN or of a caller's session is held off like one of the database."""
    connection = await asyncpg.connect(database)
    target: Any = database
    if how == "role":
        await connection.execute(
            "CREATE ROLE reads_otherwise SUPERUSER LOGIN PASSWORD 'x'; ALTER ROLE reads_otherwise SET standard_conforming_strings = off"
        )
        target = "postgresql://reads_otherwise:x@" + database.rpartition("@")[2]
    elif how == "dsn":
        target = database + "?options=-c%20standard_conforming_strings%3Doff%20-c%20quote_all_identifiers%3Don"
    else:
        await connection.execute("SET standard_conforming_strings = off; SET client_encoding = 'LATIN1'")
        target = connection

    report = await kimbledb.migrate(target, catalog=catalog)

    assert [check.passed for check in report.verification.checks] == [True, True]
    if how == "session":
        assert await connection.fetchval("SHOW standard_conforming_strings") == "off"
        assert await connection.fetchval("SHOW client_encoding") == "LATIN1"
    await connection.close()
    if how == "role":
        admin = await asyncpg.connect(database)
        await admin.execute(
            "REASSIGN OWNED BY reads_otherwise TO CURRENT_USER; DROP OWNED BY reads_otherwise; DROP ROLE reads_otherwise"
        )
        await admin.close()


async def test_a_script_beyond_the_encoding_of_the_connection(database: str, folder: Folder) -> None:
    """A script is sent as it is by a connection whose own encoding does not have its characters."""
    folder.add(
        1,
        "a",
        "CREATE TABLE t AS SELECT '\N{SNOWMAN}' AS c;",
        verify="-- name: c\nSELECT c = U&'\\2603' AS passed FROM t",
    )
    connection = await asyncpg.connect(database)
    await connection.execute("SET client_encoding = 'LATIN1'")

    report = await kimbledb.migrate(connection, catalog=folder.catalog)

    assert report.verification.ok
    await connection.close()


async def test_a_fault_is_placed_where_the_settings_went_ahead(database: str, folder: Folder) -> None:
    """The line and column of a fault are right where the message could not be sent in one."""
    await set_for_database(database, standard_conforming_strings="off")
    folder.add(1, "a", "SELECT '\\';\nSELECT nothing FROM nowhere;\n")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (caught.value.line, caught.value.column, caught.value.sqlstate) == (2, 21, "42P01")


@pytest.mark.parametrize(
    "name", ["default_tablespace", "check_function_bodies", "default_toast_compression", "TimeZone"]
)
async def test_what_the_owner_means_is_left_alone(database: str, folder: Folder, name: str) -> None:
    """Where things are put, and what timestamps without a zone mean, is the owner's to say."""
    values = {
        "default_tablespace": "pg_default",
        "check_function_bodies": "off",
        "default_toast_compression": "pglz",
        "TimeZone": "'Asia/Tokyo'",
    }
    await set_for_database(database, **{name: values[name]})
    folder.add(1, "a", f"CREATE TABLE t AS SELECT current_setting('{name}') AS value")
    connection = await asyncpg.connect(database)

    await kimbledb.migrate(database, catalog=folder.catalog)

    assert values[name].strip("'") == await connection.fetchval("SELECT value FROM t")
    await connection.close()
