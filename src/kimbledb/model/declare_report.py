"""The report of declare(): for each migration whether its declarations were written or are in step.

The start of an application needs none of it: the package imports this module on first use.
"""

from __future__ import annotations

import enum

from attrs import frozen

from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Cell, Table
from kimbledb.model.text import counted

#: The number of differences that the report shows of one migration.
_SHOWN = 5


class DeclaredState(enum.StrEnum):
    """The state of a migration's declarations."""

    #: They were recorded and written.
    WRITTEN = "written"
    #: They are what the migration does.
    IN_STEP = "in step"
    #: They are missing, or differ from what the migration does. Only with ``check``.
    OUT_OF_STEP = "out of step"


@frozen(kw_only=True)
class DeclaredMigration:
    """The declarations of one migration."""

    #: The name of the migration.
    migration: str
    #: Their state.
    state: DeclaredState
    #: The reasons why they were written or are out of step, a line each.
    differences: tuple[str, ...] = ()
    #: The number of objects it creates.
    creates: int = 0
    #: The number of objects it changes.
    changes: int = 0
    #: The number of objects it drops, without those that go with them.
    drops: int = 0
    #: The number of objects it renames, without those that follow.
    renames: int = 0
    #: Seconds that it took to record them, on all platforms together.
    seconds: float = 0.0
    #: The size of the declarations in bytes.
    size: int = 0
    #: The path of the file that holds them.
    file: str = ""
    #: The reason why no rollback can be derived, or None if one was proved, or if none is wanted.
    no_rollback: str | None = None


@frozen(eq=False)
class DeclareReport(Report):
    """The result of declare()."""

    #: The declarations of each migration, in the order of their numbers.
    migrations: tuple[DeclaredMigration, ...]
    #: The version of the server that recorded them, such as ``18.1``.
    server: str
    #: The platforms on which they were recorded: ``bare``, ``hosted`` or both.
    platforms: tuple[str, ...]
    #: Seconds of the whole call.
    seconds: float
    #: Whether the call only compared, and wrote nothing.
    check: bool = False
    #: The objects that could not be recorded, a line each.
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all declarations are what the migrations do."""
        return not self.out_of_step

    @property
    def out_of_step(self) -> tuple[DeclaredMigration, ...]:
        """The migrations whose declarations are missing, or differ from what they do."""
        return tuple(each for each in self.migrations if each.state is DeclaredState.OUT_OF_STEP)

    @property
    def written(self) -> tuple[DeclaredMigration, ...]:
        """The migrations whose declarations were written."""
        return tuple(each for each in self.migrations if each.state is DeclaredState.WRITTEN)

    @property
    def summary(self) -> str:
        """The numbers of declarations that were written, or are in step, in one line."""
        on = " and ".join(self.platforms)
        how = f"from PostgreSQL {self.server} ({on}), {self.seconds:.1f} s"
        every = counted(self.migrations, "migration")
        if self.check and self.out_of_step:
            its = "its" if len(self.out_of_step) == 1 else "their"
            return f"{len(self.out_of_step)} of {every} out of step with {its} declarations; {how}"
        if not self.written:
            return f"the declarations of {every} are in step; {how}"
        return f"recorded {len(self.written)} of {every}; {how}"

    def as_tables(self) -> tuple[Table, ...]:
        """Return a row for each migration: its state and why, its objects, the time and the size."""
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                each.migration,
                str(each.state),
                *(str(count or "") for count in (each.creates, each.changes, each.drops, each.renames)),
                f"{each.seconds:.2f}",
                str(each.size),
                (*each.differences[:_SHOWN], *_more(each.differences), *_without_rollback(each)),
            )
            for each in self.migrations
        )
        headers = ("migration", "state", "creates", "changes", "drops", "renames", "seconds", "bytes", "why")
        return (Table(self.summary, rows, headers, self.notes, is_long=True),)

    def as_dict(self) -> dict[str, Json]:
        """Return the report as values.

        ``migrations``: the attributes of each ``DeclaredMigration``. ``ok``, ``server``, ``platforms``, ``check``,
        ``notes``, ``seconds``: as the attributes.
        """
        return {
            "migrations": plain(self.migrations),
            "ok": self.ok,
            "server": self.server,
            "platforms": plain(self.platforms),
            "check": self.check,
            "notes": plain(self.notes),
            "seconds": self.seconds,
        }


def _without_rollback(each: DeclaredMigration) -> tuple[str, ...]:
    """Return the reason why no rollback can be derived, where the differences do not say it."""
    if each.no_rollback is None or any(each.no_rollback in line for line in each.differences[:_SHOWN]):
        return ()
    return (f"no rollback can be derived: {each.no_rollback}",)


def _more(differences: tuple[str, ...]) -> tuple[str, ...]:
    return (f"and {len(differences) - _SHOWN} more",) if len(differences) > _SHOWN else ()
