"""The planner: the order of the migrations, the choice among alternatives, and the state of each migration.

It is pure and asks no database. The caller passes the history and the evidence of a database to ``Planner.plan()``.
Equal input gives an equal plan, in whatever order the rows of history come.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import AlternativesError, DependencyCycleError, UnknownMigrationError
from kimbledb.model.evidence import AppliedMigration, Evidence, ObjectState
from kimbledb.model.migration import Migration
from kimbledb.model.names import folded, near
from kimbledb.model.origin import Wishes
from kimbledb.model.plan import Plan
from kimbledb.model.step import TO_APPLY, Step, StepState
from kimbledb.planning.step_states import of_applied, of_failed, of_legacy, of_unapplied, when


class Planner:
    """Makes plans for one catalog."""

    def __init__(self, catalog: Catalog, *, prefer: Iterable[str | int] = ()) -> None:
        """Make a planner.

        Args:
            catalog: The migrations.
            prefer: The names or numbers of alternatives to use instead of the default.

        Raises:
            CatalogError: Migrations require built-in ones that the catalog does not hold.
            UnknownMigrationError: The catalog has no migration of a preferred name or number.
            AlternativesError: A preferred migration has no alternatives, or two preferred migrations exclude each
                other.
        """
        catalog.check_whole()
        #: The migrations.
        self.catalog: Catalog = catalog
        preferred: dict[str, None] = {}
        for name in [prefer] if isinstance(prefer, str | int) else prefer:
            migration = catalog.get(name)
            if migration is None:
                choices = (each.name for each in catalog if each.alternatives)
                raise UnknownMigrationError(name, near(name, choices) if isinstance(name, str) else ())
            if not migration.alternatives:
                raise AlternativesError(
                    f"{name} is preferred but has no alternatives", (), hint="remove it from `prefer`"
                )
            both = [other for other in migration.alternatives if other in preferred]
            if both:
                pair = sorted((migration.name, *both))
                raise AlternativesError(
                    f"{' and '.join(pair)} exclude each other, and both are preferred", pair, hint="prefer one of them"
                )
            preferred[migration.name] = None
        #: The names of the alternatives that are used instead of the default.
        self.prefer: tuple[str, ...] = tuple(preferred)

    def plan(
        self,
        applied: Iterable[str | AppliedMigration] = (),
        evidence: Evidence | None = None,
        *,
        to: str | int | None = None,
        phase: int | None = None,
        schema: str | None = None,
    ) -> Plan:
        """Make the plan of a run that applies migrations.

        Args:
            applied: The history of the database: the names of the applied migrations, or rows as
                ``AppliedMigration``.
            evidence: The evidence from the database's objects, or None for an empty database.
            to: The name or number of a migration. The plan selects that migration and all migrations that it requires.
            phase: The number of a phase. The plan selects its migrations and all migrations that they require.
            schema: The name of the target schema, which the plan shows.

        Returns:
            The plan, with a step for each migration of the catalog and for each unknown row of history.

        Raises:
            UnknownMigrationError: The catalog has no migration ``to``, or no phase ``phase``.
            AlternativesError: Not exactly one of several alternatives is chosen.
            DependencyCycleError: Migrations require each other.
        """
        return self._plan(applied, evidence or Evidence(), to, phase, schema, deciding=True)

    def standing(
        self, applied: Iterable[AppliedMigration] | None, evidence: Evidence, *, schema: str | None = None
    ) -> Plan:
        """Make a plan that shows the state of each migration, for an operation that applies none.

        No choice among alternatives is required. The plan shows alternatives as undecided if none of them is chosen,
        and as applied if history records them side by side.

        Args:
            applied: The history of the database, or None if the database has none.
            evidence: The evidence from the database's objects.
            schema: The name of the target schema, which the plan shows.

        Returns:
            The plan, with a step for each migration of the catalog and for each unknown row of history.

        Raises:
            DependencyCycleError: Migrations require each other.
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
        wishes = Wishes(None if to is None else self.catalog[to].name, phase, self.prefer)
        every = tuple(steps) + tuple(_unknown_step(row) for row in strangers)
        return Plan(every, schema, wishes=wishes, evidence=evidence)

    def _matched(self, applied: Iterable[str | AppliedMigration]) -> dict[str, AppliedMigration]:
        """Return the rows of history by migration. A name without ``.sql`` matches its migration as well."""
        rows: dict[str, AppliedMigration] = {}
        for item in applied:
            row = AppliedMigration(item) if isinstance(item, str) else item
            name = row.name
            if name not in self.catalog and name + ".sql" in self.catalog:
                name += ".sql"
            # Of two rows for one migration the row with the full name counts, whatever their order.
            if name not in rows or row.name == name:
                rows[name] = row
        return rows

    def _choose(
        self, history: Mapping[str, AppliedMigration], evidence: Evidence, *, deciding: bool
    ) -> dict[str, _Choice]:
        """Return the migration that replaces each unused alternative, and the reason."""
        contested = {
            thing: providers for thing in self.catalog.provided if len(providers := self.catalog.providers(thing)) > 1
        }
        if deciding:
            for providers in contested.values():
                self._check_history(providers, history)

        replaced: dict[str, _Choice] = {}
        # Each reason is tried for all things before the next one: a migration that provides several things decides for
        # each of them.
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
                f"{' and '.join(each.name for each in taken)} exclude each other, but history records both as applied",
                names,
                hint=f"roll one of them back, for example {taken[-1].name}",
            )
        preferred = [each for each in providers if each.name in self.prefer]
        if taken and preferred and preferred != taken:
            raise AlternativesError(
                f"{preferred[0].name} is preferred, but {taken[0].name} is applied in its place",
                names,
                hint=f"omit `prefer`, or roll {taken[0].name} back first",
            )

    def _chosen_by(
        self,
        reason: _Reason,
        free: Sequence[Migration],
        history: Mapping[str, AppliedMigration],
        evidence: Evidence,
    ) -> Migration | None:
        """Return the one of several alternatives that a reason selects, or None if it does not select exactly one."""
        if reason is _Reason.APPLIED:
            taken = [each for each in free if _is_applied(each, history)]
            # A history from outside of kimbledb may record both: then it is no reason.
            recorded = [each for each in free if _is_recorded(each, history)]
            return taken[0] if taken else recorded[0] if len(recorded) == 1 else None
        if reason is _Reason.PREFERRED:
            return next((each for each in free if each.name in self.prefer), None)
        # A default only decides among the alternatives whose objects exist.
        shown = _shown_by(evidence, free)
        if reason is _Reason.EVIDENCE:
            shown = shown if len(shown) == 1 else _shows_most(evidence, shown)
            return shown[0] if len(shown) == 1 else None
        among = shown or free
        if reason is _Reason.HOSTED_DEFAULT:
            return next((each for each in among if evidence.hosted and each.default_when == "hosted"), None)
        return next((each for each in among if each.default), None)

    def _needs(self, replaced: Mapping[str, _Choice], *, deciding: bool) -> dict[str, tuple[str, ...]]:
        """Return the names of the migrations that each migration requires, with alternatives resolved."""
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
                            continue  # this migration is not used either, or the plan only shows states
                        raise _nothing_left(name, [each.name for each in providers], replaced)
                chosen = replaced.get(provider.name)
                wanted[chosen[0] if chosen else provider.name] = None
            needs[migration.name] = tuple(wanted)
        return needs

    def in_order(self) -> list[Migration]:
        """Return all migrations of the catalog in the order of execution, alternatives side by side.

        Raises:
            DependencyCycleError: Migrations require each other.
        """
        return [self.catalog[name] for name in self.ordered(self._needs({}, deciding=False))]

    def ordered(self, needs: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Return all names in the order of execution.

        A migration comes after all that it requires. Among those whose requirements are met, the lowest number is first.
        Those that are repeatable come after all others, by name.

        Args:
            needs: The names of the migrations that each migration requires.

        Raises:
            DependencyCycleError: Migrations require each other.
        """
        waiting = {name: len(wanted) for name, wanted in needs.items()}
        dependents: dict[str, list[str]] = {name: [] for name in needs}
        for name, wanted in needs.items():
            for need in wanted:
                dependents[need].append(name)
        ready = [self._place(name) for name, count in waiting.items() if not count]
        heapq.heapify(ready)
        ordered: list[str] = []
        while ready:
            *_, name = heapq.heappop(ready)
            ordered.append(name)
            for dependent in dependents[name]:
                waiting[dependent] -= 1
                if not waiting[dependent]:
                    heapq.heappush(ready, self._place(dependent))
        if len(ordered) < len(needs):
            raise DependencyCycleError(_cycle_in({name: needs[name] for name, count in waiting.items() if count}))
        return ordered

    def _place(self, name: str) -> tuple[bool, int, str]:
        """Return what orders a migration among those whose requirements are met."""
        migration = self.catalog[name]
        return migration.repeatable, 0 if migration.repeatable else migration.number, name

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
                    f"{target.name} is requested, but {replaced[target.name][0]} is used in its place",
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
            state, reason = of_legacy(migration, row, evidence)
        elif row is not None and row.is_applied:
            state, reason = of_applied(migration, row)
        elif undecided:
            state, reason = StepState.UNDECIDED, f"an alternative of {' and '.join(undecided)}: none is chosen"
        elif before is not None:
            state, reason = StepState.RENAMED, f"history records it as {before.name}{when(before)}: was it renamed?"
        elif row is not None and row.success is False:
            state, reason = of_failed(row)
        else:
            made_elsewhere = all(row.adopted or row.legacy for row in history.values())
            state, reason = of_unapplied(migration, evidence, made_elsewhere=made_elsewhere)
        if migration.irreversible is not None and choice is None and state in TO_APPLY:
            reason = f"{reason}; it cannot be rolled back: {migration.irreversible}"
        if not selected and choice is None and state is not StepState.APPLIED:
            reason = f"not asked for ({reason})"
        recorded = before if state is StepState.RENAMED else row
        return Step(migration, state, reason, needs[migration.name], selected, recorded)


class _Moved:
    """The rows of history without a migration of their name. A renamed file is found among them by its checksum."""

    def __init__(self, strangers: Iterable[AppliedMigration]) -> None:
        applied = [row for row in strangers if row.is_applied]
        self._by_checksum = {row.checksum: row for row in applied if row.checksum}
        self._by_name = {folded(row.name): row for row in applied}

    def row_of(self, migration: Migration) -> AppliedMigration | None:
        """Return the row that records a migration under another name, or None."""
        if not self._by_name:
            return None
        for checksum in (migration.checksum, *migration.supersedes):
            if checksum in self._by_checksum:
                return self._by_checksum[checksum]
        return self._by_name.get(folded(migration.name))


#: The name of the migration that is used instead, and the reason.
_Choice = tuple[str, str]


class _Reason(enum.StrEnum):
    """The reasons to use one of several alternatives, the strongest first."""

    APPLIED = "it is applied"
    PREFERRED = "it is preferred"
    EVIDENCE = "its objects exist"
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
            hint=f"choose one, as by prefer=({free[0].name!r},)",
        )


def _nothing_left(thing: str, names: Sequence[str], replaced: Mapping[str, _Choice]) -> AlternativesError:
    used = ", ".join(f"{replaced[name][0]} is used in place of {name}" for name in names)
    return AlternativesError(
        f"no migration that provides {thing} remains: {used}",
        names,
        hint=f"choose one, as by prefer=({names[0]!r},)",
    )


def _is_applied(migration: Migration, history: Mapping[str, AppliedMigration]) -> bool:
    row = history.get(migration.name)
    return row is not None and row.is_applied and not row.legacy


def _is_recorded(migration: Migration, history: Mapping[str, AppliedMigration]) -> bool:
    """Return whether history records a migration as applied, whoever wrote the row."""
    return migration.name in history and history[migration.name].is_applied


def _shows_most(evidence: Evidence, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migration whose existing objects include those of each other one and more, if there is one."""
    shows = {each.name: set(evidence.findings[each.name].present) for each in migrations}
    return [
        each
        for each in migrations
        if all(shows[each.name] > shows[other.name] for other in migrations if other is not each)
    ]


def _shown_by(evidence: Evidence, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations whose objects all exist; if there are none, those of which some objects exist."""
    for state in (ObjectState.APPLIED, ObjectState.PARTIAL):
        shown = [
            each
            for each in migrations
            if each.name in evidence.findings and evidence.findings[each.name].state is state
        ]
        if shown:
            return shown
    return []


def _unknown_step(row: AppliedMigration) -> Step:
    by = f"by kimbledb {row.version}" if row.version else "outside of kimbledb"
    said = "its last attempt failed" if row.success is False else f"recorded {by}"
    stranger = Migration(name=row.name, number=0)
    return Step(stranger, StepState.UNKNOWN, f"{said}; this catalog does not have it", selected=False, recorded=row)


def _cycle_in(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return one cycle among the migrations that wait for each other."""
    # Each of them requires another one that waits, or is required by one. A walk along these requirements reaches
    # some name twice.
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


@frozen(kw_only=True, eq=False)
class Goal:
    """The goal of a call: the choices by which each of its plans is made."""

    planner: Planner
    #: The name of the target schema.
    schema: str
    #: The last migration, by name or number, or None for all.
    to: str | int | None = None
    #: The last phase, or None for all.
    phase: int | None = None
    #: The tables that are set aside where they hold what cannot be brought to its declared form.
    set_aside: frozenset[str] = frozenset()
    #: Whether the call applies migrations, so that exactly one of several alternatives must be chosen.
    #: False for ``Planner.standing()``, which has no ``to`` and no ``phase``.
    deciding: bool = True

    @property
    def catalog(self) -> Catalog:
        """The migrations."""
        return self.planner.catalog

    def plan(self, applied: Iterable[AppliedMigration] | None, shown: Evidence) -> Plan:
        """Make the plan for a database.

        Args:
            applied: The history of the database, or None if the database has none.
            shown: The evidence from the database's objects.

        Raises:
            PlanningError: No plan can be made.
        """
        if not self.deciding:
            return self.planner.standing(applied, shown, schema=self.schema)
        plan = self.planner.plan(applied or (), shown, to=self.to, phase=self.phase, schema=self.schema)
        if not self.set_aside:
            return plan
        return evolve(plan, wishes=evolve(plan.wishes, set_aside=tuple(sorted(self.set_aside))))
