"""A check: its query, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from kimbledb.model.text import one_line, printable


@frozen
class VerificationQuery:
    """One named query of a verify.sql."""

    #: The name of the query.
    name: str
    #: The text of the query, without its last semicolon.
    sql: str
    #: Whether the query only has to run without an error; its rows are counted and not kept.
    runs: bool
    #: The line of the file on which the text begins, counted from 1.
    line: int


@frozen
class Check:
    """The result of one check.

    A check has no truth value of its own: use ``passed``.
    """

    #: The name of the migration, or None for a check of the whole database.
    migration: str | None
    #: The name of the check.
    name: str
    #: Whether the check passed.
    passed: bool
    #: The expected result, or None.
    expected: str | None = None
    #: The found result, or None.
    found: str | None = None
    #: The objects of a check of the whole database; a security check gives each with its reason and its cure.
    #: Never a row of a table.
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    #: The cure, or None.
    hint: str | None = None
    #: Whether the check only informs or, if it did not pass, warns: it never makes a verification fail.
    informative: bool = False
    #: The severity of a security check: ``high``, ``medium``, ``low`` or ``information``. None for other checks.
    severity: str | None = None
    #: The path of the file of its query, or of the statement that makes its object; None for a check of the whole
    #: database.
    file: str | None = None
    #: The line on which that query or statement begins, counted from 1, or None for a check of the whole database.
    line: int | None = None

    def __str__(self) -> str:
        where = f"{one_line(self.migration)}: " if self.migration else ""
        if self.severity is not None:
            where = f"security ({self.severity}): "
        mark = "ok" if self.passed else "warning" if self.informative else "FAILED"
        text = f"{where}{self.name}: {mark}"
        if not self.passed:
            if self.file is not None:
                text += f"\n    at:       {one_line(self.file)}:{self.line}"
            if self.expected is not None:
                text += f"\n    expected: {one_line(self.expected)}"
            if self.found is not None:
                text += f"\n    found:    {one_line(self.found)}"
            if self.hint is not None:
                lines = printable(self.hint).split("\n")
                text += "\n    hint:     " + f"\n{' ' * 14}".join(lines)
        return text
