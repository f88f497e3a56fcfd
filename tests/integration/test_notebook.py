"""The notebook of the docs, executed as Jupyter does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest

import kimbledb

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "quickstart.ipynb"


class Output(TypedDict, total=False):
    """What a cell of code showed: a value in several forms, or what was printed."""

    data: dict[str, str]
    text: str


def read() -> Any:
    """The notebook as it is in the repository."""
    import nbformat  # late: where the wheel is tested it is not there

    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat says not all of its types


@pytest.fixture(scope="module")
def executed() -> dict[str, list[Output]]:
    """What each cell of code showed, by its first line."""
    import nbclient  # late, as above

    notebook = read()
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def html(outputs: list[Output]) -> str:
    """The HTML of a cell's last output."""
    return str(outputs[-1]["data"]["text/html"])


def test_it_is_kept_without_outputs() -> None:
    """What is in the repository has no outputs: they would be old."""
    notebook = read()
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.parametrize(
    "cell", ["kimbledb.Catalog.builtin()", "await kimbledb.plan(dsn)", "await kimbledb.status(dsn)"]
)
def test_pictures_hold_every_migration(executed: dict[str, list[Output]], cell: str) -> None:
    """Catalog, plan and status show a table and a picture, and every migration's name is in both."""
    shown = html(executed[cell])
    table, _, picture = shown.rpartition('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "</table>" in table
    for migration in kimbledb.Catalog.builtin():
        assert migration.name in table, migration.name
        assert migration.name in picture, migration.name


def test_reports_show_themselves(executed: dict[str, list[Output]]) -> None:
    """The reports of a run, of a verification and of a rollback are tables; the events were told one by one."""
    run = executed["import asyncio"]
    assert sum(output.get("text", "").count("applied ") for output in run) == 34
    assert "applied 34 migrations" in html(run)
    assert "all passed" in html(executed["await kimbledb.verify(dsn)"])
    rollback = next(outputs for line, outputs in executed.items() if line.startswith("await kimbledb.rollback"))
    assert "notifications-table-migration.sql" in html(rollback)
