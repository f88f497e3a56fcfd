from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import AlternativesError, DependencyCycleError, PlanningError, UnknownMigrationError
from kimbledb.model.evidence import AppliedMigration, Evidence, Finding, ObjectState
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.model.step import StepState
from kimbledb.planning.planner import Planner

APPLIED, MISSING, PARTIAL, CONFLICTING = ObjectState


def migration(name: str, number: int, *requires: str, provides: Iterable[str] = (), **facts: object) -> Migration:
    """A migration of the given name, without ``.sql``, and of the given needs."""
    make = partial(Migration, **facts)  # type: ignore[arg-type]  # a test's facts are right
    return make(
        name=f"{name}.sql",
        number=number,
        requires=tuple(requires),
        provides=tuple(provides),
        checksum=f"sum of {name}",
    )


def names(plan: Plan) -> list[str]:
    """The names of a plan's steps, in order."""
    return [step.name for step in plan.steps]


def pending(plan: Plan) -> list[str]:
    """The names of what a run would apply, in order."""
    return [step.name for step in plan.pending]


def states(plan: Plan) -> dict[str, str]:
    """The state of each step, by name."""
    return {step.name: str(step.state) for step in plan.steps}


def evidence(*, hosted: bool = False, **found: ObjectState) -> Evidence:
    """Evidence on migrations by their names without ``.sql``."""
    return Evidence(hosted, {f"{name}.sql": Finding(state, ("table x",)) for name, state in found.items()})


# Any graph without circles: for each migration a number, and those that it needs.


@st.composite
def graphs(draw: st.DrawFn, least: int = 0) -> dict[int, list[int]]:
    """Numbers, each with the numbers that it needs, which make no circle."""
    numbers = draw(st.lists(st.integers(1, 40), unique=True, min_size=least, max_size=9))
    place = {number: index for index, number in enumerate(draw(st.permutations(numbers)))}
    return {
        number: [each for each in numbers if place[each] < place[number] and draw(st.booleans())] for number in numbers
    }


def catalog_of(graph: Mapping[int, Iterable[int]], *, shuffled: int = 0) -> Catalog:
    """The catalog of a graph, its migrations and their needs handed over in some order."""
    order = random.Random(shuffled)
    migrations = [
        migration(f"m{number}", number, *order.sample(needs := [f"m{need}.sql" for need in wanted], len(needs)))
        for number, wanted in graph.items()
    ]
    order.shuffle(migrations)
    return Catalog(migrations)


def closure(graph: Mapping[int, Iterable[int]], number: int) -> set[int]:
    """A number and all that it needs."""
    return {number}.union(*(closure(graph, need) for need in graph[number]))


@given(graphs())
def test_each_migration_comes_after_what_it_needs(graph: dict[int, list[int]]) -> None:
    """Every migration is in the plan once, and all that it needs stands before it."""
    order = [step.migration.number for step in Planner(catalog_of(graph)).plan().steps]

    assert sorted(graph) == sorted(order)
    assert all(order.index(need) < order.index(number) for number in graph for need in graph[number])


@given(graphs())
def test_ties_are_broken_by_number(graph: dict[int, list[int]]) -> None:
    """Of the migrations whose needs are met the one with the lowest number goes first."""
    expected: list[int] = []
    while len(expected) < len(graph):
        expected.append(min(n for n in graph if n not in expected and set(graph[n]) <= set(expected)))

    assert expected == [step.migration.number for step in Planner(catalog_of(graph)).plan().steps]


@settings(max_examples=settings().max_examples // 2)
@given(graphs(), st.integers(), st.data())
def test_the_plan_does_not_depend_on_the_order_of_its_input(
    graph: dict[int, list[int]], seed: int, data: st.DataObject
) -> None:
    """The same migrations, needs and history give the same plan, in whatever order they come."""
    rows = [
        AppliedMigration(f"{'old' if strange else 'm'}{number}{suffix}", success)
        for number in graph
        for strange, suffix, success in data.draw(
            st.lists(
                st.tuples(st.booleans(), st.sampled_from(["", ".sql"]), st.booleans()),
                max_size=3,
                unique_by=lambda row: row[:2],
            )
        )
    ]
    plan = Planner(catalog_of(graph)).plan(rows)

    again = Planner(catalog_of(graph, shuffled=seed)).plan(data.draw(st.permutations(rows)))

    assert str(plan) == str(again)
    assert [(step.name, sorted(step.needs), step.recorded) for step in plan.steps] == [
        (step.name, sorted(step.needs), step.recorded) for step in again.steps
    ]


@given(graphs(least=1), st.data())
def test_to_plans_a_migration_and_what_it_needs(graph: dict[int, list[int]], data: st.DataObject) -> None:
    """With `to`, by number or by name, exactly that migration and all that it needs are pending."""
    goal = data.draw(st.sampled_from(sorted(graph)))
    planner = Planner(catalog_of(graph))
    whole = pending(planner.plan())
    expected = [name for name in whole if int(name[1:-4]) in closure(graph, goal)]

    assert expected == pending(planner.plan(to=goal)) == pending(planner.plan(to=f"m{goal}.sql"))
    assert whole == names(planner.plan(to=goal))


@given(graphs(least=1), st.data())
def test_a_plan_needs_no_more_once_it_is_carried_out(graph: dict[int, list[int]], data: st.DataObject) -> None:
    """What was pending and is applied is pending no more, and nothing else changes."""
    planner = Planner(catalog_of(graph))
    whole = pending(planner.plan())
    first = pending(planner.plan(to=data.draw(st.sampled_from(sorted(graph)))))

    assert [name for name in whole if name not in first] == pending(planner.plan(first))
    assert not planner.plan(whole).pending


@given(graphs(least=1), st.data())
def test_a_circle_is_shown_as_it_is(graph: dict[int, list[int]], data: st.DataObject) -> None:
    """The circle that is reported is one: each name needs the next, and only the first, the least, comes twice."""
    ring = data.draw(st.lists(st.sampled_from(sorted(graph)), min_size=1, max_size=4, unique=True))
    wanted = {number: set(needs) for number, needs in graph.items()}
    for number, need in zip(ring, [*ring[1:], ring[0]], strict=True):
        wanted[number].add(need)

    with pytest.raises(DependencyCycleError) as caught:
        Planner(catalog_of(wanted)).plan()

    cycle = [int(name[1:-4]) for name in caught.value.cycle]
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(need in wanted[number] for number, need in pairwise(cycle))
    assert caught.value.cycle[0] == min(caught.value.cycle)
    assert " -> ".join(caught.value.cycle) in str(caught.value)


@given(graphs(least=2), st.integers())
def test_the_same_circle_is_shown_whatever_the_order(graph: dict[int, list[int]], seed: int) -> None:
    """Of several circles the same one is reported, in whatever order the migrations come."""
    everything = {number: [each for each in graph if each != number] for number in graph}
    with pytest.raises(DependencyCycleError) as first:
        Planner(catalog_of(everything)).plan()
    with pytest.raises(DependencyCycleError) as second:
        Planner(catalog_of(everything, shuffled=seed)).plan()

    assert first.value.cycle == second.value.cycle


def test_a_migration_that_needs_itself_is_a_circle() -> None:
    """The shortest circle is shown as one, too."""
    with pytest.raises(DependencyCycleError) as caught:
        Planner(Catalog([migration("a", 1, "a.sql")])).plan()

    assert caught.value.cycle == ("a.sql", "a.sql")


def test_a_long_chain_is_planned() -> None:
    """10,000 migrations that each need the one before are planned without running out of stack."""
    count = 10_000
    chain = Catalog([migration("m0", 1), *(migration(f"m{n}", n + 1, f"m{n - 1}.sql") for n in range(1, count))])

    assert [f"m{number}.sql" for number in range(count)] == pending(Planner(chain).plan(to=count))


# What is asked for.


PHASED = Catalog(
    [
        migration("base", 1, phase=1),
        migration("more", 2, "base.sql", phase=1),
        migration("late", 3, "extra.sql", phase=3),
        migration("extra", 4, "base.sql"),
    ]
)


@pytest.mark.parametrize(
    ("to", "phase", "expected"),
    [
        (None, None, ["base.sql", "more.sql", "extra.sql", "late.sql"]),
        (None, 1, ["base.sql", "more.sql"]),
        (None, 3, ["base.sql", "extra.sql", "late.sql"]),
        ("extra.sql", None, ["base.sql", "extra.sql"]),
        (2, None, ["base.sql", "more.sql"]),
        ("more.sql", 3, ["base.sql", "more.sql", "extra.sql", "late.sql"]),
    ],
)
def test_what_is_asked_for_is_planned(to: str | int | None, phase: int | None, expected: list[str]) -> None:
    """A phase is all its migrations and what they need; with `to` beside it, both are planned."""
    assert expected == pending(Planner(PHASED).plan(to=to, phase=phase))


def test_what_is_not_asked_for_says_so() -> None:
    """Steps outside of what is asked for stay in the plan, are not selected and give their reason."""
    step = Planner(PHASED).plan(to="base.sql").step("more.sql")

    assert step.state is StepState.PENDING
    assert not step.selected
    assert not step.to_apply
    assert step.reason == "not asked for (not applied yet)"


@pytest.mark.parametrize(
    ("to", "phase", "name", "text"),
    [
        ("bse.sql", None, "bse.sql", "no migration named bse.sql; did you mean base.sql?"),
        (9, None, 9, "no migration 9"),
        (None, 2, 2, "no phase 2\n  hint: there are 1, 3"),
    ],
)
def test_what_is_unknown_is_refused(to: str | int | None, phase: int | None, name: object, text: str) -> None:
    """A name, number or phase that is not there is an error with the near names or the choice."""
    with pytest.raises(UnknownMigrationError) as caught:
        Planner(PHASED).plan(to=to, phase=phase)

    assert (name, text) == (caught.value.name, caught.value.text)


@pytest.mark.parametrize(
    ("phases", "text"),
    [
        ((1, 2, 3), "there are 1 to 3"),
        ((2, 5), "there are 2, 5"),
        ((), "there are no phases"),
        ((4,), "there are 4 to 4"),
    ],
)
def test_the_phases_to_choose_from_are_told(phases: tuple[int, ...], text: str) -> None:
    """The hint names the phases that there are."""
    catalog = Catalog([migration("none", 99), *(migration(f"m{phase}", phase, phase=phase) for phase in phases)])
    with pytest.raises(UnknownMigrationError) as caught:
        Planner(catalog).plan(phase=7)

    assert text == caught.value.hint


# What history and evidence say.


ONE = Catalog([migration("a", 1, supersedes=("an older sum",))])


@pytest.mark.parametrize(
    ("row", "found", "state", "reason"),
    [
        (None, None, "pending", "not applied yet"),
        (None, MISSING, "pending", "not applied yet"),
        (None, APPLIED, "adoptable", "not in history; all 1 objects exist"),
        (None, PARTIAL, "partial", "not in history; table x present, nothing missing"),
        (None, CONFLICTING, "conflicting", "not in history; nothing"),
        (AppliedMigration("a.sql"), None, "applied", "applied"),
        (AppliedMigration("a.sql"), MISSING, "applied", "applied"),
        (AppliedMigration("a.sql", checksum="sum of a"), None, "applied", "applied"),
        (AppliedMigration("a.sql", checksum="an older sum"), None, "applied", "applied"),
        (AppliedMigration("a.sql", applied_at="2025-01-02T03:04:05.678+00"), None, "applied", "applied 2025-01-02 03:04:05"),
        (AppliedMigration("a.sql", adopted=True), None, "applied", "adopted"),
        (AppliedMigration("a"), None, "applied", "applied"),
        (
            AppliedMigration("a.sql", checksum="another sum than it was"),
            None,
            "changed",
            "edited after it was applied: the sha256 was another sum  and is sum of a",
        ),
        (AppliedMigration("a.sql", success=False), None, "failed", "its last attempt failed: no error recorded"),
        (AppliedMigration("a.sql", success=False, error="oh\nno"), APPLIED, "failed", "its last attempt failed: oh"),
        (AppliedMigration("a.sql", success=False, checksum="x"), None, "failed", "its last attempt failed: no error recorded"),
        (AppliedMigration("a.sql", success=None), None, "pending", "not applied yet"),
        (AppliedMigration("a.sql", success=None), APPLIED, "adoptable", "not in history; all 1 objects exist"),
    ],
)  # fmt: skip
def test_the_state_of_a_migration(
    row: AppliedMigration | None, found: ObjectState | None, state: str, reason: str
) -> None:
    """History comes before evidence, only a success is one, and an edited file is told from the one that was applied."""
    plan = Planner(ONE).plan([row] if row else [], evidence(a=found) if found else None)

    assert [(state, reason, row)] == [(step.state, step.reason, step.recorded) for step in plan.steps]
    assert plan.steps[0].to_apply == (state not in {"applied", "changed"})


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        (Finding(PARTIAL, tuple("abcde"), ("f", "g")), "not in history; a, b, c and 2 more present, f, g missing"),
        (Finding(APPLIED), "not in history; nothing left to repair"),
        (
            Finding(APPLIED, ("table x", "view v"), doubtful=("view v",)),
            "not in history; all 2 objects exist; the expressions of view v are compared only when `kimbledb adopt` or `migrate` runs",
        ),
        (Finding(CONFLICTING, conflicts=("column x.y is text",)), "not in history; column x.y is text"),
    ],
)
def test_evidence_is_shown_with_its_objects(finding: Finding, reason: str) -> None:
    """The first three objects are named and the rest is counted."""
    step = Planner(ONE).plan(evidence=Evidence(findings={"a.sql": finding})).step("a.sql")

    assert reason == step.reason


LEGACY = AppliedMigration("a", applied_at="2025-10-27T12:00:00+00:00", legacy=True)
SAID = "recorded outside of kimbledb 2025-10-27 12:00:00"


@pytest.mark.parametrize(
    ("known", "state", "reason"),
    [
        (Evidence(), "pending", f"{SAID}; the schema has not been inspected yet"),
        (Evidence(gathered=True), "applied", f"{SAID}; it declares no objects to look for"),
        (evidence(a=APPLIED), "applied", f"{SAID}; all 1 objects exist; `kimbledb adopt` records the checksum"),
        (evidence(a=PARTIAL), "partial", f"{SAID}, but nothing missing"),
        (evidence(a=CONFLICTING), "conflicting", f"{SAID}, but nothing"),
        (Evidence(findings={"a.sql": Finding(MISSING)}), "pending", f"{SAID}, but none of its objects exists"),
    ],
)
def test_what_another_hand_recorded_is_believed_where_it_is_there(known: Evidence, state: str, reason: str) -> None:
    """A row of another hand counts as applied only where the schema shows it, or could not."""
    step = Planner(ONE).plan([LEGACY], known).step("a.sql")

    assert (state, reason) == (str(step.state), step.reason)


def test_of_two_that_are_there_the_one_that_shows_more_is_taken() -> None:
    """Where one alternative makes all that the other makes and more, what it alone makes decides."""
    findings = {"a.sql": Finding(APPLIED, ("table x",)), "b.sql": Finding(APPLIED, ("table x", "view y"))}
    plan = Planner(DEFAULTS).plan(evidence=Evidence(findings=findings, gathered=True))

    assert plan.step("a.sql").reason == "b.sql is used in its place: its objects exist"


def test_another_hand_may_have_recorded_both_alternatives() -> None:
    """Then what is there decides, else the default; one alone is taken as it is recorded."""
    both = [AppliedMigration(name, legacy=True) for name in ("a.sql", "b.sql")]

    assert Planner(DEFAULTS).plan(both, evidence(b=APPLIED)).step("a.sql").state is StepState.REPLACED
    assert Planner(DEFAULTS).plan(both).step("b.sql").state is StepState.REPLACED
    assert Planner(DEFAULTS).plan(both[1:]).step("a.sql").state is StepState.REPLACED


def test_names_are_history_enough() -> None:
    """History may be given as names, with .sql or without."""
    catalog = Catalog([migration("a", 1), migration("b", 2), migration("c", 3)])
    expected = {"a.sql": "applied", "b.sql": "applied", "c.sql": "pending"}

    assert expected == states(Planner(catalog).plan(["b", "a.sql"]))


@pytest.mark.parametrize("turned", [False, True])
def test_the_row_with_the_full_name_counts(turned: bool) -> None:
    """Of a row with .sql and one without, that with the full name says what is, in whatever order they come."""
    rows = [AppliedMigration("a", success=True), AppliedMigration("a.sql", success=False)]

    assert states(Planner(ONE).plan(rows[::-1] if turned else rows)) == {"a.sql": "failed"}


def test_unknown_rows_are_shown_and_never_run() -> None:
    """What history holds and the catalog does not comes last, by name, with the one who wrote it, and is not pending."""
    rows = [AppliedMigration("z.sql", version="9.9"), AppliedMigration("b", success=False), AppliedMigration("a.sql")]
    expected = [
        ("a.sql", "applied", "applied"),
        ("b", "unknown", "its last attempt failed; this catalog does not have it"),
        ("z.sql", "unknown", "recorded by kimbledb 9.9; this catalog does not have it"),
    ]

    plan = Planner(ONE).plan(rows)

    assert expected == [(step.name, str(step.state), step.reason) for step in plan.steps]
    assert not plan.pending
    assert not any(step.selected for step in plan.steps[1:])


@pytest.mark.parametrize(
    "row",
    [
        AppliedMigration("older.sql", checksum="sum of a", version="1.0"),
        AppliedMigration("older.sql", checksum="before", adopted=True),
        AppliedMigration("A.SQL", checksum="another"),
    ],
    ids=["the same text", "a text that it supersedes", "another case"],
)
def test_what_history_holds_under_another_name_is_not_run_again(row: AppliedMigration) -> None:
    """A file whose text was applied under another name was renamed, it seems: it is shown so, and not pending."""
    catalog = Catalog([migration("a", 1, supersedes=("before",))])

    plan = Planner(catalog).plan([row])

    assert {"a.sql": "renamed", row.name: "unknown"} == states(plan)
    assert plan.step("a.sql").reason == f"history records it as {row.name}: was it renamed?"
    assert not plan.pending


@pytest.mark.parametrize(
    "row",
    [
        AppliedMigration("older.sql", success=False, checksum="sum of a"),
        AppliedMigration("older.sql", checksum=None),
        AppliedMigration("b.sql", checksum="sum of a"),
    ],
    ids=["it failed", "no checksum", "a migration of the catalog"],
)
def test_what_was_not_applied_under_another_name_is_pending(row: AppliedMigration) -> None:
    """A row that failed, one without a checksum, and one of a migration that is there prove no renaming."""
    plan = Planner(Catalog([migration("a", 1), migration("b", 2)])).plan([row])

    assert str(plan.step("a.sql").state) == "pending"


def test_the_summary_says_what_was_not_asked_for() -> None:
    """Of what is pending the part beyond `to` is counted by itself, so that the numbers add up."""
    catalog = Catalog([migration("a", 1), migration("b", 2, "a.sql"), migration("c", 3, "b.sql")])

    assert Planner(catalog).plan(to="a.sql").summary == "1 to apply; 3 pending (2 not asked for)"
    assert Planner(catalog).plan(["a.sql"], to="a.sql").summary == (
        "nothing to do; 1 applied, 2 pending (2 not asked for)"
    )
    assert Planner(catalog).plan().summary == "3 to apply; 3 pending"


def test_the_schema_is_kept_to_be_shown() -> None:
    """The plan knows the schema that it was made for."""
    assert Planner(ONE).plan(schema="tenant").schema == "tenant"


# Alternatives.


def alternatives(**facts: dict[str, object]) -> Catalog:
    """Two migrations, a and b, of which one provides what c needs, with facts of each."""
    return Catalog(
        [
            migration("base", 1),
            migration("a", 2, "base.sql", provides=["thing"], **facts.get("a", {})),
            migration("b", 3, provides=["thing"], **facts.get("b", {})),
            migration("c", 4, "thing"),
        ]
    )


def test_who_applies_nothing_needs_no_choice() -> None:
    """Where nothing says which alternative is taken, those who only look see that, and no error."""
    plan = Planner(alternatives()).standing((), Evidence())

    assert states(plan) == {"base.sql": "pending", "a.sql": "undecided", "b.sql": "undecided", "c.sql": "pending"}
    assert plan.step("a.sql").reason == "an alternative of b.sql: none is chosen"


def test_both_alternatives_in_history_are_shown_as_applied() -> None:
    """What should not be is shown as it is, so that one of the two can be rolled back."""
    rows = [AppliedMigration(name, version="1.0") for name in ("base.sql", "a.sql", "b.sql", "c.sql")]

    plan = Planner(alternatives()).standing(rows, Evidence())

    assert {"applied"} == set(states(plan).values())


@given(st.sets(st.sampled_from(["base.sql", "a.sql", "b.sql", "c.sql"])), st.booleans())
def test_a_plan_to_look_at_is_that_to_be_carried_out_where_there_is_one(applied: set[str], default: bool) -> None:
    """Where every choice is made both plans are the same."""
    planner = Planner(alternatives(a={"default": default}))
    rows = [AppliedMigration(name, version="1.0") for name in applied]

    shown = planner.standing(rows, Evidence())

    try:
        plan = planner.plan(rows)
    except AlternativesError:
        return
    assert str(plan) == str(shown)


DEFAULTS = alternatives(a={"default": True}, b={"default_when": "hosted"})


@pytest.mark.parametrize(
    ("prefer", "applied", "known", "chosen", "why"),
    [
        ([], [], None, "a", "it is the default"),
        ([], [], evidence(hosted=True), "b", "it is the default on a hosted database"),
        (["b.sql"], [], None, "b", "it is preferred"),
        (["a.sql"], [], evidence(hosted=True), "a", "it is preferred"),
        ("b.sql", [], None, "b", "it is preferred"),
        ([3], [], None, "b", "it is preferred"),
        (["b.sql"], [], evidence(a=APPLIED), "b", "it is preferred"),
        ([], ["b.sql"], None, "b", "it is applied"),
        ([], ["b"], None, "b", "it is applied"),
        (["b.sql"], ["b.sql"], None, "b", "it is applied"),
        ([], ["b.sql"], evidence(a=APPLIED), "b", "it is applied"),
        ([], [], evidence(b=APPLIED), "b", "its objects exist"),
        ([], [], evidence(a=APPLIED, b=PARTIAL), "a", "its objects exist"),
        ([], [], evidence(a=PARTIAL, b=APPLIED), "b", "its objects exist"),
        ([], [], evidence(hosted=True, a=PARTIAL, b=MISSING), "a", "its objects exist"),
        ([], [], evidence(a=APPLIED, b=APPLIED), "a", "it is the default"),
        ([], [], evidence(hosted=True, a=APPLIED, b=APPLIED), "b", "it is the default on a hosted database"),
        ([], [], evidence(a=MISSING, b=CONFLICTING), "a", "it is the default"),
        ([], [AppliedMigration("b.sql", success=False)], None, "a", "it is the default"),
    ],
)
def test_one_alternative_is_chosen(
    prefer: Iterable[str], applied: list[str], known: Evidence | None, chosen: str, why: str
) -> None:
    """History decides before a preference, that before evidence, and evidence before a default."""
    other = {"a": "b", "b": "a"}[chosen]
    plan = Planner(DEFAULTS, prefer=prefer).plan(applied, known)

    assert (StepState.REPLACED, f"{chosen}.sql is used in its place: {why}") == (
        plan.step(f"{other}.sql").state,
        plan.step(f"{other}.sql").reason,
    )
    assert (f"{chosen}.sql",) == plan.step("c.sql").needs
    assert f"{other}.sql" not in pending(plan)
    assert not plan.step(f"{other}.sql").to_apply


def test_a_need_of_the_one_is_met_by_the_other() -> None:
    """Who requires a migration that was replaced needs the one in its place."""
    catalog = Catalog(
        [
            migration("a", 1, provides=["thing"], default=True),
            migration("b", 2, provides=["thing"]),
            migration("c", 3, "b.sql", "thing"),
        ]
    )

    assert Planner(catalog).plan().step("c.sql").needs == ("a.sql",)
    assert pending(Planner(catalog).plan(to="c.sql")) == ["a.sql", "c.sql"]


def test_a_phase_takes_only_the_chosen_alternative() -> None:
    """A phase that holds alternatives plans the one that is taken."""
    catalog = alternatives(a={"default": True, "phase": 1}, b={"phase": 1})

    assert pending(Planner(catalog).plan(phase=1)) == ["base.sql", "a.sql"]
    assert pending(Planner(catalog, prefer=["b.sql"]).plan(phase=1)) == ["b.sql"]


def test_to_refuses_what_is_replaced() -> None:
    """Who asks for the other alternative is told which one stands in its place, and how to choose it."""
    with pytest.raises(AlternativesError, match=r"b\.sql is requested, but a\.sql is used in its place") as caught:
        Planner(DEFAULTS).plan(to="b.sql")

    assert set(caught.value.alternatives) == {"a.sql", "b.sql"}
    assert caught.value.hint == "prefer=('b.sql',) chooses it"


@pytest.mark.parametrize(
    ("prefer", "error", "text"),
    [
        (["x.sql"], UnknownMigrationError, "no migration named x.sql"),
        (["B"], UnknownMigrationError, "no migration named B; did you mean b.sql?"),
        ([7], UnknownMigrationError, "no migration 7"),
        (["c.sql"], AlternativesError, "c.sql is preferred but has no alternatives"),
        (["b.sql", "a.sql"], AlternativesError, "a.sql and b.sql exclude each other, and both are preferred"),
    ],
)
def test_a_preference_that_cannot_be_is_refused(prefer: list[str], error: type[Exception], text: str) -> None:
    """A preference must name an alternative, and one of each kind at most."""
    with pytest.raises(error) as caught:
        Planner(DEFAULTS, prefer=prefer)

    assert str(caught.value).splitlines()[0] == text


def test_a_preference_may_be_repeated() -> None:
    """Naming one twice, by its name and by its number, is naming it once."""
    assert Planner(DEFAULTS, prefer=["b.sql", 3, "b.sql"]).prefer == ("b.sql",)


@pytest.mark.parametrize(
    ("catalog", "prefer", "applied", "known", "text"),
    [
        (alternatives(), [], [], None, "thing is provided by a.sql and b.sql, and none is chosen"),
        (alternatives(a={"default_when": "hosted"}), [], [], None, "thing is provided by a.sql and b.sql, and none is chosen"),
        (alternatives(), [], [], evidence(a=APPLIED, b=APPLIED), "thing is provided by a.sql and b.sql, and none is chosen"),
        (DEFAULTS, [], ["a.sql", "b.sql"], None, "a.sql and b.sql exclude each other, but history records both as applied"),
        (DEFAULTS, ["a.sql"], ["b.sql"], None, "a.sql is preferred, but b.sql is applied in its place"),
    ],
)  # fmt: skip
def test_alternatives_that_cannot_be_decided_are_refused(
    catalog: Catalog, prefer: list[str], applied: list[str], known: Evidence | None, text: str
) -> None:
    """None chosen, both applied, or one preferred where the other is applied: an error with the names and a hint."""
    with pytest.raises(AlternativesError) as caught:
        Planner(catalog, prefer=prefer).plan(applied, known)

    assert text == caught.value.message
    assert caught.value.alternatives == ("a.sql", "b.sql")
    assert caught.value.hint


def test_evidence_narrows_the_choice_among_three() -> None:
    """What is wholly there comes before what is half there, and a default that is not there does not count."""
    catalog = Catalog(
        [
            migration("a", 1, provides=["thing"], default=True),
            migration("b", 2, provides=["thing"]),
            migration("c", 3, provides=["thing"], default_when="hosted"),
        ]
    )

    plan = Planner(catalog).plan(evidence=evidence(hosted=True, a=PARTIAL, b=APPLIED, c=APPLIED))
    assert states(plan) == {"a.sql": "replaced", "b.sql": "replaced", "c.sql": "adoptable"}
    plan = Planner(catalog).plan(evidence=evidence(a=APPLIED, b=APPLIED, c=PARTIAL))
    assert states(plan) == {"a.sql": "adoptable", "b.sql": "replaced", "c.sql": "replaced"}
    with pytest.raises(AlternativesError, match="none is chosen"):
        Planner(catalog).plan(evidence=evidence(a=MISSING, b=APPLIED, c=APPLIED))


OVERLAPPING = Catalog(
    [
        migration("both", 1, provides=["x", "y"], default=True),
        migration("x1", 2, provides=["x"]),
        migration("y1", 3, provides=["y"]),
        migration("user", 4, "x", "y"),
    ]
)


@pytest.mark.parametrize(
    ("prefer", "applied", "expected"),
    [
        ([], [], ["both.sql"]),
        (["x1.sql"], [], ["x1.sql", "y1.sql"]),
        (["y1.sql"], [], ["x1.sql", "y1.sql"]),
        ([], ["y1.sql"], ["x1.sql", "y1.sql"]),
        (["x1.sql"], ["y1.sql"], ["x1.sql", "y1.sql"]),
    ],
)
def test_one_migration_may_stand_for_several_things(prefer: list[str], applied: list[str], expected: list[str]) -> None:
    """Where one migration provides what two others provide one by one, either it or both of them are taken."""
    plan = Planner(OVERLAPPING, prefer=prefer).plan(applied)

    assert sorted(expected) == sorted(plan.step("user.sql").needs)
    assert {"both.sql", "x1.sql", "y1.sql"} - set(expected) == {
        step.name for step in plan.steps if step.state is StepState.REPLACED
    }


def test_things_that_cannot_all_be_had_are_refused() -> None:
    """Where the choice for one thing leaves nobody for another, the error says who stands in whose place."""
    catalog = Catalog(
        [
            migration("a", 1, provides=["x"]),
            migration("b", 2, provides=["x", "y"]),
            migration("c", 3, provides=["y", "z"]),
            migration("d", 4, provides=["z"]),
        ]
    )
    with pytest.raises(AlternativesError) as caught:
        Planner(catalog, prefer=["a.sql", "d.sql"]).plan()

    assert caught.value.message == (
        "no migration that provides y remains: a.sql is used in place of b.sql, d.sql is used in place of c.sql"
    )


def test_what_goes_with_a_replaced_migration_is_missed_only_where_it_is_needed() -> None:
    """A thing that a replaced migration alone provides is an error for those that need it, and for no other."""
    migrations = [
        migration("a", 1, provides=["x"], default=True),
        migration("b", 2, "y", provides=["x", "y"]),
    ]

    assert pending(Planner(Catalog(migrations)).plan()) == ["a.sql"]
    with pytest.raises(AlternativesError) as caught:
        Planner(Catalog([*migrations, migration("c", 3, "y")])).plan()
    assert caught.value.message == "no migration that provides y remains: a.sql is used in place of b.sql"


THINGS = st.sampled_from(["x", "y", "z"])


@given(
    st.lists(st.tuples(st.lists(THINGS, max_size=2), st.sampled_from(list(ObjectState)), st.booleans()), max_size=6),
    st.lists(THINGS, max_size=3),
    st.data(),
)
def test_exactly_one_of_several_alternatives_is_taken(
    providers: list[tuple[list[str], ObjectState, bool]], wanted: list[str], data: st.DataObject
) -> None:
    """Either the planner refuses, or of the migrations that provide a thing exactly one is taken and met by all needs."""
    taken_things: set[str] = set()
    migrations = []
    for number, (things, _, default) in enumerate(providers, 1):
        allowed = default and not taken_things & set(things)
        taken_things |= set(things) if allowed else set()
        migrations.append(migration(f"m{number}", number, provides=things, default=allowed))
    provided = {thing for things, _, _ in providers for thing in things}
    migrations.append(migration("user", 99, *(thing for thing in wanted if thing in provided)))
    catalog = Catalog(migrations)
    known = Evidence(findings={f"m{number}.sql": Finding(state) for number, (_, state, _) in enumerate(providers, 1)})
    prefer = [each.name for each in catalog if each.alternatives and data.draw(st.integers(0, 3)) == 0]
    applied = [each.name for each in catalog if data.draw(st.integers(0, 5)) == 0]

    try:
        plan = Planner(catalog, prefer=prefer).plan(applied, known)
    except PlanningError as error:
        assert isinstance(error, AlternativesError)
        return

    replaced = {step.name for step in plan.steps if step.state is StepState.REPLACED}
    for thing in catalog.provided:
        left = [each for each in catalog.providers(thing) if each.name not in replaced]
        assert len(left) == 1 or (len(catalog.providers(thing)) == 1 and thing not in wanted)
    assert not replaced & {need for step in plan.steps for need in step.needs}
    assert not replaced & set(pending(plan))
    assert not replaced & {*prefer, *applied}


def test_repeatable_migrations_come_last_by_name() -> None:
    """Their numbers do not count, what they need does, and what needs one comes after it."""
    catalog = Catalog(
        [
            migration("b", 1, repeatable=True),
            migration("a", 2, repeatable=True),
            migration("t", 3),
            migration("z", 4, "a.sql"),
        ]
    )

    assert names(Planner(catalog).plan()) == ["t.sql", "a.sql", "z.sql", "b.sql"]


def test_a_repeatable_migration_is_applied_again_when_its_text_changes() -> None:
    """A difference in checksums makes it pending; the same text leaves it applied."""
    catalog = Catalog([migration("a", 1, repeatable=True)])
    planner = Planner(catalog)

    [same] = planner.plan([AppliedMigration("a.sql", checksum="sum of a")]).steps
    [other] = planner.plan([AppliedMigration("a.sql", checksum="another")]).steps

    assert (same.state, same.runs_again) == (StepState.APPLIED, False)
    assert (other.state, other.runs_again, other.is_applied) == (StepState.PENDING, True, False)
    assert other.reason.startswith("it is applied again")
