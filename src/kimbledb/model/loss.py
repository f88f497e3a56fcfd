"""Data that a migration, a rollback or a reset destroys."""

from __future__ import annotations

from attrs import frozen

from kimbledb.model.text import one_line


@frozen
class Loss:
    """Data that a migration, a rollback or a reset would destroy, or destroyed."""

    #: ``table``: a dropped table with all its rows. ``column``: values that are dropped or differ afterwards.
    #: ``rows``: rows deleted from a table that stays. ``updated rows``: rows updated in a table that stays.
    #: ``materialized view``: rows that it no longer holds. ``sequence``: values that it would give a second time.
    #: ``statement``: a statement that commits by itself, so that its loss cannot be measured.
    kind: str
    #: The name of the table, column, view or sequence, or the beginning of the statement.
    name: str
    #: The number of rows, of values that are not null, or of positions of a sequence.
    count: int
    #: False if the count is only a bound, or if the loss could not be counted: ``count`` is then 0.
    exact: bool = True
    #: Whether a count that is a bound may be too high. Otherwise it may be too low.
    at_most: bool = False

    def __str__(self) -> str:
        name = {"rows": "deleted rows of", "updated rows": "updated rows of"}.get(self.kind, self.kind)
        if not self.exact and not self.count:
            return f"{name} {one_line(self.name)}: cannot be counted"
        bound = "" if self.exact else "at most " if self.at_most else "at least "
        unit = {"column": " value", "sequence": " position", "rows": "", "updated rows": ""}.get(self.kind, " row")
        return f"{name} {one_line(self.name)}: {bound}{self.count:,}{unit}{'s' if unit and self.count != 1 else ''}"
