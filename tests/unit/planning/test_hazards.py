from __future__ import annotations

import pytest

import kimbledb
from kimbledb.model.hazard import HAZARDS
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.script import Script
from kimbledb.planning.hazards import Tables, hazards_of
from kimbledb.planning.refused_plans import refuse_hazards

ORDERS = {
    "rows": 1_000_000,
    "filled": True,
    "bytes": 300 * 1024 * 1024,
    "columns": {
        "id": ["bigint", True],
        "note": ["character varying(20)", False],
        "price": ["numeric(10,2)", False],
        "Odd Name": ["integer", False],
    },
    "constraints": ["orders_pkey", "orders_person"],
}
EMPTY = {**ORDERS, "rows": 0, "filled": False, "bytes": 8192}
TABLES = Tables("shop", {"orders": ORDERS, "empty": EMPTY, "My Orders": ORDERS}, {"orders_note": "orders"})

LOCK, REWRITE, INDEX, VALIDATION, ROWS = HAZARDS


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE orders ADD COLUMN c text", [LOCK]),
        ("ALTER TABLE orders ADD COLUMN c timestamptz NOT NULL DEFAULT now()", [LOCK]),
        ("ALTER TABLE orders ADD c uuid DEFAULT gen_random_uuid()", [LOCK, REWRITE]),
        ("ALTER TABLE orders ADD c numeric GENERATED ALWAYS AS (price * 2) STORED", [LOCK, REWRITE]),
        ("ALTER TABLE orders ADD c timestamptz DEFAULT clock_timestamp()", [LOCK, REWRITE]),
        ("ALTER TABLE orders ADD c bigint DEFAULT nextval('s')", [LOCK, REWRITE]),
        ("ALTER TABLE orders ADD c bigserial", [LOCK, REWRITE]),
        ("ALTER TABLE orders ADD COLUMN IF NOT EXISTS note _int4 DEFAULT ARRAY[1,2]", []),
        ("ALTER TABLE orders ADD COLUMN IF NOT EXISTS price numeric(10,2) DEFAULT 0", []),
        ("ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text", []),
        ("alter table only shop.orders alter id type integer using id::integer", [LOCK, REWRITE]),
        ("ALTER TABLE orders ALTER COLUMN note TYPE text", [LOCK]),
        ("ALTER TABLE orders ALTER COLUMN note TYPE integer USING note::integer", [LOCK, REWRITE]),
        ("ALTER TABLE orders ALTER COLUMN price TYPE text", [LOCK, REWRITE]),
        ("ALTER TABLE orders ALTER COLUMN gone TYPE text", []),
        ("ALTER TABLE orders ALTER COLUMN gone SET NOT NULL", []),
        ("ALTER TABLE orders ALTER price TYPE numeric(10,2), DROP COLUMN note", [LOCK, ROWS]),
        ("ALTER TABLE orders ALTER note SET DATA TYPE varchar(20)", []),
        ("ALTER TABLE orders ALTER price TYPE decimal( 10, 2 )", []),
        ('ALTER TABLE orders ALTER COLUMN "Odd Name" TYPE int8', [LOCK, REWRITE]),
        ("ALTER TABLE orders ALTER note SET NOT NULL, ALTER id SET NOT NULL", [LOCK, VALIDATION]),
        ("ALTER TABLE orders ALTER id SET NOT NULL", []),
        ("ALTER TABLE orders ADD CONSTRAINT c CHECK (price > 0)", [LOCK, VALIDATION]),
        ("ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES people", [LOCK, VALIDATION]),
        ("ALTER TABLE orders ADD CONSTRAINT c FOREIGN KEY (note) REFERENCES people NOT VALID", [LOCK]),
        ("ALTER TABLE orders VALIDATE CONSTRAINT orders_person", []),
        ("ALTER TABLE orders ADD CONSTRAINT orders_person CHECK (true)", []),
        ("ALTER TABLE orders ADD UNIQUE (note)", [LOCK, INDEX]),
        ("ALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX i", [LOCK]),
        ("ALTER TABLE orders DROP COLUMN IF EXISTS note", [LOCK, ROWS]),
        ("ALTER TABLE orders DROP COLUMN IF EXISTS gone", []),
        ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", [LOCK]),
        ("ALTER TABLE orders SET (fillfactor = 70)", []),
        ("CREATE INDEX ON orders (note)", [INDEX]),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY orders USING btree (note)", [INDEX]),
        ("CREATE INDEX IF NOT EXISTS orders_note ON orders (note)", []),
        ("CREATE INDEX CONCURRENTLY i ON orders (note)", []),
        ("DROP INDEX IF EXISTS orders_note", [LOCK]),
        ("DROP INDEX CONCURRENTLY orders_note", []),
        ("DROP TABLE IF EXISTS orders", [LOCK, ROWS]),
        ("TRUNCATE orders", [LOCK, ROWS]),
        ("DELETE FROM orders WHERE id < 5", [ROWS]),
        ("DROP TABLE empty, orders", [LOCK, ROWS]),
        ('DROP TABLE IF EXISTS gone , shop."My Orders" CASCADE', [LOCK, ROWS]),
        ("DROP TABLE other.orders, empty", []),
        ("DROP MATERIALIZED VIEW empty, orders", [LOCK, ROWS]),
        ("TRUNCATE TABLE empty *, ONLY orders RESTART IDENTITY", [LOCK, ROWS]),
        ("DROP INDEX gone, orders_note", [LOCK]),
        ("WITH gone AS (DELETE FROM orders RETURNING *) INSERT INTO empty SELECT * FROM gone", [ROWS]),
        ("INSERT INTO empty WITH x AS (DELETE FROM ONLY shop.orders RETURNING *) SELECT * FROM x", [ROWS]),
        ("(WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x)", [ROWS]),
        ("EXPLAIN ANALYZE DELETE FROM orders", [ROWS]),
        ("PREPARE p AS DELETE FROM orders", [ROWS]),
        ("MERGE INTO orders AS o USING empty AS e ON o.id = e.id WHEN MATCHED THEN DELETE", [ROWS]),
        ("MERGE INTO orders AS o USING empty AS e ON o.id = e.id WHEN MATCHED THEN DO NOTHING", []),
        ("MERGE INTO empty AS o USING orders AS e ON o.id = e.id WHEN MATCHED THEN DELETE", []),
        ("CREATE RULE r AS ON INSERT TO empty DO ALSO DELETE FROM orders", []),
        ("DROP SCHEMA shop CASCADE", [LOCK, ROWS, LOCK, ROWS]),
        ("DROP SCHEMA IF EXISTS gone, shop CASCADE", [LOCK, ROWS, LOCK, ROWS]),
        ("DROP SCHEMA other CASCADE", []),
        ("DROP OWNED BY somebody", [LOCK, ROWS, LOCK, ROWS]),
        ("LOCK TABLE empty, orders IN ACCESS EXCLUSIVE MODE", [LOCK]),
        ("LOCK empty, orders", [LOCK]),
        ("LOCK TABLE orders IN SHARE MODE", []),
        ("VACUUM FULL empty, orders", [LOCK, REWRITE]),
        ("VACUUM (ANALYZE, FULL) orders", [LOCK, REWRITE]),
        ("CLUSTER orders USING orders_note", [LOCK, REWRITE]),
        ("REINDEX TABLE orders", [LOCK, INDEX]),
        ("REINDEX INDEX orders_note", [LOCK, INDEX]),
        ("REINDEX TABLE CONCURRENTLY orders", []),
        ("REINDEX (CONCURRENTLY) TABLE orders", []),
        ("ALTER TABLE orders SET UNLOGGED", [LOCK, REWRITE]),
        ("ALTER TABLE orders SET ACCESS METHOD heap", [LOCK, REWRITE]),
        ("CREATE POLICY p ON orders USING (true)", [LOCK]),
        ("DROP TRIGGER IF EXISTS t ON orders", [LOCK]),
        ("CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()", []),
        ('/* DROP TABLE orders; */ ALTER TABLE -- here\n "My Orders" ADD c text', [LOCK]),
        ("SELECT 'DROP TABLE orders'; COMMENT ON TABLE orders IS 'DELETE FROM orders'", []),
        ("ALTER TABLE empty ALTER id TYPE integer; CREATE INDEX ON empty (id); DELETE FROM empty", []),
        ("CREATE TABLE fresh (id integer); CREATE INDEX ON fresh (id); ALTER TABLE fresh ADD c text", []),
        ("ALTER TABLE other.orders ADD c text; CREATE INDEX ON other.orders (c)", []),
        ("INSERT INTO orders VALUES (1); UPDATE orders SET note = 'x'", []),
    ],
)
def test_hazards_of_a_script(sql: str, expected: list[str]) -> None:
    """Of each statement: what it does to a table that is there and holds rows, and silence where it does nothing."""
    migration = Migration(name="a.sql", number=1, apply_sql=sql)

    assert sorted(each.name for each in hazards_of(migration, TABLES)) == sorted(expected)


def test_a_hazard_has_its_place() -> None:
    """Each hazard is told with the script and the line of its statement, of a part of a file, too."""
    migration = Migration(
        name="a.sql",
        number=1,
        location="db/01_a",
        online_sql="SELECT 1;\nALTER TABLE orders ADD c text;",
        apply_sql=Script("db/a.sql", "-- one\n\nCREATE INDEX ON\n  orders (note);\nDELETE FROM orders;", first_line=10),
    )

    found = hazards_of(migration, TABLES, online=True)

    assert [(each.name, each.file, each.line) for each in found] == [
        (LOCK, "db/01_a/online.sql", 2),
        (INDEX, "db/a.sql", 12),
        (ROWS, "db/a.sql", 14),
    ]
    assert ") at db/a.sql:12: CREATE INDEX ON orders" in str(found[1])


def test_a_repair_rewrites_tables_of_other_types() -> None:
    """A repair would rewrite the tables whose columns have another type than it expects."""
    expects = {"orders.id": "text", "orders.price": "numeric(10,2)", "gone.id": "text"}
    migration = Migration(name="a.sql", number=1, expects=expects)

    found = hazards_of(migration, TABLES)

    assert [each.name for each in found] == [LOCK, REWRITE]
    assert "id from bigint to text" in found[1].reason


def test_shown_and_refused() -> None:
    """A hazard shows the table's size and the cure, in the plan and in the refusal."""
    migration = Migration(name="a.sql", number=1, apply_sql="CREATE INDEX ON orders (note)")
    step = Step(migration, StepState.PENDING, "why", hazards=hazards_of(migration, TABLES))
    plan = Plan((step,))

    assert "hazard: index_build on orders (about 1,000,000 rows, 300 MB)" in str(plan)
    assert "index_build on orders" in plan._repr_html_()
    refuse_hazards(plan, ["table_rewrite"])
    with pytest.raises(kimbledb.HazardError, match="CONCURRENTLY") as caught:
        refuse_hazards(plan, ["index_build"])
    assert [(name, hazard.table) for name, hazard in caught.value.hazards] == [("a.sql", "orders")]


def test_names_are_checked() -> None:
    """A name that is no hazard's is a wrong call."""
    assert kimbledb.Options(refuse_hazards=["table_rewrite"]).refuse_hazards == ("table_rewrite",)
    with pytest.raises(kimbledb.ConfigurationError, match="'rewrite'") as caught:
        kimbledb.Options(refuse_hazards=("rewrite",))
    assert "table_rewrite" in (caught.value.hint or "")
