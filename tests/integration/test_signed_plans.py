"""A plan that was signed: a run carries it out, or says what has changed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb import Catalog, PlanChangedError
from kimbledb.model.plan import Plan
from tests.support.databases import Meanwhile, fresh_database, sql
from tests.support.folders import Folder, names


@pytest.fixture
async def shop(folder: Folder, server: str, database: str) -> Folder:
    """A folder of which two migrations are applied, with declarations, and one is pending: it adds to the first table."""
    folder.add(1, "orders", "CREATE TABLE orders (id integer PRIMARY KEY);\n")
    folder.add(2, "notes", "CREATE TABLE notes (id integer PRIMARY KEY);\n", rollback="DROP TABLE notes;")
    folder.add(3, "total", "ALTER TABLE orders ADD COLUMN total numeric;\n", facts='requires = ["orders.sql"]')
    catalog = await folder.declared(server)
    for name in ("orders.sql", "notes.sql"):
        await kimbledb.migrate(database, catalog=catalog, to=name)
    return folder


async def changes(dsn: str, plan: Any, **arguments: Any) -> list[str]:
    """Return what a refused run says of a signed plan."""
    with pytest.raises(PlanChangedError) as caught:
        await kimbledb.migrate(dsn, plan=plan, **arguments)
    assert caught.value.applied == ()
    assert all(each in str(caught.value) for each in (*caught.value.changes, caught.value.signed, caught.value.found))
    return list(caught.value.changes)


async def test_a_signed_plan_is_carried_out(shop: Folder, database: str) -> None:
    """A plan, its fingerprint and its values each let a run go; afterwards there is nothing to do for any of them."""
    plan = await kimbledb.plan(database, catalog=shop.catalog)
    assert plan.fingerprint == (await kimbledb.plan(database, catalog=shop.catalog)).fingerprint

    report = await kimbledb.migrate(database, catalog=shop.catalog, plan=plan.fingerprint)

    assert names(report.applied) == ["total.sql"]
    values = json.loads(json.dumps(plan.as_dict()))
    for again in (
        await kimbledb.migrate(database, plan=plan),
        await kimbledb.migrate(database, catalog=shop.catalog, plan=values),
        await kimbledb.migrate(database, catalog=shop.catalog, plan=plan.fingerprint),
    ):
        assert again.applied == ()
    logged = await sql(database, "SELECT detail->'plan'->>'fingerprint' FROM migration_log ORDER BY id DESC LIMIT 1")
    assert logged == plan.fingerprint


async def test_what_has_changed_in_the_database_is_named(shop: Folder, database: str) -> None:
    """Rows, columns, objects and history: each is named in one line, and nothing is run."""
    plan = await kimbledb.plan(database, catalog=shop.catalog)

    await sql(database, "INSERT INTO orders VALUES (1)")
    assert await changes(database, plan) == ["table orders has rows now, and was empty"]
    filled = await kimbledb.plan(database, catalog=shop.catalog)
    await sql(database, "TRUNCATE orders")
    assert await changes(database, filled) == ["table orders is empty now, and had rows"]

    await sql(database, "ALTER TABLE orders ADD COLUMN other text")
    assert await changes(database, plan) == ["table orders has other columns or constraints"]
    await sql(database, "ALTER TABLE orders DROP COLUMN other")

    await sql(database, "ALTER TABLE notes RENAME TO away")
    assert await changes(database, plan) == ["table notes is not there any more"]
    lacking = await kimbledb.plan(database, catalog=shop.catalog)
    await sql(database, "ALTER TABLE away RENAME TO notes")
    assert await changes(database, lacking) == ["table notes has appeared"]

    await sql(database, "INSERT INTO notes VALUES (1); CREATE TABLE others (); INSERT INTO others DEFAULT VALUES")
    assert (await kimbledb.plan(database, catalog=shop.catalog)).fingerprint == plan.fingerprint  # no step names them

    await kimbledb.rollback(database, "notes.sql", catalog=shop.catalog, allow_data_loss=True)
    line, *others = await changes(database, plan)
    assert others == ["table notes is not there any more"]
    assert line.startswith("notes.sql was applied when it was signed, and is not any more (rolled back by ")
    await kimbledb.migrate(database, catalog=shop.catalog, to="notes.sql")
    [line] = await changes(database, plan)
    assert line.startswith("notes.sql was applied anew since (applied by ")
    assert await sql(database, "SELECT count(*) FROM pg_attribute WHERE attname = 'total'") == 0


async def test_which_file_has_changed_is_named(shop: Folder, database: str, server: str) -> None:
    """Each file of a migration is named by its path: changed, new, gone; a whole migration by its folder."""
    values = (await kimbledb.plan(database, catalog=shop.catalog)).as_dict()
    total, orders = shop.path / "03_total", shop.path / "01_orders"

    (total / "verify.sql").write_text("-- name: other\nSELECT true AS passed")
    (total / "migration.toml").write_text('requires = ["orders.sql"]\ntitle = "Totals"\n')
    (total / "online.sql").write_text("SELECT 1;\n")
    (orders / "rollback.sql").write_text("DROP TABLE orders;\n")
    (orders / "verify.sql").unlink()
    shop.table(4, "more")
    assert await changes(database, values, catalog=shop.catalog) == [
        f"{shop.path / '04_more'}: more.sql is new in the catalog",
        f"{total / 'migration.toml'} has changed",
        f"{total / 'online.sql'} is new",
        f"{orders / 'rollback.sql'} is new",
        f"{orders / 'verify.sql'} is not there any more",
        f"{total / 'verify.sql'} has changed",
    ]

    (total / "apply.sql").write_text("ALTER TABLE orders ADD COLUMN total bigint;\n")
    await shop.declared(server)
    found = await changes(database, values, catalog=shop.catalog)
    assert f"{total / 'apply.sql'} has changed" in found
    assert f"{total / 'declared.toml'} has changed" in found


async def test_another_database_is_named(shop: Folder, server: str, database: str) -> None:
    """A plan for one database, schema or set of arguments is not that for another one."""
    plan = await kimbledb.plan(database, catalog=shop.catalog)
    values = plan.as_dict()

    async with fresh_database(server) as other:
        await kimbledb.migrate(other, catalog=shop.catalog, to="notes.sql")
        [line] = await changes(other, plan)
        assert line.startswith("another database: signed for test_")
    assert await changes(database, values, catalog=shop.catalog, schema="elsewhere") == [
        "another schema: signed for public, and this is elsewhere",
        "the schema held objects when it was signed, and holds nothing",
    ]
    assert await changes(database, values, catalog=shop.catalog, to="notes.sql") == [
        "to: nothing when it was signed, notes.sql in this call",
        "total.sql: pending when it was signed, and pending, not asked for now",
    ]


async def test_a_plan_with_nothing_to_do_is_for_one_database(database: str, server: str, folder: Folder) -> None:
    """Where nothing is pending, the database is still the one that was named, and history tells no more than that."""
    folder.table(1, "orders")
    async with fresh_database(server) as other:
        for each in (database, other):
            await kimbledb.migrate(each, catalog=folder.catalog)
        plan = await kimbledb.plan(database, catalog=folder.catalog)

        assert (await kimbledb.migrate(database, plan=plan)).applied == ()
        [line] = await changes(other, plan)
    assert line.startswith("another database: signed for test_")


async def test_a_run_that_nobody_signed_is_a_change(shop: Folder, database: str) -> None:
    """What another run applies of a signed plan is named with who did it, while something is left; all of it is as good."""
    shop.add(4, "last", "ALTER TABLE notes ADD COLUMN text text;\n", facts='requires = ["total.sql"]')
    catalog = shop.catalog
    plan = await kimbledb.plan(database, catalog=catalog)

    await kimbledb.migrate(database, catalog=catalog, to="total.sql")

    line, *_ = await changes(database, plan)
    assert line.startswith("total.sql was applied since (applied by ")
    await kimbledb.migrate(database, catalog=catalog)
    assert (await kimbledb.migrate(database, plan=plan)).applied == ()


async def test_the_log_cannot_say_what_was_signed(shop: Folder, database: str) -> None:
    """An entry of the log that calls another plan the signed one is not believed: a fingerprint is that of its parts."""
    plan = await kimbledb.plan(database, catalog=shop.catalog)
    forged = f"kp1-{'0' * 32}-{'0' * 14}"
    basis = base64.b64encode(zlib.compress(json.dumps(plan.basis.as_dict()).encode())).decode()
    detail = json.dumps({"plan": {"fingerprint": forged, "basis": basis}})
    await sql(database, "INSERT INTO migration_log (event, detail) VALUES ('apply', $1::jsonb)", detail)

    assert len(await changes(database, forged, catalog=shop.catalog)) > 5


async def test_a_plan_for_an_empty_database(shop: Folder, server: str, database: str) -> None:
    """It goes for any database that is empty, and for no other."""
    plan = kimbledb.Planner(shop.catalog).plan()

    found = await changes(database, plan)
    assert "the plan is for an empty database, and this one is not empty" in found
    async with fresh_database(server) as empty:
        report = await kimbledb.migrate(empty, catalog=shop.catalog, plan=plan.fingerprint)
        assert len(report.applied) == 3
        assert (await kimbledb.migrate(empty, catalog=shop.catalog, plan=plan.fingerprint)).applied == ()


async def test_a_fingerprint_alone_names_what_it_can(shop: Folder, database: str) -> None:
    """Tables that got rows are found by trying; of the rest the kind is named, with what is there now."""
    signed = (await kimbledb.plan(database, catalog=shop.catalog)).fingerprint
    await sql(database, "INSERT INTO orders VALUES (1)")
    assert await changes(database, signed, catalog=shop.catalog) == ["table orders has rows now, and was empty"]

    await sql(database, "TRUNCATE orders")
    (shop.path / "03_total" / "verify.sql").write_text("-- name: other\nSELECT true AS passed")
    found = await changes(database, signed, catalog=shop.catalog)
    assert found[0] == "the files of the migrations: not as in the plan that was signed"
    assert len(found) == 2

    await kimbledb.migrate(database, catalog=shop.catalog)  # nobody signed this
    found = await changes(database, signed, catalog=shop.catalog)
    assert "nothing is left to do here, and no run of the signed plan did it" in found


@pytest.mark.parametrize("form", ["plan", "fingerprint"])
async def test_of_many_replicas_one_carries_it_out(shop: Folder, database: str, form: str) -> None:
    """Eight calls with the same plan at once: each migration is applied once, and all succeed."""
    catalog = shop.catalog
    plan = await kimbledb.plan(database, catalog=catalog)
    given: dict[str, Any] = {"plan": plan} if form == "plan" else {"plan": plan.fingerprint, "catalog": catalog}

    reports = await asyncio.gather(*(kimbledb.migrate(database, **given) for _ in range(8)))

    assert sorted(len(report.applied) for report in reports) == [0] * 7 + [1]


_REPLICA = """
import asyncio, sys, kimbledb
catalog = kimbledb.Catalog.from_directory(sys.argv[2])
print(len(asyncio.run(kimbledb.migrate(sys.argv[1], catalog=catalog, plan=sys.argv[3])).applied))
"""


async def test_of_many_processes_one_carries_it_out(database: str, folder: Folder) -> None:
    """Eight processes with the fingerprint of a plan with steps that go alone: all succeed, whenever they come."""
    folder.add(1, "orders", "CREATE TABLE orders (id integer PRIMARY KEY);\n")
    folder.add(
        2,
        "index",
        "CREATE INDEX CONCURRENTLY orders_by_id ON orders (id);\n",
        facts='transactional = false\nrequires = ["orders.sql"]',
        rollback="DROP INDEX orders_by_id;",
    )
    folder.add(3, "total", "ALTER TABLE orders ADD COLUMN total numeric;\n", facts='requires = ["index.sql"]')
    plan = await kimbledb.plan(database, catalog=folder.catalog)
    arguments = [sys.executable, "-c", _REPLICA, database, str(folder.path), plan.fingerprint]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    running = [
        await asyncio.create_subprocess_exec(
            *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(8)
    ]
    said = await asyncio.gather(*(each.communicate() for each in running))

    assert [err.decode() for _, err in said if err] == []
    assert sum(int(out) for out, _ in said) == 3


async def test_an_interrupted_run_is_continued(shop: Folder, database: str) -> None:
    """What is left of a plan that a run has begun is carried out by the next one, unless something else has changed."""
    shop.add(4, "last", "ALTER TABLE notes ADD COLUMN text text;\n", facts='requires = ["total.sql"]')
    catalog = shop.catalog
    plan = await kimbledb.plan(database, catalog=catalog)

    holding = await asyncpg.connect(database)
    await holding.execute("BEGIN; LOCK TABLE notes IN SHARE MODE")
    with pytest.raises(kimbledb.LockUnavailableError):
        await kimbledb.migrate(database, plan=plan, options=kimbledb.Options(lock_timeout=0.1, attempts=1))
    await holding.execute("ROLLBACK")
    await holding.close()
    assert await sql(database, "SELECT count(*) FROM migration_history WHERE success") == 3

    await sql(database, "INSERT INTO notes VALUES (1)")
    assert await changes(database, plan.fingerprint, catalog=catalog) == ["table notes has rows now, and was empty"]
    await sql(database, "TRUNCATE notes")
    assert names((await kimbledb.migrate(database, catalog=catalog, plan=plan.fingerprint)).applied) == ["last.sql"]


async def test_what_changes_after_the_look_is_named(shop: Folder, database: str, meanwhile: Meanwhile) -> None:
    """What another session does between the look and the lock stops the first transaction, and the next look names it."""
    plan = await kimbledb.plan(database, catalog=shop.catalog)
    for statement, back, line in (
        ("INSERT INTO orders VALUES (1)", "TRUNCATE orders", "table orders has rows now, and was empty"),
        (
            "ALTER TABLE orders ADD COLUMN other text",
            "ALTER TABLE orders DROP COLUMN other",
            "table orders has other columns or constraints",
        ),
        ("ALTER TABLE notes RENAME TO away", "ALTER TABLE away RENAME TO notes", "table notes is not there any more"),
    ):
        done: list[kimbledb.events.Event] = []

        def act(event: kimbledb.events.Event, statement: str = statement, done: list[Any] = done) -> None:
            if isinstance(event, kimbledb.events.Applying) and not done:
                done.append(event)
                meanwhile(statement)

        assert await changes(database, plan, progress=act) == [line]
        assert done
        await sql(database, back)

    assert await sql(database, "SELECT count(*) FROM pg_attribute WHERE attname = 'total'") == 0
    assert names((await kimbledb.migrate(database, plan=plan)).applied) == ["total.sql"]


async def test_rows_under_a_completion_are_part_of_it(
    folder: Folder, server: str, database: str, meanwhile: Meanwhile
) -> None:
    """What a completion would send is signed: where rows make it write something else, it is refused, also under the lock."""
    folder.add(1, "people", "CREATE TABLE people (id integer PRIMARY KEY, email text NOT NULL);\n")
    catalog = await folder.declared(server)
    await sql(
        database, "CREATE TABLE people (id integer PRIMARY KEY); INSERT INTO people VALUES (1); DELETE FROM people"
    )
    await kimbledb.adopt(database, catalog=catalog)
    plan = await kimbledb.plan(database, catalog=catalog)
    done: list[kimbledb.events.Event] = []

    def act(event: kimbledb.events.Event) -> None:
        if isinstance(event, kimbledb.events.Applying) and not done:
            done.append(event)
            meanwhile("INSERT INTO people VALUES (1)")

    with pytest.raises(kimbledb.PlanningError):
        await kimbledb.migrate(database, plan=plan, progress=act)
    assert await sql(database, "SELECT count(*) FROM pg_attribute WHERE attname = 'email'") == 0
    await sql(database, "DELETE FROM people")
    assert names((await kimbledb.migrate(database, plan=plan)).applied) == ["people.sql"]


async def test_a_plan_excludes_what_it_holds(shop: Folder, database: str) -> None:
    """Catalog, schema and limits are the plan's; a plan from another process has no SQL; and a word is no fingerprint."""
    plan = await kimbledb.plan(database, catalog=shop.catalog, to="notes.sql")
    copied: Plan = pickle.loads(pickle.dumps(plan))  # noqa: S301 - our own

    for arguments, message in (
        ({"plan": plan, "catalog": shop.catalog, "to": "a.sql"}, "plan excludes catalog, to"),
        ({"plan": copied}, "this plan was pickled, and holds no SQL"),
        ({"plan": "head"}, "'head' is no fingerprint of a plan"),
        ({"plan": {}}, "do not belong together"),
        ({"plan": {**plan.as_dict(), "fingerprint": "kp1"}}, "do not belong together"),
    ):
        with pytest.raises(kimbledb.ConfigurationError, match=message):
            await kimbledb.migrate(database, **arguments)
    assert copied.fingerprint == plan.fingerprint
    assert (await kimbledb.migrate(database, plan=plan)).applied == ()  # nothing is pending up to there


async def test_the_built_in_catalog_by_its_plan(database: str) -> None:
    """A plan of the built-in migrations is carried out in an empty database, by a limit as well."""
    plan = await kimbledb.plan(database, phase=1)
    assert len((await kimbledb.migrate(database, plan=plan)).applied) == len(plan.pending)
    rest = await kimbledb.plan(database)

    assert len((await kimbledb.migrate(database, plan=rest)).applied) == len(rest.pending)
    assert (await kimbledb.migrate(database, plan=rest)).applied == ()
    assert len(Catalog.builtin()) == 35


def kimbledb_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "kimbledb", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_command_takes_a_fingerprint_or_a_file(shop: Folder, database: str) -> None:
    """`migrate --plan` runs the plan of a fingerprint, or of the file that `plan --json` wrote, and no other."""
    common = ("--dsn", database, "--catalog", str(shop.path))
    cwd = shop.path.parent

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return kimbledb_command(*arguments, *common, cwd=cwd)

    fingerprint = run("plan", "--fingerprint").stdout.strip()
    (cwd / "plan.json").write_text(run("plan", "--json").stdout)
    await sql(database, "INSERT INTO orders VALUES (1)")
    for given in (fingerprint, "plan.json"):
        refused = run("migrate", "--quiet", "--plan", given)
        assert refused.returncode == 1
        assert "table orders has rows now, and was empty" in refused.stderr
    await sql(database, "TRUNCATE orders")
    assert run("migrate", "--plan", "nothing.json").returncode == 2
    assert run("migrate", "--plan", fingerprint, "--dry-run").returncode == 2

    done = run("migrate", "--plan", "plan.json")
    assert done.returncode == 0, done.stderr
    assert run("migrate", "--plan", fingerprint).returncode == 0
