"""Which migrations a rollback takes back, and in which order. Pure: from a plan and a wish to a list, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import DependentsError, RollbackRefusedError
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan, Step, StepState
from kimbledb.model.text import one_line

#: States in which a part of a migration that another tool recorded exists.
_IN_PART = (StepState.PARTIAL, StepState.CONFLICTING)


@frozen
class Selection:
    """The migrations that a rollback takes back."""

    #: Newest first.
    migrations: tuple[Migration, ...]
    #: The names of those that are taken back only because they need one of the others.
    dependents: tuple[str, ...]


def removable(plan: Plan) -> dict[str, Step]:
    """Return the steps that a rollback can take back, by name: applied, or recorded by another tool and there in part."""
    return {step.name: step for step in plan.steps if step.is_applied or (step.is_recorded and step.state in _IN_PART)}


@frozen(kw_only=True)
class RollbackGoal:
    """What a rollback is asked to take back. Exactly one of ``name``, ``phase`` and ``to`` is given.

    Args:
        catalog: The migrations.
        name: The name or number of one migration.
        phase: The number of a phase.
        to: The name or number of the last migration, in plan order, that stays; 0 for none.
        cascade: Whether applied migrations that need one of these are taken back, too.
        include_adopted: Whether adopted migrations may be taken back.
    """

    catalog: Catalog
    name: str | int | None = None
    phase: int | None = None
    to: str | int | None = None
    cascade: bool = False
    include_adopted: bool = False

    def select(self, plan: Plan) -> Selection:
        """Return the migrations that are to be taken back.

        Args:
            plan: The state of each migration.

        Raises:
            RollbackRefusedError: The migration is not applied, is adopted or irreversible, or history
                holds entries of a newer version.
            DependentsError: Applied migrations need one of these, and ``cascade`` is not set.
        """
        there = removable(plan)
        wanted = self._wanted(plan, there)
        dependents = _dependents(wanted, there)
        if dependents and not self.cascade:
            shown = f"phase {self.phase}" if self.name is None else self.catalog[self.name].name
            raise DependentsError(shown, [step.name for step in reversed(plan.steps) if step.name in dependents])
        going = [there[step.name] for step in reversed(plan.steps) if step.name in wanted | dependents]
        _refuse_newer(plan, going)
        self._refuse_adopted(going)
        _refuse_irreversible(going)
        return Selection(
            tuple(step.migration for step in going), tuple(step.name for step in going if step.name in dependents)
        )

    def _wanted(self, plan: Plan, there: Mapping[str, Step]) -> set[str]:
        """Return the names of the migrations that the caller means."""
        if self.to is not None:
            order = [step.name for step in plan.steps]
            stays = 0 if self.to == 0 else order.index(self.catalog[self.to].name) + 1
            return {name for name in order[stays:] if name in there}
        if self.phase is not None:
            return {name for name, step in there.items() if step.migration.phase == self.phase}
        assert self.name is not None
        migration = self.catalog[self.name]
        if migration.name not in there:
            raise RollbackRefusedError(
                f"{migration.name} is not applied: {plan.step(migration.name).reason}",
                hint="`kimbledb status` lists the applied migrations",
            )
        return {migration.name}

    def _refuse_adopted(self, going: Sequence[Step]) -> None:
        adopted = [
            step.name for step in going if step.recorded is not None and (step.recorded.adopted or step.recorded.legacy)
        ]
        if adopted and not self.include_adopted:
            raise RollbackRefusedError(
                f"adopted and not made by these migrations: {', '.join(adopted)}",
                hint="pass include_adopted=True (--include-adopted) to take them back nevertheless",
            )


def _refuse_newer(plan: Plan, going: Sequence[Step]) -> None:
    """Stop where history holds entries of a newer version: its migrations may need those that would be taken back."""
    newer = [step for step in plan.steps if step.is_newer]
    if not going or not newer:
        return
    shown = ", ".join(one_line(f"{step.name} (kimbledb {step.recorded.version})") for step in newer if step.recorded)
    renamed = [step.name for step in plan.steps if step.state is StepState.RENAMED]
    raise RollbackRefusedError(
        f"history holds migrations that this catalog does not have, and they may need these: {shown}",
        hint="roll back with the version that wrote them"
        + (f"; if one of them was renamed to {', '.join(renamed)}, give that its old name" if renamed else ""),
    )


def _refuse_irreversible(going: Sequence[Step]) -> None:
    for step in going:
        if step.migration.irreversible is not None:
            raise RollbackRefusedError(f"{step.name} cannot be rolled back: {step.migration.irreversible}")


def _dependents(wanted: Iterable[str], there: Mapping[str, Step]) -> set[str]:
    """Return the names of the applied migrations beyond ``wanted`` that need one of them, directly or not."""
    needed_by: dict[str, list[str]] = {}
    for step in there.values():
        for need in step.needs:
            needed_by.setdefault(need, []).append(step.name)
    found: set[str] = set()
    goals = list(wanted)
    while goals:
        for dependent in needed_by.get(goals.pop(), ()):
            if dependent not in found:
                found.add(dependent)
                goals.append(dependent)
    return found - set(wanted)
