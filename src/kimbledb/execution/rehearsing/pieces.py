"""The statements of a plan, grouped by the transactions in which they would run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

from kimbledb.catalog import statements
from kimbledb.execution.completing import copying
from kimbledb.model.completion import Completion
from kimbledb.model.migration import Migration
from kimbledb.model.redaction import masked
from kimbledb.model.script import Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.step import Step
from kimbledb.model.text import one_line
from kimbledb.planning import locks_ahead, online
from kimbledb.planning.fills import by_table, update

#: Characters of a statement that a report shows.
_SHOWN = 90


@frozen
class Piece:
    """One statement."""

    text: str
    #: The text without comments, strings and bodies.
    skeleton: str
    #: The path of the script.
    file: str
    #: The line of the statement in it, or None where it stands in no file.
    line: int | None = None

    @property
    def shown(self) -> str:
        """The statement in one line, masked and cut."""
        words = one_line(" ".join(masked(self.text).split()))
        return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 3]}..."


@frozen
class Stage:
    """Statements that run together."""

    migration: Migration
    pieces: tuple[Piece, ...]
    #: Whether they run in one transaction. Otherwise each runs in one of its own, or in none where the server wants that.
    together: bool = True
    #: Whether the rows of the target are asked what they break. Of a completion the plan has asked them.
    asks: bool = True
    #: The text before the first statement.
    ahead: str = field(default="", repr=False)


def stages_of(step: Step, *, hosted: bool) -> list[Stage]:
    """Return the stages in which a run would carry out a step.

    Args:
        step: The step.
        hosted: Whether the target has the roles of a hosted platform.

    Raises:
        ValueError: A script cannot be told apart into statements.
    """
    migration, completion = step.migration, step.completion
    if completion is not None:
        return list(_completing(migration, completion, hosted=hosted))
    scripts = list(migration.applied_scripts(hosted=hosted).values())
    if not migration.transactional:
        outside, *inside = scripts
        stages = [Stage(migration, tuple(_of_script(outside)), together=False)]
        return [*stages, *([Stage(migration, tuple(_of_scripts(inside)))] if inside else [])]
    if step.online:
        filling = [update(table, each) for table, each in by_table(migration.fills).items()]
        derived = _derived(filling, f"{migration.file('apply')} (fills)")
        return [
            Stage(migration, tuple(_of_script(migration.script("online"))), together=False),
            Stage(migration, (*_of_scripts(scripts), *derived)),
        ]
    return [Stage(migration, tuple(_of_scripts(scripts)))]


def _completing(migration: Migration, completion: Completion, *, hosted: bool) -> Iterator[Stage]:
    name = migration.file("apply")
    if completion.online:
        ahead = _derived(map(str, completion.online), f"{name} (online)")
        yield Stage(migration, tuple(ahead), together=False, asks=False)
    inside = list(_derived(completion.statements, f"{name} (completion)"))
    copies = list(_derived((each.rstrip().rstrip(";") for each in copying(completion)), f"{name} (completion)"))
    scripts = list(migration.applied_scripts(hosted=hosted).values()) if completion.runs_script else []
    everything = (*inside, *_of_scripts(scripts), *copies)
    if everything:
        head = "SET LOCAL check_function_bodies = off;\n"
        yield Stage(migration, everything, asks=completion.runs_script, ahead=head)


def ahead_of(completion: Completion, there: Snapshot, name: str) -> list[Piece]:
    """Return the statements that a completion runs before its first one.

    Args:
        completion: The completion.
        there: The objects of the schema.
        name: The path of the migration's script.
    """
    texts = (*locks_ahead.statements(completion, there.objects), *online.left_over(there, completion))
    return list(_derived(texts, f"{name} (completion)"))


def _of_scripts(scripts: Iterable[Script]) -> Iterator[Piece]:
    for script in scripts:
        yield from _of_script(script)


def _of_script(script: Script) -> Iterator[Piece]:
    for statement in statements.split(script.text):
        line = script.line_and_column(statement.start)[0]
        yield Piece(statement.text, statement.skeleton, script.path, line)


def _derived(texts: Iterable[str], name: str) -> Iterator[Piece]:
    for text in texts:
        for statement in statements.split(text):
            yield Piece(statement.text, statement.skeleton, name)
