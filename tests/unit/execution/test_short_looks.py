"""Which scripts are watched by a short look alone, since their text seems to lose nothing."""

from __future__ import annotations

import pytest

from kimbledb.inspection.data_loss import may_rewrite, seems_to_lose_nothing


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE t (id bigint PRIMARY KEY REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE)",
        "CREATE TABLE t (id uuid DEFAULT gen_random_uuid()); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE older ADD COLUMN n integer NOT NULL DEFAULT 0 -- DROP TABLE t\n",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; END $$",
        "CREATE TRIGGER r BEFORE INSERT OR UPDATE OR TRUNCATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE POLICY p ON t FOR UPDATE USING (true); GRANT SELECT, UPDATE, DELETE ON t TO r; GRANT EXECUTE ON FUNCTION f() TO r",
    ],
)
def test_a_script_that_makes_alone_seems_to_lose_nothing(script: str) -> None:
    """What a function would do, an event of a trigger and a privilege are no statements that delete."""
    assert seems_to_lose_nothing(script)


@pytest.mark.parametrize(
    "script",
    [
        "DELETE FROM t",
        "UPDATE t SET n = 1",
        "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
        "truncate t",
        "DROP TABLE t",
        "ALTER TABLE t DROP COLUMN n",
        "ALTER TABLE t ALTER n TYPE bigint",
        "ALTER TABLE t ADD COLUMN id uuid DEFAULT gen_random_uuid()",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "REFRESH MATERIALIZED VIEW m",
    ],
)
def test_a_script_that_deletes_or_writes_anew_does_not(script: str) -> None:
    """What changes rows, drops, or writes a table of before anew is watched closely at once."""
    assert not seems_to_lose_nothing(script)


def test_sizes_are_wanted_where_rows_are_kept_in_a_new_file() -> None:
    """A new column and a refreshed view keep rows, which only the size of before shows; a new constraint writes nothing."""
    assert may_rewrite("ALTER TABLE t ADD n integer DEFAULT f()")
    assert may_rewrite("REFRESH MATERIALIZED VIEW m")
    assert not may_rewrite("ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0)")
