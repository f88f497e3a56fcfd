"""Databases from before: ids that are uuid or varchar, with rows and with all that hangs on them.

``tests/data/before`` holds them. The repairs convert such ids to text and keep
every row, every relation, and what other hands made.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.model.objects import Facts
from tests.support.databases import Clone, MakeTemplate, take_snapshot

DATA = Path(__file__).parent.parent / "data" / "before"
MISFITS = (DATA / "misfits.txt").read_text(encoding="utf-8").splitlines()
Rows = dict[str, list[tuple[str | None, ...]]]

#: Columns that the repairs look after, with what they may have been.
REPAIRED = {
    column: kind
    for migration in kimbledb.Catalog.builtin()
    if migration.number in (8, 9, 20)
    for column, kind in migration.expects.items()
}


async def fill(connection: asyncpg.Connection, *files: str) -> None:
    """Run files of the data folder: each statement of invalid_indexes.sql by itself, of which two fail."""
    for file in files:
        text = (DATA / file).read_text(encoding="utf-8")
        if file != "invalid_indexes.sql":
            await connection.execute(text)
            continue
        failed = 0
        for statement in text.rstrip().rstrip(";").split(";\n"):
            try:
                await connection.execute(statement)
            except asyncpg.UniqueViolationError:
                failed += 1
        assert failed == 2


async def rows_of(connection: asyncpg.Connection, columns: dict[str, list[str]]) -> Rows:
    """Return every row of these columns as text, in order."""
    found = {}
    for table, names in columns.items():
        listed = ", ".join(f'"{name}"::text' for name in names)
        found[table] = sorted(map(tuple, await connection.fetch(f'SELECT {listed} FROM "{table}"')), key=repr)
    return found


async def columns_of(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """Return the columns of every table."""
    found: dict[str, list[str]] = {}
    for table, column in await connection.fetch(
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        " AND c.relname NOT IN ('migration_history', 'migration_log') ORDER BY 1, 2"
    ):
        found.setdefault(table, []).append(column)
    return found


def alike(rows: Rows) -> Rows:
    """Take out what is written otherwise and means the same.

    The word "general" stood where a project was unknown, which is no project's id;
    a time without a zone gets the server's, UTC.
    """
    return {
        table: sorted(
            (
                tuple(None if value == "general" else value and value.removesuffix("+00") for value in row)
                for row in found
            ),
            key=repr,
        )
        for table, found in rows.items()
    }


@pytest.mark.parametrize("old", [["uuid_ids.sql", "invalid_indexes.sql"], ["few_columns.sql"]], ids=["whole", "sparse"])
async def test_ids_become_text_and_every_row_is_kept(
    database: str, connection: asyncpg.Connection, migrated_database: str, old: list[str]
) -> None:
    """Thousands of rows are the same before and after, row by row, and the catalog's own keys, policies and views are there."""
    await fill(connection, *old)
    columns = await columns_of(connection)
    before = await rows_of(connection, columns)
    assert sum(map(len, before.values())) > 2500
    was = await take_snapshot(database)
    uuids = {name for (kind, name), facts in was.objects.items() if kind == "column" and facts["type"] == "uuid"}

    await kimbledb.adopt(database)
    report = await kimbledb.migrate(database)

    assert report.verification.ok
    after = await rows_of(connection, columns)
    if "uuid_ids.sql" in old:
        assert len(before["messages"]) == 2400
    assert alike(after) == alike(before)
    now = await take_snapshot(database)
    wrong = {
        name: now.objects["column", name]
        for name, kind in REPAIRED.items()
        if ("column", name) in now.objects and now.objects["column", name]["type"] != kind
    }
    assert not wrong
    assert len({name for name in uuids if now.objects["column", name]["type"] == "text"}) >= (30 if len(old) > 1 else 9)
    fresh = await take_snapshot(migrated_database)
    missing = [each for each in now.since(fresh).dropped if each.name != "user_tokens.user_tokens_id_key"]
    assert missing == []
    hang_on = {"policy", "view", "function", "trigger", "index"}
    assert [str(each) for each in now.since(fresh).changed if each.kind in hang_on] == []
    unready = await connection.fetch("SELECT indexrelid::regclass FROM pg_index WHERE NOT (indisvalid AND indisready)")
    assert [str(row[0]) for row in unready] == []
    assert not await connection.fetch("SELECT conname FROM pg_constraint WHERE NOT convalidated")


#: The policies of another hand that let people through, and a check beside a declared one on the same columns.
GOING = {
    ("policy", "projects.projects_insert"),
    ("policy", "messages.messages_by_conversation"),
    ("policy", "api_cost_tracking.api_cost_tracking_user_policy"),
    ("constraint", "projects.projects_not_own_parent"),
}


async def test_what_others_made_is_made_again_as_it_was(database: str, connection: asyncpg.Connection) -> None:
    """Keys, policies, views, rules, triggers and functions of other hands are there after the repairs, of the same form.

    Policies that let people through go, and so does a check that a declared one replaces: the catalog is closed.
    """
    await fill(connection, "uuid_ids.sql")
    zero = "'00000000-0000-0000-0000-000000000000'::uuid"
    await connection.execute(
        f"CREATE INDEX zero ON messages (id) WHERE user_id > {zero};"
        f"CREATE VIEW firsts AS SELECT * FROM users WHERE id = {zero};"
        f"CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.id = {zero}) EXECUTE FUNCTION note_owner_change();"
        f"CREATE STATISTICS sx ON (user_id < {zero}), id FROM messages"
    )
    was = await take_snapshot(database)
    declared = {each.key for migration in kimbledb.Catalog.builtin() for each in migration.creates + migration.changes}
    own = {key: text for key, text in was.objects.items() if key not in declared}
    assert len(own) > 80

    await kimbledb.adopt(database)
    renamed = {
        (each.kind, old)
        for step in (await kimbledb.plan(database)).steps
        if step.completion is not None
        for old, each in step.completion.renamed
    }
    await kimbledb.migrate(database)

    # An index that says the same as a missing one gets its name.
    assert renamed == {("index", "idx_messages_conversation")}
    own = {key: text for key, text in own.items() if key not in renamed and key not in GOING}
    now = await take_snapshot(database)
    # The type of an id is all that changed in them, and what a deparser writes for it.
    altered = {
        f"{kind} {name}": (text, now.objects.get((kind, name)))
        for (kind, name), text in own.items()
        if _as_text(now.objects.get((kind, name))) != _as_text(text) and kind not in ("view", "rule")
    }
    assert altered == {}
    assert {key for key in own if key not in now.objects} == set()
    assert GOING.isdisjoint(now.objects)
    assert was.objects.keys() >= GOING
    messages = await connection.fetchval("SELECT messages_of(id) FROM users WHERE email = 'user2@example.org'")
    assert messages == await connection.fetchval(
        "SELECT count(*) FROM messages m JOIN users u ON u.id = m.user_id WHERE u.email = 'user2@example.org'"
    )
    kept = await connection.fetchval("SELECT count(*) FROM project_load_kept")
    assert kept == await connection.fetchval("SELECT count(*) FROM busy_projects")
    assert kept > 0


def _as_text(facts: Facts | None) -> dict[str, str] | None:
    if facts is None:
        return None
    # A body that the server keeps parsed holds casts; that it works is asked below.
    return {
        name: re.sub(
            r"(::)?\buuid\b|character varying(\(64\))?|::text|[()]|with default values", "", str(fact)
        ).replace("text", "")
        for name, fact in facts.items()
        if name not in ("sql_body", "body")
    }


async def test_a_second_completion_changes_nothing(database: str, connection: asyncpg.Connection) -> None:
    """A database that was completed is completed again without effect where history is lost: not a row, not a definition."""
    await fill(connection, "uuid_ids.sql", "invalid_indexes.sql")
    await kimbledb.adopt(database)
    await kimbledb.migrate(database)
    columns = await columns_of(connection)
    rows, shape = await rows_of(connection, columns), await take_snapshot(database)
    files = await connection.fetch("SELECT oid, relfilenode FROM pg_class WHERE relkind IN ('r', 'i') AND oid >= 16384")
    await connection.execute("DROP TABLE migration_history, migration_log")

    await kimbledb.adopt(database)
    await kimbledb.migrate(database)

    assert str((await take_snapshot(database)).since(shape)) == "no difference"
    assert await rows_of(connection, columns) == rows
    # No table was written anew.
    now = await connection.fetch("SELECT oid, relfilenode FROM pg_class WHERE relkind IN ('r', 'i') AND oid >= 16384")
    assert {*now} >= {row for row in files if row["oid"] in {each["oid"] for each in now}}


@pytest.fixture(scope="module")
def with_uuid_ids(make_template: MakeTemplate) -> str:
    """The name of a database from before whose ids are uuid."""

    async def fill_it(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await fill(connection, "uuid_ids.sql")
        await connection.close()

    return make_template(fill_it)


@pytest.mark.parametrize("misfit", MISFITS, ids=lambda text: re.sub(r"\W+", "_", text)[:60])
async def test_what_does_not_fit_stops_a_conversion_by_name(with_uuid_ids: str, clone: Clone, misfit: str) -> None:
    """A policy that compares with a uuid, and the like, stops the conversion by its name, and nothing has changed."""
    dsn = await clone(with_uuid_ids)
    connection = await asyncpg.connect(dsn)
    with suppress(asyncpg.UniqueViolationError):  # the last one leaves an invalid index, by intention
        await connection.execute(misfit)
    await kimbledb.adopt(dsn)
    was = await take_snapshot(dsn)

    with pytest.raises(kimbledb.KimbleDBError) as caught:
        await kimbledb.migrate(dsn)

    named = re.findall(
        r"(?:POLICY|VIEW|TABLE|INDEX|FUNCTION|TRIGGER|STATISTICS|DOMAIN|CONSTRAINT|ADD)(?: CONCURRENTLY)? (\S+)", misfit
    )
    assert any(name.strip('";').partition("(")[0] in str(caught.value) for name in named), str(caught.value)
    assert str((await take_snapshot(dsn)).since(was)) == "no difference"
    await connection.close()


async def test_a_schema_that_was_made_old_again_comes_back_as_it_was(migrated_on_each: str) -> None:
    """Every id made uuid, with keys, policies, views and triggers gone: adopted and migrated it equals a fresh schema."""
    connection = await asyncpg.connect(migrated_on_each)
    fresh = await take_snapshot(migrated_on_each)
    ids = [column for column, kind in REPAIRED.items() if kind == "text"]
    await connection.execute(
        f"SELECT set_config('old.columns', '{' '.join(ids)}', false); DROP TABLE migration_history, migration_log;"
        + (DATA / "turn_back.sql").read_text(encoding="utf-8")
    )
    turned = (await take_snapshot(migrated_on_each)).since(fresh)
    assert len(turned.dropped) > 100

    await kimbledb.adopt(migrated_on_each)
    await kimbledb.migrate(migrated_on_each)

    assert str((await take_snapshot(migrated_on_each)).since(fresh)) == "no difference"
    await connection.close()
