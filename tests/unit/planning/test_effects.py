"""The effect of a migration by snapshots: folded onto what was before, it gives what is after."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.effects import (
    Attribution,
    Effect,
    UnknownRenameError,
    effect_of,
    merged,
    of_platform,
    statements_with,
)
from kimbledb.planning.fold import fold

#: The number of each catalog that holds identities, by kind.
CATALOGS = {"table": "pg_class", "column": "pg_class", "view": "pg_class", "index": "pg_class"}


def snapshot(objects: Mapping[str, tuple[int, Facts]]) -> Snapshot:
    """A snapshot by "kind name", each with the number that is its identity and its facts."""
    keys = {text: DatabaseObject.of(text).key for text in objects}
    return Snapshot(
        {keys[text]: facts for text, (_, facts) in objects.items()},
        identities={keys[text]: (keys[text][0], number, 0) for text, (number, _) in objects.items()},
    )


def shown(effect: Effect) -> dict[str, object]:
    """An effect as texts."""
    found: dict[str, object] = {
        "creates": [f"{kind} {name}" for kind, name in effect.creates],
        "changes": [f"{kind} {name}" for kind, name in effect.changes],
        "drops": [f"{kind} {name}" for kind, name in effect.drops],
        "renames": {f"{kind} {name}": new for (kind, name), new in effect.renames.items()},
    }
    return {key: value for key, value in found.items() if value}


def folded(*migrations: tuple[DeclaredStatement, ...], hosted: bool = False) -> dict[Key, Facts]:
    """What the declarations of migrations give together."""
    together = [
        Migration(name=f"{number}.sql", number=number, declare=lambda each=each: Declarations(each))  # type: ignore[misc]
        for number, each in enumerate(migrations, 1)
    ]
    return {item.key: item.each.facts or {} for item in fold(together, hosted=hosted)}


def statement(effect: Effect, line: int = 1) -> tuple[DeclaredStatement, ...]:
    """An effect as that of one statement."""
    return statements_with([("apply", line, 1, effect, {})])


FACTS: st.SearchStrategy[Facts] = st.sampled_from([{}, {"type": "text"}, {"type": "text", "not_null": True}])
TABLES = st.sampled_from(["a", "b", "c"])
OBJECTS = (
    TABLES.map(lambda name: f"table {name}")
    | st.tuples(TABLES, st.sampled_from("xy")).map(lambda names: "column {}.{}".format(*names))
    | st.tuples(TABLES, st.sampled_from("xy")).map(lambda names: "constraint {}.{}".format(*names))
    | TABLES.map(lambda name: f"comment table {name}")
    | TABLES.map(lambda name: f"privilege table {name} to app")
    | st.sampled_from(["view v", "index i", "function f()", "type t"])
)
SNAPSHOTS = st.dictionaries(OBJECTS, st.tuples(st.integers(1, 4), FACTS), max_size=12).map(
    # An identity is that of one object of a kind.
    lambda found: snapshot(
        {
            text: (number, facts)
            for text, (number, facts) in found.items()
            if not any(
                other < text
                and DatabaseObject.of(other).kind == DatabaseObject.of(text).kind
                and found[other][0] == number
                for other in found
            )
        }
    )
)


@given(SNAPSHOTS, SNAPSHOTS)
def test_an_effect_folded_onto_before_gives_after(before: Snapshot, after: Snapshot) -> None:
    """Whatever is made, changed, renamed and dropped: the declarations of both give the objects of after."""
    first = effect_of(Snapshot({}), before)
    second = effect_of(before, after)

    assert dict(after.objects) == folded(statement(first), statement(second))
    assert Effect.declared(statement(second), hosted=True) == second


BEFORE: dict[str, tuple[int, Facts]] = {
    "table orders": (1, {}),
    "column orders.id": (2, {"type": "integer"}),
    "column orders.total": (3, {"type": "numeric"}),
    "constraint orders.orders_pkey": (4, {"key": "PRIMARY KEY (id)"}),
    "index orders_total": (5, {"on": "orders", "columns": ("total",)}),
    "comment table orders": (1, {"text": "Orders."}),
    "privilege table orders to app": (1, {"may": ("select",)}),
    "view big": (6, {"query": "a1"}),
}


States = Mapping[str, tuple[int, Facts]]

CASES: dict[str, tuple[States, dict[str, object]]] = {
    "nothing": (BEFORE, {}),
    "a renamed table takes its parts along": (
        {
            key.replace("orders", "sales") if "pkey" not in key and "index" not in key else key.replace("orders.", "sales."): (
                number,
                {fact: "sales" if value == "orders" else value for fact, value in facts.items()},
            )
            for key, (number, facts) in BEFORE.items()
        },
        {"renames": {"table orders": "sales"}},
    ),
    "a renamed column": (
        {
            **{key: value for key, value in BEFORE.items() if key != "column orders.total"},
            "column orders.sum": (3, {"type": "numeric"}),
            "index orders_total": (5, {"on": "orders", "columns": ("sum",)}),
            "view big": (6, {"query": "a2"}),
        },
        {"changes": ["index orders_total", "view big"], "renames": {"column orders.total": "orders.sum"}},
    ),
    "a dropped table takes its parts along": (
        {"view big": (6, {"query": "a1"})},
        {"drops": ["table orders"]},
    ),
    "a dropped column and what belongs to it": (
        {key: value for key, value in BEFORE.items() if "total" not in key},
        {"drops": ["column orders.total"]},
    ),
    "a part of its own": (
        {key: value for key, value in BEFORE.items() if "pkey" not in key and "privilege" not in key},
        {"drops": ["constraint orders.orders_pkey", "privilege table orders to app"]},
    ),
    "dropped and made again in the same form": ({**BEFORE, "view big": (7, {"query": "a1"})}, {}),
    "dropped and made again in another form": ({**BEFORE, "view big": (7, {"query": "a2"})}, {"changes": ["view big"]}),
    "a new table under the old name": (
        {
            "table orders": (11, {}),
            "column orders.id": (12, {"type": "bigint"}),
            "table orders_old": (1, {}),
            "column orders_old.id": (2, {"type": "integer"}),
            "column orders_old.total": (3, {"type": "numeric"}),
            "constraint orders_old.orders_pkey": (4, {"key": "PRIMARY KEY (id)"}),
            "index orders_total": (5, {"on": "orders_old", "columns": ("total",)}),
            "comment table orders_old": (1, {"text": "Orders."}),
            "privilege table orders_old to app": (1, {"may": ("select",)}),
            "view big": (6, {"query": "a1"}),
        },
        {"creates": ["table orders", "column orders.id"], "renames": {"table orders": "orders_old"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("after", "expected"), CASES.values(), ids=CASES)
def test_the_effect_names_what_does_not_follow(after: States, expected: dict[str, object]) -> None:
    """A rename is a rename, and what follows a renamed or dropped object is not named."""
    assert expected == shown(effect_of(snapshot(BEFORE), snapshot(after)))


def test_an_object_may_take_the_name_of_a_dropped_one() -> None:
    """A table that is swapped for another one of its name is dropped, and the other one is renamed."""
    before = snapshot({"table a": (1, {}), "column a.x": (2, {"type": "text"}), "table b": (3, {})})
    after = snapshot({"table a": (3, {})})

    assert shown(effect_of(before, after)) == {"drops": ["table a"], "renames": {"table b": "a"}}


def test_a_stated_rename_holds_where_identity_does_not_show_it() -> None:
    """A table that was made anew under another name is renamed where migration.toml says so, and refused where untrue."""
    before = snapshot({"table a": (1, {}), "column a.x": (2, {"type": "text"})})
    after = snapshot({"table b": (3, {}), "column b.x": (4, {"type": "text"}), "column b.y": (5, {"type": "text"})})

    assert shown(effect_of(before, after)) == {
        "creates": ["table b", "column b.x", "column b.y"],
        "drops": ["table a"],
    }
    assert shown(effect_of(before, after, {("table", "a"): "b"})) == {
        "creates": ["column b.y"],
        "renames": {"table a": "b"},
    }
    for stated, message in (
        ({("table", "z"): "b"}, "table z does not exist before it"),
        ({("table", "a"): "z"}, "table z does not exist after it"),
    ):
        with pytest.raises(UnknownRenameError, match=message):
            effect_of(before, after, stated)
    with pytest.raises(UnknownRenameError, match="table a still exists after it"):
        effect_of(before, before, {("table", "a"): "b"})


def attributed(*states: Mapping[str, tuple[int, Facts]]) -> dict[int, dict[str, object]]:
    """The effect of each statement between these states."""
    snapshots = [snapshot(each) for each in states]
    effect = effect_of(snapshots[0], snapshots[-1])
    return {number: shown(each) for number, each in Attribution(snapshots).statements_of(effect).items()}


def test_an_object_stands_with_the_statement_that_makes_it() -> None:
    """A table stands with its CREATE, also where later statements alter it; a function with its last replacement."""
    assert attributed(
        {},
        {"table a": (1, {}), "function f()": (2, {"body": "a"})},
        {"table a": (1, {"row_security": True}), "function f()": (2, {"body": "a"})},
        {"table a": (1, {"row_security": True}), "function f()": (2, {"body": "b"})},
        {"table a": (1, {"row_security": True}), "function f()": (2, {"body": "b"}), "index i": (3, {"on": "a"})},
    ) == {0: {"creates": ["table a"]}, 2: {"creates": ["function f()"]}, 3: {"creates": ["index i"]}}


def test_changes_drops_and_renames_stand_with_their_statements() -> None:
    """A change stands with the last statement that makes it, a drop with the first one without the object."""
    table = {"table a": (1, {}), "column a.x": (2, {"type": "text"}), "view v": (3, {"query": "a"})}
    assert attributed(
        table,
        {**table, "column a.x": (2, {"type": "varchar"})},
        {**table, "column a.x": (2, {"type": "char"})},
        {"table a": (1, {}), "column a.x": (2, {"type": "char"})},
        {"table b": (1, {}), "column b.x": (2, {"type": "char"})},
        {"table c": (1, {}), "column c.x": (2, {"type": "char"})},
    ) == {
        1: {"changes": ["column c.x"]},
        2: {"drops": ["view v"]},
        4: {"renames": {"table a": "c"}},
    }


def test_statements_that_did_something_else_are_noticed() -> None:
    """An effect that the snapshots do not hold is an error, and no guess."""
    states = Attribution([snapshot({}), snapshot({})])

    for effect in (Effect(creates={("table", "a"): {}}), Effect(renames={("table", "a"): "b"})):
        with pytest.raises(LookupError):
            states.statements_of(effect)


@given(SNAPSHOTS, SNAPSHOTS, st.integers(1, 2))
def test_both_platforms_are_told_apart(bare: Snapshot, hosted: Snapshot, line: int) -> None:
    """What both platforms share stands once; each platform gets back exactly its own effect."""
    one, other = effect_of(Snapshot({}), bare), effect_of(Snapshot({}), hosted)

    both = merged(statement(one), statement(other, line))

    assert (one, other) == (Effect.declared(both, hosted=False), Effect.declared(both, hosted=True))
    assert [each for each in statement(one) if one] == list(of_platform(both, hosted=False))
    if one == other and line == 1:
        assert all(each.hosted is None for each in both)


def test_columns_keep_their_order() -> None:
    """The columns of a table stand in the order of the table, other objects in that of their names."""
    after = snapshot(
        {
            "index b": (9, {"on": "t"}),
            "column t.id": (3, {"type": "integer"}),
            'column t."a.b"': (5, {"type": "text"}),
            "column t.a": (4, {"type": "text"}),
            "column s.z": (7, {"type": "text"}),
            "table t": (1, {}),
            "index a": (10, {"on": "t"}),
        }
    )

    [made] = statement(effect_of(Snapshot({}), after))

    assert [str(each) for each in made.creates] == [
        "table t",
        "column s.z",
        "column t.id",
        "column t.a",
        'column t."a.b"',
        "index a",
        "index b",
    ]
