"""Checks of a script's text for every format: SQL that a script may not hold, and marks of other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kimbledb.catalog import other_tools, statements
from kimbledb.catalog.reading import Entry, read_script
from kimbledb.catalog.statements import Problem
from kimbledb.model.migration import Fault
from kimbledb.model.script import Part, Script


def check_script(script: Script, faults: list[Fault], *, transactional: bool, part: Part = "apply") -> None:
    """Find the faults in a script that will be run.

    Args:
        script: The script.
        faults: Receives the faults, each with its line.
        transactional: Whether the script will run in a transaction.
        part: The script's part of its migration.
    """
    _check_mark(script, faults, forward=part != "rollback")
    faults.extend(_faults_of(script, statements.find_problems(script.text, transactional=transactional, part=part)))


def check_queries(script: Script, faults: list[Fault]) -> None:
    """Find the faults in a verify.sql.

    Args:
        script: The script.
        faults: Receives the faults, each with its line.
    """
    faults.extend(_faults_of(script, statements.read_named_queries(script)[1]))


def has_mark(entry: Entry, path: str, faults: list[Fault]) -> bool:
    """Return whether a file holds a mark of another tool, which then is its fault.

    Args:
        entry: A file whose name is not a migration's.
        path: Its path, to be shown.
        faults: Receives the fault of the mark. A file that cannot be read has no mark.
    """
    script = read_script(entry, path, [])
    return script is not None and _check_mark(script, faults, forward=True)


def _check_mark(script: Script, faults: list[Fault], *, forward: bool) -> bool:
    mark = other_tools.mark_in(script.text, forward=forward)
    if mark is None:
        return False
    message = f"`{mark.text[:80]}` is a mark of {mark.tool or 'a file that holds both ways'}"
    cure = "take it out: it means nothing here"
    if mark.both_ways:
        message += ", and what goes forward and what goes back would run one after the other"
        cure = (
            "keep what goes forward (in a folder's apply.sql), put what goes back into that folder's rollback.sql, "
            "and take the marks out"
        )
    faults.extend(_faults_of(script, [Problem(mark.offset, message, cure)]))
    return True


def _faults_of(script: Script, problems: Iterable[Problem]) -> Iterator[Fault]:
    for problem in problems:
        line, column = script.line_and_column(problem.offset)
        yield Fault(script.path, problem.message, problem.cure, line, column if problem.exact else None)
