"""rehearse(queries=): the queries of the application of before, beside the schema of after."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

import kimbledb
from kimbledb.cli.main import main
from tests.support.databases import as_role, fresh_database, sql
from tests.support.folders import Folder
from tests.support.programs import embedded_binaries, running
from tests.support.two_versions import BREAKING, HARMLESS

#: How many cases stand in one migration.
TOGETHER = 10


async def test_what_breaks_is_named_and_what_does_not_is_not(server: str, folder: Folder) -> None:
    """Of a hundred changes those that break a query are named with the migration and the reason; no other is."""
    role = f"shop_{secrets.token_hex(4)}"
    cases = [*BREAKING, *HARMLESS]

    def of_case(text: str, number: int) -> str:
        return text.replace("@", str(number)).replace("~", role)

    numbered = list(enumerate(cases, 100))
    for place in range(0, len(numbered), TOGETHER):
        some = numbered[place : place + TOGETHER]
        text = "\n".join(of_case(each.migration, number) for number, each in some)
        reached = [f"schema home{number}" for number, each in some if "home@" in each.migration]
        folder.add(10 + place // TOGETHER, f"m{place // TOGETHER}", text, facts=f"reaches = {reached}")
    queries = {f"{of_case(each.query, number)} /* {number} */": number for number, each in numbered}
    await sql(server, f"CREATE ROLE {role}")
    try:
        async with fresh_database(server) as dsn:
            await sql(dsn, "\n".join(of_case(each.before, number) for number, each in numbered))
            report = await kimbledb.rehearse(dsn, catalog=folder.catalog, server=server, queries=list(queries))
    finally:
        await sql(server, f"DROP ROLE {role}")

    assert not report.failing
    assert report.queries == len(cases)
    found = {queries[each.query]: each for each in report.breaks}
    expected = {number: each for number, each in numbered if each.reason is not None}
    alarms = {
        number: (found[number].reason, of_case(cases[number - 100].migration, number))
        for number in found.keys() - expected.keys()
    }
    missed = {number: of_case(each.migration, number) for number, each in expected.items() if number not in found}
    assert (missed, alarms) == ({}, {})
    wrong = {
        number: (found[number].migration, found[number].reason)
        for number, each in expected.items()
        if of_case(str(each.reason), number) not in found[number].reason
        or found[number].migration != f"m{(number - 100) // TOGETHER}.sql"
    }
    assert wrong == {}


async def test_rows_of_a_sample(database: str, server: str, folder: Folder) -> None:
    """With a sample its rows are compared, as the migrations leave them; no value of theirs is in the report."""
    await sql(
        database,
        "CREATE TABLE t (id serial PRIMARY KEY, name text, state text);"
        "INSERT INTO t (name, state) VALUES ('secret one', 'old'), ('secret two', 'old');"
        "CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS 'SELECT n'",
    )
    folder.add(1, "states", "UPDATE t SET state = 'new' WHERE id = 1;")
    folder.add(
        2,
        "raising",
        "CREATE OR REPLACE FUNCTION f(n text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''no %'', n; END';",
    )
    queries = {
        "SELECT state FROM t": "it returns other values of state",
        "SELECT f(name) FROM t WHERE name = $1": "an error that a function raises (SQLSTATE P0001)",
        "SELECT id, name FROM t": None,
        "SELECT id FROM t LIMIT 1": None,
        "INSERT INTO t (name) VALUES ($1) RETURNING name": None,
        "UPDATE t SET name = $1 WHERE id = $2": None,
        "DELETE FROM t": None,
    }

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server, sample=10, queries=list(queries))

    assert report.sampled == 2
    assert {each.query: each.reason for each in report.breaks} == {
        query: reason for query, reason in queries.items() if reason is not None
    }
    assert "secret" not in str(report.as_dict())


async def test_a_server_of_a_role_that_is_no_superuser(server: str, folder: Folder) -> None:
    """Where the clone's server has no superuser for it, queries are tried as the role that migrates, and a note says so."""
    owner, shop = (f"{name}_{secrets.token_hex(4)}" for name in ("owner", "shop"))
    await sql(server, f"CREATE ROLE {owner} LOGIN CREATEDB PASSWORD '{owner}'")
    await sql(server, f"CREATE ROLE {shop}")
    folder.add(1, "next", f"REVOKE SELECT ON t FROM {shop}; ALTER TABLE t ADD CHECK (a <> 5);")
    try:
        async with fresh_database(server, f"CREATE SCHEMA app AUTHORIZATION {owner}") as dsn:
            await sql(as_role(dsn, owner), f"CREATE TABLE app.t (a integer); GRANT SELECT ON app.t TO {shop}")
            report = await kimbledb.rehearse(
                as_role(dsn, owner),
                catalog=folder.catalog,
                schema="app",
                server=as_role(server, owner),
                queries=["SELECT a FROM t", "INSERT INTO t (a) VALUES (5)"],
            )
    finally:
        await sql(server, f"DROP ROLE {owner}")
        await sql(server, f"DROP ROLE {shop}")

    assert [each.query for each in report.breaks] == ["INSERT INTO t (a) VALUES (5)"]
    assert f"queries are not tried as {shop}, since the server's role is no superuser" in report.notes


async def test_queries_that_the_server_has_recorded(database: str, folder: Folder) -> None:
    """pg_stat_statements gives the queries of the database; where it is missing, unread or not loaded, the cure is named."""
    with running(embedded_binaries(), {"shared_preload_libraries": "pg_stat_statements"}) as cluster:
        role = "migrating"
        await sql(cluster.dsn, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
        async with fresh_database(
            cluster.dsn, f"CREATE SCHEMA app AUTHORIZATION {role}; CREATE TABLE t (a integer)"
        ) as dsn:
            target = as_role(dsn, role)

            async def rehearsed(given: str, schema: str) -> kimbledb.Rehearsal:
                return await kimbledb.rehearse(
                    given, catalog=folder.catalog, schema=schema, server=cluster.dsn, queries="pg_stat_statements"
                )

            folder.add(1, "rename", "ALTER TABLE t RENAME COLUMN a TO b;")
            with pytest.raises(kimbledb.ConfigurationError, match="run CREATE EXTENSION pg_stat_statements"):
                await rehearsed(dsn, "public")
            await sql(dsn, "CREATE EXTENSION pg_stat_statements")
            await sql(dsn, "SELECT a FROM t WHERE a = 5")
            await sql(dsn, "VACUUM t")
            with pytest.raises(kimbledb.ConfigurationError, match="grant it pg_read_all_stats"):
                await rehearsed(target, "app")
            await sql(dsn, f"GRANT pg_read_all_stats TO {role}")

            report = await rehearsed(dsn, "public")

            assert [(each.query, each.migration) for each in report.breaks] == [
                ("SELECT a FROM t WHERE a = $1", "rename.sql")
            ]
            assert not [each for each in report.notes if "do not work" in each]
    await sql(database, "CREATE EXTENSION pg_stat_statements")
    with pytest.raises(kimbledb.ConfigurationError, match="set shared_preload_libraries = 'pg_stat_statements'"):
        await kimbledb.rehearse(database, catalog=folder.catalog, queries="pg_stat_statements")


async def test_literals_that_are_no_queries_are_told(
    database: str, server: str, folder: Folder, tmp_path: Path
) -> None:
    """A literal of a program that looks like a query and does not work before the plan is counted; each has its place."""
    await sql(database, "CREATE TABLE t (a integer)")
    folder.add(1, "drop", "DROP TABLE t;")
    program = tmp_path / "app.ts"
    program.write_text("run('SELECT a FROM t WHERE a = ?');\nsay('Select a row');\nrun(`SELECT ${name} FROM t`);\n")
    call = ["rehearse", "--dsn", database, "--catalog", str(folder.path), "--server", server, "--queries"]

    report = await kimbledb.rehearse(database, catalog=folder.catalog, server=server, queries=program)

    assert [(each.query, each.place) for each in report.breaks] == [("SELECT a FROM t WHERE a = ?", f"{program}:1")]
    assert report.breaks[0].as_line.startswith("drop.sql: ")
    assert f": {program}:1: SELECT" in report.breaks[0].as_line
    assert f"1 query is put together while the program runs, and not tried: {program}:3" in report.notes
    assert "1 of 2 queries do not work before the plan, such as Select a row" in report.notes
    assert report.notes[-1].endswith(f"do not work before the plan: {program}:2")
    assert await asyncio.to_thread(main, [*call, str(program)]) == 1
