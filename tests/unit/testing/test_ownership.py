"""Whose a row is, read from the facts of the tables."""

from __future__ import annotations

import pytest

from kimbledb.errors import ConfigurationError
from kimbledb.testing.ownership import ColumnFacts, Ownership, Reference, TableFacts


def column(name: str, *, required: bool = True) -> ColumnFacts:
    """A text column."""
    return {
        "name": name,
        "type": "text",
        "category": "S",
        "size": -1,
        "label": None,
        "required": required,
        "optional": not required,
        "made": False,
    }


def reference(columns: str, table: str, *, part: bool = False) -> Reference:
    """A foreign key to the column ``id`` of a table."""
    return {"table": table, "part": part, "columns": [columns], "targets": ["id"]}


def tables(**found: tuple[list[ColumnFacts], list[Reference]]) -> dict[str, TableFacts]:
    """Tables by name, each with its columns beside ``id`` and its references."""
    return {
        name: {
            "name": name,
            "columns": [column("id"), *columns],
            "key": ["id"],
            "unique": ["id"],
            "checks": [],
            "references": references,
        }
        for name, (columns, references) in found.items()
    }


def test_a_column_names_the_owner() -> None:
    """A table with an owner column is owned by it, and one without a way to a person is not owned."""
    ownership = Ownership(tables(notes=([column("user_id")], []), settings=([], [])), ["user_id", "owner_id"])

    assert ownership.owned == {"notes"}
    assert ownership.owner_columns("notes") == ["user_id"]
    assert ownership.owner_columns("settings") == []


def test_a_parent_gives_the_owner() -> None:
    """A table without an owner column is owned by way of its parents, however many there are in between."""
    ownership = Ownership(
        tables(
            words=([column("line_id")], [reference("line_id", "lines")]),
            lines=([column("note_id")], [reference("note_id", "notes")]),
            notes=([column("user_id")], []),
        ),
        ["user_id"],
    )

    assert ownership.owned == {"notes", "lines", "words"}
    assert ownership.parents_first() == ["notes", "lines", "words"]


def test_the_key_of_the_people_is_an_owner_column() -> None:
    """In the table that owner columns reference, a row belongs to the person that it describes."""
    ownership = Ownership(
        tables(people=([], []), notes=([column("user_id")], [reference("user_id", "people")])), ["user_id"]
    )

    assert ownership.owner_columns("people") == ["id"]
    assert ownership.parents_first() == ["people", "notes"]


def test_an_optional_reference_is_wanted_only_where_it_gives_the_owner() -> None:
    """A new row of a table with an owner column leaves a nullable reference out; one without needs it."""
    optional = column("note_id", required=False)
    ownership = Ownership(
        tables(
            notes=([column("user_id")], []),
            tags=([column("user_id"), optional], [reference("note_id", "notes")]),
            lines=([optional], [reference("note_id", "notes")]),
        ),
        ["user_id"],
    )

    assert ownership.wanted_references("tags") == []
    assert [each["table"] for each in ownership.wanted_references("lines")] == ["notes"]


def test_tables_that_require_each_other_are_an_error() -> None:
    """The error names the tables of the cycle and the cure."""
    ownership = Ownership(
        tables(
            one=([column("two_id")], [reference("two_id", "two")]),
            two=([column("one_id")], [reference("one_id", "one")]),
        ),
        ["user_id"],
    )

    with pytest.raises(ConfigurationError, match=r"(?s)in a cycle: \w+ -> \w+ -> \w+.*allow NULL"):
        ownership.parents_first()
