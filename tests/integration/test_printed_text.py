"""What is printed: names cannot steer a terminal, log records have the same fields, the command line speaks its own words."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.cli.main import main
from kimbledb.cli.terminal import Display
from tests.support.databases import Clone
from tests.support.folders import Folder

#: A name that would colour, turn and clear a terminal, and add a line of its own.
HOSTILE = "x\x1b[2J\x9b31m\x07\u202e\nall checks passed.sql"
SPELT = "x\\x1b[2J\\x9b31m\\x07\\u202e\\nall checks passed"


def _is_harmless(text: str) -> bool:
    return all(each.isprintable() or each == "\n" for each in text) and "\nall checks passed" not in text


@pytest.fixture
async def hostile(database: str, folder: Folder) -> kimbledb.Catalog:
    """A database with a migration, a history row and a table whose names are hostile, and its catalog."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO migration_history (migration_name, success, kimbledb_version, error_message) VALUES ($1, true, $2, $2)",
        HOSTILE,
        HOSTILE,
    )
    quoted = '"' + HOSTILE.removesuffix(".sql") + '"'
    await connection.execute(
        f"CREATE TABLE {quoted} (id int); INSERT INTO {quoted} VALUES (1); GRANT SELECT ON {quoted} TO PUBLIC"
    )
    await connection.close()
    return folder.catalog


CALLS: dict[str, Callable[[str, Any], Awaitable[Any]]] = {
    "plan": lambda dsn, catalog: kimbledb.plan(dsn, catalog=catalog),
    "status": lambda dsn, catalog: kimbledb.status(dsn, catalog=catalog),
    "verify": lambda dsn, catalog: kimbledb.verify(dsn, catalog=catalog),
    "migrate": lambda dsn, catalog: kimbledb.migrate(dsn, catalog=catalog),
    "adopt": lambda dsn, catalog: kimbledb.adopt(dsn, catalog=catalog),
    "rollback": lambda dsn, catalog: kimbledb.rollback(dsn, 1, catalog=catalog),
    "reset refused": lambda dsn, _: kimbledb.reset(dsn, confirm=dsn.rpartition("/")[2]),
    "reset": lambda dsn, _: kimbledb.reset(dsn, confirm=dsn.rpartition("/")[2], allow_data_loss=True),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_hostile_name_is_spelt_out(database: str, hostile: kimbledb.Catalog, call: str) -> None:
    """Names of history rows and of objects are printed with their control characters spelt out, by reports and errors."""
    try:
        said = str(await CALLS[call](database, hostile))
    except kimbledb.KimbleDBError as error:
        said = f"{error}\n{error.message}"

    assert _is_harmless(said)
    assert SPELT in said or call == "adopt"


@pytest.mark.parametrize("rich", [True, False])
async def test_a_hostile_name_is_spelt_out_in_a_terminal(
    database: str, hostile: kimbledb.Catalog, *, rich: bool
) -> None:
    """The tables of the command line show it so, too."""
    stream = io.StringIO()
    console = None
    if rich:
        from rich.console import Console

        console = Console(file=stream, width=400, highlight=False)
    display = Display(stream, console=console)
    display.show(await kimbledb.plan(database, catalog=hostile))
    display.show(await kimbledb.verify(database, catalog=hostile), detail=True)

    assert SPELT in stream.getvalue()
    assert _is_harmless(stream.getvalue())


async def _refused(call: Awaitable[Any]) -> None:
    with pytest.raises(kimbledb.KimbleDBError):
        await call


OPERATIONS: dict[str, Callable[[str, Any], Awaitable[Any]]] = {
    "migrate": lambda dsn, catalog: kimbledb.migrate(dsn, catalog=catalog, schema="s"),
    "plan": lambda dsn, catalog: kimbledb.plan(dsn, catalog=catalog, schema="s"),
    "adopt": lambda dsn, catalog: kimbledb.adopt(dsn, catalog=catalog, schema="s"),
    "rollback": lambda dsn, catalog: kimbledb.rollback(dsn, 1, catalog=catalog, schema="s"),
    "status": lambda dsn, catalog: kimbledb.status(dsn, catalog=catalog, schema="s"),
    "reset": lambda dsn, _: kimbledb.reset(dsn, confirm=dsn.rpartition("/")[2], schema="s"),
    "verify_many": lambda dsn, catalog: kimbledb.verify_many(dsn, catalog=catalog, schemas=["s"]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_record_has_the_same_fields(
    database: str, folder: Folder, caplog: pytest.LogCaptureFixture, operation: str
) -> None:
    """Whatever is called, each log record says on which database and schema, by the same fields."""
    folder.table(1, "a")
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SCHEMA s; CREATE VIEW s.migration_history AS SELECT 1 AS migration_name")
    await connection.close()

    with caplog.at_level(logging.DEBUG, logger="kimbledb"):
        call = OPERATIONS[operation](database, folder.catalog)
        # What verifies reports a history that cannot be read; all others refuse it.
        await (call if operation == "verify_many" else _refused(call))

    place = database.rpartition("@")[2]
    records: list[Any] = [record for record in caplog.records if record.name == "kimbledb"]
    of_one = [record for record in records if not record.getMessage().startswith("done")]  # what many calls end with
    assert {(place, "s")} == {(record.database, record.schema) for record in of_one}
    assert all(hasattr(record, "migration") and hasattr(record, "seconds") for record in records)


def test_json_names_public_classes(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the error finds a class that the package exports."""
    assert main(["migrate", "--json", "--to", "no-such-migration", "--dsn", "postgresql://u@127.0.0.1:1/d"]) == 2

    assert json.loads(capsys.readouterr().out)["error"] == "UnknownMigrationError"
    with pytest.raises(KeyError):
        kimbledb.Catalog.builtin()["no-such-migration"]


@pytest.mark.parametrize("arguments", [[], ["3", "--phase", "2"], ["--to", "0", "--phase", "2"]])
def test_a_shell_is_told_of_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A rollback that does not say what to take back is answered in the words of the command line."""
    assert main(["rollback", *arguments, "--dsn", "postgresql://u@127.0.0.1:1/d"]) == 2

    said = capsys.readouterr().err
    assert "--phase 17" in said
    assert "=" not in said


async def test_a_plan_is_summed_up_once(database: str, folder: Folder) -> None:
    """Without a terminal the plan's last line is not said again by the progress; other summaries are."""
    folder.table(1, "a")
    stream = io.StringIO()
    display = Display(stream)
    plan = await kimbledb.plan(database, catalog=folder.catalog)
    display.show(plan)
    await kimbledb.migrate(database, catalog=folder.catalog, progress=display)

    assert stream.getvalue().count(plan.summary) == 1


async def test_a_way_past_a_pooler_on_the_command_line(
    database: str, clone: Clone, folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """--direct-dsn is what messages name it for: steps that want a session of their own go by it."""
    folder.add(
        1, "a", "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);", facts="transactional = false"
    )
    given = ["migrate", "--dsn", database, "--catalog", str(folder.path)]

    assert await asyncio.to_thread(main, [*given, "--direct-dsn", await clone("template0")]) >= 1
    assert "leads to another database" in capsys.readouterr().err
    assert await asyncio.to_thread(main, [*given, "--no-verify", "--direct-dsn", database]) == 0
