"""The proof by looking up: what a migration declares is there, valid and owned, in the transaction that applies it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder

ORDERS = """
CREATE TABLE orders (
    id integer PRIMARY KEY,
    total numeric(12, 2) NOT NULL DEFAULT 0 CHECK (total >= 0)
);
CREATE INDEX orders_total ON orders (total) WHERE total > 0;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER orders_stamp BEFORE UPDATE ON orders FOR EACH ROW WHEN (old.total > 0) EXECUTE FUNCTION stamp();
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON orders USING (total > 0);
CREATE VIEW large AS SELECT id FROM orders WHERE total > 100;
"""


#: Objects of other kinds, and names that need quotes.
NOTES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE "Notes" (id bigint GENERATED ALWAYS AS IDENTITY, text text DEFAULT 'a' || 'b', mood mood);
CREATE INDEX "Notes by length" ON "Notes" (length(text));
CREATE SEQUENCE numbers;
COMMENT ON TABLE "Notes" IS 'what is noted';
GRANT SELECT ON "Notes" TO PUBLIC;
"""


async def failing(database: str, folder: Folder) -> kimbledb.VerificationError:
    """Return the error with which the folder's migrations are refused; nothing may be left of the one that failed."""
    with pytest.raises(kimbledb.VerificationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert caught.value.failed is not None
    assert await sql(
        database,
        "SELECT coalesce(bool_and(NOT success), true) FROM migration_history WHERE migration_name = $1",
        caught.value.failed.name,
    )
    return caught.value


def edit(folder: Path, *pairs: tuple[str, str]) -> None:
    """Change texts of a declared.toml, as no recorder would have written it."""
    file = folder / "declared.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def rebind(folder: Folder, made: Path, script: str) -> None:
    """Give a migration another script, and bind its declarations, which are of the earlier one, to that script."""
    name = f"{made.name.partition('_')[2]}.sql"
    before = folder.catalog[name].checksum
    (made / "apply.sql").write_text(script, encoding="utf-8")
    edit(made, (before, folder.catalog[name].checksum))


async def test_what_is_declared_is_found(database: str, server: str, folder: Folder) -> None:
    """A migration with objects of many kinds passes, and no check of its own is needed."""
    folder.add(1, "orders", ORDERS)
    await kimbledb.declare(folder.path, server=server)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1


async def test_a_missing_object_is_named_with_the_statement_that_should_have_made_it(
    database: str, server: str, folder: Folder
) -> None:
    """The error names the object, the file and the line of its statement, and the transaction is rolled back."""
    made = folder.add(1, "orders", ORDERS)
    await kimbledb.declare(folder.path, server=server)
    rebind(folder, made, ORDERS.replace("total", "amount"))

    error = await failing(database, folder)

    assert (error.file or "").endswith("01_orders/apply.sql")
    found = {check.name: check for check in error.checks}
    assert found["column orders.total"].line == 2
    assert found["column orders.total"].found == "missing"
    assert found["index orders_total"].line == 6
    assert "kimbledb declare" in (found["column orders.total"].hint or "")
    assert await sql(database, "SELECT to_regclass('orders') IS NULL")


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("index orders_total", "DROP INDEX orders_total"),
        ("function stamp()", "DROP TRIGGER orders_stamp ON orders; DROP FUNCTION stamp()"),
        ("trigger orders.orders_stamp", "DROP TRIGGER orders_stamp ON orders"),
        ("policy orders.everybody", "DROP POLICY everybody ON orders"),
        ("view large", "DROP VIEW large"),
        ("constraint orders.orders_total_check", "ALTER TABLE orders DROP CONSTRAINT orders_total_check"),
    ],
)
async def test_each_kind_is_looked_up(database: str, server: str, folder: Folder, kind: str, gone: str) -> None:
    """An object of each kind that its own script drops again is found to be missing, among migrations of other kinds."""
    made = folder.add(1, "orders", ORDERS)
    folder.add(2, "notes", NOTES)
    await kimbledb.declare(folder.path, server=server)
    rebind(folder, made, f"{ORDERS}{gone};\n")

    error = await failing(database, folder)

    assert kind in {check.name for check in error.checks if check.found == "missing"}


async def test_the_forms_are_the_same_in_company(server: str, folder: Folder) -> None:
    """History keeps the same forms of what several migrations of one message made as of what each made alone."""
    folder.add(1, "orders", ORDERS)
    folder.add(2, "notes", NOTES)
    await kimbledb.declare(folder.path, server=server)
    forms = "SELECT jsonb_object_agg(migration_name, forms->'forms') FROM migration_history"

    async with fresh_database(server) as together, fresh_database(server) as alone:
        await kimbledb.migrate(together, catalog=folder.catalog)
        for number in (1, 2):
            await kimbledb.migrate(alone, catalog=folder.catalog, to=number)

        found = await sql(together, forms)
        assert found == await sql(alone, forms)
        assert "index orders_total" in found
        assert 'index \\"Notes by length\\"' in found


async def test_an_object_that_should_be_gone_is_named(database: str, server: str, folder: Folder) -> None:
    """A declared drop that did not happen fails the migration, at the line of the statement."""
    folder.add(1, "orders", ORDERS)
    made = folder.add(2, "tidy", "-- Not needed any more.\nDROP VIEW large;\n", facts='requires = ["orders.sql"]')
    await kimbledb.declare(folder.path, server=server)
    rebind(folder, made, "SELECT 1;\nSELECT 2;\n")

    error = await failing(database, folder)

    check = next(check for check in error.checks if check.name == "view large")
    assert (check.found, check.line) == ("still exists", 2)
    assert [step.migration.name for step in error.applied] == ["orders.sql"]


@pytest.mark.parametrize(
    ("name", "spoil", "found"),
    [
        (
            "constraint orders.positive",
            "ALTER TABLE orders DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (total > 0) NOT VALID",
            "not valid",
        ),
        ("trigger orders.orders_stamp", "ALTER TABLE orders DISABLE TRIGGER orders_stamp", "disabled"),
        ("table orders", "ALTER TABLE orders OWNER TO proof_stranger", "belongs to proof_stranger"),
        ("function stamp()", "ALTER FUNCTION stamp() OWNER TO proof_stranger", "belongs to proof_stranger"),
        (
            "index parts_total",
            "DROP INDEX parts_total; CREATE INDEX parts_total ON ONLY parts (total)",
            "an index that is not valid",
        ),
        (
            "privilege table orders to proof_reader",
            "REVOKE INSERT ON orders FROM proof_reader",
            "not granted: insert",
        ),
    ],
)
async def test_an_object_that_is_not_what_it_must_be_is_found(
    database: str, server: str, folder: Folder, name: str, spoil: str, found: str
) -> None:
    """An index or a constraint that is not valid, a disabled trigger, another owner and a missing grant are each found."""
    for role in ("proof_stranger", "proof_reader"):
        await sql(server, f"DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    script = (
        f"{ORDERS}ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0);\n"
        "CREATE TABLE parts (total integer) PARTITION BY LIST (total);\n"
        "CREATE TABLE parts_one PARTITION OF parts FOR VALUES IN (1);\n"
        "CREATE INDEX parts_total ON parts (total);\n"
        "GRANT SELECT, INSERT ON orders TO proof_reader;\n"
    )
    made = folder.add(1, "orders", script)
    await kimbledb.declare(folder.path, server=server)
    rebind(folder, made, f"{script}{spoil};\n")

    error = await failing(database, folder)

    check = next(check for check in error.checks if check.name == name)
    assert found in (check.found or "")
    assert check.hint


async def test_declared_exceptions_pass(database: str, server: str, folder: Folder) -> None:
    """A constraint that is declared NOT VALID, a trigger declared as disabled and an index ON ONLY are as declared."""
    folder.add(
        1,
        "orders",
        f"{ORDERS}ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;\n"
        "ALTER TABLE orders DISABLE TRIGGER orders_stamp;\n"
        "CREATE TABLE parts (total integer) PARTITION BY LIST (total);\n"
        "CREATE TABLE parts_one PARTITION OF parts FOR VALUES IN (1);\n"
        "CREATE INDEX parts_total ON ONLY parts (total);\n",
    )
    await kimbledb.declare(folder.path, server=server)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1


async def test_names_that_need_quotes_are_looked_up(database: str, server: str, folder: Folder) -> None:
    """Objects are found under names with capitals, dots, quotes, spaces and keywords."""
    folder.add(
        1,
        "odd",
        'CREATE TABLE "Odd.Table" ("select" integer PRIMARY KEY, "a ""b""" text DEFAULT \'x\', plain text CHECK (plain > \'\'));\n'
        'CREATE INDEX "Odd Index" ON "Odd.Table" (lower("a ""b"""));\n'
        "CREATE TYPE \"Mood\" AS ENUM ('a');\n"
        'CREATE FUNCTION "Do It"("Mood", integer DEFAULT 1) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1; END;\n'
        'CREATE VIEW "order" AS SELECT "select" FROM "Odd.Table";\n'
        "CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);\n",
    )
    await kimbledb.declare(folder.path, server=server)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1


async def test_another_schema_than_public(database: str, server: str, folder: Folder) -> None:
    """The objects are looked up in the target schema and nowhere else."""
    made = folder.add(1, "orders", ORDERS)
    await kimbledb.declare(folder.path, server=server)
    await kimbledb.migrate(database, catalog=folder.catalog)

    assert (await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant one")).applied
    rebind(folder, made, f"{ORDERS}DROP VIEW large;\n")
    with pytest.raises(kimbledb.VerificationError, match="view large"):
        await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant two")


async def test_without_verification_nothing_is_looked_up(database: str, server: str, folder: Folder) -> None:
    """With ``verify=False`` a false declaration stops nothing."""
    made = folder.add(1, "orders", ORDERS)
    await kimbledb.declare(folder.path, server=server)
    rebind(folder, made, f"{ORDERS}DROP VIEW large;\n")

    report = await kimbledb.migrate(database, catalog=folder.catalog, verify=False)

    assert len(report.applied) == 1


async def test_declarations_that_are_outdated_prove_nothing(database: str, server: str, folder: Folder) -> None:
    """A script that was edited after it was declared has only its verify.sql."""
    made = folder.add(1, "orders", ORDERS)
    await kimbledb.declare(folder.path, server=server)
    (made / "apply.sql").write_text(f"{ORDERS}DROP VIEW large;\n", encoding="utf-8")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1


async def test_a_script_outside_of_a_transaction_is_proved(database: str, server: str, folder: Folder) -> None:
    """What a script with CONCURRENTLY made is looked up before its history row is written."""
    folder.add(1, "orders", ORDERS)
    script = "CREATE INDEX CONCURRENTLY orders_id_total ON orders (id, total) WHERE id > 0;\n"
    made = folder.add(2, "more", script, facts='requires = ["orders.sql"]\ntransactional = false')
    await kimbledb.declare(folder.path, server=server)
    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 2

    edit(made, ('"index orders_id_total"', '"index orders_total_id"'))
    await sql(database, "DELETE FROM migration_history WHERE migration_name = 'more.sql'")
    await sql(database, "DROP INDEX orders_id_total")
    error = await failing(database, folder)

    assert "index orders_total_id" in {check.name for check in error.checks}
