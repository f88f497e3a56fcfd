"""The plan: every migration with its state and the reason, as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration, folder_of
from kimbledb.model.origin import Place, TableState, Wishes
from kimbledb.model.presentation import Json, Report, plain
from kimbledb.model.step import REFUSED, TO_APPLY, Step, StepState
from kimbledb.model.tables import Table
from kimbledb.model.text import counted, few, one_line

if TYPE_CHECKING:  # pictures take 9 ms, the fingerprint 3 ms: what needs them imports them
    from kimbledb.model.basis import Basis
    from kimbledb.model.pictures import Graph


#: The characters of a fingerprint that a notebook shows.
_SHORT = 16
_SQL_HEAD = """\
-- What migrate() would run, {target}: {summary}
-- To be read, not to be run: locks, proofs and history are missing. migrate() looks again, and may find other things."""


@frozen(eq=False)
class Plan(Report):
    """Every migration of a catalog in the order of execution, each with its state and the reason.

    ``print(plan)`` shows it as a table, a notebook as a table and a picture.
    """

    #: One step for each migration, in the order of execution.
    steps: tuple[Step, ...]
    #: The name of the target schema, or None if the plan was made without a database.
    schema: str | None = None
    #: Further facts of the database, such as the history of another tool, a line each.
    notes: tuple[str, ...] = ()
    #: The database that it was made for, or None for an empty one that nobody named.
    place: Place | None = None
    #: The arguments of the call by which it was made.
    wishes: Wishes = field(factory=Wishes)
    #: The evidence by which it was made, or None.
    evidence: Evidence | None = field(default=None, repr=False)
    #: The tables of the schema, by name; none where nothing is pending, or the schema is empty.
    tables: Mapping[str, TableState] = field(factory=dict, repr=False)
    #: Its basis, where it was pickled: without the SQL of its migrations it could not be made again.
    _basis: Basis | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """A short text that stands for the plan: ``kp1-``, and digits in hexadecimal.

        It is the same in every process for the same files, history, objects and database, and for the same arguments of
        the call. It differs if one of these does: a file of a migration, a row of history, an object that a migration
        declares, the columns of a table that pending steps name, whether such a table holds rows, the server, the
        database, the schema, or the statements that would be sent. It holds no secret.
        """
        return self.basis.fingerprint

    @cached_property
    def basis(self) -> Basis:
        """All that its fingerprint covers, as texts, by which ``migrate(plan=...)`` names what has changed."""
        if self._basis is not None:
            return self._basis
        from kimbledb.model.basis_of_plan import basis_of

        return basis_of(self)

    def __reduce__(self) -> tuple[Callable[..., Plan], tuple[dict[str, Any]]]:
        parts = {name: getattr(self, name) for name in ("steps", "schema", "notes", "place", "wishes", "basis")}
        return _plan_of, (parts,)

    @cached_property
    def pending(self) -> tuple[Step, ...]:
        """The steps that a run would apply, in order."""
        return tuple(step for step in self.steps if step.to_apply)

    @property
    def is_decided(self) -> bool:
        """Whether history alone decides it: nothing that the schema shows can change the state of a selected step."""
        return not self.pending and not self.count(StepState.UNDECIDED)

    @property
    def refused(self) -> tuple[Step, ...]:
        """The steps for which a run refuses to start: their files were edited or renamed after they were applied."""
        return tuple(step for step in self.steps if step.selected and step.state in REFUSED)

    @property
    def migrations(self) -> list[Migration]:
        """The migrations of the catalog, in the order of execution."""
        return [step.migration for step in self._of_catalog]

    @cached_property
    def undeclared(self) -> tuple[Step, ...]:
        """The steps of migrations without declarations: neither adoption nor drift knows what they make."""
        return tuple(step for step in self._of_catalog if step.migration.declared_checksum is None)

    @cached_property
    def outdated(self) -> tuple[Step, ...]:
        """The steps of migrations whose declarations were recorded from another text, or cannot be read: they are not used."""
        return tuple(step for step in self._of_catalog if step.migration.is_outdated)

    @property
    def _of_catalog(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.state is not StepState.UNKNOWN)

    @property
    def _doubts(self) -> Iterator[str]:
        """The migrations that nobody has written, and the limits of the plan where declarations are missing."""
        if unwritten := [one_line(step.name) for step in self.pending if step.migration.is_unwritten]:
            yield f"only comments in {few(unwritten)}: write it before it is applied, since an applied file must not change"
        # Of a file that must be restored the declarations are right again with it.
        outdated = [step for step in self.outdated if step.state not in REFUSED]
        every = counted(self._of_catalog, "migration")
        counts = [f"{len(self.undeclared)} of {every} without declarations"] if self.undeclared else []
        if outdated:
            counts.append(f"{len(outdated)} of {every} with outdated declarations")
        if counts:
            of = folder_of((*self.undeclared, *outdated)[0].migration)
            yield (
                f"{', '.join(counts)}: adoption, drift, cures and rollbacks do not know their objects; "
                f"`kimbledb declare {of}` records them"
            )

    def step(self, name: str) -> Step:
        """Return the step of a migration.

        Args:
            name: The name of the migration.

        Raises:
            KeyError: The plan has no step of this name.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    def count(self, state: StepState) -> int:
        """Return the number of steps in a state.

        Args:
            state: The state.
        """
        return sum(step.state is state for step in self.steps)

    @property
    def summary(self) -> str:
        """The number of steps to apply, and of steps in each state, in one line."""
        counts = []
        for state in StepState:
            steps = [step for step in self.steps if step.state is state]
            # A limited plan (to, phase) leaves some of the pending steps out.
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
        """Return the graph of phases and dependencies as an SVG picture, complete in itself."""
        from kimbledb.model.pictures import to_svg

        return to_svg(self._graph())

    def sql(self) -> str:
        """Return the SQL that a run would send for each of its steps, to be read: without locks, proofs and history.

        Where a part of a migration is there, it is what completes it.
        """
        target = "in an empty database" if self.schema is None else f"in schema {one_line(self.schema)}"
        lines = [_SQL_HEAD.format(target=target, summary=one_line(self.summary))]
        return "\n".join([*lines, *(line for step in self.pending for line in step.sql_lines)])

    def to_markdown(self) -> str:
        """Return the plan in GitHub's Markdown, for a comment on a pull request: what whoever approves it needs.

        That is its fingerprint, its target, all that is not applied yet with the reason, locks and sizes, what would be
        lost, the SQL, and the command that runs this plan and no other.
        """
        from kimbledb.model.outputs import review

        return review.write(self)

    def due_as_table(self) -> Table:
        """Return all that is not applied yet as a table."""
        return self._table([step for step in self.steps if step.state is not StepState.APPLIED])

    def as_tables(self) -> tuple[Table, ...]:
        """Return the steps, each with its state, the reason and the remarks on it."""
        return (self._table(self.steps),)

    def _table(self, steps: Iterable[Step]) -> Table:
        rows = tuple(
            (
                str(step.migration.number or ""),
                str(step.migration.phase or ""),
                step.name,
                str(step.state),
                tuple(filter(None, (_why(step), *self._notes_of(step)))),
                step.migration.title,
            )
            for step in steps
        )
        headers = ("#", "phase", "migration", "state", "why", "title")
        notes = (*self._glance, *self.notes, *self._doubts, *self._remarks)
        return Table(self.summary, rows, headers, notes, is_long=True, page_only=("title",))

    @property
    def _glance(self) -> Iterator[str]:
        """The steps that need a decision or a closer look, and the number of hazards of each kind."""
        for state in (StepState.CHANGED, StepState.RENAMED, StepState.CONFLICTING, StepState.PARTIAL):
            if names := [one_line(step.name) for step in self.steps if step.state is state and step.selected]:
                yield f"{state}: {few(names)}"
        hazards = Counter(hazard.name for step in self.pending for hazard in step.hazards)
        if hazards:
            yield f"hazards: {', '.join(f'{count} {kind}' for kind, count in hazards.most_common())}"

    @property
    def _remarks(self) -> Iterator[str]:
        """Which migrations can be adopted, and how many rollbacks are derived, a line each."""
        there = {step.name for step in self.steps if step.is_applied}
        adoptable = []
        for step in self.pending:
            if step.state is StepState.ADOPTABLE and there.issuperset(step.needs):
                adoptable.append(step)
                there.add(step.name)
        if adoptable:
            yield f"`kimbledb adopt` records {counted(adoptable, 'migration')} as applied, and runs nothing"
        derived = [step for step in self.pending if step.migration.rollback_kind == "derived"]
        if derived:
            yield f"rollbacks derived from declarations: {len(derived)} of {len(self.pending)}"

    def _notes_of(self, step: Step) -> Iterator[str]:
        yield from (each for each in step.notes if each not in step.reason)
        # Where no migration has declarations, the line below the table says so once.
        if step in self.undeclared and len(self.undeclared) < len(self._of_catalog):
            yield "without declarations"

    def as_dict(self) -> dict[str, Json]:
        """Return the plan as values.

        ``steps``: for each migration ``migration`` (its name), ``number``, ``phase``, ``title``, ``state``, ``reason``,
        ``needs``, ``selected``, ``to_apply``, ``online``, ``rollback`` and ``no_rollback`` (``rollback_kind`` and
        ``no_rollback`` of the migration), ``notes``, ``hazards``, each with the attributes of a ``Hazard``, and
        ``forecast``: null, or the ``low`` and ``high`` of ``rehearse()``.
        ``pending``, ``refused``, ``undeclared``, ``outdated``: names. ``schema``, ``notes``, ``fingerprint``: as the
        attributes. ``basis``: what the fingerprint covers, so that ``migrate(plan=...)`` can name what has changed.
        """
        return {"fingerprint": self.fingerprint, **self.states_as_dict(), "basis": self.basis.as_dict()}

    def states_as_dict(self) -> dict[str, Json]:
        """Return the same values without the fingerprint and what it covers."""
        return {
            "schema": self.schema,
            "steps": [_step_as_dict(step) for step in self.steps],
            "pending": [step.name for step in self.pending],
            "refused": [step.name for step in self.refused],
            "undeclared": [step.name for step in self.undeclared],
            "outdated": [step.name for step in self.outdated],
            "notes": plain(self.notes),
        }

    def _repr_html_(self) -> str:
        # As short as it identifies the plan; the whole is there to be copied.
        name = f'<code title="{self.fingerprint}">{self.fingerprint[:_SHORT]}…</code>'
        return f"<p>fingerprint: {name}</p>{super()._repr_html_()}{self.to_svg()}"

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


def _why(step: Step) -> str:
    """Return the reason of a step's state, without what the state says."""
    if step.reason == "not applied yet":
        return ""
    return step.reason.removeprefix("applied ") if step.state is StepState.APPLIED else step.reason


def _plan_of(parts: dict[str, Any]) -> Plan:
    return Plan(**parts)


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
        "forecast": plain(step.forecast),
        "online": step.online or (step.completion is not None and bool(step.completion.online)),
        "rollback": step.migration.rollback_kind,
        "no_rollback": step.migration.no_rollback,
        "notes": plain(step.notes),
    }
