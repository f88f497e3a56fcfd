"""The page on the notes of a plan explains each of them, and each rule by which a column is converted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from kimbledb.model.completion import Completion, Conversion, Copy
from kimbledb.model.objects import DatabaseObject
from kimbledb.planning.conversions import conversion_of

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "reference" / "plan-notes.md"
#: The types that the page writes otherwise than the server.
WRITTEN = {
    "an enum": "mood",
    "varchar(n)": "character varying(10)",
    "numeric(p,s)": "numeric(10,2)",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
}


def rows_below(head: str) -> list[list[str]]:
    """Return the cells of each row of the table with this head."""
    lines = itertools.takewhile(
        lambda line: line.startswith("|"), PAGE.read_text(encoding="utf-8").partition(f"{head}\n")[2].splitlines()
    )
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in list(lines)[1:]]


def types_of(cell: str) -> Iterator[str]:
    """Yield the types that a cell names, as the server prints them."""
    for name in re.findall(r"`([^`]+)`|(an enum)", cell):
        written = name[0] or name[1]
        yield WRITTEN.get(written, written)


def test_the_rules_of_conversion_are_those_of_the_page() -> None:
    """Between the types that the page names a rule converts where the page says so, and cuts and refuses values as it says."""
    shown = {
        (before, after): ("cut: " in loss, "refused: " in loss)
        for source, target, loss in rows_below("| from | to | cut or refused |")
        for before in types_of(source)
        for after in types_of(target)
        if before != after
    }
    types = {kind for pair in shown for kind in pair}
    rules = {
        (before, after): (rule.cuts is not None, rule.fits is not None)
        for before, after in itertools.permutations(types, 2)
        if (rule := conversion_of("things.it", before, after, enums={"mood": ["glad"]})) is not None
    }

    assert len(types) == 17
    assert shown == rules


def test_each_note_of_a_plan_is_explained() -> None:
    """Each note that a completion can have is in the table of the page."""
    column, table = DatabaseObject("column", "users.name", {}), DatabaseObject("table", "users", {})
    mapped = Conversion("users.id", "integer", "uuid", "x", ids_of="users.id")
    completion = Completion(
        online=("CREATE INDEX CONCURRENTLY ...",) * 12,
        made=(column,),
        changed=(column,),
        renamed=(("people", table),),
        converted=(mapped,),
        kept=(("users.at", "users.at_before", 1),),
        set_aside=(Copy(table="users", source="users_set_aside", values={}, without={"at": "no rule"}),),
        could_set_aside=("users",),
        made_nullable=("users.name",),
        taken_away=(column,),
        revoked=(column,),
        filled=("users.name",),
        kept_defaults=("users.name",),
        left={column.key: "it is so"},
        not_run=("INSERT at apply.sql:1",),
        undecided={"users.users_key": "no right to read"},
        unread="no right to read",
    )
    explained = [cells[0].split(" ... ") for cells in rows_below("| note | meaning |") if cells[0]]

    notes = list(completion.notes)
    assert len(notes) == 19
    assert [each for each in notes if not any(is_said(each, parts) for parts in explained)] == []


def is_said(note: str, parts: list[str]) -> bool:
    """Return whether a note begins with the first of these parts and holds the others after it, in their order."""
    return re.match(".*".join(map(re.escape, parts)), note) is not None
