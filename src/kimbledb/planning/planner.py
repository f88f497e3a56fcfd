"""The order of migrations, the choice among alternatives, and the state of each.

Pure: it asks no database. What is known of one (history, evidence) is given to
:meth:`Planner.plan`, and the same input gives the same plan, whatever its order.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import AlternativesError, DependencyCycleError, UnknownMigrationError
from kimbledb.model.migration import AppliedMigration, Evidence, Finding, Migration, ObjectState
from kimbledb.model.names import folded, near
from kimbledb.model.plan import TO_APPLY, Plan, Step, StepState
from kimbledb.model.text import few


class Planner:
    """Plans for one catalog."""

    def __init__(self, catalog: Catalog, *, prefer: Iterable[str | int] = ()) -> None:
        """Take a catalog and the choices made beforehand.

        Args:
            catalog: The migrations.
            prefer: The names or numbers of alternatives to take instead of the default.

        Raises:
            UnknownMigrationError: A preferred name is not in the catalog.
            AlternativesError: A preferred migration has no alternatives, or
                two that exclude each other are preferred.
        """
        self.catalog = catalog
        preferred: dict[str, None] = {}
        for name in [prefer] if isinstance(prefer, str | int) else prefer:
            migration = catalog.get(name)
            if migration is None:
                choices = (each.name for each in catalog if each.alternatives)
                raise UnknownMigrationError(name, near(name, choices) if isinstance(name, str) else ())
            if not migration.alternatives:
                raise AlternativesError(
                    f"{name} is preferred, and has no alternatives", (), hint="leave it out of `prefer`"
                )
            both = [other for other in migration.alternatives if other in preferred]
            if both:
                pair = sorted((migration.name, *both))
                raise AlternativesError(
                    f"{' and '.join(pair)} exclude each other, and both are preferred", pair, hint="prefer one of them"
                )
            preferred[migration.name] = None
        self.prefer = tuple(preferred)

    def plan(
        self,
        applied: Iterable[str | AppliedMigration] = (),
        evidence: Evidence | None = None,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        schema: str | None = None,
    ) -> Plan:
        """Say what would be done.

        Args:
            applied: History: names, or rows as :class:`AppliedMigration`.
            evidence: What the database shows by itself.
            to: A name or a number: plan that migration and all it needs, no more.
            phase: Plan the migrations of a phase and all they need, no more.
            schema: The target schema, to be shown.

        Raises:
            UnknownMigrationError: ``to`` or ``phase`` names nothing.
            AlternativesError: Not exactly one of several alternatives is chosen.
            DependencyCycleError: Migrations need each other.
        """
        return self._plan(applied, evidence or Evidence(), to, phase, schema, deciding=True)

    def standing(
        self, applied: Iterable[AppliedMigration] | None, evidence: Evidence, *, schema: str | None = None
    ) -> Plan:
        """Say how each migration stands, for those who apply none: where a choice is to be made, none is needed.

        Alternatives of which none is chosen are shown as undecided, and those that history
        holds side by side as applied.

        Args:
            applied: History, or None where there is none.
            evidence: What the database shows by itself.
            schema: The target schema, to be shown.

        Raises:
            DependencyCycleError: Migrations need each other.
        """
        return self._plan(applied or (), evidence, None, None, schema, deciding=False)

    def _plan(
        self,
        applied: Iterable[str | AppliedMigration],
        evidence: Evidence,
        to: str | int | None,
        phase: int | None,
        schema: str | None,
        *,
        deciding: bool,
    ) -> Plan:
        history = self._matched(applied)
        choices = self._choose(history, evidence, deciding=deciding)
        needs = self._needs(choices, deciding=deciding)
        selected = self._selection(choices, needs, to, phase)
        strangers = sorted((row for name, row in history.items() if name not in self.catalog), key=lambda row: row.name)
        moved = _Moved(strangers)
        steps = [
            self._step(self.catalog[name], history, evidence, choices, needs, name in selected, moved)
            for name in self.ordered(needs)
        ]
        return Plan(tuple(steps) + tuple(_unknown_step(row) for row in strangers), schema)

    def _matched(self, applied: Iterable[str | AppliedMigration]) -> dict[str, AppliedMigration]:
        """Return history by name; a name that lacks ``.sql`` finds its migration, too."""
        rows: dict[str, AppliedMigration] = {}
        for item in applied:
            row = AppliedMigration(item) if isinstance(item, str) else item
            name = row.name
            if name not in self.catalog and name + ".sql" in self.catalog:
                name += ".sql"
            # Of two rows for one migration that with its full name counts, in whatever order they come.
            if name not in rows or row.name == name:
                rows[name] = row
        return rows

    def _choose(
        self, history: Mapping[str, AppliedMigration], evidence: Evidence, *, deciding: bool
    ) -> dict[str, _Choice]:
        """Return, for each migration that is not taken, what is taken instead and why."""
        contested = {
            thing: providers for thing in self.catalog.provided if len(providers := self.catalog.providers(thing)) > 1
        }
        if deciding:
            for providers in contested.values():
                self._check_history(providers, history)

        replaced: dict[str, _Choice] = {}
        # The strongest reason goes first over all things: a migration that provides
        # several decides for each of them.
        for reason in _Reason:
            for providers in contested.values():
                free = [each for each in providers if each.name not in replaced]
                chosen = self._chosen_by(reason, free, history, evidence)
                if chosen is not None:
                    for other in chosen.alternatives:
                        if not _is_applied(self.catalog[other], history):
                            replaced.setdefault(other, (chosen.name, str(reason)))
        if deciding:
            for thing, providers in contested.items():
                _check_one_is_left(thing, providers, replaced)
        return replaced

    def _check_history(self, providers: Sequence[Migration], history: Mapping[str, AppliedMigration]) -> None:
        names = [migration.name for migration in providers]
        taken = [each for each in providers if _is_applied(each, history)]
        if len(taken) > 1:
            raise AlternativesError(
                f"{' and '.join(each.name for each in taken)} exclude each other, and history says that both are applied",
                names,
                hint=f"roll one of them back, for example {taken[-1].name}",
            )
        preferred = [each for each in providers if each.name in self.prefer]
        if taken and preferred and preferred != taken:
            raise AlternativesError(
                f"{preferred[0].name} is preferred, and {taken[0].name} is applied in its place",
                names,
                hint=f"leave `prefer` out, or roll {taken[0].name} back first",
            )

    def _chosen_by(
        self,
        reason: _Reason,
        free: Sequence[Migration],
        history: Mapping[str, AppliedMigration],
        evidence: Evidence,
    ) -> Migration | None:
        """Return which of several that exclude each other a reason speaks for, if it speaks for one."""
        if reason is _Reason.APPLIED:
            taken = [each for each in free if _is_applied(each, history)]
            # Of what another hand recorded both may be in history: then it is no reason.
            recorded = [each for each in free if _is_recorded(each, history)]
            return taken[0] if taken else recorded[0] if len(recorded) == 1 else None
        if reason is _Reason.PREFERRED:
            return next((each for each in free if each.name in self.prefer), None)
        # A default does not stand against what is there.
        shown = _shown_by(evidence, free)
        if reason is _Reason.EVIDENCE:
            shown = shown if len(shown) == 1 else _shows_most(evidence, shown)
            return shown[0] if len(shown) == 1 else None
        among = shown or free
        if reason is _Reason.HOSTED_DEFAULT:
            return next((each for each in among if evidence.hosted and each.default_when == "hosted"), None)
        return next((each for each in among if each.default), None)

    def _needs(self, replaced: Mapping[str, _Choice], *, deciding: bool) -> dict[str, tuple[str, ...]]:
        """Return for each migration the names of those it needs, alternatives resolved."""
        needs: dict[str, tuple[str, ...]] = {}
        for migration in self.catalog:
            wanted: dict[str, None] = {}
            for name in migration.requires:
                provider = self.catalog.get(name)
                if provider is None:
                    providers = self.catalog.providers(name)
                    provider = next((each for each in providers if each.name not in replaced), None)
                    if provider is None:
                        if migration.name in replaced or not deciding:
                            continue  # it is not taken either, or shown only
                        raise _nothing_left(name, [each.name for each in providers], replaced)
                chosen = replaced.get(provider.name)
                wanted[chosen[0] if chosen else provider.name] = None
            needs[migration.name] = tuple(wanted)
        return needs

    def ordered(self, needs: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Return all names so that each comes after what it needs; of those free to go, the lowest number first."""
        waiting = {name: len(wanted) for name, wanted in needs.items()}
        dependents: dict[str, list[str]] = {name: [] for name in needs}
        for name, wanted in needs.items():
            for need in wanted:
                dependents[need].append(name)
        ready = [(self.catalog[name].number, name) for name, count in waiting.items() if not count]
        heapq.heapify(ready)
        ordered: list[str] = []
        while ready:
            _, name = heapq.heappop(ready)
            ordered.append(name)
            for dependent in dependents[name]:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heapq.heappush(ready, (self.catalog[dependent].number, dependent))
        if len(ordered) < len(needs):
            raise DependencyCycleError(_cycle_in({name: needs[name] for name, count in waiting.items() if count}))
        return ordered

    def _selection(
        self,
        replaced: Mapping[str, _Choice],
        needs: Mapping[str, tuple[str, ...]],
        to: str | int | None,
        phase: int | None,
    ) -> frozenset[str]:
        if to is None and phase is None:
            return frozenset(needs)
        goals: list[str] = []
        if to is not None:
            target = self.catalog[to]
            if target.name in replaced:
                raise AlternativesError(
                    f"{target.name} is asked for, and {replaced[target.name][0]} stands in its place",
                    (target.name, *target.alternatives),
                    hint=f"prefer=({target.name!r},) chooses it",
                )
            goals.append(target.name)
        if phase is not None:
            self.catalog.check_phase(phase)
            goals += [each.name for each in self.catalog if each.phase == phase and each.name not in replaced]
        selected: set[str] = set()
        while goals:
            name = goals.pop()
            if name not in selected:
                selected.add(name)
                goals.extend(needs[name])
        return frozenset(selected)

    def _step(
        self,
        migration: Migration,
        history: Mapping[str, AppliedMigration],
        evidence: Evidence,
        replaced: Mapping[str, _Choice],
        needs: Mapping[str, tuple[str, ...]],
        selected: bool,
        moved: _Moved,
    ) -> Step:
        row = history.get(migration.name)
        choice = replaced.get(migration.name)
        undecided = [other for other in migration.alternatives if other not in replaced]
        before = moved.row_of(migration)
        if choice is not None:
            state, reason = StepState.REPLACED, f"{choice[0]} is used in its place: {choice[1]}"
        elif row is not None and row.is_applied and row.legacy:
            state, reason = _legacy_state(migration, row, evidence)
        elif row is not None and row.is_applied:
            state, reason = _applied_state(migration, row)
        elif undecided:
            state, reason = StepState.UNDECIDED, f"it or {' or '.join(undecided)}: which of them is not chosen"
        elif before is not None:
            state, reason = StepState.RENAMED, f"history holds it as {before.name}{_when(before)}: was it renamed?"
        elif row is not None and row.success is False:
            state, reason = (
                StepState.FAILED,
                f"its last attempt failed: {_first_line(row.error) or 'no error recorded'}",
            )
        else:
            state, reason = _unapplied_state(migration, evidence)
        if migration.irreversible is not None and choice is None and state in TO_APPLY:
            reason = f"{reason}; it cannot be taken back: {migration.irreversible}"
        if not selected and choice is None and state is not StepState.APPLIED:
            reason = f"not asked for ({reason})"
        recorded = before if state is StepState.RENAMED else row
        return Step(migration, state, reason, needs[migration.name], selected, recorded)


class _Moved:
    """What history holds and the catalog does not: a file that was renamed is found there by its text."""

    def __init__(self, strangers: Iterable[AppliedMigration]) -> None:
        applied = [row for row in strangers if row.is_applied]
        self._by_checksum = {row.checksum: row for row in applied if row.checksum}
        self._by_name = {folded(row.name): row for row in applied}

    def row_of(self, migration: Migration) -> AppliedMigration | None:
        """Return the row of a migration under an older name, or None."""
        if not self._by_name:
            return None
        for checksum in (migration.checksum, *migration.supersedes):
            if checksum in self._by_checksum:
                return self._by_checksum[checksum]
        return self._by_name.get(folded(migration.name))


#: The name of what is taken instead, and why.
_Choice = tuple[str, str]


class _Reason(enum.StrEnum):
    """Why one of several alternatives is taken, the strongest first."""

    APPLIED = "it is applied"
    PREFERRED = "it is preferred"
    EVIDENCE = "its objects are there"
    HOSTED_DEFAULT = "it is the default on a hosted database"
    DEFAULT = "it is the default"


def _check_one_is_left(thing: str, providers: Sequence[Migration], replaced: Mapping[str, _Choice]) -> None:
    names = [each.name for each in providers]
    free = [each for each in providers if each.name not in replaced]
    if not free:
        raise _nothing_left(thing, names, replaced)
    if len(free) > 1:
        raise AlternativesError(
            f"{thing} is provided by {' and '.join(each.name for each in free)}, and none is chosen",
            names,
            hint=f"choose one: prefer=({free[0].name!r},), or --prefer {free[0].name}",
        )


def _nothing_left(thing: str, names: Sequence[str], replaced: Mapping[str, _Choice]) -> AlternativesError:
    standing = ", ".join(f"{replaced[name][0]} stands in the place of {name}" for name in names)
    return AlternativesError(
        f"nothing is left that provides {thing}: {standing}",
        names,
        hint=f"choose one: prefer=({names[0]!r},), or --prefer {names[0]}",
    )


def _is_applied(migration: Migration, history: Mapping[str, AppliedMigration]) -> bool:
    row = history.get(migration.name)
    return row is not None and row.is_applied and not row.legacy


def _is_recorded(migration: Migration, history: Mapping[str, AppliedMigration]) -> bool:
    """Whether history says that it is applied, whoever wrote it."""
    return migration.name in history and history[migration.name].is_applied


def _shows_most(evidence: Evidence, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the one that shows all that the others show, and more, if there is one."""
    shows = {each.name: set(evidence.findings[each.name].present) for each in migrations}
    return [
        each
        for each in migrations
        if all(shows[each.name] > shows[other.name] for other in migrations if other is not each)
    ]


def _shown_by(evidence: Evidence, migrations: Sequence[Migration]) -> list[Migration]:
    """Return those whose objects are all there or, where there are none such, those with some."""
    for state in (ObjectState.APPLIED, ObjectState.PARTIAL):
        shown = [
            each
            for each in migrations
            if each.name in evidence.findings and evidence.findings[each.name].state is state
        ]
        if shown:
            return shown
    return []


def _applied_state(migration: Migration, row: AppliedMigration) -> tuple[StepState, str]:
    if row.checksum not in (None, migration.checksum, *migration.supersedes):
        return (
            StepState.CHANGED,
            f"applied with sha256 {str(row.checksum)[:12]}, the file has {migration.checksum[:12]}",
        )
    verb = "adopted" if row.adopted else "applied"
    return StepState.APPLIED, f"{verb}{_when(row)}"


def _legacy_state(migration: Migration, row: AppliedMigration, evidence: Evidence) -> tuple[StepState, str]:
    """What another hand recorded is looked at before it is believed."""
    said = f"recorded by another hand{_when(row)}"
    finding = evidence.findings.get(migration.name)
    if finding is None:
        if evidence.gathered:
            return StepState.APPLIED, f"{said}; it declares nothing that could be looked for"
        return StepState.PENDING, f"{said}; the schema is still to be looked at"
    if finding.state is ObjectState.APPLIED:
        if row.checksum == migration.checksum:
            return StepState.APPLIED, said
        return StepState.APPLIED, f"{said}; {_all_there(finding)}, and adopt() records the checksum"
    if finding.state is ObjectState.CONFLICTING:
        return StepState.CONFLICTING, f"{said}, but {few(finding.conflicts)}"
    if not finding.present:
        what = few(finding.missing) if migration.is_repair else "nothing of it is there"
        return StepState.PENDING, f"{said}, but {what}"
    return StepState.PARTIAL, f"{said}, but {few(finding.missing)} missing"


def _unapplied_state(migration: Migration, evidence: Evidence) -> tuple[StepState, str]:
    finding = evidence.findings.get(migration.name)
    if finding is None or finding.state is ObjectState.MISSING:
        return StepState.PENDING, "not applied yet"
    if finding.state is ObjectState.APPLIED:
        return StepState.ADOPTABLE, _adoptable_reason(finding)
    if finding.state is ObjectState.PARTIAL:
        return StepState.PARTIAL, f"not in history; {few(finding.present)} there, {few(finding.missing)} missing"
    return StepState.CONFLICTING, f"not in history; {few(finding.conflicts)}"


def _adoptable_reason(finding: Finding) -> str:
    return f"not in history; {_all_there(finding)}"


def _all_there(finding: Finding) -> str:
    count = len(finding.present)
    return "nothing left to repair" if not count else f"all {count} objects are there"


def _when(row: AppliedMigration) -> str:
    return f" {row.applied_at[:19].replace('T', ' ')}" if row.applied_at else ""


def _unknown_step(row: AppliedMigration) -> Step:
    by = f"by kimbledb {row.version}" if row.version else "by another hand"
    said = "its last attempt failed" if row.success is False else f"recorded {by}"
    stranger = Migration(name=row.name, number=0)
    return Step(stranger, StepState.UNKNOWN, f"{said}; this catalog does not hold it", selected=False, recorded=row)


def _cycle_in(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return one circle among migrations of which each waits for another of them."""
    # Every one of them needs one that waits too, or is needed by one: walk along
    # needs that wait until a name comes again.
    name = min(name for name, wanted in needs.items() if any(need in needs for need in wanted))
    path: dict[str, int] = {}
    walk: list[str] = []
    while name not in path:
        path[name] = len(walk)
        walk.append(name)
        name = min(need for need in needs[name] if need in needs)
    circle = walk[path[name] :]
    first = circle.index(min(circle))
    return [*circle[first:], *circle[:first], circle[first]]


def _first_line(text: str | None) -> str:
    return "" if not text else text.splitlines()[0]


@frozen(kw_only=True, eq=False)
class Goal:
    """What a call wants of a database: the choices by which each of its plans is made."""

    planner: Planner
    #: The target schema.
    schema: str
    #: The last migration, by name or number, or None for all.
    to: str | int | None = None
    #: The last phase, or None for all.
    phase: int | None = None
    #: Whether the call applies migrations: then exactly one of several alternatives must be chosen.
    #: False for :meth:`Planner.standing`, which takes no ``to`` and no ``phase``.
    deciding: bool = True

    @property
    def catalog(self) -> Catalog:
        """The migrations."""
        return self.planner.catalog

    def plan(self, applied: Iterable[AppliedMigration] | None, shown: Evidence) -> Plan:
        """Return the plan for a database.

        Args:
            applied: History, or None where there is none.
            shown: What the database shows by itself.

        Raises:
            PlanningError: No plan can be made.
        """
        if not self.deciding:
            return self.planner.standing(applied, shown, schema=self.schema)
        return self.planner.plan(applied or (), shown, to=self.to, phase=self.phase, schema=self.schema)
