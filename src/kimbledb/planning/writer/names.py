"""Names and constants as SQL: how the writer spells the names of objects in a statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kimbledb.model.names import quote_identifier, quote_literal, split_list
from kimbledb.model.objects import Facts, parts_of, quoted

#: The keywords that a version from 15 to 18 takes for no name, or not for each kind of name (manual, appendix C).
_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
    case cast char character check coalesce collate collation column concurrently constraint create cross
    current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
    decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
    freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
    interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
    localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on
    only or order out outer overlaps overlay placing position precision primary real references returning right
    row select session_user setof similar smallint some substring symmetric system_user table tablesample then
    time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when
    where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
    xmlroot xmlserialize xmltable
"""
_KEYWORDS = frozenset(_WORDS.split())
#: The bytes of the longest identifier.
_LONGEST = 63
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_SUBQUERY = re.compile(r"\(\s*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)
#: The target of a privilege, and its role at the end.
_TO_ROLE = re.compile(r'(.+) to ("(?:[^"]|"")*"|[^" ]+)')


def identifier(name: str) -> str:
    """Return an identifier as SQL: in quotes only where it is not plain or is a keyword."""
    return name if _PLAIN.fullmatch(name) and name not in _KEYWORDS else quote_identifier(name)


def written(name: str) -> str:
    """Return the name of an object as SQL: each of its identifiers, with dots between them.

    Args:
        name: The name, as objects have it.
    """
    return ".".join(map(identifier, parts_of(name)))


def relation_of(name: str) -> str:
    """Return the name of the table, view or type that a part belongs to.

    Args:
        name: The name of the part, such as ``users.email``.
    """
    return ".".join(map(quoted, parts_of(name)[:-1]))


def own_name(name: str) -> str:
    """Return the last identifier of a part's name as SQL: ``email`` of ``users.email``."""
    return identifier(parts_of(name)[-1])


def usual_name(part: str, label: str) -> str:
    """Return the name that the server gives to what belongs to a column. It shortens the longer part of a long one.

    Args:
        part: The name of the column, with its table.
        label: The end of the name, such as ``not_null``.
    """
    table, own = (each.encode() for each in parts_of(part)[-2:])
    while len(table) + len(own) + len(label) + 2 > _LONGEST:
        table, own = (table[:-1], own) if len(table) > len(own) else (table, own[:-1])
    return "_".join((*(each.decode(errors="ignore") for each in (table, own)), label))


def routine(name: str) -> str:
    """Return the name of a function with the types of its arguments as SQL."""
    return f"{written(name)}({signature_of(name)})"


def signature_of(name: str) -> str:
    """Return the types of the arguments in the name of a function or an operator, with a space after each comma."""
    return ", ".join(types_of(name))


def types_of(name: str) -> list[str]:
    """Return the types of the arguments in the name of a function or an operator."""
    types = _arguments(name)[:-1]
    return split_list(types) if types else []


def _arguments(name: str) -> str:
    """Return what stands after the parenthesis that follows the name; the name may hold one within quotes."""
    within = False
    for place, letter in enumerate(name):
        if letter == '"':
            within = not within
        elif letter == "(" and not within:
            return name[place + 1 :]
    return ""


def of_access_method(name: str) -> tuple[str, str]:
    """Return the name and the access method of an operator class or family as SQL, from ``name using btree``."""
    own, _, method = name.rpartition(" using ")
    return written(own), written(method)


def of_privilege(name: str) -> tuple[str, str, str]:
    """Return the kind and the name of a privilege's target, and its role.

    Args:
        name: The name of a privilege, such as ``table orders to app``. A schema has no name.
    """
    found = _TO_ROLE.fullmatch(name)
    assert found is not None, name
    kind, _, target = found[1].partition(" ")
    return kind, target, found[2]


def role(name: str) -> str:
    """Return a role as SQL: PUBLIC and the role of the session are words, every other is an identifier."""
    if name in {"public", "current_user"}:
        return name.upper()
    return written(name)


def list_of(names: Iterable[str]) -> str:
    """Return the names of objects as SQL, with commas between them."""
    return ", ".join(map(written, names))


def parenthesized(expression: str) -> str:
    """Return an expression in parentheses, where the server has not printed it in some.

    Args:
        expression: The expression.
    """
    # The parentheses of a subquery are its own.
    return expression if _is_in_parentheses(expression) and not _SUBQUERY.match(expression) else f"({expression})"


def _is_in_parentheses(expression: str) -> bool:
    """Return whether the parenthesis with which an expression begins closes at its end."""
    depth, quote = 0, ""
    for place, letter in enumerate(expression):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
        if not depth:
            return letter == ")" and place == len(expression) - 1
    return False


# Readers of facts, which are typed loosely since their kinds differ.


def text(facts: Facts, fact: str) -> str | None:
    """Return a fact as a text, or None if the object does not have it."""
    value = facts.get(fact)
    return None if value is None else str(value)


def texts(facts: Facts, fact: str) -> tuple[str, ...]:
    """Return a fact of several texts; no text if the object does not have it."""
    value = facts.get(fact, ())
    return value if isinstance(value, tuple) else (str(value),)


def options(facts: Facts, fact: str = "options") -> dict[str, str]:
    """Return storage parameters by name: ``{"fillfactor": "70"}`` for the text ``fillfactor=70``."""
    return {name: value for name, _, value in (each.partition("=") for each in texts(facts, fact))}


def with_options(values: Mapping[str, str]) -> str:
    """Return storage parameters as SQL in parentheses. A value that is no word or number is a constant.

    Args:
        values: The values, by name.
    """
    shown = [f"{'.'.join(map(identifier, name.split('.')))} = {_value(value)}" for name, value in values.items()]
    return f"({', '.join(shown)})"


def foreign_options(facts: Facts) -> str:
    """Return the options of a foreign table or of one of its columns as SQL, or nothing where it has none."""
    values = options(facts, "foreign_options")
    shown = ", ".join(f"{identifier(name)} {quote_literal(value).strip()}" for name, value in values.items())
    return f"OPTIONS ({shown})" if shown else ""


def changed_foreign_options(old: Facts, new: Facts) -> str:
    """Return the change of the options of a foreign table or of one of its columns as SQL, or nothing.

    Args:
        old: The facts now.
        new: The later facts.
    """
    before, after = (options(facts, "foreign_options") for facts in (old, new))
    steps = [f"DROP {identifier(name)}" for name in before if name not in after]
    steps += [
        f"{'SET' if name in before else 'ADD'} {identifier(name)} {quote_literal(value).strip()}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return f"OPTIONS ({', '.join(steps)})" if steps else ""


def changed_options(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield the steps that change storage parameters.

    Args:
        old: The values now, by name.
        new: The later values.
    """
    if gone := [name for name in old if name not in new]:
        yield f"RESET ({', '.join(map(identifier, gone))})"
    if changed := {name: value for name, value in new.items() if old.get(name) != value}:
        yield f"SET {with_options(changed)}"


def _value(value: str) -> str:
    return value if re.fullmatch(r"-?\d+(\.\d+)?|true|false|on|off|auto", value) else quote_literal(value).strip()
