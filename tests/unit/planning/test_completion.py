"""Completions without a server: what is written for a migration that is there in part, and what is a conflict."""

from __future__ import annotations

from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.forms import Forms, Origin
from kimbledb.planning.completion import Rows, Scope, Unfinished
from tests.support.declared import Objects, migration, snapshot, statement

FIRST = statement(creates={"table a": {}, "column a.id": {"type": "integer"}})


def conflicts(found: Objects, *applied: DeclaredStatement) -> tuple[str, ...]:
    """The conflicts of the last of migrations 1, 2, ..., which is there in part."""
    migrations = [migration(number, each) for number, each in enumerate(applied, 1)]
    forms = Forms(Origin(server=180001, system=7, table=16400), {})
    scope = Scope(migration=migrations[-1], migrations=migrations, found=snapshot(found), forms=forms, hosted=False)
    return Unfinished(scope).complete(Rows()).conflicts


def test_a_table_in_place_of_another_is_not_guessed() -> None:
    """Where a migration renames a table and makes another of its name, nobody can tell which of them is there."""
    replaces = statement(
        renames={"table a": "b"}, creates={"table a": {}, "column a.id": {"type": "integer"}, "table c": {}}
    )
    older: Objects = {"table a": {}, "column a.id": {"type": "integer"}, "table c": {}}

    [conflict] = conflicts(older, FIRST, replaces)

    assert conflict.startswith("table a becomes b and gives its name to another only where nothing of the migration is")
