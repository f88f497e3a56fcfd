"""Which migration of a catalog a row of another tool's history means."""

from __future__ import annotations

import pytest

from kimbledb import Migration
from kimbledb.catalog.foreign_names import Names
from kimbledb.model.script import Script


def flat(file: str, number: int) -> Migration:
    """A migration in a file of its own."""
    return Migration(name=file, number=number, location=f"m/{file}", apply_sql=Script(f"m/{file}", ""))


FILES = (
    "V1__a.sql",
    "V1.2__b.sql",
    "20240101120000_c.sql",
    "2024-03-01-120000_d.sql",
    "000007_e.up.sql",
    "0008_9f1b2c3d4e5f_f.sql",
)


@pytest.mark.parametrize(
    ("row", "file"),
    [
        ("V1__a.sql", "V1__a.sql"),
        ("1", "V1__a.sql"),
        ("1.0", "V1__a.sql"),
        ("1.2", "V1.2__b.sql"),
        ("1_2", "V1.2__b.sql"),
        ("20240101120000", "20240101120000_c.sql"),
        ("20240101120000_c", "20240101120000_c.sql"),
        ("20240301120000", "2024-03-01-120000_d.sql"),
        ("7", "000007_e.up.sql"),
        ("9f1b2c3d4e5f", "0008_9f1b2c3d4e5f_f.sql"),
        ("2", None),
        ("auth.0001_initial", None),
        ("", None),
    ],
)
def test_a_row_means_the_file_that_its_tool_means(row: str, file: str | None) -> None:
    """A row is matched by the file's name, by its version, however it is written, or by a revision in it."""
    names = Names(flat(each, number) for number, each in enumerate(FILES, 1))

    found = names.meant_by(row)

    assert (found and found.name) == file


def test_a_small_number_means_no_folder() -> None:
    """Each tool counts from 1: such a number is no word on a migration in a folder of kimbledb's format, a date is."""
    names = Names(
        [
            Migration(name="users.sql", number=1, location="m/01_users"),
            Migration(name="orders.sql", number=20240101, location="m/20240101_orders"),
        ]
    )

    assert names.meant_by("1") is None
    assert (found := names.meant_by("20240101")) is not None
    assert [each.name for each in names.up_to(found)] == ["users.sql", "orders.sql"]
