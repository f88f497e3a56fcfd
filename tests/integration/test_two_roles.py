"""Two roles: an owner that migrates in a job, and an application that may only read history, and waits."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator

import pytest

import kimbledb
from kimbledb import events
from kimbledb.cli.main import main
from kimbledb.server import runner
from tests.support.databases import as_role, sql
from tests.support.folders import Folder, names
from tests.support.waiting import eventually

#: Waits that a test does not mean to see the end of.
PATIENT = kimbledb.Options(deadline=60)


class Roles:
    """The DSNs of the owner, the application and a monitor, and the schema that the owner may make."""

    def __init__(self, database: str) -> None:
        self.database = database
        key = secrets.token_hex(4)
        self.names = tuple(f"{name}_{key}" for name in ("owner", "app", "monitor"))
        self.owner, self.app, self.monitor = (as_role(database, name) for name in self.names)

    async def open_schema(self) -> None:
        """Make the owner's schema, in which the application may read history once it is there."""
        owner, app, _ = self.names
        await sql(
            self.database,
            f"CREATE SCHEMA app AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA app TO {app};"
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app GRANT SELECT ON TABLES TO {app}",
        )


@pytest.fixture
async def roles(server: str, database: str) -> AsyncIterator[Roles]:
    """Three login roles with nothing but CONNECT; the monitor may read everything, and nothing else."""
    made = Roles(database)
    await sql(server, "".join(f"CREATE ROLE {name} LOGIN PASSWORD '{name}';" for name in made.names))
    await sql(
        server,
        f"GRANT pg_read_all_data TO {made.names[2]}; ALTER ROLE {made.names[2]} SET default_transaction_read_only = on",
    )
    yield made
    for name in made.names:  # of several roles at once it fails on a default privilege that names two of them
        await sql(database, f"DROP OWNED BY {name} CASCADE")
    await sql(server, f"DROP ROLE {', '.join(made.names)}")


class Progress:
    """The events of a call, and what it waits for."""

    def __init__(self) -> None:
        self.seen: list[events.Event] = []

    def __call__(self, event: events.Event) -> None:
        self.seen.append(event)

    async def waits(self) -> str:
        """Wait until the call waits, and return for what."""

        async def found() -> str | None:
            return next((str(each) for each in self.seen if isinstance(each, events.Waiting)), None)

        return await eventually(found)


async def test_an_owner_and_an_application(roles: Roles, folder: Folder) -> None:
    """From the first deployment on: the application waits for the owner's run, starts where nothing is to be done, and never writes."""
    folder.table(1, "a")
    first, progress = folder.catalog, Progress()
    waiting = asyncio.create_task(
        kimbledb.wait(roles.app, catalog=first, schema="app", progress=progress, options=PATIENT)
    )
    assert "another run is to apply 1 migration (a.sql)" in await progress.waits()
    # It holds no connection while it sleeps.
    absent = f"SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = '{roles.names[1]}'"
    await eventually(lambda: sql(roles.database, absent))
    assert not waiting.done()

    await roles.open_schema()
    await kimbledb.migrate(roles.owner, catalog=first, schema="app")

    status = await waiting
    assert (status.plan.pending, [row.name for row in status.history or ()]) == ((), ["a.sql"])
    assert isinstance(progress.seen[-1], events.Done)
    assert (await kimbledb.migrate(roles.app, catalog=first, schema="app")).history_owner == roles.names[0]

    folder.table(2, "b")
    with pytest.raises(kimbledb.PreflightError, match=f"belong to {roles.names[0]}"):
        await kimbledb.migrate(roles.app, catalog=folder.catalog, schema="app")
    assert (await kimbledb.wait(roles.app, catalog=first, schema="app")).plan.pending == ()


@pytest.mark.parametrize("may", ["no schema", "no right", "a standby's right", "every right"])
async def test_migrate_where_the_role_may_else_wait(roles: Roles, folder: Folder, may: str) -> None:
    """Options(or_wait=True) migrates where the role may, and waits for the owner's run where it may not."""
    folder.table(1, "a")
    catalog, progress = folder.catalog, Progress()
    if may != "no schema":
        await roles.open_schema()
    if may == "every right":
        report = await kimbledb.migrate(
            roles.owner, catalog=catalog, schema="app", options=kimbledb.Options(or_wait=True)
        )
        assert names(report.applied) == ["a.sql"]
        return
    dsn = roles.app if may != "a standby's right" else f"{roles.owner}?default_transaction_read_only=on"
    call = kimbledb.migrate(
        dsn, catalog=catalog, schema="app", progress=progress, options=kimbledb.Options(deadline=60, or_wait=True)
    )
    starting = asyncio.create_task(call)
    reasons = {"no schema": 'the schema "app" is missing', "no right": "may not create in the schema"}
    assert reasons.get(may, "read-only") in await progress.waits()

    if may == "no schema":
        await roles.open_schema()
    await kimbledb.migrate(roles.owner, catalog=catalog, schema="app")

    report = await starting
    assert (report.applied, report.plan.pending) == ((), ())
    assert report.history_owner == (None if may == "a standby's right" else roles.names[0])


async def test_what_is_no_matter_of_the_role_is_not_waited_for(roles: Roles, folder: Folder) -> None:
    """A role that may migrate is told at once what a migration lacks, also where it would wait for another role."""
    folder.add(1, "a", "SELECT 1;", facts='extensions = ["no_such_extension"]')
    await roles.open_schema()

    with pytest.raises(kimbledb.PreflightError, match="the server has no extension no_such_extension"):
        await kimbledb.migrate(
            roles.owner, catalog=folder.catalog, schema="app", options=kimbledb.Options(or_wait=True)
        )


@pytest.mark.parametrize("call", ["wait", "migrate"])
async def test_the_run_that_is_waited_for_fails(roles: Roles, folder: Folder, call: str) -> None:
    """A failure that is recorded while a call waits ends it; one from before does not, and is named at the deadline."""
    folder.table(1, "a")
    folder.add(2, "b", "SELECT 1 / 0;")
    catalog = folder.catalog
    await roles.open_schema()

    async def fail() -> None:
        with pytest.raises(kimbledb.MigrationError):
            await kimbledb.migrate(roles.owner, catalog=catalog, schema="app")

    async def wait(progress: Progress) -> object:
        options = kimbledb.Options(deadline=60, or_wait=True)
        called = kimbledb.wait if call == "wait" else kimbledb.migrate
        return await called(roles.app, catalog=catalog, schema="app", progress=progress, options=options)

    await fail()
    progress = Progress()
    waiting = asyncio.create_task(wait(progress))
    assert re.search(r"apply 1 migration \(b.sql\).*b.sql failed: .*division by zero", await progress.waits())
    await fail()
    with pytest.raises(
        kimbledb.MigrationError, match=r"the run that was waited for failed at b.sql: .*division by zero"
    ) as caught:
        await waiting
    assert caught.value.failed is not None
    assert caught.value.failed.name == "b.sql"


async def test_a_server_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """wait() tries until the deadline to reach the server, and then says why it did not."""
    monkeypatch.setattr(runner, "_LOSSES", 1)

    with pytest.raises(kimbledb.DeadlineExceededError, match=r"connecting \(127.0.0.1:1/d cannot be reached"):
        await kimbledb.wait("postgresql://u@127.0.0.1:1/d", options=kimbledb.Options(deadline=0.5))
    with pytest.raises(kimbledb.ConnectionLostError):
        await kimbledb.status("postgresql://u@127.0.0.1:1/d", options=PATIENT)


async def test_what_no_run_would_mend_ends_a_wait(roles: Roles, folder: Folder) -> None:
    """An edited file, and a history that the role may not read, are told at once."""
    file = folder.table(1, "a") / "apply.sql"
    await roles.open_schema()
    await kimbledb.migrate(roles.owner, catalog=folder.catalog, schema="app")

    owner, app, _ = roles.names
    await sql(roles.owner, f"REVOKE SELECT ON app.migration_history FROM {app}")
    await sql(roles.database, f"REVOKE USAGE ON SCHEMA app FROM {app}")
    with pytest.raises(kimbledb.PreflightError, match=f"{app} may not read it") as caught:
        await kimbledb.wait(roles.app, catalog=folder.catalog, schema="app", options=PATIENT)
    [(_, cure)] = caught.value.gaps
    for grant in cure.partition("something to do: ")[2].split("; "):
        await sql(roles.owner, grant)
    await sql(roles.owner, f"REVOKE USAGE ON SCHEMA app FROM {app}")
    with pytest.raises(kimbledb.PreflightError, match="may not read it"):
        await kimbledb.wait(roles.app, catalog=folder.catalog, schema="app", options=PATIENT)
    await sql(roles.owner, f"GRANT USAGE ON SCHEMA app TO {app}")

    file.write_text(file.read_text() + "-- more\nSELECT 1;\n")
    with pytest.raises(kimbledb.ChangedMigrationError, match=r"a\.sql"):
        await kimbledb.wait(roles.app, catalog=folder.catalog, schema="app", options=PATIENT)
    assert owner in cure


async def test_a_history_of_another_hand_is_believed_by_evidence(roles: Roles, folder: Folder, server: str) -> None:
    """Where another hand wrote history and the objects are there, wait() returns, as migrate() does."""
    folder.table(1, "a")
    catalog = await folder.declared(server)
    await roles.open_schema()
    await sql(
        roles.owner,
        "SET search_path = app; CREATE TABLE a (id integer PRIMARY KEY); "
        "CREATE TABLE migration_history (migration_name text); INSERT INTO migration_history VALUES ('a.sql')",
    )

    assert (await kimbledb.wait(roles.app, catalog=catalog, schema="app", options=PATIENT)).plan.pending == ()


async def test_a_monitor_reads_everything(roles: Roles, folder: Folder, server: str) -> None:
    """A role with pg_read_all_data, and no transaction that writes, plans, shows the state, verifies and waits."""
    folder.table(1, "a")
    catalog = await folder.declared(server)
    await roles.open_schema()
    await kimbledb.migrate(roles.owner, catalog=catalog, schema="app")
    common = (roles.monitor,)

    verified = await kimbledb.verify(*common, catalog=catalog, schema="app")
    assert verified.ok, str(verified)
    [not_run] = [check for check in verified.checks if check.name == "a_is_there"]
    assert f"verify as {roles.names[0]}" in str(not_run.hint)
    assert (await kimbledb.status(*common, catalog=catalog, schema="app")).plan.pending == ()
    assert (await kimbledb.wait(*common, catalog=catalog, schema="app")).plan.pending == ()
    await sql(roles.owner, "ALTER TABLE app.a ADD COLUMN by_hand text; ALTER TABLE app.a DROP CONSTRAINT a_pkey")
    verified = await kimbledb.verify(*common, catalog=catalog, schema="app")
    assert not verified.ok
    assert "a_pkey" in str(verified)
    folder.table(2, "b")
    assert [step.name for step in (await kimbledb.plan(*common, catalog=folder.catalog, schema="app")).pending] == [
        "b.sql"
    ]


def test_the_commands(
    database: str, folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kimbledb wait` returns where the schema is current, else fails at its deadline; `migrate --or-wait` migrates."""
    folder.table(1, "a")
    monkeypatch.setenv("KIMBLEDB_DSN", database)
    common = ("--catalog", str(folder.path))

    assert main(["wait", *common, "--deadline", "0.5"]) == 1
    assert "the deadline of 0.5 s passed" in capsys.readouterr().err
    assert main(["migrate", "--or-wait", *common]) == 0
    assert main(["wait", *common]) == 0
    assert "nothing to do; 1 applied" in capsys.readouterr().out
