"""The hazards of a migration for tables that hold rows."""

from __future__ import annotations

from attrs import frozen

from kimbledb.model.text import one_line

#: The values of ``Hazard.name``.
HAZARDS = ("access_exclusive_lock", "table_rewrite", "index_build", "constraint_validation", "rows_deleted")


@frozen
class Hazard:
    """An operation of a pending migration on a table with rows that takes long or blocks other sessions."""

    #: The kind: ``access_exclusive_lock``, ``table_rewrite``, ``index_build``, ``constraint_validation`` or
    #: ``rows_deleted``.
    name: str
    #: The name of the table.
    table: str
    #: The number of rows by the server's estimate, or None if the server has never counted them.
    rows: int | None
    #: The size of the table with its indexes, in bytes.
    bytes: int
    #: The reason why the operation is a hazard.
    reason: str
    #: The cure.
    cure: str
    #: The path of the script, or None if no single statement is known.
    file: str | None = None
    #: The line of the statement in the script, counted from 1, or None if no single statement is known.
    line: int | None = None

    def __str__(self) -> str:
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        rows = "rows not counted" if self.rows is None else f"about {self.rows:,} row{'' if self.rows == 1 else 's'}"
        return one_line(
            f"{self.name} on {self.table} ({rows}, {size_shown(self.bytes)}){place}: {self.reason}; {self.cure}"
        )


def size_shown(count: int) -> str:
    """Return a number of bytes in the largest unit of which there is at least one.

    Args:
        count: The number of bytes.
    """
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}"
