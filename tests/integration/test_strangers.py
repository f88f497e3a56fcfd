"""Strangers get nowhere: what a role that nobody trusts owns, or may make, is called by no call of ours."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from attrs import frozen

import kimbledb
from kimbledb.model.names import quote_literal
from kimbledb.server.search_path import guard_briefly
from tests.support.databases import as_role, sql
from tests.support.folders import Folder

#: Whoever calls it knows: there is no other way to see it in a transaction that only reads.
CAUGHT = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$"

#: What mallory plants in the schema while she may, and how the error names it.
PLANTED = {
    "a function": (f"CREATE FUNCTION set_updated_at() RETURNS trigger {CAUGHT}", "function public.set_updated_at()"),
    "a procedure": (f"CREATE PROCEDURE stamp() {CAUGHT}", "function public.stamp()"),
    "an aggregate": (
        "CREATE AGGREGATE first (anyelement) (SFUNC = m.either, STYPE = anyelement)",
        "function public.first(anyelement)",
    ),
    "an operator": (
        "CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = m.same)",
        "operator public.=(character varying,text)",
    ),
    "an operator on oid": (
        "CREATE OPERATOR public.<> (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = m.other)",
        "operator public.<>(oid,regclass)",
    ),
    "a table": ("CREATE TABLE things (id integer PRIMARY KEY)", "table public.things"),
    "a view": ("CREATE VIEW things AS SELECT 1 AS id", "view public.things"),
    "a materialized view": ("CREATE MATERIALIZED VIEW things AS SELECT 1 AS id", "materialized view public.things"),
    "a sequence": ("CREATE SEQUENCE things_id_seq", "sequence public.things_id_seq"),
    "a domain": ("CREATE DOMAIN email AS text CHECK (m.caught(VALUE))", "type public.email"),
    "an enum": ("CREATE TYPE state AS ENUM ('on')", "type public.state"),
    "a composite type": ("CREATE TYPE pair AS (a integer)", "type public.pair"),
    "a range": ("CREATE TYPE span AS RANGE (subtype = float8)", "type public.span"),
    "a collation": ('CREATE COLLATION mine FROM "C"', "collation public.mine"),
    "a text search configuration": (
        "CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple)",
        "text search configuration public.mine",
    ),
    "the function of the log": (
        f"CREATE FUNCTION migration_log_is_append_only() RETURNS trigger {CAUGHT}",
        "function public.migration_log_is_append_only()",
    ),
    "a history": (
        """CREATE TABLE migration_history (migration_name text, success boolean DEFAULT true);
        CREATE TRIGGER t BEFORE INSERT ON migration_history FOR EACH ROW EXECUTE FUNCTION m.trap()""",
        "table public.migration_history",
    ),
    "a log": ("CREATE TABLE migration_log (id bigint, event text, migration_name text, detail jsonb)", "migration_log"),
}

#: What hangs on what is ours, and calls what is hers.
HANGING = {
    "a trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON ours FOR EACH ROW EXECUTE FUNCTION m.trap()",
        "trigger t on table public.ours",
    ),
    "the condition of a trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON ours FOR EACH ROW WHEN (m.caught(NEW.name)) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger t on table public.ours",
    ),
    "a rule": ("CREATE RULE r AS ON INSERT TO ours DO ALSO SELECT m.caught('')", "rule r on table public.ours"),
    "a policy": ("CREATE POLICY p ON ours USING (m.caught(name))", "policy p on table public.ours"),
    "a default": (
        "ALTER TABLE ours ALTER COLUMN name SET DEFAULT m.caught('')::text",
        "default value for column name of table public.ours",
    ),
    "a check": (
        "ALTER TABLE ours ADD CONSTRAINT c CHECK (m.caught(name)) NOT VALID",
        "constraint c on table public.ours",
    ),
    "an index": ("CREATE INDEX i ON ours (m.upper(name))", "index public.i"),
    "a view of ours": ("CREATE VIEW v AS SELECT m.caught(name) FROM ours", "rule _RETURN on view public.v"),
    "a column of a domain": ("CREATE TABLE more (mail m.mail)", "column mail of table public.more"),
    "an operator of ours": (
        "CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = varchar, FUNCTION = m.same_too)",
        "operator public.===(text,character varying)",
    ),
    "a cast": (
        "CREATE TYPE ours_too AS (a integer); CREATE CAST (ours_too AS text) WITH FUNCTION m.as_text(ours_too)",
        "cast from public.ours_too to text",
    ),
    "an event trigger": ("CREATE EVENT TRIGGER {role} ON ddl_command_end EXECUTE FUNCTION m.event()", "event trigger"),
}

#: Mallory's own schema, of which nothing is wrong by itself.
HERS = f"""
    CREATE FUNCTION m.trap() RETURNS trigger {CAUGHT};
    CREATE FUNCTION m.event() RETURNS event_trigger {CAUGHT};
    CREATE FUNCTION m.caught(text) RETURNS boolean IMMUTABLE {CAUGHT};
    CREATE FUNCTION m.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.upper($1)';
    CREATE FUNCTION m.same(varchar, text) RETURNS boolean {CAUGHT};
    CREATE FUNCTION m.same_too(text, varchar) RETURNS boolean {CAUGHT};
    CREATE FUNCTION m.other(oid, regclass) RETURNS boolean {CAUGHT};
    CREATE FUNCTION m.either(anyelement, anyelement) RETURNS anyelement {CAUGHT};
    CREATE DOMAIN m.mail AS text CHECK (m.caught(VALUE))
"""


@frozen
class Stranger:
    """A role that nobody trusts, in a fresh database."""

    #: The superuser, and mallory.
    dsn: str
    hers: str
    role: str

    async def plant(self, statements: str) -> None:
        """Do as mallory, who may create in the schema for as long as it takes."""
        await sql(self.dsn, f"GRANT CREATE ON SCHEMA public TO {self.role}")
        await sql(self.hers, statements)
        await sql(self.dsn, f"REVOKE CREATE ON SCHEMA public FROM {self.role}")


@pytest.fixture
async def roles(server: str, database: str) -> AsyncIterator[list[str]]:
    """Three plain roles of the server with a name of their own, gone after the test."""
    made = [f"{name}_{secrets.token_hex(4)}" for name in ("mallory", "owner", "app")]
    for role in made:
        await sql(server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    yield made
    await sql(database, f"DROP EVENT TRIGGER IF EXISTS {made[0]}")
    await sql(
        database,
        f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO postgres; DROP OWNED BY {', '.join(made)} CASCADE",
    )
    await sql(server, f"DROP ROLE {', '.join(made)}")


@pytest.fixture
async def mallory(database: str, roles: list[str]) -> Stranger:
    """A stranger with a schema of her own."""
    role = roles[0]
    await sql(
        database,
        f"CREATE SCHEMA m AUTHORIZATION {role}; GRANT USAGE ON SCHEMA m TO PUBLIC; CREATE TABLE ours (name text)",
    )
    await sql(as_role(database, role), HERS)
    return Stranger(database, as_role(database, role), role)


@pytest.fixture
def catalog(folder: Folder) -> kimbledb.Catalog:
    """Two migrations, of which each makes a table and has a row written and looked for."""
    for number, name in enumerate(("things", "parts"), 1):
        folder.add(
            number,
            name,
            f"CREATE TABLE IF NOT EXISTS {name} (id integer PRIMARY KEY);\nINSERT INTO {name} VALUES (1);\n",
            verify=f"-- name: {name}_is_there\nSELECT count(*) = 1 AS passed FROM {name}",
            rollback=f"DROP TABLE {name};\n",
        )
    made: kimbledb.Catalog = folder.catalog
    return made


def said(error: kimbledb.PreflightError, what: str) -> tuple[str, str]:
    """The gap that names something, with its cure."""
    found = [each for each in error.gaps if what in each[0]]
    assert found, error
    return found[0]


@pytest.mark.parametrize("kind", PLANTED)
async def test_what_a_stranger_planted(mallory: Stranger, catalog: kimbledb.Catalog, kind: str) -> None:
    """What a stranger owns in the schema stops migrate() before anything is called or made, with its name, its owner and a cure."""
    statement, name = PLANTED[kind]
    await mallory.plant(statement)

    with pytest.raises(kimbledb.KimbleDBError) as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog)

    if isinstance(caught.value, kimbledb.PreflightError):
        gap, cure = said(caught.value, name)
        assert f"belongs to {mallory.role}" in gap
        assert "OWNER TO postgres, or DROP" in cure
    else:
        assert isinstance(caught.value, kimbledb.HistoryError)
        assert name in caught.value.message
    assert await sql(
        mallory.dsn,
        "SELECT to_regclass('parts') IS NULL AND count(*) = 0 FROM pg_class WHERE relname = 'migration_history' AND relowner = 10",
    )


@pytest.mark.parametrize("kind", HANGING)
async def test_what_hangs_on_ours(mallory: Stranger, catalog: kimbledb.Catalog, kind: str) -> None:
    """What hangs on an object of ours and calls what a stranger owns elsewhere stops migrate()."""
    statement, name = HANGING[kind]
    if kind == "a cast":
        made, _, rest = statement.partition("; ")
        await sql(mallory.dsn, made)
        await sql(mallory.hers, f"CREATE FUNCTION m.as_text(ours_too) RETURNS text {CAUGHT}")
        statement = rest
    await sql(mallory.dsn, statement.format(role=mallory.role))

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog)

    gap, cure = said(caught.value, name)
    assert f"which belongs to {mallory.role}" in gap
    assert "drop it" in cure


async def test_the_owner_of_the_schema(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """A schema that a stranger owns stops migrate(), even where nothing is in it: its owner may plant at any time."""
    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog, schema="m")

    gap, cure = said(caught.value, "the schema m ")
    assert gap.endswith(f"belongs to {mallory.role}")
    assert cure == "ALTER SCHEMA m OWNER TO postgres"


async def test_whoever_may_create(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """A schema in which any role that is not trusted may create stops migrate(), with the REVOKE."""
    await sql(mallory.dsn, f"GRANT CREATE ON SCHEMA public TO {mallory.role}")

    with pytest.raises(kimbledb.PreflightError, match=f"{mallory.role} may create in the schema public") as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog)

    await sql(mallory.dsn, caught.value.gaps[0][1])
    assert len((await kimbledb.migrate(mallory.dsn, catalog=catalog)).applied) == 2


async def test_an_extension_of_a_strangers(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """An extension that a stranger made stops migrate(): she may put functions into it. There is no ALTER EXTENSION ... OWNER TO."""
    await sql(mallory.dsn, f"GRANT CREATE ON DATABASE {mallory.dsn.rpartition('/')[2]} TO {mallory.role}")
    await mallory.plant("CREATE EXTENSION pg_trgm")

    with pytest.raises(kimbledb.PreflightError) as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog)

    assert [gap for gap, _ in caught.value.gaps] == [
        f"the extension pg_trgm belongs to {mallory.role}, who may put functions into it"
    ]
    await sql(mallory.dsn, f"REASSIGN OWNED BY {mallory.role} TO postgres")
    assert len((await kimbledb.migrate(mallory.dsn, catalog=catalog)).applied) == 2


async def test_a_function_in_an_extension(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """A stranger's function that is a member of an extension of ours is hers all the same."""
    await sql(mallory.dsn, "CREATE EXTENSION pg_trgm")
    await mallory.plant(f"CREATE FUNCTION length(varchar) RETURNS integer {CAUGHT}")
    await sql(mallory.dsn, "ALTER EXTENSION pg_trgm ADD FUNCTION length(varchar)")

    with pytest.raises(kimbledb.PreflightError, match=r"function public.length\(character varying\) belongs to"):
        await kimbledb.migrate(mallory.dsn, catalog=catalog)
    await sql(mallory.dsn, "DROP EXTENSION pg_trgm")


async def test_where_an_extension_lives(mallory: Stranger, folder: Folder) -> None:
    """What a stranger planted in the schema of an extension, which is looked through as well, stops a run in another schema."""
    folder.add(1, "a", "CREATE TABLE a (n integer)", facts='extensions = ["pg_trgm"]')
    await mallory.plant(f"CREATE FUNCTION length(varchar) RETURNS integer {CAUGHT}")

    with pytest.raises(kimbledb.PreflightError, match=r"function public.length\(character varying\) belongs to"):
        await kimbledb.migrate(mallory.dsn, catalog=folder.catalog, schema="app")


async def test_a_table_that_points_to_ours(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """A stranger's table that refers to one of ours stops migrate() where it has triggers, which a delete of ours would fire, and only there."""
    await sql(mallory.dsn, f"ALTER TABLE ours ADD PRIMARY KEY (name); GRANT REFERENCES ON ours TO {mallory.role}")
    await sql(mallory.hers, "CREATE TABLE m.mine (name text REFERENCES public.ours ON DELETE CASCADE)")
    assert len((await kimbledb.migrate(mallory.dsn, catalog=catalog, to="things.sql")).applied) == 1
    await sql(
        mallory.hers,
        "CREATE CONSTRAINT TRIGGER t AFTER DELETE ON m.mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.trap()",
    )

    with pytest.raises(
        kimbledb.PreflightError, match=f"table m.mine belongs to {mallory.role}, refers to public.ours and has triggers"
    ):
        await kimbledb.migrate(mallory.dsn, catalog=catalog)


async def test_thousands_are_not_listed(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """Of very many things that a stranger owns the error names the first, and how many more there are."""
    await mallory.plant(
        "DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE DOMAIN d%s AS text', i); END LOOP; END $$"
    )

    with pytest.raises(kimbledb.PreflightError, match="and 35 more are strangers'") as caught:
        await kimbledb.migrate(mallory.dsn, catalog=catalog)

    assert len(caught.value.gaps) == 26


async def test_planted_after_the_first_look(mallory: Stranger, folder: Folder) -> None:
    """What becomes a stranger's while a run goes on is seen in the transaction that would call it; what came before it stays."""
    folder.add(1, "a", f"CREATE FUNCTION f() RETURNS integer {CAUGHT};\nALTER FUNCTION f() OWNER TO {mallory.role};\n")
    folder.table(2, "b")

    with pytest.raises(
        kimbledb.PreflightError, match=r"(?s)applied before stay \(a.sql\).*function public.f\(\) belongs to"
    ) as caught:
        await kimbledb.migrate(mallory.dsn, catalog=folder.catalog)

    assert [step.migration.name for step in caught.value.applied] == ["a.sql"]
    assert await sql(mallory.dsn, "SELECT to_regclass('b') IS NULL")


async def test_the_short_look_sees_who_owns_something(mallory: Stranger) -> None:
    """Where a stranger owns anything in the database, the short look of a transaction calls for the long one."""
    look = f"DO {quote_literal(guard_briefly(('public',)))}"

    with pytest.raises(asyncpg.PostgresError, match="closer look"):
        await sql(mallory.dsn, look)

    await sql(mallory.dsn, f"DROP OWNED BY {mallory.role} CASCADE")
    await sql(mallory.dsn, look)


async def test_what_changes_what_is_recorded(database: str, catalog: kimbledb.Catalog) -> None:
    """A rule on history stops every call, whoever made it; a trigger of a trusted role's is told by verify()."""
    await kimbledb.migrate(database, catalog=catalog, to="things.sql")
    await sql(
        database,
        "CREATE TRIGGER t BEFORE INSERT ON migration_log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )
    [told] = [
        each for each in (await kimbledb.verify(database, catalog=catalog)).checks if each.name == "triggers on history"
    ]
    assert told.informative
    assert "the trigger t on public.migration_log" in (told.found or "")
    await sql(database, "CREATE RULE r AS ON DELETE TO migration_history DO INSTEAD NOTHING")

    for call in (
        kimbledb.migrate(database, catalog=catalog),
        kimbledb.rollback(database, "things.sql", catalog=catalog),
    ):
        with pytest.raises(
            kimbledb.PreflightError, match=r"the rule r on public\.migration_history changes what is recorded"
        ):
            await call


async def test_on_a_platform(hosted_server: str, hosted_database: str, catalog: kimbledb.Catalog) -> None:
    """On a platform its extensions, grants and functions stop nothing; that the role is a member of anon makes none of anon's its own."""
    role, platform = (f"{name}_{secrets.token_hex(4)}" for name in ("deployer", "platform"))
    name = hosted_database.rpartition("/")[2]
    await sql(hosted_server, f"CREATE ROLE {role} LOGIN PASSWORD '{role}' CREATEROLE BYPASSRLS; CREATE ROLE {platform}")
    await sql(hosted_server, f"GRANT anon, authenticated, service_role TO {role}")
    await sql(
        hosted_database,
        f"""ALTER DATABASE {name} OWNER TO {role}; CREATE EXTENSION pg_trgm SCHEMA extensions;
        GRANT ALL ON SCHEMA public TO service_role; GRANT USAGE ON SCHEMA auth TO PUBLIC;
        CREATE FUNCTION auth.hook() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        ALTER FUNCTION auth.hook() OWNER TO {platform}""",
    )
    dsn = as_role(hosted_database, role)

    assert len((await kimbledb.migrate(dsn, catalog=catalog, to="things.sql")).applied) == 1
    await sql(dsn, "CREATE TRIGGER hook AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION auth.hook()")
    assert (await kimbledb.verify(dsn, catalog=catalog, only="things.sql")).ok
    await sql(hosted_database, "GRANT CREATE ON SCHEMA public TO anon")
    with pytest.raises(kimbledb.PreflightError, match="anon may create in the schema public") as caught:
        await kimbledb.migrate(dsn, catalog=catalog)
    assert len(caught.value.gaps) == 1

    await sql(hosted_database, f"ALTER DATABASE {name} OWNER TO postgres; DROP OWNED BY {role}, {platform} CASCADE")
    await sql(hosted_server, f"DROP ROLE {role}, {platform}")


async def test_the_owner_of_what_is_reached(mallory: Stranger, folder: Folder) -> None:
    """Whoever owns a schema that a migration says it reaches is trusted."""
    await sql(mallory.dsn, HANGING["a trigger"][0])
    folder.add(1, "a", "CREATE TABLE a (n integer)", facts='reaches = ["m.mine"]')

    assert len((await kimbledb.migrate(mallory.dsn, catalog=folder.catalog)).applied) == 1


async def test_what_a_group_owns_is_ones_own(database: str, roles: list[str], catalog: kimbledb.Catalog) -> None:
    """What belongs to the role that migrates, to one of which it is a member, to the database's owner or to a superuser stops nothing."""
    member, owner, group = roles
    await sql(database, f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO {owner}; GRANT {group} TO {member}")
    await sql(database, f"GRANT CREATE ON SCHEMA public TO {member}, {group}, {owner}")
    for role, name in ((member, "a"), (owner, "b"), (group, "c"), (None, "d")):
        await sql(
            database if role is None else as_role(database, role),
            f"CREATE FUNCTION {name}() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        )

    assert len((await kimbledb.migrate(as_role(database, member), catalog=catalog)).applied) == 2


async def test_who_made_a_role_is_no_member(database: str, roles: list[str], catalog: kimbledb.Catalog) -> None:
    """To administer a role, as whoever made it does, is not to trust it."""
    owner, mallory = roles[1], roles[0]
    await sql(database, f"DROP ROLE {mallory}; ALTER ROLE {owner} CREATEROLE")
    await sql(as_role(database, owner), f"CREATE ROLE {mallory} LOGIN PASSWORD '{mallory}'")
    await sql(
        database,
        f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO {owner}; GRANT CREATE ON SCHEMA public TO {mallory}",
    )
    await sql(as_role(database, mallory), f"CREATE FUNCTION a() RETURNS integer {CAUGHT}")
    await sql(database, f"REVOKE CREATE ON SCHEMA public FROM {mallory}")

    with pytest.raises(kimbledb.PreflightError, match=r"function public.a\(\) belongs to"):
        await kimbledb.migrate(as_role(database, owner), catalog=catalog)


#: Histories that call something when they are read, or when a query of them is planned.
TRAPS = {
    "a view": """CREATE VIEW migration_history AS
        SELECT 'things.sql'::text AS migration_name, m.caught('x') AS success, NULL::text AS checksum, now() AS applied_at,
               '1' AS kimbledb_version, false AS adopted, NULL::text AS error_message""",
    "an index": """CREATE TABLE migration_history (migration_name text, success boolean, checksum text, applied_at timestamptz,
               kimbledb_version text, adopted boolean, error_message text);
        CREATE FUNCTION m.later(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE INDEX ON migration_history ((m.later('x')));
        CREATE OR REPLACE FUNCTION m.later(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
        GRANT SELECT ON migration_history TO PUBLIC""",
    "a policy": """CREATE TABLE migration_history (migration_name text, success boolean, checksum text, applied_at timestamptz,
               kimbledb_version text, adopted boolean, error_message text);
        ALTER TABLE migration_history ENABLE ROW LEVEL SECURITY; GRANT SELECT ON migration_history TO PUBLIC;
        CREATE POLICY p ON migration_history USING (m.caught('x'))""",
    "a cast to json": """CREATE TYPE evil AS (a text);
        CREATE TABLE migration_history (migration_name text, success boolean, checksum text, applied_at timestamptz,
               kimbledb_version text, adopted boolean, error_message text, more evil);
        INSERT INTO migration_history VALUES ('things.sql', true, NULL, now(), '1', false, NULL, ROW('x'));
        CREATE FUNCTION m.as_json(evil) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
        CREATE CAST (evil AS json) WITH FUNCTION m.as_json(evil)""",
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("reader", ["superuser", "another role"])
async def test_reading_calls_nothing(
    mallory: Stranger, roles: list[str], catalog: kimbledb.Catalog, trap: str, reader: str
) -> None:
    """No call that only reads calls what hangs on a history that a stranger planted, by whatever role: it says that it cannot be read."""
    await mallory.plant(TRAPS[trap])
    dsn = mallory.dsn if reader == "superuser" else as_role(mallory.dsn, roles[2])

    for call in (kimbledb.migrate, kimbledb.plan, kimbledb.status):
        with pytest.raises(kimbledb.PreflightError, match="migration_history belongs to") as caught:
            await call(dsn, catalog=catalog)
        assert "caught" not in str(caught.value).replace("m.caught", "")
    report = await kimbledb.verify(dsn, catalog=catalog)

    assert not report.ok
    assert "history" in {check.name for check in report.failures}


async def test_verify_reports_strangers(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """verify() tells of what strangers own and may make as failed checks with their cures, and does not run the catalog's own."""
    await kimbledb.migrate(mallory.dsn, catalog=catalog)
    await mallory.plant(f"CREATE FUNCTION count(integer) RETURNS bigint {CAUGHT}")
    await sql(mallory.dsn, "GRANT CREATE ON SCHEMA public TO PUBLIC")

    report = await kimbledb.verify(mallory.dsn, catalog=catalog)

    failed = {check.name: check for check in report.failures}
    assert {"strangers", "things_is_there", "parts_is_there"} <= failed.keys()
    assert [row["found"] for row in failed["strangers"].rows] == [
        "PUBLIC may create in the schema public, and so plant functions there",
        f"function public.count(integer) belongs to {mallory.role}",
    ]
    assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in (failed["strangers"].hint or "")
    assert (failed["parts_is_there"].found or "").startswith(
        "not run, since it could call a stranger's object: PUBLIC may create"
    )
    alone = await kimbledb.verify(mallory.dsn, catalog=catalog, only="parts.sql")
    assert [check.name for check in alone.failures] == ["parts_is_there"]


async def test_verify_reports_strangers_before_the_first_migration(
    mallory: Stranger, catalog: kimbledb.Catalog
) -> None:
    """verify() tells of strangers where nothing is applied, and so no check of a migration asks about them."""
    await mallory.plant(f"CREATE FUNCTION count(integer) RETURNS bigint {CAUGHT}")

    report = await kimbledb.verify(mallory.dsn, catalog=catalog)

    [strangers] = [check for check in report.checks if check.name == "strangers"]
    assert not strangers.passed
    assert [row["found"] for row in strangers.rows] == [f"function public.count(integer) belongs to {mallory.role}"]


async def test_reading_goes_on(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """plan() and status() show what there is, whatever a stranger has planted: nothing of the schema is called for that."""
    await kimbledb.migrate(mallory.dsn, catalog=catalog, to="things.sql")
    for kind in ("a function", "an operator", "an operator on oid"):
        await mallory.plant(PLANTED[kind][0])

    assert [step.name for step in (await kimbledb.plan(mallory.dsn, catalog=catalog)).pending] == ["parts.sql"]
    assert [step.name for step in (await kimbledb.status(mallory.dsn, catalog=catalog)).plan.pending] == ["parts.sql"]


@pytest.mark.parametrize("call", ["rollback", "rollback, dry", "reset", "adopt"])
async def test_no_other_call_either(mallory: Stranger, catalog: kimbledb.Catalog, call: str) -> None:
    """Nothing of a stranger's is called by a rollback, not even a dry one, by a reset or an adoption."""
    await kimbledb.migrate(mallory.dsn, catalog=catalog)
    if call == "adopt":
        await sql(mallory.dsn, "DELETE FROM migration_history")
    await mallory.plant(PLANTED["an operator"][0])

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "adopt": lambda: kimbledb.adopt(mallory.dsn, catalog=catalog),
        "reset": lambda: kimbledb.reset(mallory.dsn, confirm=mallory.dsn.rpartition("/")[2], allow_data_loss=True),
        "rollback": lambda: kimbledb.rollback(mallory.dsn, "parts.sql", catalog=catalog, allow_data_loss=True),
        "rollback, dry": lambda: kimbledb.rollback(mallory.dsn, "parts.sql", catalog=catalog, dry_run=True),
    }
    with pytest.raises(kimbledb.PreflightError, match=r"operator public.=\(character varying,text\) belongs to"):
        await calls[call]()


async def test_current_by_a_strangers_word(mallory: Stranger, catalog: kimbledb.Catalog) -> None:
    """A role that could migrate does not believe the history of a stranger that there is nothing to do."""
    await kimbledb.migrate(mallory.dsn, catalog=catalog)
    await sql(mallory.dsn, f"ALTER TABLE migration_history OWNER TO {mallory.role}")

    with pytest.raises(kimbledb.PreflightError, match=f"table public.migration_history belongs to {mallory.role}"):
        await kimbledb.migrate(mallory.dsn, catalog=catalog)
