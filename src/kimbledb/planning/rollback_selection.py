"""Which migrations a rollback takes back, and in which order. Pure: from a plan and a wish to a list, or a refusal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import DependentsError, RollbackRefusedError
from kimbledb.model.migration import Migration, folder_of
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.plan import Plan
from kimbledb.model.step import Step, StepState
from kimbledb.model.text import counted, few, one_line
from kimbledb.planning.fold import owners_of

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
    return {
        step.name: step
        for step in plan.steps
        if step.is_applied or step.runs_again or (step.is_recorded and step.state in _IN_PART)
    }


@frozen(kw_only=True)
class RollbackGoal:
    """The request of a rollback. Exactly one of ``name``, ``phase``, ``to`` and ``steps`` is given.

    Args:
        catalog: The migrations.
        name: The name or number of one migration.
        phase: The number of a phase.
        to: The name or number of the last migration, in plan order, that stays; 0 for none.
        steps: How many, of those that history shows as applied last.
        cascade: Whether applied migrations that need one of these are taken back, too.
        include_adopted: Whether adopted migrations may be taken back.
    """

    catalog: Catalog
    name: str | int | None = None
    phase: int | None = None
    to: str | int | None = None
    steps: int | None = None
    cascade: bool = False
    include_adopted: bool = False

    def select(self, plan: Plan) -> Selection:
        """Return the migrations that are to be taken back.

        Args:
            plan: The state of each migration.

        Raises:
            RollbackRefusedError: The migration is not applied, is adopted, has no rollback, or history holds entries
                of a newer version; or a later migration that stays changes what a derived rollback takes away.
            DependentsError: Applied migrations need one of these, and ``cascade`` is not set.
        """
        there = removable(plan)
        wanted = self._wanted(plan, there)
        dependents = _dependents(wanted, there)
        if dependents and not self.cascade:
            raise DependentsError(
                self._shown(wanted), [step.name for step in reversed(plan.steps) if step.name in dependents]
            )
        going = [there[step.name] for step in reversed(plan.steps) if step.name in wanted | dependents]
        _refuse_newer(plan, going)
        self._refuse_adopted(going)
        _refuse_without_rollback(going)
        _refuse_tangled(going, list(there.values()))
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
        if self.steps is not None:
            return set(_latest(plan, there, self.steps))
        assert self.name is not None
        migration = self.catalog[self.name]
        if migration.name not in there:
            raise RollbackRefusedError(
                f"{migration.name} is not applied: {plan.step(migration.name).reason}",
                hint="`kimbledb status` lists the applied migrations",
            )
        return {migration.name}

    def _shown(self, wanted: Collection[str]) -> str:
        if self.phase is not None:
            return f"phase {self.phase}"
        return few(sorted(wanted)) if self.name is None else self.catalog[self.name].name

    def _refuse_adopted(self, going: Sequence[Step]) -> None:
        adopted = [
            step.name for step in going if step.recorded is not None and (step.recorded.adopted or step.recorded.legacy)
        ]
        if adopted and not self.include_adopted:
            raise RollbackRefusedError(
                f"adopted and not made by these migrations: {', '.join(adopted)}",
                hint="pass include_adopted=True to take them back nevertheless",
            )


def _latest(plan: Plan, there: Mapping[str, Step], steps: int) -> list[str]:
    """Return the names of those that were applied last, by history's time and, of one time, by the order of the plan.

    Raises:
        RollbackRefusedError: There are fewer.
    """
    # Text in ISO 8601 and UTC sorts by time.
    when = {
        step.name: (step.recorded.applied_at or "", place)
        for place, step in enumerate(plan.steps)
        if step.name in there and step.recorded is not None
    }
    if steps > len(when):
        raise RollbackRefusedError(
            f"{counted(when, 'migration')} can be rolled back, and {steps} were asked for",
            hint="`kimbledb history` lists them; to=0 rolls back everything",
        )
    return sorted(when, key=lambda name: when[name], reverse=True)[:steps]


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


def _refuse_without_rollback(going: Sequence[Step]) -> None:
    for step in going:
        if (reason := step.migration.no_rollback) is not None:
            raise without_rollback(step.migration, reason)
        if step.state is StepState.CHANGED and step.migration.rollback_kind == "derived":
            raise without_rollback(
                step.migration, "it was edited after it was applied, and its declarations are of the edited text"
            )


def without_rollback(migration: Migration, reason: str) -> RollbackRefusedError:
    """Return the error for a migration that cannot be rolled back.

    Args:
        migration: The migration.
        reason: The reason, in one sentence.
    """
    hint = None
    if migration.irreversible is None:
        hint = (
            "write its way back where its format has one, or give it a folder with an apply.sql and a rollback.sql"
            if migration.is_flat
            else f"write {migration.location}/rollback.sql"
        )
        if not migration.is_declared:
            hint += f", or record what it does: `kimbledb declare {folder_of(migration)}`"
    return RollbackRefusedError(f"{migration.name} cannot be rolled back: {reason}", hint=hint)


def _refuse_tangled(going: Sequence[Step], there: Sequence[Step]) -> None:
    """Stop where a later migration that stays changes what a derived rollback would take away or give back."""
    names = {step.name for step in going}
    staying: list[Step] = []
    for step in reversed(there):
        if step.name not in names:
            staying.append(step)
        elif staying and step.migration.rollback_kind == "derived":
            for later in staying:
                if later.migration.is_declared and (shared := tangled(step.migration, later.migration)):
                    raise RollbackRefusedError(
                        f"{later.name} changes what {step.name} declares, whose rollback is derived: {few(shared)}",
                        hint=f"roll {later.name} back, too, or write a rollback.sql for {step.name}",
                    )


def tangled(earlier: Migration, later: Migration) -> list[str]:
    """Return the objects of an earlier migration that a later one changes, or to which it adds parts.

    Args:
        earlier: The migration that would be rolled back.
        later: The one that would stay.
    """
    made = {each.key for each in earlier.creates}
    made |= {(kind, name) for (kind, _), name in earlier.declarations.renames.items()}
    touched = made | {each.key for each in earlier.changes}
    dropped = {each.key for each in earlier.drops}
    found = [each.key for each in (*later.changes, *later.drops) if each.key in touched]
    found += [key for key in later.declarations.renames if key in touched]
    found += [
        each.key
        for each in later.creates
        if each.key in dropped or any(owner in made for owner in owners_of(each.key, each.facts))
    ]
    return [str(DatabaseObject(*key)) for key in dict.fromkeys(found)]


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
