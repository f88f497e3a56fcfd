"""Execute the notebook of the docs, and keep its outputs in step.

A person writes the cells of docs/notebooks/tour.ipynb. ``nox -s notebook`` executes them and
writes the outputs of the cells whose outputs have changed: a time, a duration or a version is
no change. ``nox -s notebook -- --check`` only compares, as a test does. ``nox -s order`` writes
docs/tour.md, the same as a page.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import kimbledb
from tests.support.transcripts import settled

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebooks" / "tour.ipynb"

#: A cell or an output, as its file holds it in JSON.
Node: TypeAlias = dict[str, Any]

_MARK = "<!-- Written from notebooks/tour.ipynb by `nox -s order`: do not edit it. -->\n"
#: The picture of the plan for an empty database, which stands in a file of its own.
_PICTURE = "![The plan for an empty database: each migration in its phase, with its state](images/plan.svg)"


def read() -> Node:
    """Return the notebook as its file holds it, with each text in one piece."""
    notebook: Node = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["outputs"] = [kept(output) for output in cell["outputs"]]
    return notebook


def kept(output: Mapping[str, Any]) -> Node:
    """Return the part of an output that the notebook keeps.

    Of a value in several forms that is HTML, or else text. An error is none that a notebook keeps.
    """
    if output["output_type"] == "stream":
        return {"output_type": "stream", "name": output["name"], "text": "".join(output["text"])}
    if output["output_type"] == "error":
        raise ValueError(f"a cell failed: {output['ename']}: {output['evalue']}")
    form = "text/html" if "text/html" in output["data"] else "text/plain"
    return {"output_type": "display_data", "metadata": {}, "data": {form: "".join(output["data"][form])}}


def executed(notebook: Node) -> list[list[Node]]:
    """Execute a notebook as Jupyter does, in an empty folder, and return the outputs of its cells of code."""
    # Here and not at the top: the page is also written where the tests run without these libraries.
    import nbclient
    import nbformat

    copy = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]  # nbformat says not all of its types
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(
            copy,
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        ).execute()
    return [[kept(output) for output in cell.outputs] for cell in copy.cells if cell.cell_type == "code"]


def code(notebook: Node) -> list[Node]:
    """Return the cells of code of a notebook."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def changed(notebook: Node, outputs: Sequence[Sequence[Node]]) -> Iterator[tuple[Node, Sequence[Node]]]:
    """Yield each cell whose kept outputs are not as these, times and the like aside, and its new outputs."""
    for cell, new in zip(code(notebook), outputs, strict=True):
        if [*map(text_of, cell["outputs"])] != [*map(text_of, new)]:
            yield cell, new


def text_of(output: Node) -> str:
    """Return the text of an output, with marks in place of times, durations and versions."""
    [text] = [output["text"]] if "text" in output else output["data"].values()
    return settled(text)


def written(notebook: Node) -> str:
    """Return the text of a notebook's file: texts by lines, for a diff that can be read."""
    cells = []
    for number, cell in enumerate(notebook["cells"], start=1):
        fields = {"cell_type": cell["cell_type"], "id": f"c{number:02}", "metadata": {}}
        if cell["cell_type"] == "code":
            outputs = [
                output | ({"text": _lines(output["text"])} if "text" in output else _data(output))
                for output in cell["outputs"]
            ]
            fields |= {"execution_count": None, "outputs": outputs}
        cells.append(fields | {"source": _lines(cell["source"])})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _data(output: Node) -> Node:
    return {"data": {form: _lines(text) for form, text in output["data"].items()}}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def page() -> str:
    """Return the text of docs/tour.md: the cells and their outputs, and the picture of the plan by its file.

    Raises:
        ValueError: An output in HTML does not hold that picture.
    """
    parts = []
    for cell in read()["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"].replace("](../", "]("))
            continue
        parts.append(f"```python\n{cell['source']}\n```")
        parts += map(_shown, cell["outputs"])
    return "\n\n".join(parts) + "\n\n" + _MARK


def _shown(output: Node) -> str:
    if "text" in output:
        text = output["text"]
    elif "text/html" in output["data"]:
        if kimbledb.Planner(kimbledb.Catalog.builtin()).plan().to_svg().strip() not in output["data"]["text/html"]:
            raise ValueError(f"run `nox -s notebook`: {NOTEBOOK.name} shows another picture than docs/images/plan.svg")
        return _PICTURE
    else:
        text = output["data"]["text/plain"]
    return f"```text\n{text.rstrip()}\n```"


def main(*, check: bool) -> int:
    """Execute the notebook, write it, or with ``check`` only compare it, and return the number of stale cells."""
    notebook = read()
    stale = list(changed(notebook, executed(notebook)))
    for cell, outputs in stale:
        print(f"{'out of step' if check else 'written'}: {cell['source'].splitlines()[0]}")
        cell["outputs"] = list(outputs)
    if not check:
        NOTEBOOK.write_text(written(notebook), encoding="utf-8")
    print(f"{len(code(notebook))} cells of code, {len(stale)} {'out of step' if check else 'written'}")
    return len(stale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="nox -s notebook --", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a cell is out of step")
    given = parser.parse_args()
    out_of_step = main(check=given.check)
    sys.exit(1 if given.check and out_of_step else 0)
