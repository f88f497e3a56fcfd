"""Checks of a script's text for every format: SQL that a script may not contain, and directives of other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kimbledb.catalog import other_tools
from kimbledb.catalog.reading import Entry, read_script
from kimbledb.model.fault import Fault
from kimbledb.model.script import Part, Script

if TYPE_CHECKING:
    from kimbledb.catalog.script_problems import Problem

# Late: the patterns of statements take 15 ms, and no script is checked where history holds all of them.


def check_script(script: Script, faults: list[Fault], *, transactional: bool, part: Part = "apply") -> None:
    """Find the faults in a script that will be run.

    Args:
        script: The script.
        faults: Receives the faults, each with its line.
        transactional: Whether the script will run in a transaction.
        part: The script's part of its migration.
    """
    from kimbledb.catalog.script_problems import find_problems

    _check_directive(script, faults, forward=part != "rollback")
    faults.extend(_faults_of(script, find_problems(script.text, transactional=transactional, part=part)))


def check_queries(script: Script, faults: list[Fault]) -> None:
    """Find the faults in a verify.sql.

    Args:
        script: The script.
        faults: Receives the faults, each with its line.
    """
    from kimbledb.catalog.named_queries import read_named_queries

    faults.extend(_faults_of(script, read_named_queries(script)[1]))


def has_directive(entry: Entry, path: str, faults: list[Fault]) -> bool:
    """Return whether a file holds a directive of another tool, and report the directive as its fault.

    Args:
        entry: A file whose name is not a migration's.
        path: Its path, to be shown.
        faults: Receives the fault. A file that cannot be read has none here.
    """
    script = read_script(entry, path, [])
    return script is not None and _check_directive(script, faults, forward=True)


def _check_directive(script: Script, faults: list[Fault], *, forward: bool) -> bool:
    directive = other_tools.directive_in(script.text, forward=forward)
    if directive is None:
        return False
    kind = f"a directive of {directive.tool}" if directive.tool else "the heading of a rollback"
    message = f"`{directive.text[:80]}` is {kind}"
    cure = "remove it: kimbledb ignores it"
    if directive.both_ways:
        message += ", and kimbledb would run both the migration and its rollback"
        cure = (
            "keep the migration in a folder's apply.sql, move the rollback to that folder's rollback.sql, "
            "and remove the directives"
        )
    from kimbledb.catalog.script_problems import Problem

    faults.extend(_faults_of(script, [Problem(directive.offset, message, cure)]))
    return True


def _faults_of(script: Script, problems: Iterable[Problem]) -> Iterator[Fault]:
    for problem in problems:
        line, column = script.line_and_column(problem.offset)
        yield Fault(script.path, problem.message, problem.cure, line, column if problem.exact else None)
