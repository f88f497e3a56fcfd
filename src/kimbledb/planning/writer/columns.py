"""Columns: their definitions within CREATE TABLE, and the statements that add, change and drop one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kimbledb.model.objects import DatabaseObject, Fact, Facts, Key, parts_of
from kimbledb.planning.writer.names import (
    changed_foreign_options,
    changed_options,
    foreign_options,
    identifier,
    options,
    own_name,
    parenthesized,
    relation_of,
    text,
    usual_name,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of, needs_nothing_late

#: The storage of types of variable length.
_STORAGE = {
    **dict.fromkeys(
        ("text", "character varying", "character", "bytea", "json", "jsonb", "xml", "tsvector"), "extended"
    ),
    **dict.fromkeys(("numeric", "inet", "cidr"), "main"),
}
#: The facts that a child table's column takes from its parent.
_FROM_ABOVE = frozenset(
    {"type", "collation", "not_null", "not_null_name", "default", "generated", "virtual", "compression"}
)
#: Types with casts between each other. Every type is cast from text and to text.
_TEXTS = frozenset({"text", "character varying", "character"})
_FAMILIES = (
    _TEXTS,
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
    frozenset({"json", "jsonb"}),
)
#: The facts that change in child tables, too.
_FOLLOWING = ("type", "collation", "not_null", "generated", "virtual")
#: The facts outside of a column's definition: a statement of its own sets each.
_SETTINGS = ("statistics", "storage", "options")
#: The beginnings of the steps that reach the tables below.
_RECURSIVE = (
    "TYPE",
    "SET NOT NULL",
    "DROP NOT NULL",
    "DROP IDENTITY",
    "ADD GENERATED",
    "SET GENERATED",
    "DROP EXPRESSION",
)
#: The kinds that a column's type and collation belong to; its default needs all others.
OF_TYPE = frozenset({"type", "collation", "table"})
#: A default that is not known.
_SOME = "..."


def definition(column: DatabaseObject, around: Surroundings) -> str:
    """Return a column as it stands in CREATE TABLE and ADD COLUMN, after its name.

    Args:
        column: The column.
        around: The objects around it: a default that needs what is made later is left to a statement of its own.
    """
    facts = facts_of(column)
    compression = text(facts, "compression")
    words = [text(facts, "type") or "", f"COMPRESSION {compression}" if compression else ""]
    return " ".join(filter(None, [*words, *constraints(column, around)]))


def constraints(column: DatabaseObject, around: Surroundings) -> Iterator[str]:
    """Yield the words after the type in a column's definition.

    Args:
        column: The column.
        around: The objects around it.
    """
    facts = facts_of(column)
    if foreign := foreign_options(facts):
        yield foreign
    if collation := text(facts, "collation"):
        yield f"COLLATE {written(collation)}"
    if generated := text(facts, "generated"):
        yield f"GENERATED ALWAYS AS {parenthesized(generated)} {'VIRTUAL' if facts.get('virtual') else 'STORED'}"
    if identity := text(facts, "identity"):
        yield f"{_identity(identity)}{_sequence(facts)}"
    if (default := text(facts, "default")) and not default_comes_late(column, around):
        yield f"DEFAULT {default}"
    if facts.get("not_null") and not _not_valid(facts):
        name = not_null_name(column, around)
        # The server gives another name where a table that is or was below this one has it.
        table = relation_of(column.name)
        family = {("table", each) for each in (table, *around.children(table))}
        shown = name != _usual_name(column) or (len(family) > 1 and not family <= around.made)
        yield f"CONSTRAINT {name} {_not_null(facts)}" if shown else _not_null(facts)


def default_comes_late(column: DatabaseObject, around: Surroundings) -> bool:
    """Return whether a column's default gets a statement of its own, after the functions that it calls.

    A column of a table that exists waits for these: rows that are there need the default where they must have a value.
    """
    if "default" not in facts_of(column) or needs_nothing_late(column.key, around):
        return False
    if ("table", relation_of(column.name)) in around.made:
        return True
    called = (need for need in around.needs_of(column.key) if need in around.made)
    return any(around.leads_to(need, {column.key}) for need in called)


def comes_late(column: DatabaseObject, around: Surroundings) -> bool:
    """Return whether a column is added to its table later: its value comes from a function that reads the table.

    Args:
        column: The column.
        around: The objects around it.
    """
    if "generated" not in facts_of(column):
        return False
    table = relation_of(column.name)
    called = (need for need in around.needs_of(column.key) if need[0] == "function" and need in around.made)
    own = {("table", table), *(each.key for each in around.parts("column", table))}
    return any(around.leads_to(need, own) for need in called)


def early_needs(column: DatabaseObject, around: Surroundings) -> set[Key]:
    """Return the objects that a column needs before it is made: not those that its late default alone needs."""
    needs = around.needs_of(column.key)
    if default_comes_late(column, around):
        return {need for need in needs if need[0] in OF_TYPE}
    return needs


def create(column: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a column, but its definition where the statement of its table holds that."""
    relation = relation_of(column.name)
    facts = facts_of(column)
    if around.has("view", relation):
        yield from _set(column, _of_view(facts), Rank.DEFAULT, around, needs=[("view", relation)])
        return
    apart = ("table", relation) not in around.made or comes_late(column, around)
    given = _given_from_above(column, around)
    if apart and given is None:
        yield Piece(
            f"ALTER TABLE {written(relation)} ADD COLUMN {own_name(column.name)} {definition(column, around)}",
            Rank.COLUMN,
            makes=(column.key, *(each.key for each in below(column, around))),
            needs={("table", relation), *early_needs(column, around)},
        )
    needs = [("table", relation), column.key]
    if given is not None:
        of_its_own = {fact: value for fact, value in facts.items() if fact in _FROM_ABOVE}
        late = [*needs, *around.needs_of(column.key)]
        yield from _set(
            column,
            [*loosening(given, of_its_own), *tightening(column, given, of_its_own)],
            Rank.DEFAULT,
            around,
            needs=late,
        )
    elif default_comes_late(column, around):
        late = [*needs, *around.needs_of(column.key)]
        yield from _set(column, [f"SET DEFAULT {facts['default']}"], Rank.DEFAULT, around, needs=late)
    # Tables that inherit from this one are made before: they would have its settings.
    needs += [("table", each) for each in around.children(relation)]
    yield from _set(column, settings({}, facts), Rank.SETTING, around, needs=needs)
    if _not_valid(facts):
        yield Piece(_add_not_null(column, around), Rank.CHECK, needs=needs)


def _set(
    column: DatabaseObject, steps: Iterable[str], rank: Rank, around: Surroundings, *, needs: Iterable[Key]
) -> Iterator[Piece]:
    if statement := altering(column, list(steps), around):
        yield Piece(statement, rank, needs=needs)


def altering(column: DatabaseObject, steps: Iterable[str], around: Surroundings, *, below: bool = False) -> str:
    """Return the statement of some steps, or nothing for none.

    Args:
        column: The column.
        steps: What follows its name.
        around: The objects around it.
        below: Whether the tables below change with it.
    """
    relation = relation_of(column.name)
    changes = ((own_name(column.name), step) for step in steps)
    return "".join(_joined(relation, changes, "" if below else around.only(relation)))


def together(steps: Mapping[Key, Iterable[str]], around: Surroundings) -> Iterator[str]:
    """Yield the statements of steps of columns of one table: one, unless tables below have these columns from it.

    Args:
        steps: What follows the names of the columns, by their keys.
        around: The objects around them.
    """
    table = relation_of(next(iter(steps))[1])
    changes = [(own_name(name), step) for (_, name), those in steps.items() for step in those]
    # In one statement with it the server refuses the types that it has no identity for.
    yield from _joined(table, [change for change in changes if change[1] == "DROP IDENTITY"])
    changes = [change for change in changes if change[1] != "DROP IDENTITY"]
    if not around.only(table):
        yield from _joined(table, changes)
        return
    # Inherited facts of child tables change with this one; a default and settings belong to each table.
    shared = [change for change in changes if change[1].startswith(_RECURSIVE)]
    first = [change for change in changes if change[1] == "DROP DEFAULT"]
    rest = [change for change in changes if change not in shared and change not in first]
    for only, those in (("ONLY ", first), ("", shared), ("ONLY ", rest)):
        yield from _joined(table, those, only)


def _joined(table: str, changes: Iterable[tuple[str, str]], only: str = "") -> Iterator[str]:
    if shown := ", ".join(f"ALTER COLUMN {column} {step}" for column, step in changes):
        yield f"ALTER TABLE {only}{written(table)} {shown}"


def _of_view(facts: Facts) -> Iterator[str]:
    if default := text(facts, "default"):
        yield f"SET DEFAULT {default}"
    yield from settings({}, facts)


def _given_from_above(column: DatabaseObject, around: Surroundings) -> dict[str, Fact] | None:
    """Return what an inherited column has from the tables above it when it is made, or None if it is not inherited.

    A partition is made with columns of its own, and attached.
    """
    table = around.facts("table", relation_of(column.name))
    made = ("table", relation_of(column.name)) in around.made
    if not facts_of(column).get("inherited") or (made and "partition_of" in table):
        return None
    if not made and not around.has_from_above(relation_of(column.name)):
        return None
    given: dict[str, Fact] = {}
    for parent in above(column, around):
        late = default_comes_late(parent, around)
        for fact, value in facts_of(parent).items():
            if fact in _FROM_ABOVE and not (late and fact == "default"):
                given.setdefault(fact, value)
        if parent.key in around.with_other_defaults or _has_another_default_than_above(parent, around):
            given["default"] = _SOME
    if has_own_not_null(column) and ("table", relation_of(column.name)) in around.made:
        given |= {fact: facts_of(column)[fact] for fact in ("not_null", "not_null_name")}
    return given


def _has_another_default_than_above(column: DatabaseObject, around: Surroundings) -> bool:
    """Return whether a column that is made gets its default after it is made, in place of that from above."""
    given = _given_from_above(column, around) if column.key in around.made else None
    return given is not None and given.get("default") != facts_of(column).get("default")


def has_own_not_null(column: DatabaseObject) -> bool:
    """Return whether an inherited column has a NOT NULL of its own, which CREATE TABLE says by its name."""
    facts = facts_of(column)
    return bool(facts.get("inherited") and "not_null_name" in facts and not _not_valid(facts))


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a column, or None if it must be dropped and made again."""
    old, new = facts_of(before), facts_of(after)
    if around.has("view", relation_of(after.name)):
        return iter(
            filter(None, [altering(after, [*loosening(old, new), *_default(old, new), *settings(old, new)], around)])
        )
    if _is_made_otherwise(old, new):
        return None
    return _changed(after, old, new, around)


def _is_made_otherwise(old: Facts, new: Facts) -> bool:
    """Return whether no statement makes the later column of the earlier: a column becomes no generated one."""
    generated = new.get("generated")
    return (
        generated is not None and (generated != old.get("generated") or old.get("type") != new.get("type"))
    ) or bool(old.get("virtual") and not new.get("virtual"))


def _changed(column: DatabaseObject, old: Facts, new: Facts, around: Surroundings) -> Iterator[str]:
    relation = written(relation_of(column.name))
    if _not_null_is_remade(old, new) or (old.get("not_null") and not new.get("not_null") and new.get("identity")):
        old = {name: value for name, value in old.items() if not name.startswith("not_null")}
        yield f"ALTER TABLE {relation} ALTER COLUMN {own_name(column.name)} DROP NOT NULL"
    elif old.get("not_null") and new.get("not_null") and old.get("not_null_name") != new.get("not_null_name"):
        yield f"ALTER TABLE {relation} RENAME CONSTRAINT {not_null_name(DatabaseObject(*column.key, old), around)} TO {not_null_name(column, around)}"
    if new.get("not_null") and not old.get("not_null") and _has_own_not_null(new):
        yield _add_not_null(column, around)
    steps = [*loosening(old, new), *tightening(column, old, new), *settings(old, new)]
    yield from together({column.key: steps}, around)
    if foreign := changed_foreign_options(old, new):
        yield f"ALTER FOREIGN TABLE {relation} ALTER COLUMN {own_name(column.name)} {foreign}"


def loosening(old: Facts, new: Facts) -> Iterator[str]:
    """Yield the steps that take from a column what its later form does not have, and what stands in the way of its type.

    Args:
        old: Its facts now.
        new: Its later facts.
    """
    if "default" in old and (old["default"] != new.get("default") or type_of(old) != type_of(new)):
        yield "DROP DEFAULT"
    if (
        "identity" in old
        and (old.get("identity"), old.get("sequence")) != (new.get("identity"), new.get("sequence"))
        and ("identity" not in new or old.get("sequence") != new.get("sequence"))
    ):
        yield "DROP IDENTITY"
    if "generated" in old and "generated" not in new:
        yield "DROP EXPRESSION"


def tightening(column: DatabaseObject, old: Facts, new: Facts) -> Iterator[str]:
    """Yield the steps that give a column its later type, default, identity and NOT NULL.

    Args:
        column: The column.
        old: Its facts now.
        new: Its later facts.
    """
    if type_of(old) != type_of(new):
        yield f"TYPE {_shown_type(new)}{_using(column, old, new)}"
    if old.get("not_null") and not new.get("not_null"):
        yield "DROP NOT NULL"
    elif new.get("not_null") and not old.get("not_null") and not _has_own_not_null(new):
        yield "SET NOT NULL"
    yield from _default(old, new)
    if "identity" in new:
        identity = str(new["identity"])
        if "identity" not in old or old.get("sequence") != new.get("sequence"):
            yield f"ADD {_identity(identity)}{_sequence(new)}"
        elif old["identity"] != new["identity"]:
            yield f"SET GENERATED {identity.upper()}"


#: The steps that take something from a column, each with the facts that go.
_TAKING = {
    "DROP DEFAULT": ("default",),
    "DROP IDENTITY": ("identity", "sequence"),
    "DROP EXPRESSION": ("generated", "virtual"),
    "DROP NOT NULL": ("not_null", "not_null_name", "not_null_options"),
}


def retyping(
    column: DatabaseObject, old: Facts, new: Facts, expression: str | None
) -> tuple[list[str], dict[str, Fact]]:
    """Return the steps that give a column its later type, with what must go before, and its facts after them.

    Args:
        column: The column.
        old: Its facts now.
        new: Its later facts.
        expression: What gives the later value of a row; None for a cast of the value now.
    """
    steps = list(loosening(old, new))
    if old.get("not_null") and not new.get("not_null") and "identity" not in new:
        steps.append("DROP NOT NULL")
    gone = {"type", "collation", "storage", "compression", *(fact for step in steps for fact in _TAKING[step])}
    using = _using(column, old, new) if expression is None else f" USING {expression}"
    left = {fact: value for fact, value in old.items() if fact not in gone}
    left |= {fact: new[fact] for fact in ("type", "collation") if fact in new}
    return [*steps, f"TYPE {_shown_type(new)}{using}"], left


def settings(old: Facts, new: Facts) -> Iterator[str]:
    """Yield the steps that give a column its later statistics target, storage and parameters.

    Args:
        old: Its facts now.
        new: Its later facts.
    """
    changed = {fact for fact in (*_SETTINGS, "compression") if old.get(fact) != new.get(fact)}
    if "statistics" in changed:
        yield f"SET STATISTICS {new.get('statistics', -1)}"
    if "storage" in changed:
        yield f"SET STORAGE {str(new.get('storage') or _usual_storage(new)).upper()}"
    if "compression" in changed and old:
        yield f"SET COMPRESSION {new.get('compression', 'default')}"
    if "options" in changed:
        yield from changed_options(options(old), options(new))


def _usual_storage(facts: Facts) -> str:
    """Return the storage of a column's type, by its name where 15 has it: SET STORAGE DEFAULT is there from 16 on."""
    name = str(facts.get("type", "")).partition("(")[0]
    return "extended" if name.endswith("[]") else _STORAGE.get(name, "default")


def _default(old: Facts, new: Facts) -> Iterator[str]:
    if "default" in new and (old.get("default") != new["default"] or type_of(old) != type_of(new)):
        yield f"SET DEFAULT {new['default']}"


def type_of(facts: Facts) -> tuple[str | None, str | None]:
    """Return the type and the collation of a column."""
    return text(facts, "type"), text(facts, "collation")


def _shown_type(facts: Facts) -> str:
    """Return the type of a column with its collation; without one it gets that of the type."""
    collation = text(facts, "collation")
    return f"{facts['type']}" + (f" COLLATE {written(collation)}" if collation else "")


def _using(column: DatabaseObject, old: Facts, new: Facts) -> str:
    """Return the USING of a change of type, or nothing where only a length, a scale or a collation changes.

    Between types without a cast the value goes by way of text.
    """
    before, after = (str(facts.get("type", "")) for facts in (old, new))
    bare = [re.sub(r"\(.*?\)", "", each) for each in (before, after)]
    if bare[0] == bare[1]:
        return ""
    elements = [each.removesuffix("[]") for each in bare] if all(each.endswith("[]") for each in bare) else bare
    families = [next((family for family in _FAMILIES if each in family), frozenset()) for each in elements]
    cast = _TEXTS in families or (families[0] and families[0] is families[1])
    return f" USING {own_name(column.name)}{'' if cast else '::text'}::{after}"


def _identity(identity: str) -> str:
    return f"GENERATED {identity.upper()} AS IDENTITY"


def _sequence(facts: Facts) -> str:
    sequence = text(facts, "sequence")
    return f" ({sequence})" if sequence else ""


def _not_valid(facts: Facts) -> bool:
    return "not valid" in (text(facts, "not_null_options") or "")


def _has_own_not_null(facts: Facts) -> bool:
    """Return whether SET NOT NULL would not give a column its NOT NULL: it has a name or options of its own."""
    return "not_null_name" in facts or "not_null_options" in facts


def _not_null_is_remade(old: Facts, new: Facts) -> bool:
    return bool(old.get("not_null") and new.get("not_null")) and old.get("not_null_options") != new.get(
        "not_null_options"
    )


def _not_null(facts: Facts) -> str:
    return "NOT NULL NO INHERIT" if "no inherit" in (text(facts, "not_null_options") or "") else "NOT NULL"


def not_null_name(column: DatabaseObject, around: Surroundings) -> str:
    """Return the name of a column's NOT NULL as SQL. An inherited one has that of the table above.

    Args:
        column: The column.
        around: The objects around it.
    """
    facts = facts_of(column)
    if name := text(facts, "not_null_name"):
        return written(name)
    if facts.get("inherited"):
        for parent in above(column, around):
            if facts_of(parent).get("not_null"):
                return not_null_name(parent, around)
    return _usual_name(column)


def _usual_name(column: DatabaseObject) -> str:
    return identifier(usual_name(column.name, "not_null"))


def below(column: DatabaseObject, around: Surroundings) -> Iterator[DatabaseObject]:
    """Yield the columns of tables below that change and go with a column.

    Args:
        column: The column.
        around: The objects around it.
    """
    own = parts_of(column.name)[-1]
    for name in around.children(relation_of(column.name)):
        for each in around.parts("column", name):
            if parts_of(each.name)[-1] == own and facts_of(each).get("inherited"):
                yield each
                yield from below(each, around)


def as_followed(facts: Mapping[str, Fact], old: Facts, new: Facts) -> dict[str, Fact]:
    """Return the facts of an inherited column after the column above has changed.

    Args:
        facts: Its facts before.
        old: The facts of the column above, before.
        new: The facts of the column above, after.
    """
    followed = dict(facts)
    for fact in _FOLLOWING:
        if old.get(fact) != new.get(fact):
            followed.pop(fact, None)
            if fact in new:
                followed[fact] = new[fact]
    return followed


def above(column: DatabaseObject, around: Surroundings) -> Iterator[DatabaseObject]:
    """Yield the columns of the tables above that an inherited column has its name from.

    Args:
        column: The column.
        around: The objects around it.
    """
    own = parts_of(column.name)[-1]
    for name in around.above(relation_of(column.name)):
        yield from (each for each in around.parts("column", name) if parts_of(each.name)[-1] == own)


def _add_not_null(column: DatabaseObject, around: Surroundings) -> str:
    facts = facts_of(column)
    words = (text(facts, "not_null_options") or "").upper().replace(",", "")
    relation, own = written(relation_of(column.name)), own_name(column.name)
    return f"ALTER TABLE {relation} ADD CONSTRAINT {not_null_name(column, around)} NOT NULL {own} {words}".rstrip()


def drop(column: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a column."""
    del around
    return f"ALTER TABLE {written(relation_of(column.name))} DROP COLUMN {own_name(column.name)}"


def rename(column: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a column another name."""
    del around
    return f"ALTER TABLE {written(relation_of(column.name))} RENAME COLUMN {own_name(column.name)} TO {to}"
