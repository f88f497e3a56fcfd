"""A hundred changes beside one query each: fifty that break the query of the version before, and fifty that do not.

``@`` is the number of the case, ``~`` the role of the application. A case is what is there before, the migration, the
query, and a part of the reason, or None where the migration is harmless.
"""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A migration beside a query of the application of before."""

    before: str
    migration: str
    query: str
    #: A part of the reason why the query breaks, or None.
    reason: str | None = None


T = "CREATE TABLE t@ (id integer PRIMARY KEY, name text, state text, amount numeric(10, 2), active boolean);"
ROLE = f"{T} GRANT SELECT, INSERT, UPDATE, DELETE ON t@ TO ~;"
REFUSES = "CREATE FUNCTION f@() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;"
LOWERS = "CREATE FUNCTION f@() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = 'low'; RETURN NEW; END $$;"
INSERT = "INSERT INTO t@ (id, name) VALUES ($1, $2)"
ENUM = "CREATE TYPE mood@ AS ENUM ('ok', 'sad'); CREATE TABLE t@ (id integer PRIMARY KEY, mood mood@);"
WITH_STATE = "CREATE TABLE t@ (id integer PRIMARY KEY, state text NOT NULL DEFAULT 'new');"
CHECKED = "CREATE TABLE t@ (id integer PRIMARY KEY, state text CONSTRAINT c@ CHECK (state IN ('draft', 'open')));"
FAMILY = (
    "CREATE TABLE p@ (id integer PRIMARY KEY); "
    "CREATE TABLE t@ (id integer PRIMARY KEY, p integer NOT NULL CONSTRAINT k@ REFERENCES p@ ON DELETE CASCADE);"
)
POLICY = f"{ROLE} ALTER TABLE t@ ENABLE ROW LEVEL SECURITY; CREATE POLICY p@ ON t@ TO ~ USING (true);"

BREAKING = [
    # Renamed, moved, dropped.
    Change(T, "ALTER TABLE t@ RENAME COLUMN name TO title;", "SELECT name FROM t@ WHERE id = $1", "does not exist"),
    Change(T, "ALTER TABLE t@ RENAME COLUMN name TO title;", INSERT, "does not exist"),
    Change(T, "ALTER TABLE t@ RENAME TO u@;", "SELECT id FROM t@", "does not exist"),
    Change(T, "ALTER TABLE t@ DROP COLUMN state;", "UPDATE t@ SET state = :state WHERE id = :id", "does not exist"),
    Change(T, "DROP TABLE t@;", "DELETE FROM t@ WHERE id = %s", "does not exist"),
    Change(T, "CREATE SCHEMA home@; ALTER TABLE t@ SET SCHEMA home@;", "SELECT count(*) FROM t@", "does not exist"),
    Change("CREATE SEQUENCE s@;", "ALTER SEQUENCE s@ RENAME TO r@;", "SELECT nextval('s@')", "does not exist"),
    Change(ENUM, "ALTER TYPE mood@ RENAME TO moods@;", "SELECT id FROM t@ WHERE mood = $1::mood@", "does not exist"),
    Change(f"{T} CREATE VIEW v@ AS SELECT id FROM t@;", "DROP VIEW v@;", "SELECT id FROM v@", "does not exist"),
    Change(
        f"{T} CREATE MATERIALIZED VIEW v@ AS SELECT id FROM t@;", "DROP MATERIALIZED VIEW v@;", "TABLE v@", "not exist"
    ),
    Change(
        "CREATE PROCEDURE p@(n integer) LANGUAGE sql AS 'SELECT n';", "DROP PROCEDURE p@;", "CALL p@($1)", "not exist"
    ),
    Change(
        f"{T} CREATE UNIQUE INDEX u@ ON t@ (name);",
        "DROP INDEX u@;",
        "INSERT INTO t@ (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        "ON CONFLICT",
    ),
    # Other columns and types.
    Change(T, "ALTER TABLE t@ ADD COLUMN more text;", "SELECT * FROM t@", "column more text is new"),
    Change(
        T,
        "ALTER TABLE t@ DROP COLUMN name, DROP COLUMN state; ALTER TABLE t@ ADD COLUMN state text, ADD COLUMN name text;",
        "SELECT * FROM t@",
        "another order",
    ),
    Change(T, "ALTER TABLE t@ ALTER COLUMN id TYPE bigint;", "SELECT id FROM t@", "id changes from int4 to int8"),
    Change(
        T, "ALTER TABLE t@ ALTER COLUMN amount TYPE float8;", "SELECT sum(amount) FROM t@", "from numeric to float8"
    ),
    Change(
        "CREATE TABLE t@ (id integer, at timestamp);",
        "ALTER TABLE t@ ALTER COLUMN at TYPE timestamptz;",
        "SELECT max(at) AS last FROM t@",
        "from timestamp to timestamptz",
    ),
    Change(
        "CREATE TABLE t@ (id text PRIMARY KEY, n integer);",
        "ALTER TABLE t@ ALTER COLUMN id TYPE uuid USING id::uuid;",
        "SELECT n FROM t@ WHERE id = $1",
        "",
    ),
    Change(
        T,
        "ALTER TABLE t@ ALTER COLUMN name TYPE integer USING name::integer;",
        "UPDATE t@ SET name = $1",
        "",
    ),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, name varchar(100));",
        "ALTER TABLE t@ ALTER COLUMN name TYPE varchar(10);",
        INSERT,
        "too long",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id, name FROM t@;",
        "DROP VIEW v@; CREATE VIEW v@ AS SELECT id, name::varchar(5)::bytea AS name FROM t@;",
        "SELECT name FROM v@",
        "from text to bytea",
    ),
    Change(
        "CREATE TABLE t@ (a integer, b text);",
        "DROP TABLE t@; CREATE TABLE t@ (b text, a integer);",
        "INSERT INTO t@ VALUES (1, 'x')",
        "invalid input syntax",
    ),
    # NOT NULL.
    Change(T, "ALTER TABLE t@ ADD COLUMN must integer NOT NULL;", INSERT, 'column "must"'),
    Change(
        T,
        "ALTER TABLE t@ ADD COLUMN must integer NOT NULL DEFAULT 1; ALTER TABLE t@ ALTER COLUMN must DROP DEFAULT;",
        INSERT,
        'column "must"',
    ),
    Change(T, "ALTER TABLE t@ ALTER COLUMN state SET NOT NULL;", INSERT, 'column "state"'),
    Change(T, "ALTER TABLE t@ ALTER COLUMN name SET NOT NULL;", "UPDATE t@ SET name = NULL", 'column "name"'),
    Change(WITH_STATE, "ALTER TABLE t@ ALTER COLUMN state DROP DEFAULT;", "INSERT INTO t@ (id) VALUES (77)", "state"),
    # Defaults.
    Change(
        WITH_STATE,
        "ALTER TABLE t@ ALTER COLUMN state SET DEFAULT 'open';",
        "INSERT INTO t@ (id) VALUES ($1)",
        "other values in column t@.state",
    ),
    Change(
        WITH_STATE,
        "ALTER TABLE t@ ALTER COLUMN state SET DEFAULT 'open';",
        "INSERT INTO t@ (id) VALUES ($1) RETURNING state",
        "other values of state",
    ),
    # Rules.
    Change(
        CHECKED,
        "ALTER TABLE t@ DROP CONSTRAINT c@, ADD CONSTRAINT c@ CHECK (state IN ('open'));",
        "INSERT INTO t@ (id, state) VALUES ($1, 'draft')",
        "check constraint",
    ),
    Change(
        CHECKED,
        "ALTER TABLE t@ DROP CONSTRAINT c@, ADD CONSTRAINT c@ CHECK (state IN ('open')) NOT VALID;",
        "INSERT INTO t@ (id, state) VALUES ($1, $2)",
        "check constraint",
    ),
    Change(T, "ALTER TABLE t@ ADD CHECK (amount > 0);", "UPDATE t@ SET amount = 0", "check constraint"),
    Change(T, "ALTER TABLE t@ ADD UNIQUE (name);", INSERT, "unique"),
    Change(
        "CREATE TABLE p@ (id integer PRIMARY KEY); CREATE TABLE t@ (id integer PRIMARY KEY, p integer);",
        "ALTER TABLE t@ ADD FOREIGN KEY (p) REFERENCES p@;",
        "INSERT INTO t@ (id, p) VALUES ($1, $2)",
        "foreign key",
    ),
    Change(
        FAMILY,
        "ALTER TABLE t@ DROP CONSTRAINT k@, ADD CONSTRAINT k@ FOREIGN KEY (p) REFERENCES p@;",
        "DELETE FROM p@ WHERE id = $1",
        "foreign key",
    ),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, span int4range);",
        "ALTER TABLE t@ ADD EXCLUDE USING gist (span WITH &&);",
        "INSERT INTO t@ (id, span) VALUES ($1, $2)",
        "exclusion",
    ),
    Change(
        "CREATE DOMAIN d@ AS integer; CREATE TABLE t@ (id integer PRIMARY KEY, n d@);",
        "ALTER DOMAIN d@ ADD CHECK (VALUE > 5);",
        "UPDATE t@ SET n = 3",
        "domain",
    ),
    Change(
        T,
        "ALTER TABLE t@ DROP COLUMN state; ALTER TABLE t@ ADD COLUMN state text GENERATED ALWAYS AS (name) STORED;",
        "UPDATE t@ SET state = $1 WHERE id = $2",
        "only be updated to DEFAULT",
    ),
    Change(T, "ALTER TABLE t@ ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;", INSERT, "non-DEFAULT"),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, day date NOT NULL);",
        "DROP TABLE t@; CREATE TABLE t@ (id integer, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);",
        "INSERT INTO t@ (id, day) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        "ON CONFLICT",
    ),
    Change(ENUM, "ALTER TYPE mood@ RENAME VALUE 'sad' TO 'blue';", "SELECT id FROM t@ WHERE mood = $1", "enum"),
    Change(
        ENUM,
        "ALTER TYPE mood@ RENAME TO old@; CREATE TYPE mood@ AS ENUM ('ok'); "
        "ALTER TABLE t@ ALTER COLUMN mood TYPE mood@ USING mood::text::mood@; DROP TYPE old@;",
        "INSERT INTO t@ (id, mood) VALUES ($1, 'sad')",
        "enum",
    ),
    # Triggers, functions, views.
    Change(
        T,
        f"{REFUSES} CREATE TRIGGER g@ BEFORE DELETE ON t@ FOR EACH ROW EXECUTE FUNCTION f@();",
        "DELETE FROM t@",
        "P0001",
    ),
    Change(
        T,
        f"{LOWERS} CREATE TRIGGER g@ BEFORE INSERT ON t@ FOR EACH ROW EXECUTE FUNCTION f@();",
        INSERT,
        "other values in column t@.name",
    ),
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n';",
        "DROP FUNCTION f@; CREATE FUNCTION f@(n integer, m text) RETURNS integer LANGUAGE sql AS 'SELECT n';",
        "SELECT f@($1)",
        "does not exist",
    ),
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n';",
        "DROP FUNCTION f@; CREATE FUNCTION f@(n integer) RETURNS text LANGUAGE sql AS 'SELECT n::text';",
        "SELECT f@($1)",
        "from int4 to text",
    ),
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + 1';",
        "CREATE OR REPLACE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + 2';",
        "SELECT f@($1) AS next",
        "other values of next",
    ),
    Change(
        "CREATE FUNCTION f@() RETURNS integer LANGUAGE sql AS 'SELECT 1';",
        "CREATE OR REPLACE FUNCTION f@() RETURNS integer LANGUAGE plpgsql AS 'BEGIN ASSERT false; END';",
        "SELECT f@()",
        "P0004",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id, active FROM t@;",
        "CREATE OR REPLACE VIEW v@ AS SELECT id, active FROM t@ WHERE active;",
        "SELECT id FROM v@",
        "rows instead of",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id, name FROM t@;",
        "CREATE OR REPLACE VIEW v@ AS SELECT DISTINCT id, name FROM t@;",
        "INSERT INTO v@ (id, name) VALUES (991, 'x')",
        "cannot insert into view",
    ),
    Change(
        T,
        'ALTER TABLE t@ ALTER COLUMN name TYPE text COLLATE "C", ALTER COLUMN state TYPE text COLLATE "POSIX";',
        "SELECT id FROM t@ WHERE name >= state",
        "which collation",
    ),
    # Roles.
    Change(ROLE, "REVOKE SELECT ON t@ FROM ~;", "SELECT id FROM t@", "permission denied"),
    Change(ROLE, "REVOKE INSERT ON t@ FROM ~;", INSERT, "permission denied"),
    Change(
        ROLE,
        "REVOKE UPDATE ON t@ FROM ~; GRANT UPDATE (name) ON t@ TO ~;",
        "UPDATE t@ SET state = $1 WHERE id = $2",
        "permission denied",
    ),
    Change(
        "CREATE FUNCTION f@() RETURNS integer LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION f@() TO ~;",
        "REVOKE EXECUTE ON FUNCTION f@() FROM PUBLIC, ~;",
        "SELECT f@()",
        "permission denied",
    ),
    Change(
        "CREATE SCHEMA home@; CREATE TABLE home@.t (id integer); GRANT USAGE ON SCHEMA home@ TO ~; GRANT SELECT ON home@.t TO ~;",
        "REVOKE USAGE ON SCHEMA home@ FROM ~;",
        "SELECT id FROM home@.t",
        "permission denied",
    ),
    Change(ROLE, "DROP TABLE t@; CREATE TABLE t@ (id integer PRIMARY KEY);", "SELECT id FROM t@", "permission denied"),
    Change(ROLE, "ALTER TABLE t@ ENABLE ROW LEVEL SECURITY;", "SELECT id FROM t@", "rows instead of"),
    Change(
        POLICY,
        "DROP POLICY p@ ON t@; CREATE POLICY p@ ON t@ TO ~ USING (active);",
        "UPDATE t@ SET name = 'all'",
        "other values in column",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id FROM t@; GRANT SELECT ON v@ TO ~;",
        "ALTER VIEW v@ SET (security_invoker = on);",
        "SELECT id FROM v@",
        "permission denied",
    ),
    Change(
        f"{T} CREATE FUNCTION f@() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM t@'; GRANT EXECUTE ON FUNCTION f@() TO ~;",
        "ALTER FUNCTION f@() SECURITY INVOKER;",
        "SELECT f@()",
        "permission denied",
    ),
]

SERIAL = "CREATE TABLE t@ (id serial PRIMARY KEY, name text, at timestamptz DEFAULT now(), key uuid DEFAULT gen_random_uuid());"
READ = "SELECT id, name FROM t@ WHERE id = $1"

HARMLESS = [
    # What is new.
    Change(T, "ALTER TABLE t@ ADD COLUMN more text;", "SELECT id, name, state FROM t@"),
    Change(T, "ALTER TABLE t@ ADD COLUMN more text;", INSERT),
    Change(T, "ALTER TABLE t@ ADD COLUMN more integer NOT NULL DEFAULT 1;", INSERT),
    Change(
        T, "ALTER TABLE t@ ADD COLUMN more timestamptz NOT NULL DEFAULT clock_timestamp();", "UPDATE t@ SET name = $1"
    ),
    Change(T, "CREATE TABLE u@ (id integer REFERENCES t@ ON DELETE CASCADE);", "DELETE FROM t@ WHERE id = $1"),
    Change(T, "CREATE VIEW v@ AS SELECT * FROM t@;", "SELECT * FROM t@"),
    Change(T, "CREATE INDEX ON t@ (name);", "SELECT id, name FROM t@ ORDER BY state"),
    Change(T, "CREATE INDEX ON t@ (state);", "SELECT id FROM t@ WHERE state = $1 ORDER BY state LIMIT 2"),
    Change(T, "CREATE UNIQUE INDEX ON t@ (id, name);", INSERT),
    Change(T, "CREATE STATISTICS s@ ON name, state FROM t@;", READ),
    Change(ENUM, "ALTER TYPE mood@ ADD VALUE 'great';", "INSERT INTO t@ (id, mood) VALUES ($1, $2)"),
    Change(T, "CREATE FUNCTION f@() RETURNS integer LANGUAGE sql AS 'SELECT 1';", READ),
    Change(
        T,
        "CREATE FUNCTION f@() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; "
        "CREATE TRIGGER g@ BEFORE INSERT OR UPDATE ON t@ FOR EACH ROW EXECUTE FUNCTION f@();",
        INSERT,
    ),
    Change(
        T,
        "CREATE TABLE audit@ (id integer); "
        "CREATE FUNCTION f@() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit@ VALUES (NEW.id); RETURN NEW; END $$; "
        "CREATE TRIGGER g@ AFTER INSERT ON t@ FOR EACH ROW EXECUTE FUNCTION f@();",
        INSERT,
    ),
    # Wider.
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, name varchar(20));",
        "ALTER TABLE t@ ALTER COLUMN name TYPE varchar(40);",
        READ,
    ),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, name varchar(20));",
        "ALTER TABLE t@ ALTER COLUMN name TYPE text;",
        READ,
    ),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, name varchar(20));",
        "ALTER TABLE t@ ALTER COLUMN name TYPE text;",
        INSERT,
    ),
    Change(T, "ALTER TABLE t@ ALTER COLUMN amount TYPE numeric(12, 2);", "SELECT amount FROM t@ WHERE amount > $1"),
    Change(T, "ALTER TABLE t@ ALTER COLUMN id TYPE bigint;", "SELECT count(*) FROM t@ WHERE id > $1"),
    Change(T, "ALTER TABLE t@ ALTER COLUMN id TYPE bigint;", INSERT),
    Change(
        "CREATE TABLE t@ (id integer PRIMARY KEY, name text NOT NULL);",
        "ALTER TABLE t@ ALTER COLUMN name DROP NOT NULL;",
        INSERT,
    ),
    Change(
        CHECKED,
        "ALTER TABLE t@ DROP CONSTRAINT c@, ADD CONSTRAINT c@ CHECK (state IN ('draft', 'open', 'done'));",
        "INSERT INTO t@ (id, state) VALUES ($1, $2)",
    ),
    Change(
        "CREATE DOMAIN d@ AS integer CONSTRAINT c@ CHECK (VALUE > 0); CREATE TABLE t@ (id integer PRIMARY KEY, n d@);",
        "ALTER DOMAIN d@ DROP CONSTRAINT c@;",
        "INSERT INTO t@ (id, n) VALUES ($1, $2)",
    ),
    Change(ROLE, "GRANT TRUNCATE ON t@ TO ~;", READ),
    # Rules that the query keeps.
    Change(T, "ALTER TABLE t@ ADD CHECK (amount >= 0) NOT VALID;", "INSERT INTO t@ (id, amount) VALUES ($1, $2)"),
    Change(
        f"{T} ALTER TABLE t@ ADD CONSTRAINT c@ CHECK (amount >= 0) NOT VALID;",
        "ALTER TABLE t@ VALIDATE CONSTRAINT c@;",
        "UPDATE t@ SET amount = 3",
    ),
    Change(T, "ALTER TABLE t@ ADD CHECK (state <> 'none');", "INSERT INTO t@ (id, state) VALUES ($1, 'some')"),
    Change(T, "ALTER TABLE t@ ALTER COLUMN name SET NOT NULL;", "SELECT name FROM t@ WHERE id = $1"),
    Change(T, "ALTER TABLE t@ ALTER COLUMN state SET NOT NULL;", "INSERT INTO t@ (id, state) VALUES (%s, 'new')"),
    Change(
        "CREATE TABLE p@ (id integer PRIMARY KEY); CREATE TABLE t@ (id integer PRIMARY KEY, p integer);",
        "ALTER TABLE t@ ADD FOREIGN KEY (p) REFERENCES p@;",
        "SELECT id, p FROM t@ WHERE p = $1",
    ),
    Change(
        WITH_STATE,
        "ALTER TABLE t@ ALTER COLUMN state SET DEFAULT 'open';",
        "INSERT INTO t@ (id, state) VALUES ($1, $2)",
    ),
    Change(
        "CREATE TABLE p@ (id uuid PRIMARY KEY); CREATE TABLE t@ (id integer PRIMARY KEY, p uuid, name text);",
        "ALTER TABLE p@ ADD COLUMN must integer NOT NULL; ALTER TABLE t@ ADD FOREIGN KEY (p) REFERENCES p@;",
        "UPDATE t@ SET name = $1 WHERE id = $2",
    ),
    Change(WITH_STATE, "ALTER TABLE t@ ALTER COLUMN state SET DEFAULT 'open';", "SELECT id, state FROM t@ ORDER BY id"),
    Change(
        ROLE,
        "ALTER TABLE t@ ENABLE ROW LEVEL SECURITY; CREATE POLICY p@ ON t@ TO ~ USING (true);",
        "SELECT id, name FROM t@",
    ),
    # What differs from one time to the next.
    Change(SERIAL, "ALTER TABLE t@ ADD COLUMN more text;", "INSERT INTO t@ (name) VALUES ($1) RETURNING id, at, key"),
    Change(SERIAL, "ALTER SEQUENCE t@_id_seq CACHE 10;", "INSERT INTO t@ (name) VALUES ($1)"),
    Change(
        T,
        "ALTER TABLE t@ ADD COLUMN more text;",
        "SELECT id, random() AS luck, random() < 0.5 AS coin, now() AS at FROM t@",
    ),
    Change(
        SERIAL, "ALTER TABLE t@ ADD COLUMN more text;", "UPDATE t@ SET at = clock_timestamp(), key = gen_random_uuid()"
    ),
    # The same by another way.
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + 1';",
        "CREATE OR REPLACE FUNCTION f@(n integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1 + n; END';",
        "SELECT f@($1)",
    ),
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + 1';",
        "ALTER FUNCTION f@ IMMUTABLE PARALLEL SAFE;",
        "SELECT f@($1)",
    ),
    Change(
        "CREATE FUNCTION f@(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + 1';",
        "DROP FUNCTION f@; CREATE FUNCTION f@(n integer, m integer DEFAULT 1) RETURNS integer LANGUAGE sql AS 'SELECT n + m';",
        "SELECT f@($1)",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id, name FROM t@;",
        "CREATE OR REPLACE VIEW v@ AS SELECT id, name, state FROM t@;",
        "SELECT id, name FROM v@",
    ),
    Change(
        f"{T} CREATE VIEW v@ AS SELECT id, name FROM t@;",
        "CREATE OR REPLACE VIEW v@ AS SELECT own.id, own.name FROM t@ AS own WHERE true;",
        "SELECT id, name FROM v@ WHERE id = $1",
    ),
    Change(T, "ALTER TABLE t@ RENAME TO u@; CREATE VIEW t@ AS SELECT * FROM u@;", "SELECT * FROM t@ WHERE id = $1"),
    Change(T, "ALTER TABLE t@ RENAME TO u@; CREATE VIEW t@ AS SELECT * FROM u@;", INSERT),
    Change(
        "CREATE TABLE t@ (id integer, day date NOT NULL);",
        "ALTER TABLE t@ RENAME TO o@; CREATE TABLE t@ (id integer, day date NOT NULL) PARTITION BY RANGE (day); "
        "CREATE TABLE q@ PARTITION OF t@ DEFAULT; DROP TABLE o@;",
        "SELECT id, day FROM t@ ORDER BY id",
    ),
    Change(
        "CREATE TABLE t@ (id integer, day date NOT NULL);",
        "ALTER TABLE t@ RENAME TO o@; CREATE TABLE t@ (id integer, day date NOT NULL) PARTITION BY RANGE (day); "
        "CREATE TABLE q@ PARTITION OF t@ DEFAULT; DROP TABLE o@;",
        "INSERT INTO t@ (id, day) VALUES ($1, $2)",
    ),
    # What the query has nothing to do with.
    Change(T, "ALTER TABLE t@ DROP COLUMN state;", READ),
    Change(T, "ALTER TABLE t@ RENAME COLUMN state TO status; ALTER TABLE t@ RENAME CONSTRAINT t@_pkey TO k@;", INSERT),
    Change(f"{T} CREATE INDEX i@ ON t@ (name);", "DROP INDEX i@;", "SELECT id FROM t@ WHERE name LIKE $1"),
    Change(
        f"{ROLE} CREATE TABLE u@ (id integer); GRANT SELECT ON u@ TO ~;",
        "REVOKE SELECT ON u@ FROM ~; INSERT INTO u@ VALUES (1);",
        "SELECT id, name FROM t@",
    ),
    Change(
        T,
        "COMMENT ON TABLE t@ IS 'x'; ALTER TABLE t@ SET (fillfactor = 90); ALTER TABLE t@ ALTER COLUMN name SET STATISTICS 5;",
        "SELECT * FROM t@",
    ),
]
