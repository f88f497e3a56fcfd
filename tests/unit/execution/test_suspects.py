"""The tables that a script of a rollback may lose."""

from __future__ import annotations

import pytest

from kimbledb.execution.suspects import Suspects


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("DROP TABLE notes;", ["notes"]),
        ("DROP TABLE Notes, public.users;", ["notes", "users"]),
        ('ALTER TABLE "Old Notes" DROP COLUMN a;', ["notes", "Old Notes"]),
        ("DROP TABLE note;", []),
        ("DROP TABLE old;", []),
        ("DROP FUNCTION gone();", []),
    ],
)
def test_a_script_may_lose_the_rows_of_the_tables_that_it_names(script: str, named: list[str]) -> None:
    """Each word of the name of a table stands in the script, in whatever case; a table beside them counts for nothing."""
    suspects = Suspects.named((name, {"name": name}) for name in ("users", "notes", "Old Notes"))

    found = [each["name"] for each in suspects.in_script(script)]

    assert sorted(named) == sorted(found)


def test_a_table_without_a_word_in_its_name_is_counted_in_every_transaction() -> None:
    """Such a name stands in no script as words do."""
    suspects = Suspects.named([("--", {"name": "--"})])

    assert [each["name"] for each in suspects.in_script("DROP TABLE notes;")] == ["--"]
