"""The notebook of the docs, executed as Jupyter does it, against the outputs that are kept in it."""

from __future__ import annotations

import kimbledb
from tools import notebook


def test_every_output_is_the_kept_one() -> None:
    """Each cell shows what the repository keeps of it, times and the like aside: else run `nox -s notebook`."""
    kept = notebook.read()
    stale = {cell["source"]: shown for cell, shown in notebook.changed(kept, notebook.executed(kept))}
    assert stale == {}


def test_the_plan_holds_every_migration() -> None:
    """The plan shows a table and a picture, and every migration's name is in both."""
    outputs = [output for cell in notebook.code(notebook.read()) for output in cell["outputs"]]
    [shown] = [output["data"]["text/html"] for output in outputs if "data" in output]
    table, _, picture = shown.rpartition('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "</table>" in table
    for migration in kimbledb.Catalog.builtin():
        assert migration.name in table, migration.name
        assert migration.name in picture, migration.name


def test_it_is_kept_as_the_tool_writes_it() -> None:
    """The file has no counts of executions and no times of them, and each text by its lines."""
    assert notebook.NOTEBOOK.read_text(encoding="utf-8") == notebook.written(notebook.read())
