"""What would be done, and why: the plan, as a value to be looked at."""

from __future__ import annotations

import enum
from functools import cached_property
from typing import TYPE_CHECKING

from attrs import field, frozen

from kimbledb.model.migration import AppliedMigration, Hazard, Migration
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.tables import Table
from kimbledb.model.text import one_line

if TYPE_CHECKING:
    from kimbledb.model.pictures import Graph


class StepState(enum.StrEnum):
    """How a migration stands to a database."""

    #: History says that it is applied, and the file is the one that was applied.
    APPLIED = "applied"
    #: It is to be applied.
    PENDING = "pending"
    #: One of its alternatives stands in its place.
    REPLACED = "replaced"
    #: No history, but all its objects are there: ``adopt()`` would record it.
    ADOPTABLE = "adoptable"
    #: No history, and some of its objects are there.
    PARTIAL = "partial"
    #: No history, and some of its objects are there in another shape.
    CONFLICTING = "conflicting"
    #: History says that it is applied, and the file was edited since.
    CHANGED = "changed"
    #: Its last attempt failed; it is to be applied again.
    FAILED = "failed"
    #: History holds its text under another name: it ran already, it seems.
    RENAMED = "renamed"
    #: Nothing says which of several alternatives is taken; shown where no choice is needed.
    UNDECIDED = "undecided"
    #: History holds it, and this catalog does not.
    UNKNOWN = "unknown"


#: States that stop a run: history and the files tell different stories.
REFUSED = frozenset({StepState.CHANGED, StepState.RENAMED})

#: States of a step that a run would apply.
TO_APPLY = frozenset(
    {StepState.PENDING, StepState.FAILED, StepState.ADOPTABLE, StepState.PARTIAL, StepState.CONFLICTING}
)


@frozen(eq=False)
class Step:
    """One migration in a plan: its state, and why."""

    migration: Migration
    state: StepState
    reason: str = field(converter=one_line)
    #: The names of the migrations that it needs, with alternatives resolved.
    needs: tuple[str, ...] = ()
    #: False where the plan was limited (``to``, ``phase``) and this is not in it.
    selected: bool = True
    #: Its row of migration_history, under its older name where it was renamed, or None.
    recorded: AppliedMigration | None = None
    #: What it would lock, rewrite or delete of tables that hold rows.
    hazards: tuple[Hazard, ...] = ()
    #: Whether its online.sql runs first, outside of a transaction, because tables hold rows.
    online: bool = False

    @property
    def name(self) -> str:
        """The migration's name."""
        return self.migration.name

    @property
    def to_apply(self) -> bool:
        """Whether the plan's run would apply it."""
        return self.selected and self.state in TO_APPLY

    @property
    def is_applied(self) -> bool:
        """Whether it is applied, as edited as the file may be since: history says so, and the schema shows nothing else."""
        return self.state in (StepState.APPLIED, StepState.CHANGED)

    @property
    def is_recorded(self) -> bool:
        """Whether history holds it as applied, under whatever name, and none of its alternatives stands in its place.

        Where another hand wrote history, the schema may show that it is not applied.
        """
        return self._row_is_applied and self.state not in (StepState.UNKNOWN, StepState.REPLACED)

    @property
    def is_newer(self) -> bool:
        """Whether a kimbledb that knows more applied it: what failed was never there."""
        by_kimbledb = self.recorded is not None and self.recorded.version is not None
        return self._row_is_applied and by_kimbledb and self.state is StepState.UNKNOWN

    @property
    def _row_is_applied(self) -> bool:
        return self.recorded is not None and self.recorded.is_applied

    @property
    def notes(self) -> list[str]:
        """What there is to know of the way in which it would be applied, in words."""
        first = ["not asked for"] if self.state in TO_APPLY and not self.selected else []
        if self.online:
            first.append("first online.sql, outside of a transaction: tables hold rows")
        if self.migration.reaches:
            first.append(f"it reaches outside of the target schema: {', '.join(self.migration.reaches)}")
        if self.migration.deletes:
            first.append(f"it deletes on purpose: {one_line(self.migration.deletes)}")
        return [*first, *(f"hazard: {hazard}" for hazard in self.hazards)]

    def __str__(self) -> str:
        return f"{one_line(self.name)}: {self.state} ({self.reason})"


@frozen(eq=False)
class Plan(Report):
    """Every migration of a catalog in the order of execution, each with its state and the reason.

    ``print(plan)`` shows it as a table; a notebook shows it by itself.
    """

    steps: tuple[Step, ...]
    #: The target schema, where the plan was made for a database.
    schema: str | None = None
    #: What else there is to know of the database, such as another tool's history in it.
    notes: tuple[str, ...] = ()

    @cached_property
    def pending(self) -> tuple[Step, ...]:
        """The steps that would be applied, in order."""
        return tuple(step for step in self.steps if step.to_apply)

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps for which a run would stop before it does anything: edited or renamed after they were applied."""
        return tuple(step for step in self.steps if step.selected and step.state in REFUSED)

    def step(self, name: str) -> Step:
        """Return the step of a migration by its name.

        Raises:
            KeyError: The plan has none of that name.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    def count(self, state: StepState) -> int:
        """Return how many steps are in a state."""
        return sum(step.state is state for step in self.steps)

    @property
    def summary(self) -> str:
        """One line: how many steps are in which state, and how many would be applied."""
        counts = []
        for state in StepState:
            steps = [step for step in self.steps if step.state is state]
            # Of those that could be applied, some were not asked for.
            beyond = sum(not step.selected for step in steps) if state in TO_APPLY else 0
            if steps:
                counts.append(f"{len(steps)} {state}" + (f" ({beyond} not asked for)" if beyond else ""))
        todo = f"{len(self.pending)} to apply" if self.pending else "nothing to do"
        if self.refused:
            todo = "to be refused"
        return f"{todo}; {', '.join(counts) or 'no migrations'}"

    def to_mermaid(self) -> str:
        """Return the graph of phases and dependencies as a Mermaid flowchart."""
        from kimbledb.model.pictures import to_mermaid

        return to_mermaid(self._graph())

    def to_svg(self) -> str:
        """Return the graph of phases and dependencies as an SVG picture, which needs nothing else to be shown."""
        from kimbledb.model.pictures import to_svg

        return to_svg(self._graph())

    def as_tables(self) -> tuple[Table, ...]:
        """Return the steps, each with its state, the reason and what there is to know."""
        rows = tuple(
            (
                str(step.migration.number or ""),
                str(step.migration.phase or ""),
                step.name,
                str(step.state),
                (step.reason, *step.notes),
                step.migration.title,
            )
            for step in self.steps
        )
        headers = ("#", "phase", "migration", "state", "why", "title")
        return (Table(self.summary, rows, headers, self.notes, below=True, page_only=("title",)),)

    def as_dict(self) -> dict[str, Json]:
        """Return the plan as values.

        ``steps``: for each migration ``migration`` (its name), ``number``, ``phase``, ``title``, ``state``, ``reason``,
        ``needs``, ``selected``, ``to_apply``, ``online``, ``notes`` and ``hazards``, each with the attributes of a
        :class:`Hazard`. ``pending``, ``refused``: names. ``schema``, ``notes``: as the attributes.
        """
        return {
            "schema": self.schema,
            "steps": [_step_as_dict(step) for step in self.steps],
            "pending": [step.name for step in self.pending],
            "refused": [step.name for step in self.refused],
            "notes": plain(self.notes),
        }

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.to_svg()

    def _graph(self) -> Graph:
        from kimbledb.model.pictures import Graph, Node

        nodes = tuple(
            Node(
                name=step.name,
                label=f"{step.migration.number}. {step.name}" if step.migration.number else step.name,
                group=step.migration.phase,
                state=str(step.state),
                hover=f"{step.migration.title or step.name}\n{step.state}: {step.reason}",
            )
            for step in self.steps
        )
        known = {step.name for step in self.steps}
        edges = tuple((need, step.name) for step in self.steps for need in step.needs if need in known)
        return Graph(nodes, edges)


def _step_as_dict(step: Step) -> dict[str, Json]:
    return {
        "migration": step.name,
        "number": step.migration.number,
        "phase": step.migration.phase,
        "title": step.migration.title,
        "state": str(step.state),
        "reason": step.reason,
        "needs": plain(step.needs),
        "selected": step.selected,
        "to_apply": step.to_apply,
        "hazards": plain(step.hazards),
        "online": step.online,
        "notes": plain(step.notes),
    }
