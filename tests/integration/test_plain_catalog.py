"""A folder of plain SQL files, from its declarations to adoption, drift, cures and rollback. Nothing in it was typed twice."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.model.check import Check
from tests.support.databases import Clone, MakeTemplate, fresh_database, psql, take_snapshot

FILES = {
    "create-stations-2025-03-01.sql": """
-- kimbledb: extensions = ["pg_trgm"]

CREATE TYPE station_kind AS ENUM ('river', 'lake', 'well');
CREATE DOMAIN celsius AS numeric(5, 2) CHECK (VALUE > -273.15);

CREATE TABLE stations (
    id serial PRIMARY KEY,
    name varchar(80) NOT NULL,
    kind station_kind NOT NULL DEFAULT 'river',
    grade varchar(1) CHECK (grade IN ('A', 'B')),
    altitude integer CHECK (altitude BETWEEN -500 AND 9000),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stations_name_trgm ON stations USING gin (name gin_trgm_ops);
CREATE UNIQUE INDEX stations_name_key ON stations (lower(name));
COMMENT ON TABLE stations IS 'Where somebody measures.';

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;
CREATE TRIGGER stations_touch BEFORE UPDATE ON stations FOR EACH ROW EXECUTE FUNCTION touch();
""",
    "partition-readings-2025-03-14.sql": """
CREATE TABLE readings (
    station_id integer NOT NULL REFERENCES stations ON DELETE CASCADE,
    taken_at timestamptz NOT NULL,
    degrees celsius,
    fahrenheit numeric GENERATED ALWAYS AS (degrees * 9 / 5 + 32) STORED,
    PRIMARY KEY (station_id, taken_at)
) PARTITION BY RANGE (taken_at);

DO $$
BEGIN
    FOR month IN 1..3 LOOP
        EXECUTE format('CREATE TABLE readings_2025_%s PARTITION OF readings FOR VALUES FROM (%L) TO (%L)',
                       month, make_date(2025, month, 1), make_date(2025, month + 1, 1));
    END LOOP;
END
$$;
CREATE TABLE readings_other PARTITION OF readings DEFAULT;
CREATE INDEX readings_by_time ON readings (taken_at DESC) INCLUDE (degrees);

CREATE VIEW warm AS SELECT station_id, taken_at, degrees FROM readings WHERE degrees > 20;
CREATE MATERIALIZED VIEW daily AS
SELECT station_id, taken_at::date AS day, avg(degrees) AS mean FROM readings GROUP BY station_id, taken_at::date;
CREATE UNIQUE INDEX daily_key ON daily (station_id, day);
""",
    "guard-readings-2025-04-02.sql": """
ALTER TABLE stations ENABLE ROW LEVEL SECURITY;
CREATE POLICY stations_read ON stations FOR SELECT USING (kind <> 'well' OR pg_has_role('pg_monitor', 'member'));
GRANT SELECT ON stations, readings TO pg_monitor;
GRANT UPDATE (grade) ON stations TO pg_monitor;

CREATE FUNCTION larger(celsius, celsius) RETURNS celsius LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE hottest (celsius) (SFUNC = larger, STYPE = celsius);
""",
    "rename-stations-2025-05-20.sql": """
ALTER TABLE stations RENAME TO sites;
ALTER TABLE readings RENAME COLUMN degrees TO temperature;
ALTER INDEX stations_name_key RENAME TO sites_name_key;
ALTER TABLE sites ADD COLUMN owner text;
""",
}

#: What somebody does by hand, with the objects that then differ.
BY_HAND = {
    "ALTER TABLE sites ALTER COLUMN kind DROP DEFAULT, ALTER COLUMN name DROP NOT NULL": [
        "column sites.kind",
        "column sites.name",
    ],
    "ALTER TABLE sites DROP CONSTRAINT stations_grade_check": ["constraint sites.stations_grade_check"],
    "ALTER TABLE sites DROP CONSTRAINT stations_altitude_check, ADD CONSTRAINT stations_altitude_check CHECK (altitude < 9)": [
        "constraint sites.stations_altitude_check"
    ],
    "DROP TRIGGER stations_touch ON sites; DROP FUNCTION touch()": ["function touch()", "trigger sites.stations_touch"],
    "ALTER TABLE sites DISABLE TRIGGER stations_touch": ["trigger sites.stations_touch"],
    "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'": [
        "function touch()"
    ],
    "DROP INDEX sites_name_key, readings_by_time": ["index readings_by_time", "index sites_name_key"],
    "DROP MATERIALIZED VIEW daily; DROP VIEW warm": ["view daily", "view warm"],
    "CREATE OR REPLACE VIEW warm AS SELECT station_id, taken_at, temperature AS degrees FROM readings": ["view warm"],
    "ALTER POLICY stations_read ON sites USING (true)": ["policy sites.stations_read"],
    "ALTER TABLE sites DISABLE ROW LEVEL SECURITY; DROP POLICY stations_read ON sites": [
        "policy sites.stations_read",
        "table sites",
    ],
    "REVOKE SELECT ON readings FROM pg_monitor; REVOKE UPDATE (grade) ON sites FROM pg_monitor": [
        "privilege column sites.grade to pg_monitor",
        "privilege table readings to pg_monitor",
    ],
    "ALTER DOMAIN celsius DROP CONSTRAINT celsius_check": ["type celsius"],
    "DROP AGGREGATE hottest (celsius)": ["function hottest(celsius)"],
    "ALTER TABLE readings DETACH PARTITION readings_2025_2": ["table readings_2025_2"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files."""
    path = tmp_path_factory.mktemp("plain")
    for name, text in FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def catalog(folder: Path, server: str, _kimbledb_background: object) -> kimbledb.Catalog:
    """The catalog of the folder, after its declarations were recorded."""
    _kimbledb_background.run(kimbledb.declare(folder, server=server))  # type: ignore[attr-defined]
    return kimbledb.Catalog.from_directory(folder)


@pytest.fixture(scope="module")
def migrated(catalog: kimbledb.Catalog, make_template: MakeTemplate) -> str:
    """The name of a migrated database, for clones."""

    async def fill(dsn: str) -> None:
        await kimbledb.migrate(dsn, catalog=catalog)

    return make_template(fill)


def differing(report: kimbledb.VerificationReport) -> list[Check]:
    """The checks of a verification that name an object of the catalog which is not as declared."""
    return [check for check in report.failures if check.migration is not None]


async def test_what_each_file_makes_is_recorded(catalog: kimbledb.Catalog) -> None:
    """Renames are renames, what a block makes stands with its line, and every rollback is derived."""
    [_, readings, _, renames] = catalog

    own = {key: name for key, name in renames.declarations.renames.items() if not name.startswith("readings_")}
    assert own == {
        ("table", "stations"): "sites",
        ("column", "readings.degrees"): "readings.temperature",
        ("index", "stations_name_key"): "sites_name_key",
    }
    assert [str(each) for each in renames.creates] == ["column sites.owner"]
    places = {str(each): statement.line for statement in readings.declarations.statements for each in statement.creates}
    assert [places[f"table readings_2025_{month}"] for month in (1, 2, 3)] == [10, 10, 10]
    assert [migration.rollback_kind for migration in catalog] == ["derived"] * 4


async def test_a_migrated_database_is_as_declared(migrated: str, clone: Clone, catalog: kimbledb.Catalog) -> None:
    """Right after migrate() no object differs, and none is left uncompared."""
    report = await kimbledb.verify(await clone(migrated), catalog=catalog)

    assert differing(report) == []
    assert {check.name for check in report.checks} >= {"drift"}
    assert "cannot be compared here" not in {check.name for check in report.checks}


@pytest.mark.parametrize("by_hand", BY_HAND)
async def test_a_change_by_hand_is_found_and_cured(
    migrated: str, clone: Clone, catalog: kimbledb.Catalog, by_hand: str
) -> None:
    """Each object that differs is named with its file and line, and after the cures all are there and right."""
    dsn = await clone(migrated)
    before = await take_snapshot(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute(by_hand)

    found = differing(await kimbledb.verify(dsn, catalog=catalog))

    assert sorted(check.name for check in found) == BY_HAND[by_hand]
    assert all(check.file is not None and (check.line or 0) > 1 for check in found)
    for check in found:
        await connection.execute(check.hint or "")
    await connection.close()
    assert differing(await kimbledb.verify(dsn, catalog=catalog)) == []
    assert (await take_snapshot(dsn)).objects.keys() == before.objects.keys()


async def test_a_database_made_by_psql_is_adopted(server: str, folder: Path, catalog: kimbledb.Catalog) -> None:
    """Whoever ran the files by psql has a database that is recognised file by file, and then watched as any other."""
    async with fresh_database(server) as dsn:
        for number, name in enumerate(FILES):
            text = "CREATE EXTENSION IF NOT EXISTS pg_trgm;\n" + (folder / name).read_text(encoding="utf-8")
            assert psql(dsn, text).returncode == 0
            plan = await kimbledb.plan(dsn, catalog=catalog)
            states = [str(step.state) for step in plan.steps]
            assert states == ["adoptable"] * (number + 1) + ["pending"] * (3 - number)

        adopted = await kimbledb.adopt(dsn, catalog=catalog)

        assert [step.name for step in adopted.adopted] == list(FILES)
        assert not (await kimbledb.migrate(dsn, catalog=catalog)).applied
        connection = await asyncpg.connect(dsn)
        await connection.execute("DROP VIEW warm")
        await connection.close()
        assert [check.name for check in differing(await kimbledb.verify(dsn, catalog=catalog))] == ["view warm"]


async def test_the_way_back(database: str, catalog: kimbledb.Catalog) -> None:
    """Each derived rollback leads to the schema before its file; rows and values stop it, and nothing is dropped by a rename."""
    schemas = []
    for name in FILES:
        schemas.append(await take_snapshot(database))
        await kimbledb.migrate(database, catalog=catalog, to=name)
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO sites (name, owner) VALUES ('Weir', 'Ann')")

    dry = await kimbledb.rollback(database, "rename-stations-2025-05-20.sql", catalog=catalog, dry_run=True)
    assert (dry.objects, [str(loss) for loss in dry.losses]) == ((), ["column sites.owner: 1 value"])
    with pytest.raises(kimbledb.DataLossError):
        await kimbledb.rollback(database, to=0, catalog=catalog)

    await connection.execute("DELETE FROM sites")
    await connection.close()
    for name, before in reversed(list(zip(FILES, schemas, strict=True))):
        await kimbledb.rollback(database, name, catalog=catalog)
        assert str((await take_snapshot(database)).since(before)) == "no difference"


async def test_an_edited_file_is_judged_by_what_was_applied(
    migrated: str, clone: Clone, catalog: kimbledb.Catalog, tmp_path: Path
) -> None:
    """A file that is edited after it was applied makes no drift of what it did, and hides none of what hands did."""
    for file in Path(next(iter(catalog)).location).parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit = tmp_path / "rename-stations-2025-05-20.sql"
    edit.write_text(edit.read_text(encoding="utf-8") + "-- Edited.\n", encoding="utf-8")
    edited = kimbledb.Catalog.from_directory(tmp_path)
    dsn = await clone(migrated)

    assert differing(await kimbledb.verify(dsn, catalog=edited)) == []
    assert (await kimbledb.plan(dsn, catalog=edited)).refused
    connection = await asyncpg.connect(dsn)
    await connection.execute("ALTER TABLE sites DROP COLUMN owner")
    await connection.close()
    assert [check.name for check in differing(await kimbledb.verify(dsn, catalog=edited))] == ["column sites.owner"]
