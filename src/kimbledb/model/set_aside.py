"""A table that was set aside: what a run reports of it."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class SetAside:
    """A table that was renamed with its rows, so that the declared one was made beside it."""

    #: The declared table.
    table: str
    #: The name that the table with the rows from before has now.
    source: str
    #: The number of rows it holds.
    rows: int
    #: The number of them that were copied into the declared table.
    copied: int
    #: The query that lists the rows which were not copied, with the reason in the column ``not_copied``; None where all were.
    query: str | None = None

    def __str__(self) -> str:
        whole = f"{self.table}: {self.copied} of {self.rows} rows copied; all of them are in {self.source}"
        return whole if self.query is None else f"{whole}; those that do not fit: {self.query}"
