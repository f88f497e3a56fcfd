"""Breaking rows: what rows would refuse is found before anything is touched, with the count and the query that lists them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState
from kimbledb.planning.breaking_rows import breaking_of
from kimbledb.planning.later_rows import LaterRows
from tests.support.databases import as_role, take_snapshot
from tests.support.folders import Folder

PEOPLE = "CREATE TABLE p (id int PRIMARY KEY, t text UNIQUE, UNIQUE (id, t)); INSERT INTO p VALUES (1, 'x'), (2, 'y');"
ROWS = "CREATE TABLE c (n int, a int, b text); INSERT INTO c VALUES "
TIMES = "CREATE TABLE c (a int, r int4range); INSERT INTO c VALUES (1,'[1,3)'),(1,'[2,4)'),(1,'[9,10)'),(2,'[1,3)'),(2,NULL);"
#: Rules of every kind: the tables with rows, the statement that adds the rule, and how many rows break it.
RULES = {
    "a foreign key": (
        f"{PEOPLE} {ROWS} (1,1,'x'),(2,5,'x'),(3,NULL,'x'),(4,6,NULL)",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        2,
    ),
    "a satisfied foreign key": (
        f"{PEOPLE} {ROWS} (1,1,'x'),(3,NULL,'x')",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        0,
    ),
    "a foreign key of two columns": (
        f"{PEOPLE} {ROWS} (1,1,'x'),(2,1,'y'),(3,NULL,'q'),(4,9,NULL)",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES p (id, t)",
        1,
    ),
    "a foreign key of two columns that match in full": (
        f"{PEOPLE} {ROWS} (1,1,'x'),(2,1,'y'),(3,NULL,'q'),(4,9,NULL),(5,NULL,NULL)",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (b, a) REFERENCES p (t, id) MATCH FULL ON DELETE CASCADE DEFERRABLE",
        3,
    ),
    "a foreign key of one column that matches in full": (
        f"{PEOPLE} {ROWS} (1,1,'x'),(5,NULL,NULL)",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p MATCH FULL",
        0,
    ),
    "a foreign key that is not valid": (
        f"{PEOPLE} {ROWS} (2,5,'x')",
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p NOT VALID",
        0,
    ),
    "a foreign key to its own table": (
        "CREATE TABLE referred (id int PRIMARY KEY, up int); INSERT INTO referred VALUES (1, NULL), (2, 1), (3, 9)",
        "ALTER TABLE referred ADD CONSTRAINT k FOREIGN KEY (up) REFERENCES referred",
        1,
    ),
    "a foreign key of names in quotes": (
        (
            'CREATE TABLE "My ""T)" ("Id, one" int PRIMARY KEY, "select" int UNIQUE);'
            ' CREATE TABLE "c (d" ("a)b" int); INSERT INTO "c (d" VALUES (1)'
        ),
        'ALTER TABLE "c (d" ADD CONSTRAINT "K (1)" FOREIGN KEY ("a)b") REFERENCES "My ""T)" ("select")',
        1,
    ),
    "a foreign key between collations": (
        (
            'CREATE TABLE p (id text COLLATE "C" PRIMARY KEY); CREATE TABLE c (a text COLLATE "POSIX");'
            " INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (2)"
        ),
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        1,
    ),
    "a foreign key to a table that has heirs": (
        (
            "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE p2 () INHERITS (p); INSERT INTO p2 VALUES (7);"
            " CREATE TABLE c (a int); INSERT INTO c VALUES (7)"
        ),
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        1,
    ),
    "a foreign key of a table that has heirs": (
        (
            "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int); CREATE TABLE c2 () INHERITS (c);"
            " INSERT INTO c2 VALUES (7)"
        ),
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        0,
    ),
    "a foreign key between partitioned tables": (
        (
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
            " CREATE TABLE p2 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1), (2);"
            " CREATE TABLE c (a int) PARTITION BY LIST (a); CREATE TABLE c1 PARTITION OF c DEFAULT; INSERT INTO c VALUES (2), (3)"
        ),
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES p",
        1,
    ),
    "a uniqueness": (
        f"{ROWS} (1,1,'x'),(2,1,'y'),(3,NULL,'x'),(4,NULL,'x'),(5,1,'x'),(6,1,'x')",
        "ALTER TABLE c ADD CONSTRAINT k UNIQUE (a, b) INCLUDE (n) DEFERRABLE",
        3,
    ),
    "a uniqueness of NULL": (
        f"{ROWS} (1,1,'x'),(3,NULL,'x'),(4,NULL,'x')",
        "ALTER TABLE c ADD CONSTRAINT k UNIQUE NULLS NOT DISTINCT (a, b)",
        2,
    ),
    "a uniqueness of names in quotes": (
        'CREATE TABLE "c (d" ("a)b" int, same int, "x,y" int); INSERT INTO "c (d" VALUES (1, 1, 1), (1, 1, 1)',
        'ALTER TABLE "c (d" ADD CONSTRAINT "K (1)" UNIQUE ("a)b", same, "x,y")',
        2,
    ),
    "a uniqueness of a table that has heirs": (
        "CREATE TABLE c (a int); CREATE TABLE c2 () INHERITS (c); INSERT INTO c VALUES (7); INSERT INTO c2 VALUES (7)",
        "ALTER TABLE c ADD CONSTRAINT k UNIQUE (a)",
        0,
    ),
    "a primary key": (
        f"{ROWS} (1,1,'x'),(2,1,'x'),(3,NULL,'x'),(4,NULL,'x'),(5,2,'x')",
        "ALTER TABLE c ADD CONSTRAINT k PRIMARY KEY (a)",
        4,
    ),
    "a unique index on an expression": (
        f"{ROWS} (1,1,'x'),(2,1,'X'),(3,NULL,'y')",
        "CREATE UNIQUE INDEX k ON c (lower(b) text_pattern_ops DESC NULLS LAST)",
        2,
    ),
    "a unique index on a part": (
        f"{ROWS} (1,1,'x'),(2,1,'x'),(3,2,'y'),(4,2,'y')",
        "CREATE UNIQUE INDEX k ON c (b) WHERE a > 1 OR n > 1",
        2,
    ),
    "a unique index on no column": (f"{ROWS} (1,1,NULL),(2,1,NULL)", "CREATE UNIQUE INDEX k ON c ((true))", 2),
    "a check": (f"{ROWS} (1,1,'x'),(2,NULL,'x'),(3,5,'x')", "ALTER TABLE c ADD CONSTRAINT k CHECK (a < 3)", 1),
    "a check of whole rows": (
        f"{ROWS} (1,1,'x'),(2,NULL,'x')",
        "ALTER TABLE c ADD CONSTRAINT k CHECK (c.* IS NOT NULL)",
        1,
    ),
    "a check that heirs inherit": (
        "CREATE TABLE c (a int); CREATE TABLE c2 () INHERITS (c); INSERT INTO c2 VALUES (7)",
        "ALTER TABLE c ADD CONSTRAINT k CHECK (a < 3)",
        1,
    ),
    "a check that no heir inherits": (
        "CREATE TABLE c (a int); CREATE TABLE c2 () INHERITS (c); INSERT INTO c2 VALUES (7)",
        "ALTER TABLE c ADD CONSTRAINT k CHECK (a < 3) NO INHERIT",
        0,
    ),
    "an exclusion of a part": (
        TIMES,
        "ALTER TABLE c ADD CONSTRAINT k EXCLUDE USING gist (r WITH &&) WHERE (a = 1 OR a = 7)",
        2,
    ),
    "an exclusion of expressions": (
        f"{ROWS} (1,3,'a'),(2,4,'A'),(9,10,'b')",
        "ALTER TABLE c ADD CONSTRAINT k EXCLUDE (lower(b) text_pattern_ops WITH =)",
        2,
    ),
    "NOT NULL": (f"{ROWS} (1,1,NULL),(2,1,'x')", "ALTER TABLE c ALTER COLUMN b SET NOT NULL", 1),
}


async def test_the_count_is_that_of_the_rows_for_which_the_server_refuses_a_rule(
    database: str, connection: asyncpg.Connection
) -> None:
    """For rules of every kind the query counts the rows worked out by hand, and none only where the server adds the rule."""
    otherwise = {}
    for number, (name, (tables, rule, wanted)) in enumerate(RULES.items()):
        schema = f"s{number}"
        path = f"SET search_path = {schema}; {tables}"
        await connection.execute(f"CREATE SCHEMA {schema}; {path}")
        before = await take_snapshot(database, schema)
        try:
            await connection.execute(rule)
            accepted = True
        except asyncpg.IntegrityConstraintViolationError:
            accepted = False
            # What it is called and how it reads is shown where no row is in the way.
            await connection.execute(f"DELETE FROM {'referred' if 'referred' in rule else rule_table(rule)}; {rule}")
        after = await take_snapshot(database, schema)
        await connection.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}; {path}")
        since = after.since(before)
        # A primary key brings NOT NULL along.
        changed = since.created or since.changed
        found = [breaking_of(each.key, each.facts or {}, LaterRows.of(before)) for each in changed]
        counts = [
            await connection.fetchval(f"SELECT count(*) FROM ({each.query}) AS breaking")
            for each in found
            if each is not None
        ]
        if sum(counts) != wanted or accepted is not (wanted == 0):
            otherwise[name] = (counts, wanted, accepted, [each.query for each in found if each])

    assert otherwise == {}


def rule_table(rule: str) -> str:
    """The table of a rule."""
    words = rule.removeprefix("ALTER TABLE ") if rule.startswith("ALTER TABLE ") else rule.partition(" ON ")[2]
    return words[: words.index('"', 1) + 1] if words.startswith('"') else words.split()[0]


@pytest.fixture
async def orders(server: str, folder: Folder) -> kimbledb.Catalog:
    """A catalog whose table of orders has a key to customers, a uniqueness and a check, and fills a column."""
    folder.add(
        1,
        "shop",
        "CREATE TABLE customers (id text PRIMARY KEY, name text);\n"
        "CREATE TABLE orders (\n"
        "    id integer PRIMARY KEY, customer_id text REFERENCES customers, code text UNIQUE, state text NOT NULL DEFAULT 'new',\n"
        "    CONSTRAINT orders_state_check CHECK (state IN ('new', 'sent'))\n"
        ");",
        facts='[fills]\n"orders.code" = "lower(code)"',
    )
    return await folder.declared(server)


async def test_rows_that_break_a_key_stop_it_before_anything_is_touched(
    database: str, connection: asyncpg.Connection, orders: kimbledb.Catalog
) -> None:
    """The step is in conflict with table, column, count, place and query, and migrate() changes nothing."""
    await connection.execute(
        "CREATE TABLE customers (id text PRIMARY KEY); CREATE TABLE orders (id integer PRIMARY KEY, customer_id text, code text);"
        " INSERT INTO customers VALUES ('secret-1'); INSERT INTO orders VALUES (1, 'secret-1', 'a'), (2, 'secret-2', 'b'), (3, 'secret-3', 'c')"
    )
    await kimbledb.adopt(database, catalog=orders)
    was = await take_snapshot(database)

    step = (await kimbledb.plan(database, catalog=orders)).step("shop.sql")
    with pytest.raises(kimbledb.ConflictingObjectsError) as caught:
        await kimbledb.migrate(database, catalog=orders)

    assert step.state is StepState.CONFLICTING
    assert step.completion is not None
    [conflict] = step.completion.conflicts
    said, _, query = conflict.partition(", listed by: ")
    place = str(orders["shop.sql"].file("apply"))
    assert said == (
        "2 rows of orders (customer_id) without a row of customers (id),"
        f" against constraint orders.orders_customer_id_fkey ({place}:2)"
    )
    assert [row["id"] for row in await connection.fetch(query)] == [2, 3]
    assert conflict in str(caught.value)
    assert "secret" not in str(caught.value)
    assert str((await take_snapshot(database)).since(was)) == "no difference"


async def test_corrected_rows_let_it_go_on(
    database: str, connection: asyncpg.Connection, orders: kimbledb.Catalog
) -> None:
    """The rows that the query lists are all that is in the way: without them the migration is completed."""
    await connection.execute(
        "CREATE TABLE customers (id text PRIMARY KEY); CREATE TABLE orders (id integer PRIMARY KEY, customer_id text);"
        " INSERT INTO orders VALUES (1, 'x'), (2, NULL)"
    )
    step = (await kimbledb.plan(database, catalog=orders)).step("shop.sql")
    assert step.completion is not None
    query = step.completion.conflicts[0].partition(", listed by: ")[2]

    await connection.execute(f"DELETE FROM orders WHERE id IN (SELECT id FROM ({query}) AS breaking)")
    await kimbledb.adopt(database, catalog=orders)
    report = await kimbledb.migrate(database, catalog=orders)

    assert [each.migration.name for each in report.applied] == ["shop.sql"]
    assert await connection.fetchval("SELECT count(*) FROM orders") == 1


async def test_rows_are_looked_at_as_they_will_be(
    database: str, connection: asyncpg.Connection, orders: kimbledb.Catalog
) -> None:
    """A column is compared under its later type and with the value that it is filled with; new ones hold their default."""
    one, two = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    await connection.execute(
        "CREATE TABLE customers (id uuid PRIMARY KEY); CREATE TABLE orders (id integer PRIMARY KEY, customer_id uuid, code text);"
        f" INSERT INTO customers VALUES ('{one}');"
        f" INSERT INTO orders VALUES (1, '{one}', 'a'), (2, '{two}', 'A'), (3, NULL, 'b')"
    )

    step = (await kimbledb.plan(database, catalog=orders)).step("shop.sql")

    assert step.completion is not None
    assert sorted(each.partition(", against ")[0] for each in step.completion.conflicts) == [
        "1 row of orders (customer_id) without a row of customers (id)",
        "2 rows of orders (code) with the values of another row",
    ]


async def test_rows_of_a_renamed_table_are_asked_under_the_name_that_it_has(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Table and column that the migration renames have their present names in the query, and their later ones in the words."""
    folder.add(1, "old", "CREATE TABLE bills (id integer PRIMARY KEY, sum integer);")
    folder.add(
        2,
        "new",
        "ALTER TABLE bills RENAME TO invoices;\nALTER TABLE invoices RENAME COLUMN sum TO total;\n"
        "ALTER TABLE invoices ADD CONSTRAINT total_check CHECK (total > 0);\nCREATE TABLE more (id integer);",
    )
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to=1)
    await connection.execute("INSERT INTO bills VALUES (1, 5), (2, -5)")

    pending = (await kimbledb.plan(database, catalog=catalog)).step("new.sql")
    await connection.execute("CREATE TABLE more (id integer)")
    begun = (await kimbledb.plan(database, catalog=catalog)).step("new.sql")

    assert begun.completion is not None
    for said in (pending.reason, *begun.completion.conflicts):
        assert "1 row of invoices (total) with values that it refuses, against constraint invoices.total_check" in said
        query = said.partition("listed by: ")[2]
        assert [row["id"] for row in await connection.fetch(query)] == [2]


async def test_rows_are_listed_by_the_key_that_they_have_now(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """An id that becomes a uuid is listed as the number that it is, whatever the rule; and a key that breaks one, too."""
    folder.add(
        1,
        "tags",
        "CREATE TABLE owners (id uuid PRIMARY KEY);\n"
        "CREATE TABLE tags (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text UNIQUE, size integer CHECK (size > 0),"
        " owner uuid REFERENCES owners, EXCLUDE USING btree (lower(code) WITH =), FOREIGN KEY (id) REFERENCES owners);",
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE owners (id integer PRIMARY KEY); CREATE TABLE tags (id serial PRIMARY KEY, code text, size integer, owner integer);"
        " INSERT INTO owners VALUES (1), (2), (3);"
        " INSERT INTO tags (code, size, owner) VALUES ('a', 1, 1), ('a', 1, 1), ('b', -1, NULL), ('c', 1, 9)"
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("tags.sql")

    assert step.completion is not None
    queries = dict(each.split(", listed by: ") for each in step.completion.conflicts)
    listed = {
        said.partition(" against constraint ")[2].partition(" ")[0]: {
            row["id"] for row in await connection.fetch(query)
        }
        for said, query in queries.items()
    }
    assert listed == {
        "tags.tags_code_key": {1, 2},
        "tags.tags_lower_excl": {1, 2},
        "tags.tags_size_check": {3},
        "tags.tags_owner_fkey": {4},
        "tags.tags_id_fkey": {4},
    }


async def pending(connection: asyncpg.Connection, server: str, folder: Folder, script: str) -> kimbledb.Catalog:
    """A catalog of two migrations, of which the first is applied with three rows, and the second has this script."""
    folder.add(1, "things", "CREATE TABLE things (id integer, kind text, size integer);")
    folder.add(2, "more", script)
    catalog = await folder.declared(server)
    await kimbledb.migrate(connection, catalog=catalog, to=1)
    await connection.execute("INSERT INTO things VALUES (1, 'a', 1), (1, NULL, 2), (2, 'b', -3)")
    return catalog


async def test_rows_that_a_pending_script_would_fail_on_stop_it_before(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A script that is not begun is not run where rows break a key, a check or NOT NULL that it adds."""
    catalog = await pending(
        connection,
        server,
        folder,
        "CREATE TABLE kinds (name text PRIMARY KEY);\n"
        "ALTER TABLE things ADD PRIMARY KEY (id);\n"
        "ALTER TABLE things ADD CHECK (size > 0), ALTER COLUMN kind SET NOT NULL;\n"
        "ALTER TABLE things ADD FOREIGN KEY (kind) REFERENCES kinds, ADD COLUMN color text NOT NULL;",
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("more.sql")
    with pytest.raises(kimbledb.ConflictingObjectsError, match="2 rows of things"):
        await kimbledb.migrate(database, catalog=catalog)

    assert step.state is StepState.CONFLICTING
    assert step.reason.startswith("not applied yet; 2 rows of things (id) with NULL or the values of another row")
    assert step.reason.count("listed by: ") == 5
    assert await connection.fetchval("SELECT to_regclass('kinds')") is None


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE things SET size = 3 WHERE size < 0;\nALTER TABLE things ADD CHECK (size > 0);",
        "DO $$ BEGIN DELETE FROM things WHERE size < 0; END $$;\nALTER TABLE things ADD CHECK (size > 0);",
        "ALTER TABLE things ALTER COLUMN size TYPE integer USING abs(size);\nALTER TABLE things ADD CHECK (size > 0);",
        (
            "ALTER TABLE things ADD COLUMN new boolean DEFAULT true;\nALTER TABLE things ALTER COLUMN new DROP DEFAULT,"
            " ALTER COLUMN new SET NOT NULL;"
        ),
        "DROP TABLE things;\nCREATE TABLE things (id integer, kind text NOT NULL, size integer CHECK (size > 0));",
        (
            "CREATE TABLE kinds (name text PRIMARY KEY);\nINSERT INTO kinds VALUES ('a'), ('b');\n"
            "ALTER TABLE things ADD FOREIGN KEY (kind) REFERENCES kinds;"
        ),
        "ALTER TABLE things ADD CHECK (size > 0) NOT VALID, ADD COLUMN color text UNIQUE;",
    ],
    ids=["update", "block", "using", "default", "remade", "insert", "not valid"],
)
async def test_a_script_that_corrects_its_rows_runs(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, script: str
) -> None:
    """Where a script changes rows before a rule looks at them nothing is foreseen, and it is applied."""
    catalog = await pending(connection, server, folder, script)

    report = await kimbledb.migrate(database, catalog=catalog, allow_data_loss=True)

    assert [each.migration.name for each in report.applied] == ["more.sql"]


async def test_rows_that_an_earlier_step_makes_are_met_in_the_transaction(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Of rows that an earlier script puts in nothing is foreseen; the completion looks again, and leaves nothing."""
    folder.add(1, "kinds", "CREATE TABLE kinds (id integer PRIMARY KEY);\nINSERT INTO kinds VALUES (1);")
    folder.add(2, "things", "CREATE TABLE things (kind integer REFERENCES kinds);\nCREATE TABLE more (id integer);")
    catalog = await folder.declared(server)
    await connection.execute("CREATE TABLE things (kind integer); INSERT INTO things VALUES (1), (2), (3)")
    await kimbledb.adopt(database, catalog=catalog)

    assert (await kimbledb.plan(database, catalog=catalog)).step("things.sql").state is StepState.PARTIAL
    with pytest.raises(kimbledb.ConflictingObjectsError, match="2 rows of things") as caught:
        await kimbledb.migrate(database, catalog=catalog)

    assert [each.migration.name for each in caught.value.applied] == ["kinds.sql"]
    assert await connection.fetchval("SELECT to_regclass('more')") is None


async def test_rows_are_followed_through_the_steps_of_a_plan(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """What a step renames and adds, the next one meets: a key and a NOT NULL on a column that is not there now."""
    folder.add(
        1,
        "first",
        "CREATE TABLE bills (id integer PRIMARY KEY, sum integer DEFAULT 7, note text);\nCREATE TABLE a (id integer);",
    )
    folder.add(
        2, "second", "ALTER TABLE bills RENAME TO invoices;\nCREATE TABLE b (id integer);\nCREATE TABLE c (id integer);"
    )
    folder.add(
        3,
        "third",
        "ALTER TABLE invoices ADD UNIQUE (sum), ALTER COLUMN sum SET NOT NULL, ALTER COLUMN note SET NOT NULL;\nCREATE TABLE d (id integer);\nCREATE TABLE e (id integer);",
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE bills (id integer PRIMARY KEY); CREATE TABLE b (id integer); CREATE TABLE d (id integer);"
        " INSERT INTO bills VALUES (1), (2)"
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("third.sql")

    assert step.completion is not None
    [conflict] = step.completion.conflicts
    assert conflict.startswith("2 rows of invoices (sum) with the values of another row")
    assert step.completion.left == {("column", "invoices.note"): "it may be NULL: some row has NULL there"}


async def test_a_fill_that_leaves_null_leaves_the_column_nullable(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A column is NOT NULL only if no row has NULL there once it is filled."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer, a integer NOT NULL, b integer NOT NULL, c integer NOT NULL, d integer);",
        facts='[fills]\n"things.a" = "coalesce(a, d)"\n"things.b" = "coalesce(d, 0)"\n"things.c" = "d + 1"',
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer, a integer, d integer); INSERT INTO things VALUES (1, 1, 1), (2, NULL, NULL)"
    )
    await kimbledb.adopt(database, catalog=catalog)

    report = await kimbledb.migrate(database, catalog=catalog)

    assert len(report.applied) == 1
    nullable = "SELECT column_name FROM information_schema.columns WHERE table_name = 'things' AND is_nullable = 'YES' ORDER BY 1"
    assert [row[0] for row in await connection.fetch(nullable)] == ["a", "c", "d", "id"]
    assert [tuple(row) for row in await connection.fetch("SELECT a, b, c FROM things ORDER BY id")] == [
        (1, 1, 2),
        (None, 0, None),
    ]


@pytest.fixture
async def role(connection: asyncpg.Connection) -> AsyncIterator[str]:
    """A role that may log in, and nothing else. Its password is its name."""
    name = f"keys_{secrets.token_hex(4)}"
    await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    yield name
    await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("begun", [True, False])
async def test_a_role_that_may_not_read_is_told_that_it_is_decided_later(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, role: str, begun: bool
) -> None:
    """Who may not read a table gets a plan, which says what is decided only when it runs."""
    script = "ALTER TABLE things ADD CHECK (size > 0), ALTER COLUMN kind SET NOT NULL;\nCREATE TABLE more (id integer);\nCREATE TABLE others (id integer);"
    catalog = await pending(connection, server, folder, script)
    if begun:
        await connection.execute("CREATE TABLE more (id integer)")
    await connection.execute(f"GRANT SELECT ON migration_history, migration_log TO {role}")

    step = (await kimbledb.plan(as_role(database, role), catalog=catalog)).step("more.sql")

    said = step.reason if step.completion is None else "\n".join(step.completion.notes)
    assert "constraint things.things_size_check" in said
    assert "is decided when it runs: this role may not read the tables" in said
    assert step.state is (StepState.PARTIAL if begun else StepState.PENDING)


async def test_nothing_of_a_stranger_is_called_to_look_at_rows(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, role: str
) -> None:
    """Where a stranger's operator would fit better than the server's, no query of ours compares by it."""
    folder.add(1, "tables", "CREATE TABLE a (id text PRIMARY KEY);\nCREATE TABLE b (a varchar);")
    folder.add(2, "key", "ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a;")
    catalog = await folder.declared(server)
    await kimbledb.migrate(connection, catalog=catalog, to=1)
    await connection.execute(
        f"INSERT INTO a VALUES ('x'); INSERT INTO b VALUES ('x'), ('y'); GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role};"
        " CREATE FUNCTION same(text, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;"
        " CREATE OPERATOR = (LEFTARG = text, RIGHTARG = varchar, FUNCTION = same); RESET ROLE"
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("key.sql")
    await connection.execute(f"DROP OWNED BY {role}")
    later = (await kimbledb.plan(database, catalog=catalog)).step("key.sql")

    assert step.state is StepState.PENDING
    assert "is decided when it runs: strangers own objects in the schema, which a query could call" in step.reason
    assert "1 row of b (a) without a row of a (id)" in later.reason


async def test_rows_that_policies_hide_from_their_owner_are_decided_when_it_runs(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, role: str
) -> None:
    """The owner of a table with forced policies cannot count its rows, and the server proves the rule."""
    folder.add(1, "things", "CREATE TABLE things (id integer, size integer);")
    folder.add(2, "more", "ALTER TABLE things ADD CHECK (size > 0);\nCREATE TABLE more (id integer);")
    catalog = await folder.declared(server)
    await connection.execute(
        f"GRANT CREATE ON DATABASE {database.rpartition('/')[2]} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    )
    owner = as_role(database, role)
    await kimbledb.migrate(owner, catalog=catalog, to=1)
    await connection.execute(
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY; ALTER TABLE things FORCE ROW LEVEL SECURITY;"
        f" INSERT INTO things VALUES (1, -1); SET ROLE {role}; CREATE TABLE more (id integer); RESET ROLE"
    )

    step = (await kimbledb.plan(owner, catalog=catalog)).step("more.sql")
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(owner, catalog=catalog)

    assert step.completion is not None
    assert "this role may not read the tables" in "\n".join(step.completion.notes)
    assert caught.value.sqlstate == "23514"


async def test_what_stands_already_is_asked_of_rows_that_are_filled_and_converted(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """A fill or a conversion that makes rows break a key or a check of another hand is found before it runs."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer, name text, code text, at timestamptz, more text);",
        facts='[fills]\n"things.name" = "lower(name)"\n"things.code" = "coalesce(code, \'none\')"',
    )
    catalog = await folder.declared(server)
    await connection.execute(
        "CREATE TABLE things (id integer, name text UNIQUE, code text CHECK (code <> 'none'), at text, UNIQUE (at, id));"
        " INSERT INTO things VALUES (1, 'a', 'x', '2025-01-01 10:00'), (1, 'A', NULL, '2025-01-01T10:00'), (3, 'b', 'y', NULL)"
    )

    step = (await kimbledb.plan(database, catalog=catalog)).step("things.sql")

    assert step.completion is not None
    assert sorted(each.partition(", listed")[0] for each in step.completion.conflicts) == [
        "1 row of things (code) with values that it refuses, against constraint things.things_code_check",
        "2 rows of things (at, id) with the values of another row, against constraint things.things_at_id_key",
        "2 rows of things (name) with the values of another row, against constraint things.things_name_key",
    ]


async def test_rows_of_a_large_table_are_not_compared_each_with_each(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """An exclusion without an equality is asked of 2,000 rows, and of 2,001 decided when it runs."""
    folder.add(1, "times", "CREATE TABLE times (r int8range);")
    folder.add(2, "apart", "ALTER TABLE times ADD CONSTRAINT apart EXCLUDE USING gist (r WITH &&);")
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to=1)
    # The last one overlaps the one before it.
    await connection.execute(
        "INSERT INTO times SELECT int8range(n, n + CASE n WHEN 1999 THEN 2 ELSE 1 END) FROM generate_series(1, 2000) AS n"
    )

    few = (await kimbledb.plan(database, catalog=catalog)).step("apart.sql")
    await connection.execute("INSERT INTO times VALUES ('[9001,9002)')")
    many = (await kimbledb.plan(database, catalog=catalog)).step("apart.sql")

    assert "2 rows of times (r) that another row excludes, against constraint times.apart" in few.reason
    assert many.state is StepState.PENDING
    assert many.reason.endswith("is decided when it runs: the table has too many rows to compare each with each")


@pytest.mark.parametrize("begun", [True, False])
async def test_the_query_reads_as_a_person_runs_it_in_the_target_schema(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder, begun: bool
) -> None:
    """Names of the target schema stand alone in the query, and those of a schema that migrations reach with it."""
    folder.add(
        1,
        "things",
        "CREATE TABLE things (id integer PRIMARY KEY, person integer);\nCREATE SCHEMA auth;\nCREATE TABLE auth.users (id integer PRIMARY KEY);",
        facts='reaches = ["auth.*"]',
    )
    folder.add(
        2,
        "key",
        "ALTER TABLE things ADD FOREIGN KEY (person) REFERENCES auth.users;\nCREATE TABLE a (id integer);\nCREATE TABLE b (id integer);",
        facts='reaches = ["auth.users"]',
    )
    catalog = await folder.declared(server)
    await connection.execute(
        'CREATE SCHEMA "My App"; SET search_path = "My App"; CREATE TABLE public.things (id integer)'
    )
    await kimbledb.migrate(database, catalog=catalog, schema="My App", to=1)
    await connection.execute("INSERT INTO auth.users VALUES (1); INSERT INTO things VALUES (1, 1), (2, 2), (3, NULL)")
    if begun:
        await connection.execute("CREATE TABLE a (id integer)")

    step = (await kimbledb.plan(database, catalog=catalog, schema="My App")).step("key.sql")

    assert "1 row of things (person) without a row of auth.users (id)" in step.reason
    query = step.reason.partition("listed by: ")[2]
    assert [row["id"] for row in await connection.fetch(query)] == [2]


async def test_a_plan_does_not_wait_for_rows_beyond_the_statement_timeout(
    database: str, connection: asyncpg.Connection, server: str, folder: Folder
) -> None:
    """Where rows take too long to look at the plan says so, and is made without them."""
    catalog = await pending(
        connection, server, folder, "ALTER TABLE things ADD CONSTRAINT slow CHECK (pg_sleep(id * 20) IS NOT NULL);"
    )

    options = kimbledb.Options(statement_timeout=2)
    step = (await kimbledb.plan(database, catalog=catalog, options=options)).step("more.sql")

    assert step.state is StepState.PENDING
    assert step.reason.endswith(
        "whether rows break constraint things.slow is decided when it runs:"
        " to look at the rows takes longer than Options.statement_timeout"
    )
