"""A catalog with every kind of expression, what hands change of it, and the settings under which drift is found."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import kimbledb
from kimbledb._embedded import programs
from kimbledb.model.reports import VerificationReport

EXPRESSIONS = Path(__file__).parent.parent / "data" / "expressions"

#: What somebody changes, by the object that drifts.
CHANGES = {
    "column things.day": "ALTER TABLE things ALTER day SET DEFAULT '2024-02-01'",
    "constraint things.things_v_check": "ALTER TABLE things DROP CONSTRAINT things_v_check,"
    " ADD CONSTRAINT things_v_check CHECK (v IN ('a', 'c'))",
    "function is_one_of(character varying,integer)": "CREATE OR REPLACE FUNCTION is_one_of(x varchar DEFAULT 'a',"
    " y integer DEFAULT 1 + 1) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT x IN ('a', 'b') AND y > 2; END",
    "index things_partly": "DROP INDEX things_partly; CREATE INDEX things_partly ON things (id DESC) WHERE v IN ('a')",
    "policy things.things_seen": "ALTER POLICY things_seen ON things USING (v IN ('a', 'b', 'c'))",
    "rule things.things_remain": "CREATE OR REPLACE RULE things_remain AS ON DELETE TO things"
    " WHERE OLD.v IN ('a') DO INSTEAD NOTHING",
    "trigger things.things_stay": "CREATE OR REPLACE TRIGGER things_stay BEFORE UPDATE ON things FOR EACH ROW"
    " WHEN (OLD.v IN ('b')) EXECUTE FUNCTION stay()",
    "type choice": "ALTER DOMAIN choice SET DEFAULT 'b'",
    "view seen": "CREATE OR REPLACE VIEW seen AS SELECT id, v, day + span AS until FROM things WHERE v IN ('a', 'b')",
    "column things.w": "ALTER TABLE things ALTER w DROP NOT NULL",
    "table things": "ALTER TABLE things DISABLE ROW LEVEL SECURITY",
}
#: Objects of which a snapshot has a hash only, and that read otherwise once a dump was restored.
FED_BACK = frozenset(
    {
        "function is_one_of(character varying,integer)",
        "rule things.things_remain",
        "view counted",
        "view seen",
        "view seen_twice",
    }
)

#: Settings that change how texts are read or printed, or what a session may do.
SETTINGS = {
    "array_nulls": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
    "check_function_bodies": "off",
    "DateStyle": "SQL, DMY",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "escape_string_warning": "off",
    "extra_float_digits": "'-10'",
    "IntervalStyle": "sql_standard",
    "lc_messages": "'C'",
    "lc_monetary": "'C'",
    "lc_numeric": "'C'",
    "lc_time": "'C'",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "search_path": "''",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "TimeZone": "'Asia/Tokyo'",
    "transform_null_equals": "on",
    "xmlbinary": "hex",
    "xmloption": "document",
}


def drifted(report: VerificationReport) -> set[str]:
    """The objects that drifted."""
    return {check.name for check in report.checks if check.migration is not None and not check.passed}


def unknown(report: VerificationReport) -> set[str]:
    """The objects that cannot be compared here."""
    return {row["object"] for check in report.checks if check.name == "cannot be compared here" for row in check.rows}


async def verified(target: str, catalog: kimbledb.Catalog) -> tuple[set[str], set[str]]:
    """What verify() finds: the objects that drifted, and those that cannot be compared."""
    report = await kimbledb.verify(target, catalog=catalog)
    assert [check.name for check in report.checks if check.name in ("drift", "cannot be compared here")] or drifted(
        report
    )
    return drifted(report), unknown(report)


def restore(dsn: str, into: str, *, dumping: Path | None = None) -> None:
    """Dump a database with its history, and restore it into another.

    Args:
        dsn: The database.
        into: The other one, which is empty.
        dumping: The folder of pg_dump; None for the embedded server's.
    """
    dumped = _run((dumping or programs()) / "pg_dump", dsn)
    _run(programs() / "psql", into, "-X", "-q", "-v", "ON_ERROR_STOP=1", text=dumped)


def _run(program: Path, dsn: str, *arguments: str, text: str | None = None) -> str:
    parts = urlsplit(dsn)
    place = [f"--host={parts.hostname}", f"--port={parts.port}", f"--username={parts.username}"]
    done = subprocess.run(
        [program, *arguments, *place, f"--dbname={parts.path[1:]}"],
        env=os.environ | {"PGPASSWORD": parts.password or ""},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
