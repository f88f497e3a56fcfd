"""The command line: a part of the tests run it as a program, the others call its main() and save the start."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from kimbledb.cli.main import main
from kimbledb.server.address import NAMING
from tests.support.databases import sql
from tests.support.folders import Folder

pytestmark = pytest.mark.wheel


async def kimbledb(*arguments: str, dsn: str | None = None) -> tuple[int, str, str]:
    """Call main() and return the exit code, the output and the errors."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in ("KIMBLEDB_DSN", "DATABASE_URL", *NAMING):
            patch.delenv(name, raising=False)
        if dsn is not None:
            patch.setenv("KIMBLEDB_DSN", dsn)
        code = await asyncio.to_thread(_exit_code, arguments)
    return code, out.getvalue(), err.getvalue()


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:  # by the parser
        assert isinstance(ended.code, int)
        return ended.code


async def program(*arguments: str, dsn: str | None = None) -> tuple[int, str, str]:
    """Run the program and return its exit code, its output and its errors."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "KIMBLEDB_DSN", "DATABASE_URL", *NAMING)
    }
    if dsn is not None:
        environment["KIMBLEDB_DSN"] = dsn
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kimbledb",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_without_a_dsn() -> None:
    """Without a DSN it stops with exit code 2 and says what to set."""
    code, out, err = await program("migrate")

    assert (code, out) == (2, "")
    assert "no database is named" in err
    assert "KIMBLEDB_DSN" in err


async def test_a_plan_without_a_database_must_be_asked_for(folder: Folder) -> None:
    """Without a DSN `plan` stops with exit code 2; with --empty it plans for an empty database, whatever is named."""
    folder.table(1, "a")
    common = ("plan", "--catalog", str(folder.path))

    code, out, err = await kimbledb(*common)
    assert (code, out) == (2, "")
    assert "--empty" in err

    nowhere = "postgresql://u@127.0.0.1:1/db"
    code, out, _ = await kimbledb(*common, "--empty", dsn=nowhere)
    assert code == 0
    assert "1 to apply; 1 pending" in out

    code, _, err = await kimbledb(*common, "--empty", "--dsn", nowhere)
    assert code == 2
    assert "--empty and --dsn exclude each other" in err


async def test_an_empty_or_wrong_folder_is_no_success(database: str, tmp_path: Path) -> None:
    """A folder without migrations stops every command with exit code 2, and says what it holds."""
    (tmp_path / "README.md").touch()
    for command in ("plan", "migrate", "verify", "status"):
        code, _, err = await kimbledb(command, "--catalog", str(tmp_path), dsn=database)

        assert code == 2
        assert "it holds README.md, and no migration" in err


async def test_migrate_and_again(database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the plan, the progress and the verification; a second run has nothing to do, and connects once for all."""
    folder.table(1, "first_one")
    code, out, _ = await program("migrate", "--catalog", str(folder.path), dsn=database)
    assert code == 0
    assert "1 to apply" in out
    assert "[1/1] applying first_one.sql" in out
    assert "all passed" in out

    opened: list[object] = []
    connect = asyncpg.connect

    async def noted(**arguments: Any) -> asyncpg.Connection[Any]:
        connection: asyncpg.Connection[Any] = await connect(**arguments)
        opened.append(connection)
        return connection

    monkeypatch.setattr(asyncpg, "connect", noted)
    code, out, _ = await kimbledb("migrate", "--catalog", str(folder.path), dsn=database)
    assert (code, len(opened)) == (0, 1)
    assert "nothing to do" in out
    assert "all passed" in out


async def test_json_is_all_of_standard_output(database: str, folder: Folder) -> None:
    """With --json standard output is one JSON value and nothing else."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path), "--json")
    outputs = {}
    for command in ("plan", "migrate", "status", "verify"):
        code, out, _ = await kimbledb(command, *common, dsn=database)
        assert code == 0
        outputs[command] = json.loads(out)
    assert outputs["plan"]["pending"] == ["a.sql"]
    assert [step["migration"] for step in outputs["migrate"]["applied"]] == ["a.sql"]
    assert outputs["status"]["steps"][0]["state"] == "applied"
    assert outputs["verify"]["ok"] is True
    code, out, _ = await program("rollback", "--to", "0", *common, dsn=database)
    assert json.loads(out)["rolled_back"] == ["a.sql"]


async def test_plan_check_exits_with_3_while_something_is_pending(database: str, folder: Folder) -> None:
    """`plan --check` exits with 3 while something is to be applied, and with 0 after."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path))
    assert (await kimbledb("plan", "--check", *common, dsn=database))[0] == 3
    await kimbledb("migrate", *common, dsn=database)
    assert (await kimbledb("plan", "--check", *common, dsn=database))[0] == 0
    (folder.path / "01_a").rename(folder.path / "01_b")
    code, out, _ = await kimbledb("plan", "--check", *common, dsn=database)
    assert code == 1
    assert "to be refused; 1 renamed, 1 unknown" in out


async def test_what_is_shown_before_and_after(database: str, tmp_path: Path) -> None:
    """`init` makes a folder that loads, `migrate --dry-run` changes nothing, `history` shows what is applied."""
    directory = str(tmp_path / "migrations")
    common = ("--catalog", directory)
    assert (await kimbledb("init", directory, "--name", "one"))[0] == 0
    code, _, err = await kimbledb("init", directory)
    assert code == 2
    assert "kimbledb new NAME" in err

    code, out, _ = await kimbledb("migrate", "--dry-run", *common, dsn=database)
    assert code == 0
    assert "1 to apply" in out
    assert "no history" in (await kimbledb("history", *common, dsn=database))[1]

    await kimbledb("migrate", *common, dsn=database)
    code, out, _ = await kimbledb("history", *common, dsn=database)
    assert code == 0
    assert re.search(r"one\.sql +applied", out)
    assert "latest events" in out


async def test_where_a_call_is_at_work(database: str, folder: Folder, tmp_path: Path) -> None:
    """A command names server and schema without the password; an argument goes before pyproject.toml; -q is silent."""
    folder.table(1, "a")
    (tmp_path / "pyproject.toml").write_text(f'[tool.kimbledb]\ncatalog = "{folder.path}"\nschema = "shop"\n')
    place = database.rpartition("@")[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        code, out, err = await kimbledb("migrate", "--quiet", dsn=database)
        assert (code, out, err) == (0, "", "")
        code, out, err = await kimbledb("plan", dsn=database)
        assert "1 applied" in out
        assert err == f"kimbledb: on {place}, schema shop\n"
        code, out, err = await kimbledb("plan", "--schema", "other", dsn=database)
        assert "1 pending" in out
        assert err == f"kimbledb: on {place}, schema other\n"


async def test_the_sql_of_a_plan(database: str, folder: Folder) -> None:
    """`render --pending` writes what is pending and nothing else; without it a database is not taken."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path))
    await kimbledb("migrate", *common, dsn=database)
    folder.add(2, "b", "CREATE TABLE b (id int);")

    code, out, _ = await kimbledb("render", "--pending", *common, dsn=database)
    assert code == 0
    assert "to be read, not to be run".casefold() in out.casefold()
    assert "CREATE TABLE b (id int);" in out
    assert "a.sql" not in out
    assert "a.sql" in (await kimbledb("render", *common))[1]
    code, _, err = await kimbledb("render", "--dsn", database, *common)
    assert code == 2
    assert "--pending" in err


async def test_several_schemas(database: str, folder: Folder) -> None:
    """plan, migrate and verify take several --schema, with one exit code and one JSON value for all; others say so."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path), "--schema", "one", "--schema", "two")

    code, out, _ = await kimbledb("plan", "--check", "--json", *common, dsn=database)
    assert (code, [each["schema"] for each in json.loads(out)["results"]]) == (3, ["one", "two"])
    code, out, err = await kimbledb("migrate", "--concurrency", "2", *common, dsn=database)
    assert (code, "2 schemas in" in out, "schemas one, two" in err) == (0, True, True)
    assert (await kimbledb("verify", *common, dsn=database))[0] == 0
    assert (await kimbledb("plan", "--check", *common, dsn=database))[0] == 0
    await sql(database, "DROP TABLE two.a")
    code, out, _ = await kimbledb("verify", "--json", *common, dsn=database)
    assert (code, [each["ok"] for each in json.loads(out)["results"]]) == (1, [True, False])
    for wrong in (("status",), ("migrate", "--backup", "x")):
        code, _, err = await kimbledb(*wrong, *common, dsn=database)
        assert (code, "one --schema" in err) == (2, True)


async def test_several_schemas_of_which_one_halts_the_others(database: str, folder: Folder) -> None:
    """After so many failures, or such a share of them, no further schema starts; another form of the option is misuse."""
    folder.table(1, "a")
    await sql(database, "CREATE SCHEMA one")
    await sql(database, "CREATE TYPE one.a AS ENUM ()")
    schemas = [part for name in ("one", "two", "three") for part in ("--schema", name)]
    common = ("migrate", "--catalog", str(folder.path), "--per-server", "1", *schemas)

    code, out, _ = await kimbledb(*common, "--halt-after", "1", "--json", dsn=database)
    values = json.loads(out)
    assert (code, values["halted"], values["not_started"]) == (1, "1 failed, and the limit is 1", 2)
    assert [each["schema"] for each in values["results"]] == ["one"]
    code, out, _ = await kimbledb(*common, "--halt-after", "50%", dsn=database)
    assert (code, "3 schemas in" in out, "HALTED" in out) == (1, True, False)
    code, _, err = await kimbledb(*common, "--halt-after", "half", dsn=database)
    assert (code, "halt" in err) == (2, True)


def at_terminal(patch: pytest.MonkeyPatch, answer: str) -> None:
    """Have somebody at a terminal who answers the next question."""
    patch.setattr("kimbledb.cli.call.is_at_terminal", lambda: True)
    patch.setattr("sys.stdin", io.StringIO(answer))


async def test_a_reset_asks_unless_it_need_not(database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is shown what would go and asked for the database; elsewhere `reset` wants its name, or --yes."""
    folder.table(1, "a")
    common = ("--catalog", str(folder.path))
    await kimbledb("migrate", *common, dsn=database)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    code, _, err = await kimbledb("reset", *common, dsn=database)
    assert code == 2
    assert "--yes" in err
    at_terminal(monkeypatch, "another\n")
    code, out, err = await kimbledb("reset", *common, dsn=database)
    assert code == 1
    assert re.search(r"would drop 1 object .*\n  table a\n", out)
    assert f"--confirm {database.rpartition('/')[2]}" in err
    code, out, err = await kimbledb("reset", "--yes", *common, dsn=database)
    assert code == 0
    assert "table a" in out
    assert "Drop all" not in err


async def test_a_rollback_asks_at_a_terminal(database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is shown what would go, and asked; --yes and a call without a terminal ask nothing; a loss stays refused."""
    for number, name in enumerate("abc", 1):
        folder.table(number, name)
    common = ("--catalog", str(folder.path))
    await kimbledb("migrate", *common, dsn=database)

    at_terminal(monkeypatch, "n\n")
    code, out, err = await kimbledb("rollback", "-1", *common, dsn=database)
    assert (code, "nothing was changed" in out, "Roll back?" in err) == (1, True, True)
    at_terminal(monkeypatch, "")
    assert (await kimbledb("rollback", "--steps", "1", *common, dsn=database))[0] == 1
    at_terminal(monkeypatch, "y\n")
    code, out, _ = await kimbledb("rollback", "-1", *common, dsn=database)
    assert (code, "rolled back 1 migration" in out, "table: c" in out) == (0, True, True)
    at_terminal(monkeypatch, "never read")
    code, _, err = await kimbledb("rollback", "-1", "--yes", *common, dsn=database)
    assert (code, "Roll back?" in err) == (0, False)
    await sql(database, "INSERT INTO a VALUES (1)")
    code, _, err = await kimbledb("rollback", "-1", *common, dsn=database)
    assert (code, "Roll back?" in err, "pass --allow-data-loss" in err) == (1, False, True)


async def test_a_failing_migration_exits_with_1_and_shows_its_line(database: str, folder: Folder) -> None:
    """A failing migration exits with 1, and the error shows the line and a caret, and no password."""
    folder.add(1, "a", "SELECT nme;")
    code, _, err = await program("migrate", "--catalog", str(folder.path), dsn=database)

    assert code == 1
    assert "apply.sql:1:8" in err
    assert "^" in err
    assert "Traceback" not in err
    assert database.split(":")[2].split("@", maxsplit=1)[0] not in err


async def test_wrong_calls_exit_with_2_and_the_cure(database: str, folder: Folder, tmp_path: Path) -> None:
    """An unknown name, a folder with faults and a malformed DSN are wrong calls: exit code 2, with the cure."""
    folder.table(1, "invoices")
    common = ("--catalog", str(folder.path))
    code, _, err = await kimbledb("plan", "--to", "invoces.sql", *common, dsn=database)
    assert code == 2
    assert "did you mean invoices.sql?" in err

    code, _, err = await kimbledb("plan", "--catalog", str(tmp_path / "nowhere"), dsn=database)
    assert code == 2
    assert "does not exist" in err

    code, _, err = await kimbledb("plan", *common, dsn="postgres:user:geheim@host/db")
    assert code == 2
    assert "geheim" not in err

    (folder.path / "02_b").mkdir()
    code, _, err = await kimbledb("plan", *common, dsn=database)
    assert code == 2
    assert "1 fault" in err


async def test_new_makes_a_folder_that_loads(database: str, tmp_path: Path) -> None:
    """`new` makes the next folder, which loads, and names the two steps that are left."""
    directory = str(tmp_path / "migrations")
    code, out, _ = await kimbledb("new", "add-invoices", "--directory", directory)
    assert code == 0
    assert "01_add-invoices" in out
    code, out, _ = await kimbledb("new", "more", "--directory", directory, "--requires", "add-invoices.sql")
    assert "02_more" in out

    assert f"write apply.sql, then run `kimbledb declare {directory}`" in out

    code, out, _ = await kimbledb("migrate", "--catalog", directory, dsn=database)

    assert code == 0
    assert "only comments in add-invoices.sql, more.sql: write it" in out
    assert "2 migrations" in out


async def test_a_project_names_the_folder_of_new_migrations(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init`, `new` and `declare` work in the folder that pyproject.toml names, and an argument goes before it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.kimbledb]\ncatalog = ["builtin", "db"]\n', encoding="utf-8")
    code, out, err = await kimbledb("init", "--name", "customers")
    assert code == 0, err
    assert "db/01_customers" in out
    code, out, err = await kimbledb("new", "orders")
    assert (code, out) == (0, "created db/02_orders: write apply.sql, then run `kimbledb declare db`\n"), err
    (tmp_path / "db" / "02_orders" / "apply.sql").write_text("CREATE TABLE orders (id bigint);", encoding="utf-8")

    code, out, err = await kimbledb("declare", "--server", server)
    assert code == 0, err
    assert (tmp_path / "db" / "02_orders" / "declared.toml").is_file()

    _, out, _ = await kimbledb("new", "orders", "--directory", "other")
    assert "created other/01_orders" in out


async def test_pictures_of_a_plan_need_no_database(folder: Folder, tmp_path: Path) -> None:
    """`plan --svg` and `--mermaid` write the picture of an empty database's plan without any database."""
    folder.table(1, "a")
    svg, mermaid = tmp_path / "plan.svg", tmp_path / "plan.mmd"
    code, _, _ = await kimbledb(
        "plan", "--empty", "--catalog", str(folder.path), "--svg", str(svg), "--mermaid", str(mermaid)
    )
    assert code == 0
    assert "a.sql" in svg.read_text()
    assert mermaid.read_text().startswith("flowchart")


async def test_backup_reset_and_restore(database: str, folder: Folder, tmp_path: Path) -> None:
    """`reset` wants the database's name and says what it drops; `--backup` and `restore` bring it back."""
    folder.table(1, "a")
    name, file = database.rpartition("/")[2], str(tmp_path / "file")
    common = ("--catalog", str(folder.path))
    await kimbledb("migrate", *common, dsn=database)
    code, _, err = await kimbledb("reset", "--confirm", "other", dsn=database)
    assert code == 1
    assert f"--confirm {name}" in err

    code, out, _ = await kimbledb("rollback", "1", "--backup", file, "--json", *common, dsn=database)
    assert code == 0
    assert json.loads(out)["objects"] == ["table a"]
    await kimbledb("migrate", *common, dsn=database)
    code, out, _ = await kimbledb("reset", "--confirm", name, dsn=database)
    assert code == 0
    assert "table a" in out
    code, _, err = await kimbledb("restore", file, dsn=database)

    assert code == 1
    assert "migration_log" in err
    code, _, err = await kimbledb("migrate", "--refuse-hazard", "rewrite", *common, dsn=database)
    assert code == 2
    assert "table_rewrite" in err


async def test_a_slip_stops_before_a_connection_is_made() -> None:
    """A name that is not in the catalog is told with what is near to it, though no server is there."""
    for command in ("migrate", "plan"):
        code, _, err = await kimbledb(command, "--to", "api-cost-trackin", dsn="postgresql://u@127.0.0.1:1/db")

        assert code == 2
        assert "did you mean api-cost-tracking.sql" in err


async def test_a_reader_that_goes() -> None:
    """Where nobody reads on, as behind `| head`, it ends without a traceback."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kimbledb", "plan", "--empty"),
        env={
            name: value
            for name, value in os.environ.items()
            if name not in ("COLUMNS", "KIMBLEDB_DSN", "DATABASE_URL", *NAMING)
        },
        stdout=(pipe := os.pipe())[1],
        stderr=asyncio.subprocess.PIPE,
    )
    for end in pipe:
        os.close(end)
    _, err = await process.communicate()

    assert process.returncode == 1
    assert err.decode() == ""
