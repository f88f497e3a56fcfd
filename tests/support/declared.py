"""Declarations for tests, made by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import kimbledb
from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts
from kimbledb.model.script import Part
from kimbledb.model.snapshot import Snapshot

#: Objects by their kind and name, with their facts; None for one that is known by name alone.
Objects = Mapping[str, Facts | None]


def statement(
    line: int = 1,
    *,
    creates: Objects | None = None,
    changes: Objects | None = None,
    drops: Iterable[str] = (),
    renames: Mapping[str, str] | None = None,
    hosted: bool | None = None,
    part: Part = "apply",
) -> DeclaredStatement:
    """A statement, of apply.sql for most, with this effect."""
    return DeclaredStatement(
        part=part,
        line=line,
        hosted=hosted,
        creates=_objects(creates or {}),
        changes=_objects(changes or {}),
        drops=tuple(DatabaseObject.of(text) for text in drops),
        renames={DatabaseObject.of(text).key: name for text, name in (renames or {}).items()},
    )


def migration(number: int, *statements: DeclaredStatement, apply: str = "", hosted: str = "") -> Migration:
    """A migration with these statements, which is named by its number."""
    declared = Declarations(statements)
    return Migration(name=f"{number}.sql", number=number, apply_sql=apply, hosted_sql=hosted, declare=lambda: declared)


def snapshot(found: Objects, forms: Mapping[str, str] | None = None) -> Snapshot:
    """A snapshot of these objects, with these forms."""
    return Snapshot(
        {DatabaseObject.of(text).key: facts or {} for text, facts in found.items()},
        forms={DatabaseObject.of(text).key: form for text, form in (forms or {}).items()},
    )


def _objects(named: Objects) -> tuple[DatabaseObject, ...]:
    return tuple(DatabaseObject.of(text, facts) for text, facts in named.items())


async def recorded(folder: Path, server: str) -> kimbledb.Catalog:
    """The catalog of a folder, with its declarations from a server. Nothing is written into the folder."""
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        await kimbledb.declare(folder, server=server, output=file.name)
        catalog = kimbledb.Catalog.from_directory(folder, declared=file.name)
        for migration in catalog:
            assert migration.is_declared  # reads the file
    return catalog
