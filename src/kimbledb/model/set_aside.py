"""A table that was set aside: what a run reports of it."""

from __future__ import annotations

from attrs import frozen

from kimbledb.model.names import quote_identifier


@frozen(kw_only=True)
class SetAside:
    """A table that was renamed with its rows, so that the declared one was made beside it."""

    #: The declared table.
    table: str
    #: The name that the table with the rows from before has now.
    source: str
    #: How many rows it holds.
    rows: int
    #: How many of them were copied into the declared table.
    copied: int
    #: The query that lists the rows which were not copied, with the reason in the column ``not_copied``; None where all were.
    query: str | None = None

    @classmethod
    def of(cls, answer: dict[str, object]) -> SetAside:
        """Return what the server answered.

        Args:
            answer: The answer of the block that copied the rows.
        """
        rows, copied = int(str(answer["rows"])), int(str(answer["copied"]))
        source, reason = str(answer["source"]), quote_identifier(str(answer["reason"]))
        query = f"SELECT * FROM {source} WHERE {reason} IS NOT NULL" if copied < rows else None
        return cls(table=str(answer["table"]), source=source, rows=rows, copied=copied, query=query)

    def __str__(self) -> str:
        whole = f"{self.table}: {self.copied} of {self.rows} rows copied; all of them are in {self.source}"
        return whole if self.query is None else f"{whole}; those that do not fit: {self.query}"
