"""The origin of a plan: the database that it was made for, and the arguments of the call."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Place:
    """The database that a plan was made for."""

    #: The system identifier of the server's cluster; 0 where the role may not read it.
    system: int
    #: The name of the database.
    database: str
    #: The object identifier of the database; 0 if it is not known.
    oid: int
    #: Whether the target schema holds a table, view or sequence that is not kimbledb's own.
    occupied: bool
    #: The name of the target in messages: host, port and database, never a password.
    label: str = field(default="", eq=False)


@frozen
class Wishes:
    """The arguments of the call by which a plan was made."""

    #: The name of the last migration, or None for all.
    to: str | None = None
    #: The last phase, or None for all.
    phase: int | None = None
    #: The names of the preferred alternatives.
    prefer: tuple[str, ...] = ()
    #: The names of the tables that are set aside, sorted.
    set_aside: tuple[str, ...] = ()

    def as_texts(self) -> dict[str, str]:
        """Return those that were given, by their names as arguments."""
        given = {
            "to": self.to,
            "phase": None if self.phase is None else str(self.phase),
            "prefer": ", ".join(sorted(self.prefer)) or None,
            "set_aside": ", ".join(self.set_aside) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


@frozen
class TableState:
    """The facts about a table, beside its name, that a plan holds."""

    #: Whether it holds rows; None where it is locked, so that nobody can tell.
    filled: bool | None
    #: A digest of its columns and constraints.
    form: str
