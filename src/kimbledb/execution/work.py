"""The values that pass between the modules of a run: one script of one migration, its outcome and its failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import field, frozen

from kimbledb.execution.located_error import LocatedError
from kimbledb.inspection.data_loss import Guard, Measured
from kimbledb.inspection.proof import Declared, declared_by
from kimbledb.model.check import Check
from kimbledb.model.migration import Migration
from kimbledb.model.objects import Facts, Key
from kimbledb.model.script import Part, Script
from kimbledb.model.set_aside import SetAside
from kimbledb.planning.fold import FoldedObject


@frozen(kw_only=True)
class Work:
    """One script of one migration that is to run in a transaction."""

    migration: Migration
    #: Which of the migration's scripts is run.
    part: Part
    #: The measurement of data loss in the transaction, or None if the loss is known.
    guard: Guard | None = None
    #: Whether the database is a hosted one, which decides what the migration declares.
    hosted: bool = False
    #: Whether the declared objects are looked up and the migration's checks run after the script, and must pass.
    verify: bool = False
    #: The declared objects that were there before in a form of their own, and stay so, each as ``kind name``.
    left: frozenset[str] = frozenset()
    #: The columns and constraints that the migration declares and that have a form of their own, as ``kind name``.
    own_forms: tuple[str, ...] = ()
    #: The facts of the columns and constraints that its completion leaves in another form than the declared one.
    kept: Mapping[Key, Facts] = field(factory=dict)
    #: Whether the COMMIT waits for the disk. Only the last one of a run needs to, since it
    #: makes all before it durable (manual, 19.5 ``synchronous_commit``).
    last: bool = True
    #: The unique id of the run.
    run: str
    #: The objects that a rollback gives back in an earlier form, with the migrations that gave them that form.
    restored: tuple[FoldedObject, ...] = ()
    #: Invalid indexes that the script does not name, and that may stay invalid.
    known: tuple[str, ...] = ()
    #: Whether its message leaves out the long questions that are seldom asked. Where a sign calls for one, the server
    #: stops, and the work is sent again with all of them.
    brief: bool = False
    #: The facts for the log, beside the run's id.
    detail: Mapping[str, Any] = field(factory=dict)
    #: A block that runs right after the lock is taken, and stops the transaction where it finds what must not be.
    condition: str = field(default="", repr=False)
    #: The statements that run after a rollback and grant what roles had before its migration.
    grants: tuple[str, ...] = ()
    #: A script that is derived and stands in no file, that of a rollback or a completion; else None.
    derived: Script | None = None

    @property
    def script(self) -> Script:
        """The script of its part, with its place in a file."""
        return self.derived or self.migration.script(self.part)

    @property
    def scripts(self) -> tuple[Script, ...]:
        """The scripts that run in its transaction, in order.

        Those of a migration that is applied on a hosted database may be two. What cannot run in a transaction is not here.
        """
        if self.part != "apply" or self.derived is not None:
            return (self.script,)
        scripts = self.migration.applied_scripts(hosted=self.hosted)
        if not self.migration.transactional:
            del scripts["apply"]
        return tuple(scripts.values())

    @property
    def closes(self) -> bool:
        """Whether privileges on what the script makes are taken back after it. A completion grants what is declared."""
        return self.migration.closed and (self.derived is None or self.part == "rollback")

    @property
    def sql(self) -> str:
        """The texts of these scripts together, to look for names in them."""
        return "\n".join(script.text for script in self.scripts)

    @property
    def is_declared(self) -> bool:
        """Whether the work makes what its migration declares."""
        return self.part != "rollback" and self.migration.is_declared

    @property
    def declared(self) -> list[Declared]:
        """The objects that the migration declares for the platform."""
        return declared_by(self.migration, hosted=self.hosted)

    @property
    def restored_forms(self) -> dict[str, tuple[str, str]]:
        """For each object that a rollback gives back, the migration whose record holds its form, and its key there."""
        return {
            f"{each.each.kind} {each.each.name}": (each.migration.name, " ".join(each.declared_as))
            for each in self.restored
        }

    @property
    def event(self) -> Literal["apply", "rollback"]:
        """The name of the work's entry in the log."""
        return "rollback" if self.part == "rollback" else "apply"

    @property
    def record(self) -> str:
        """The block of ``sql/queries`` that writes history."""
        return "record_rolled_back" if self.event == "rollback" else "record_applied"


@frozen
class Outcome:
    """The server's answers in a committed transaction."""

    #: The id of the newest entry of the log after it.
    log_position: int
    checks: tuple[Check, ...]
    lsn: str | None
    #: Seconds from its begin to its COMMIT: no lock was held for longer. None where the
    #: work was done outside of it.
    held: float | None
    measured: Measured = field(factory=Measured)
    #: The acts of a completion, a line each.
    notes: tuple[str, ...] = ()
    #: The tables that were set aside.
    set_aside: tuple[SetAside, ...] = ()


class StepFailed(Exception):
    """A step failed, and its transaction was rolled back."""

    #: The step's changes outside of transactions, in words: which stay, and which were taken back.
    #: None where it made none.
    standing: str | None = None


class PlanMoved(StepFailed):
    """Under the lock the database is not as the signed plan says: nothing was run.

    Attributes:
        what: The differences, a line each; none where the next look finds them.
    """

    def __init__(self, what: Sequence[str] = ()) -> None:
        super().__init__()
        self.what = tuple(what)


class ScriptError(StepFailed):
    """A script failed.

    Attributes:
        migration: The migration of the script.
        located: The server's error, its place and its cure.
    """

    def __init__(self, migration: Migration, located: LocatedError) -> None:
        super().__init__(located.message)
        self.migration = migration
        self.located = located


class ChecksFailed(StepFailed):
    """A script ran, and some of its migration's checks did not pass.

    Attributes:
        checks: All that were run.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__()
        self.checks = tuple(checks)

    @property
    def failing(self) -> list[Check]:
        """The checks that did not pass."""
        return [check for check in self.checks if not check.passed]
