"""A plan as something to review and to sign, in GitHub's Markdown.

Whoever signs it sees where it goes, what would be sent, what that locks and what is lost, and the command that carries out
this plan and no other. The same plan gives the same text.
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from typing import Final

from attrs import evolve

from kimbledb.model.hazard import size_shown
from kimbledb.model.outputs.markdown import escaped, lines_of
from kimbledb.model.plan_parts import PlanParts
from kimbledb.model.step import REFUSED, Step, StepState
from kimbledb.model.tables import Table
from kimbledb.model.text import counted, one_line, printable

#: The most characters of SQL: GitHub takes comments of 65,536 characters.
_MOST: Final = 40_000
_NOTHING_LOST: Final = (
    "Nothing that can be foreseen. What a script takes away in another way is measured in its transaction, and refused "
    "unless the migration says so."
)
_LOST_ROWS: Final = "rows_deleted"
#: The kinds of objects that hold rows or values.
_HOLDING: Final = frozenset({"table", "column"})


def write(plan: PlanParts) -> str:
    """Write a plan for a comment on a pull request.

    Args:
        plan: The plan.
    """
    lines = [
        f"**{escaped(plan.summary)}**",
        "",
        *_of_origin(plan),
        "",
        *lines_of(evolve(plan.due_as_table(), caption="")),
        *_hazards(plan),
        *_losses(plan),
        *_statements(plan),
        *_command(plan),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _of_origin(plan: PlanParts) -> Iterator[str]:
    """Yield the fingerprint, and where the plan goes."""
    yield f"- fingerprint: {_code(plan.fingerprint)}"
    schema = f"schema {_code(plan.schema or 'public')}"
    if plan.place is None:
        yield f"- target: an empty database, {schema}"
        return
    server = f", server {plan.place.system}" if plan.place.system else ""
    yield f"- target: {_code(plan.place.label or plan.place.database)}, {schema}{server}"


def _hazards(plan: PlanParts) -> Iterator[str]:
    rows = tuple(
        (
            step.name,
            hazard.name,
            hazard.table,
            "not counted" if hazard.rows is None else f"about {hazard.rows:,}",
            size_shown(hazard.bytes),
            (hazard.reason, hazard.cure),
        )
        for step in plan.pending
        for hazard in step.hazards
    )
    if rows:
        headers = ("migration", "hazard", "table", "rows", "size", "why, and what helps")
        yield from lines_of(Table("Locks, and what takes long", rows, headers))


def _losses(plan: PlanParts) -> Iterator[str]:
    if not plan.pending:
        return
    yield "**What would be lost**"
    yield ""
    found = [f"- {escaped(step.name)}: {escaped(what)}" for step in plan.pending for what in _losses_of(step)]
    yield from found or [_NOTHING_LOST]
    yield ""


def _losses_of(step: Step) -> Iterator[str]:
    if step.migration.deletes:
        yield f"deletes data on purpose: {step.migration.deletes}"
    for hazard in step.hazards:
        if hazard.name == _LOST_ROWS:
            yield f"rows of {hazard.table}: {hazard.reason}"
    if step.completion is not None:
        for each in step.completion.taken_away:
            yield f"drops {each}, which is another hand's"
        return
    for each in step.migration.drops:
        if each.kind in _HOLDING:
            yield f"drops {each}"


def _statements(plan: PlanParts) -> Iterator[str]:
    if not plan.pending:
        return
    yield "**SQL**"
    yield ""
    room, left = _MOST, []
    for step in plan.pending:
        text = printable("\n".join(step.statement_lines)).strip("\n")
        if len(text) > room:
            left.append(step)
            continue
        room -= len(text)
        # In HTML a name stands between tags, and calls nobody: GitHub reads no @name in code.
        yield f"<details><summary><code>{html.escape(one_line(step.name))}</code></summary>"
        yield ""
        fence = _longer_than_any_in(text, least=3)
        yield f"{fence}sql\n{text}\n{fence}"
        yield ""
        yield "</details>"
        yield ""
    if left:
        names = ", ".join(escaped(step.name) for step in left)
        yield f"Too long to stand here, {counted(left, 'script')}, which `kimbledb render --pending` prints: {names}"
        yield ""


def _command(plan: PlanParts) -> Iterator[str]:
    if not plan.pending:
        return
    conflicting = any(step.state is StepState.CONFLICTING for step in plan.pending)
    if conflicting or any(step.selected and step.state in REFUSED for step in plan.steps):
        yield "A run refuses this plan: its conflicts, or its changed files, come first."
        return
    yield "**To run this plan, and no other**"
    yield ""
    yield f"```sh\n{' '.join(map(shlex.quote, _arguments(plan)))}\n```"


def _arguments(plan: PlanParts) -> Iterator[str]:
    wishes = plan.wishes
    yield from ("kimbledb", "migrate")
    if plan.schema not in (None, "public"):
        yield from ("--schema", one_line(str(plan.schema)))
    if wishes.to is not None:
        yield from ("--to", one_line(wishes.to))
    if wishes.phase is not None:
        yield from ("--phase", str(wishes.phase))
    for option, names in (("--prefer", wishes.prefer), ("--set-aside", wishes.set_aside)):
        for name in names:
            yield from (option, one_line(name))
    yield from ("--plan", plan.fingerprint)


def _code(text: str) -> str:
    """Return a text as code within a line."""
    shown = one_line(text)
    fence = _longer_than_any_in(shown, least=1)
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _longer_than_any_in(text: str, *, least: int) -> str:
    """Return more backticks than stand together anywhere in a text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 0)
