"""The fingerprint of a plan: the same for the same, and another for whatever differs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kimbledb
from kimbledb import AppliedMigration, Catalog, Evidence, Finding, Migration, ObjectState, Planner
from kimbledb.model.basis import KINDS, Basis, is_fingerprint
from kimbledb.model.origin import Place, TableState
from kimbledb.model.plan import Plan
from tests.support.folders import Folder

#: The files of a migration that texts can be put into.
FILES = ("apply", "hosted", "verify", "rollback", "online")


def catalog_of(texts: dict[str, str], **facts: Any) -> Catalog:
    """Return a catalog of two migrations, the second with these texts and facts."""
    first = Migration(name="a.sql", number=1, apply_sql="CREATE TABLE a ();", checksum="1")
    second = Migration(
        **{
            "name": "b.sql",
            "number": 2,
            "checksum": "2",
            **{f"{part}_sql": text for part, text in texts.items()},
            **facts,
        }
    )
    return Catalog([first, second])


def plan_of(texts: dict[str, str] | None = None, **facts: Any) -> Plan:
    """Return the plan of such a catalog for an empty database."""
    return Planner(catalog_of(texts or {"apply": "SELECT 1;"}, **facts)).plan()


@given(
    texts=st.fixed_dictionaries({part: st.text() for part in FILES}),
    part=st.sampled_from(FILES),
    more=st.text(min_size=1),
)
def test_it_is_that_of_the_files(texts: dict[str, str], part: str, more: str) -> None:
    """Two plans of the same files have one fingerprint, and a change of any file gives another one."""
    assert plan_of(texts).fingerprint == plan_of(dict(texts)).fingerprint
    assert is_fingerprint(plan_of(texts).fingerprint)
    assert plan_of(texts).fingerprint != plan_of({**texts, part: texts[part] + more}).fingerprint


@pytest.mark.parametrize(
    "facts",
    [
        {"title": "other"},
        {"requires": ("a.sql",)},
        {"deletes": "why"},
        {"reaches": ("auth.users",)},
        {"transactional": False},
        {"statement_timeout": 5.0},
        {"expects": {"a.x": "text"}},
        {"fills": {"a.x": "1"}},
        {"renames": {("table", "a"): "b"}},
        {"extensions": (kimbledb.Extension("vector", "0.5"),)},
        {"closed": True},
        {"number": 3},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_fact_is_part_of_it(facts: dict[str, Any]) -> None:
    """What migration.toml says is signed, too."""
    assert plan_of(**facts).fingerprint != plan_of().fingerprint


def test_places_and_line_ends_are_no_part_of_it(tmp_path: Path) -> None:
    """Another checkout of the same files has the same fingerprint, wherever it lies and however its lines end."""
    one, other = Folder(tmp_path / "one"), Folder(tmp_path / "other" / "migrations")
    for each in (one, other):
        each.table(1, "orders", facts='title = "Orders"\n')
    script = other.path / "01_orders" / "apply.sql"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))

    assert Planner(one.catalog).plan().fingerprint == Planner(other.catalog).plan().fingerprint


def test_it_is_the_same_in_every_process() -> None:
    """Neither the seed of hashes nor the time zone is in it."""
    program = "import kimbledb; print(kimbledb.Planner(kimbledb.Catalog.builtin()).plan().fingerprint)"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }

    assert found == {Planner(Catalog.builtin()).plan().fingerprint}


def test_a_pickled_plan_keeps_it() -> None:
    """A plan from another process has no SQL, and the fingerprint that it had there."""
    plan = plan_of({part: part for part in FILES})

    copied = pickle.loads(pickle.dumps(plan))  # noqa: S301 - our own
    assert copied.fingerprint == plan.fingerprint
    assert copied.basis == plan.basis
    assert copied.steps[1].migration.apply_sql == ""


def test_json_keeps_what_it_covers() -> None:
    """From the values of a plan its basis comes back with the same fingerprint; other values are no basis."""
    plan = plan_of()
    values = json.loads(json.dumps(plan.as_dict()))

    found = Basis.of_dict(values["basis"])
    assert found is not None
    assert found.fingerprint == values["fingerprint"] == plan.fingerprint
    assert Basis.of_dict({}) is Basis.of_dict({kind: {"a": 1} for kind in KINDS}) is Basis.of_dict(None) is None


def test_each_part_of_the_database_is_part_of_it() -> None:
    """History, objects, server, database, schema, platform, rows and arguments each make another fingerprint."""
    planner = Planner(catalog_of({"apply": "ALTER TABLE t ADD x int;"}))
    there = Finding(ObjectState.APPLIED, present=("table a",))
    row = AppliedMigration("a.sql", checksum="1", applied_at="2026-01-01T00:00:00+00:00", version="1")
    table = TableState(filled=False, form="1")

    def plan(**parts: Any) -> Plan:
        made = planner.plan(parts.pop("history", ()), parts.pop("evidence", None), to=parts.pop("to", None))
        place = Place(**{"system": 1, "database": "d", "oid": 5, "occupied": True, **parts.pop("place", {})})
        return Plan(
            made.steps, parts.pop("schema", "s"), place=place, wishes=made.wishes, evidence=made.evidence, **parts
        )

    plans = [
        plan(),
        plan(history=[row]),
        plan(history=[AppliedMigration("a.sql", checksum="1", applied_at="2026-01-02T00:00:00+00:00", version="1")]),
        plan(evidence=Evidence(findings={"a.sql": there}, gathered=True)),
        plan(evidence=Evidence(hosted=True)),
        plan(place={"system": 2}),
        plan(place={"oid": 6}),
        plan(place={"database": "e"}),
        plan(place={"occupied": False}),
        plan(schema="other"),
        plan(tables={"t": table}),
        plan(tables={"t": TableState(filled=True, form="1")}),
        plan(tables={"t": TableState(filled=False, form="2")}),
        plan(to="a.sql"),
        planner.plan(),
    ]
    assert len({each.fingerprint for each in plans}) == len(plans)


def test_what_does_not_matter_is_no_part_of_it() -> None:
    """The label of the target, the session's time zone, a failed attempt, and tables that no pending step names."""
    planner = Planner(catalog_of({"apply": "ALTER TABLE t ADD x int;"}))

    def plan(rows: list[AppliedMigration], **parts: Any) -> Plan:
        made = planner.plan(rows)
        label = parts.pop("label", "")
        return Plan(made.steps, place=Place(1, "d", 5, occupied=True, label=label), evidence=made.evidence, **parts)

    def applied(at: str) -> AppliedMigration:
        return AppliedMigration("a.sql", checksum="1", applied_at=at, version="1")

    failed = AppliedMigration("b.sql", success=False, error="secret")
    other = TableState(filled=True, form="1")
    assert (
        plan([applied("2026-01-01T00:00:00+00:00")]).fingerprint
        == plan([applied("2026-01-01T09:00:00+09:00"), failed], label="host", tables={"other": other}).fingerprint
    )
