"""Names of schemas with all that a name may hold: what is filled in is never looked through for placeholders."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server import queries
from tests.support.folders import Folder

NAMES = (
    "t{head}{shape}{schema}{lock}{objects}",
    "{} {0} {{schema_literal}}",
    "x$kimbledb$y$$z$kimbledb1$",
    "$kimbledb",
    "100% %I %1$I %s",
    r""" Two "2" it's \' back\slash E'a""",
    "public data; -- a /* b\nBREAK",
    "\N{SNOWMAN}" * 21,
    "select",
)


@pytest.mark.parametrize("name", NAMES)
async def test_every_call_in_a_schema_of_any_name(database: str, folder: Folder, name: str) -> None:
    """Every call works in a schema whose name holds braces, dollar signs, quotes, percent signs or spaces."""
    folder.table(1, "a")
    folder.add(2, "b", "CREATE TABLE IF NOT EXISTS b (n integer PRIMARY KEY, v text);", rollback="DROP TABLE b;")
    (folder.path / "02_b" / "online.sql").write_text("CREATE INDEX CONCURRENTLY IF NOT EXISTS b_v ON b (v);")
    folder.add(
        3,
        "c",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS b_v ON b (v);",
        facts="transactional = false",
        rollback="DROP INDEX b_v;",
    )
    catalog = folder.catalog
    connection = await asyncpg.connect(database)

    assert len((await kimbledb.plan(database, catalog=catalog, schema=name)).pending) == 3
    assert len((await kimbledb.migrate(database, catalog=catalog, schema=name)).applied) == 3
    assert (await kimbledb.migrate(database, catalog=catalog, schema=name)).applied == ()
    assert (await kimbledb.verify(database, catalog=catalog, schema=name)).ok
    assert (await kimbledb.status(database, catalog=catalog, schema=name)).log
    await connection.execute(f"INSERT INTO {quote_identifier(name)}.a VALUES (1)")
    with pytest.raises(kimbledb.DataLossError):
        await kimbledb.rollback(database, to=0, catalog=catalog, schema=name)
    taken = await kimbledb.rollback(database, to=1, catalog=catalog, schema=name)
    assert len(taken.rolled_back) == 2
    await kimbledb.adopt(database, catalog=catalog, schema=name)
    reset = await kimbledb.reset(database, confirm=database.rpartition("/")[2], schema=name, allow_data_loss=True)
    assert [str(each) for each in reset.objects] == ["table a"]
    await connection.close()


def test_placeholders_are_filled_in_one_pass() -> None:
    """A value that holds another placeholder is filled in as it is."""
    name = "{lock}{head}{schema}"
    text = queries.filled("begin_step", lock="LOCK", schema=quote_identifier(name), head="1")

    assert text.count("LOCK") == 1
    assert f'"{name}"' in text


async def test_a_block_is_quoted_by_what_it_does_not_hold(connection: asyncpg.Connection) -> None:
    """A block that holds every likely tag of dollar quotes is read as it is meant."""
    value = "$kimbledb$ $kimbledb1$ $kimbledb2$ $$ $kimbledb"
    heard: list[str] = []
    connection.add_log_listener(lambda _, notice: heard.append(notice.message))

    await connection.execute(
        f"DO {queries.quoted(f'BEGIN RAISE INFO USING MESSAGE = {quote_literal(value)}; END', 'kimbledb')}"
    )

    assert heard == [value]
