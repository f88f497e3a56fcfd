"""A fault in a folder of migrations."""

from __future__ import annotations

from attrs import frozen

from kimbledb.model.text import one_line


@frozen
class Fault:
    """A fault in a folder of migrations, with its cure."""

    #: The path of the file or folder.
    path: str
    #: The problem.
    message: str
    #: The cure.
    cure: str
    #: The line in the file, counted from 1, or None if the fault concerns no single line.
    line: int | None = None
    #: The column in that line, counted from 1, or None if the fault concerns no single character.
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return one_line(f"{place}: {_shortened(self.message)}; {_shortened(self.cure)}")


def _shortened(text: str) -> str:
    """Return a text with its end cut off if it is too long: it may quote a whole file."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


_LONGEST_SHOWN = 500
