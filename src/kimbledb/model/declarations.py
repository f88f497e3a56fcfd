"""Declarations: what a migration makes, changes, renames and drops, as ``kimbledb declare`` recorded it from a server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from attrs import evolve, field, frozen

from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.script import Part


@frozen
class DeclaredStatement:
    """A statement of a migration, with the objects that it makes, changes, renames and drops."""

    #: The script that holds the statement: ``apply`` or ``hosted``.
    part: Part
    #: The line of the script's file on which the statement begins, counted from 1.
    line: int
    #: Its column in that line, counted from 1; 1 for the first statement of a line, wherever that one begins.
    column: int = 1
    #: Whether the effect is that on a hosted database only; None if it is the same on both platforms.
    hosted: bool | None = None
    #: The objects that exist only after the migration, with their facts after the migration. An object stands with
    #: the statement that makes it, and a function, a view or a rule with the one that replaces it last.
    creates: tuple[DatabaseObject, ...] = ()
    #: The objects that existed before the migration and that it changes, with their facts after the migration.
    changes: tuple[DatabaseObject, ...] = ()
    #: The objects that existed before the migration and that it drops, without facts.
    drops: tuple[DatabaseObject, ...] = ()
    #: The new name of each object that it renames, by the object's old kind and name. The parts of a renamed table
    #: follow their table.
    renames: Mapping[Key, str] = field(factory=dict, hash=False)


# Without slots: the properties below are computed once.
@frozen(slots=False)
class Declarations:
    """The effect of a migration on the objects of a schema."""

    #: Its statements that affect objects, in order; those for one platform after those for both at the same place.
    statements: tuple[DeclaredStatement, ...] = ()
    #: The checksum of the migration from which they were recorded, or None if they were not recorded.
    checksum: str | None = None
    #: The version of the server from which they were recorded, such as ``18.1``, or an empty text.
    server: str = ""
    #: The reason why no rollback can be derived, or None if one can. It was proven when this was recorded.
    no_rollback: str | None = None
    #: ``bare`` or ``hosted`` if they were recorded on that platform alone, and hold for both until the other one is
    #: recorded; else None.
    recorded_on: str | None = None

    def on(self, *, hosted: bool) -> tuple[DeclaredStatement, ...]:
        """Return the statements that have an effect on one platform, in order.

        Args:
            hosted: Whether the database has the roles of a hosted platform.
        """
        return tuple(each for each in self.statements if each.hosted in (None, hosted))

    @cached_property
    def creates(self) -> tuple[DatabaseObject, ...]:
        """The objects that exist only after the migration."""
        return tuple(each for statement in self.statements for each in statement.creates)

    @cached_property
    def changes(self) -> tuple[DatabaseObject, ...]:
        """The objects that the migration changes, with their new facts."""
        return tuple(each for statement in self.statements for each in statement.changes)

    @cached_property
    def drops(self) -> tuple[DatabaseObject, ...]:
        """The objects that the migration drops."""
        return tuple(each for statement in self.statements for each in statement.drops)

    @cached_property
    def renames(self) -> dict[Key, str]:
        """The new name of each object that the migration renames, by its old kind and name."""
        return {key: name for statement in self.statements for key, name in statement.renames.items()}

    def without_sources(self) -> Declarations:
        """Return the same declarations without the statements that make the objects."""
        return evolve(
            self,
            statements=tuple(
                evolve(
                    each,
                    creates=tuple(evolve(made, source=None) for made in each.creates),
                    changes=tuple(evolve(changed, source=None) for changed in each.changes),
                )
                for each in self.statements
            ),
        )


#: The declarations of a migration for which none were recorded.
UNRECORDED: Final = Declarations()


def not_recorded() -> Declarations:
    """Return the declarations of a migration for which none were recorded."""
    return UNRECORDED
