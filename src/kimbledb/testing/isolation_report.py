"""The result of an isolation check: each access that the database should have refused, and each table without a trial."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Table, listed, rows_of
from kimbledb.model.text import counted


@frozen
class Breach:
    """One access that the database allowed and should have refused."""

    #: The table; for ``anon`` any object, such as ``function search_all(text)``.
    thing: str
    #: ``read``, ``insert``, ``change``, ``delete``, ``steal`` (take ownership of another person's row),
    #: ``give`` (hand one's own row to another person), or for ``anon`` a privilege.
    act: str
    #: The rows or the columns of the access.
    detail: str

    def __str__(self) -> str:
        return f"{self.thing}: {self.act}: {self.detail}"


@frozen(eq=False)
class IsolationReport(Report):
    """The result of ``check_isolation()``."""

    #: The tables whose rows belong to a person, each with the number of own rows that a person could read.
    tables: Mapping[str, int]
    #: The accesses that the database should have refused.
    breaches: tuple[Breach, ...]
    #: References from one's own row to another person's row that the database allowed. They neither read nor
    #: change that row; they only reveal that it exists, and may prevent its deletion. ``ok`` ignores them.
    loose: tuple[Breach, ...]
    #: The tables that could not be tried, each with the reason.
    untried: Mapping[str, str]
    #: The number of attempts.
    tries: int
    #: The role of the two people, and the role of an anonymous visitor.
    roles: tuple[str, str]

    @property
    def ok(self) -> bool:
        """Whether every table was tried, and no attempt reached another person's row."""
        return not self.breaches and not self.untried

    @property
    def summary(self) -> str:
        """The number of attempts, the roles, and the number of attempts that were not refused."""
        seen = sum(count > 0 for count in self.tables.values())
        people, nobody = self.roles
        return (
            f"{self.tries} attempts as {people} on {counted(self.tables, 'table')} with owners"
            f" ({seen} show owners their own rows), and as {nobody}: "
            + ("all refused" if self.ok else f"{len(self.breaches)} NOT REFUSED, {len(self.untried)} not tried")
        )

    def as_tables(self) -> tuple[Table, ...]:
        """Return the breaches and the untried tables as one table, the loose references as a second one."""
        untried = (f"{table}: not tried: {reason}" for table, reason in self.untried.items())
        return (Table(self.summary, rows_of([*self.breaches, *untried])), *listed("not counted", self.loose))

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``ok``, ``tables``, ``untried``, ``tries``, ``roles``: as the attributes. ``breaches``, ``loose``: each with the
        attributes of a ``Breach``.
        """
        return {
            "ok": self.ok,
            "tables": plain(self.tables),
            "breaches": plain(self.breaches),
            "loose": plain(self.loose),
            "untried": plain(self.untried),
            "tries": self.tries,
            "roles": plain(self.roles),
        }
