"""Functions, procedures, aggregates, operators, and the families and classes of operators."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning.writer.names import (
    of_access_method,
    routine,
    text,
    texts,
    types_of,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of, or_replace
from kimbledb.planning.writer.views import source_of

#: The facts of an operator that a statement sets, by the word of CREATE OPERATOR.
_OPERATOR = {
    "function": "FUNCTION",
    "commutator": "COMMUTATOR",
    "negator": "NEGATOR",
    "restrict": "RESTRICT",
    "join": "JOIN",
}
#: The begin of a body that the server has parsed.
_BODY = re.compile(r"\n(?:BEGIN ATOMIC|RETURN )")
#: The facts that CREATE OR REPLACE FUNCTION cannot change.
_FIXED = ("kind", "arguments", "returns")


def create(function: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a function, a procedure or an aggregate."""
    needs = around.needs_of(function.key)
    if facts_of(function).get("kind") == "aggregate":
        statement = f"CREATE AGGREGATE {_aggregate(function, around)} ({_of_aggregate(facts_of(function))})"
        yield Piece(statement, Rank.OPERATOR, (function.key,), needs)
    else:
        source = source_of(function)
        piece = Piece(source, Rank.ROUTINE, (function.key,), needs, _stand_in(function, source))
        yield from piece.twice() if function.key in around.needs.get(function.key, ()) else (piece,)


def _stand_in(function: DatabaseObject, source: str) -> str | None:
    """Return the function without what it does, or None where the server does not look for what it needs."""
    body = _BODY.search(source) if "sql_body" in facts_of(function) else None
    if body is None:
        return None
    returns = str(facts_of(function).get("returns", ""))
    # Where rows come back, it is no part of an expression, and the server does not look at what it gives.
    value = "NULL" if re.match("SETOF |TABLE|record|$", returns) else f"NULL::{returns}"
    return f"{source[: body.start()]}\nAS {quote_literal(f'SELECT {value}').strip()}"


def _of_aggregate(facts: Facts) -> str:
    parallel = text(facts, "parallel")
    return str(facts["definition"]) + (f", parallel = {parallel}" if parallel else "")


def _aggregate(function: DatabaseObject, around: Surroundings) -> str:
    facts = function.facts or around.facts("function", function.name)
    return f"{written(function.name)}({text(facts, 'arguments') or ', '.join(types_of(function.name)) or '*'})"


def kind_of(function: DatabaseObject, around: Surroundings) -> str:
    """Return the kind of a function as DROP and COMMENT name it.

    Args:
        function: The function.
        around: The objects around it, which know its facts where it does not.
    """
    kind = (function.facts or around.facts("function", function.name)).get("kind")
    return {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(str(kind), "FUNCTION")


def named(function: DatabaseObject, around: Surroundings) -> str:
    """Return the kind and the name of a function as DROP and COMMENT name it.

    Args:
        function: The function.
        around: The objects around it, which know its facts where it does not.
    """
    kind = kind_of(function, around)
    return f"{kind} {_aggregate(function, around) if kind == 'AGGREGATE' else routine(function.name)}"


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that replaces a function, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    if new.get("kind") == "aggregate" or any(old.get(fact) != new.get(fact) for fact in _FIXED):
        return None
    if len(texts(old, "argument_defaults")) > len(texts(new, "argument_defaults")):
        return None
    return iter([or_replace(source_of(after))])


def drop(function: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a function, a procedure or an aggregate."""
    return f"DROP {named(function, around)}"


def rename(function: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a function another name."""
    return f"ALTER {named(function, around)} RENAME TO {to}"


def create_operator(operator: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes an operator."""
    facts = facts_of(operator)
    left, right = types_of(operator.name)
    settings = [f"{word} = {_of_operator(fact, str(facts[fact]))}" for fact, word in _OPERATOR.items() if fact in facts]
    settings[1:1] = [f"{word} = {side}" for word, side in (("LEFTARG", left), ("RIGHTARG", right)) if side != "-"]
    settings += [fact.upper() for fact in ("hashes", "merges") if facts.get(fact)]
    yield Piece(
        f"CREATE OPERATOR {_symbol(operator.name)} ({', '.join(settings)})",
        Rank.OPERATOR,
        (operator.key,),
        around.needs_of(operator.key),
    )


def _of_operator(fact: str, value: str) -> str:
    return _symbol(value) if fact in ("commutator", "negator") else written(value)


def _symbol(name: str) -> str:
    return name.partition("(")[0]


def operator(name: str) -> str:
    """Return the name of an operator as DROP and COMMENT name it."""
    sides = ["NONE" if side == "-" else side for side in types_of(name)]
    return f"{_symbol(name)} ({', '.join(sides)})"


def alter_operator(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that changes the estimators of an operator, or None if it must be made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    changed = {fact for fact in {*old, *new} if old.get(fact) != new.get(fact)}
    if changed - {"restrict", "join"}:
        return None
    settings = [f"{fact.upper()} = {written(text(new, fact) or 'none')}" for fact in sorted(changed)]
    return iter([f"ALTER OPERATOR {operator(after.name)} SET ({', '.join(settings)})"])


def drop_operator(each: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops an operator."""
    del around
    return f"DROP OPERATOR {operator(each.name)}"


def create_family(family: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make an operator family."""
    name, method = of_access_method(family.name)
    yield Piece(f"CREATE OPERATOR FAMILY {name} USING {method}", Rank.BASE, (family.key,))
    if items := _members(facts_of(family)):
        needs = {family.key, *around.needs_of(family.key)}
        yield Piece(f"ALTER OPERATOR FAMILY {name} USING {method} ADD {', '.join(items)}", Rank.DEFAULT, needs=needs)


def _members(facts: Facts) -> tuple[str, ...]:
    return tuple(
        f"{word} {member}"
        for word, fact in (("OPERATOR", "operators"), ("FUNCTION", "functions"))
        for member in texts(facts, fact)
    )


def alter_family(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change the loose members of an operator family."""
    del around
    name, method = of_access_method(after.name)
    old, new = (_members(facts_of(each)) for each in (before, after))
    gone = [_without_object(each) for each in old if each not in new]
    added = [each for each in new if each not in old]
    return (
        f"ALTER OPERATOR FAMILY {name} USING {method} {word} {', '.join(items)}"
        for word, items in (("DROP", gone), ("ADD", added))
        if items
    )


def _without_object(member: str) -> str:
    """Return a member of an operator family as it is dropped: ``OPERATOR 1 (integer, integer)``."""
    word, number, rest = member.split(" ", 2)
    return f"{word} {number} {rest[rest.index('(') : rest.index(')') + 1]}"


def create_class(operator_class: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes an operator class. A family of the same name that does not exist is made with it."""
    facts = facts_of(operator_class)
    name, method = of_access_method(operator_class.name)
    default = " DEFAULT" if facts.get("default") else ""
    family = text(facts, "family")
    within = f" FAMILY {written(family)}" if family else ""
    items = [*_members(facts), f"STORAGE {facts['storage']}" if "storage" in facts else ""]
    items = [item for item in items if item] or [f"STORAGE {facts['type']}"]
    needs: set[Key] = {("operator family", f"{family} using {operator_class.name.rpartition(' using ')[2]}")}
    yield Piece(
        f"CREATE OPERATOR CLASS {name}{default} FOR TYPE {facts['type']} USING {method}{within} AS {', '.join(items)}",
        Rank.OPERATOR,
        (operator_class.key,),
        needs | around.needs_of(operator_class.key),
    )


def drop_of_access_method(each: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops an operator class or family."""
    del around
    name, method = of_access_method(each.name)
    return f"DROP {each.kind.upper()} {name} USING {method}"


def rename_of_access_method(each: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives an operator class or family another name."""
    del around
    name, method = of_access_method(each.name)
    return f"ALTER {each.kind.upper()} {name} USING {method} RENAME TO {to}"
