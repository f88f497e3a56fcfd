"""Types, domains, sequences and schemas, and what they and text search are made of: collations, conversions, dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import DatabaseObject, Facts, Key, without
from kimbledb.planning.writer.names import relation_of, text, texts, written
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of, needs_nothing_late


def create_schema(each: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a schema beside the target."""
    del around
    yield Piece(f"CREATE SCHEMA {written(each.name)}", Rank.SCHEMA, (each.key,))


def create(each: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a type. What of a domain calls functions is set after these are made."""
    facts = facts_of(each)
    needs = around.needs_of(each.key)
    if "base" not in facts:
        yield Piece(f"CREATE TYPE {written(each.name)} AS {_body(facts)}", Rank.TYPE, (each.key,), needs)
        return
    early = needs_nothing_late(each.key, around)
    words = [f"CREATE DOMAIN {written(each.name)} AS {facts['base']}", *_of_domain(facts, whole=early)]
    first = needs if early else {need for need in needs if need[0] in ("type", "collation", "table")}
    yield Piece(" ".join(words), Rank.TYPE, (each.key,), first)
    if not early:
        for step in _steps({}, facts):
            yield Piece(f"ALTER DOMAIN {written(each.name)} {step}", Rank.DEFAULT, needs=needs | {each.key})


def _body(facts: Facts) -> str:
    if "labels" in facts:
        return f"ENUM ({', '.join(_constant(label) for label in texts(facts, 'labels'))})"
    if "range" in facts:
        return f"RANGE ({facts['range']})"
    return f"({', '.join(texts(facts, 'attributes'))})"


def _of_domain(facts: Facts, *, whole: bool) -> Iterator[str]:
    if collation := text(facts, "collation"):
        yield f"COLLATE {written(collation)}"
    if not whole:
        return
    if "default" in facts:
        yield f"DEFAULT {facts['default']}"
    if facts.get("not_null"):
        name = text(facts, "not_null_name")
        yield f"CONSTRAINT {written(name)} NOT NULL" if name else "NOT NULL"
    yield from (f"CONSTRAINT {check}" for check in texts(facts, "checks"))


def bare_steps(facts: Facts) -> Iterator[str]:
    """Yield the steps that take from a domain its default and its checks."""
    yield from _steps(facts, without(facts, "default", "checks"))


def _steps(old: Facts, new: Facts) -> Iterator[str]:
    """Yield the steps that give a domain its later default, NOT NULL and checks."""
    if old.get("default") != new.get("default"):
        yield f"SET DEFAULT {new['default']}" if "default" in new else "DROP DEFAULT"
    if old.get("not_null") != new.get("not_null"):
        name = text(new, "not_null_name")
        yield (
            f"ADD CONSTRAINT {written(name)} NOT NULL"
            if name
            else "SET NOT NULL"
            if new.get("not_null")
            else "DROP NOT NULL"
        )
    before, after = texts(old, "checks"), texts(new, "checks")
    yield from (f"DROP CONSTRAINT {_name_of_check(each)}" for each in before if each not in after)
    yield from (f"ADD CONSTRAINT {each}" for each in after if each not in before)


def _name_of_check(check: str) -> str:
    return check.partition(" CHECK ")[0]


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a type, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    if "base" in old and "base" in new:
        if any(old.get(fact) != new.get(fact) for fact in ("base", "collation")):
            return None
        return (f"ALTER DOMAIN {written(after.name)} {step}" for step in _steps(old, new))
    if "labels" in old and "labels" in new:
        return _other_labels(after, texts(old, "labels"), texts(new, "labels"))
    if "attributes" in old and "attributes" in new:
        return _other_attributes(after, texts(old, "attributes"), texts(new, "attributes"))
    return None


def _other_labels(each: DatabaseObject, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str] | None:
    """Return the statements that add or rename labels of an enum, or None where one goes or moves.

    Between two labels that stay, those that go are renamed to the first of those that come.
    """
    kept = [label for label in old if label in new]
    if [label for label in new if label in old] != kept:
        return None
    renamed: dict[str, str] = {}
    for going, coming in zip(_between(old, kept), _between(new, kept), strict=True):
        if len(going) > len(coming):
            return None
        renamed.update(zip(going, coming, strict=False))
    change = f"ALTER TYPE {written(each.name)}"
    steps = [f"{change} RENAME VALUE {_constant(was)} TO {_constant(label)}" for was, label in renamed.items()]
    there = {*kept, *renamed.values()}
    for place, label in enumerate(new):
        if label not in there:
            following = next((other for other in new[place:] if other in there), None)
            beside = (
                f"AFTER {_constant(new[place - 1])}" if place else f"BEFORE {_constant(following)}" if following else ""
            )
            steps.append(f"{change} ADD VALUE {_constant(label)} {beside}".rstrip())
            there.add(label)
    return iter(steps)


def _between(labels: tuple[str, ...], kept: list[str]) -> list[list[str]]:
    """Return the labels before, between and after those that stay."""
    found: list[list[str]] = [[]]
    for label in labels:
        if label in kept:
            found.append([])
        else:
            found[-1].append(label)
    return found


def _constant(label: str) -> str:
    return quote_literal(label).strip()


def _other_attributes(each: DatabaseObject, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str] | None:
    """Return the statement that changes the end of a composite type, or None where what stays would change its place."""
    kept = 0
    while kept < min(len(old), len(new)) and old[kept] == new[kept]:
        kept += 1
    gone, added = old[kept:], new[kept:]
    if {_name_of_attribute(attribute) for attribute in gone} & {_name_of_attribute(attribute) for attribute in added}:
        return None
    steps = [f"DROP ATTRIBUTE {_name_of_attribute(attribute)}" for attribute in gone]
    steps += [f"ADD ATTRIBUTE {attribute}" for attribute in added]
    return iter([f"ALTER TYPE {written(each.name)} {', '.join(steps)}"])


def _name_of_attribute(attribute: str) -> str:
    end = attribute.index('"', 1) + 1 if attribute.startswith('"') else attribute.index(" ")
    while attribute[end : end + 1] == '"':  # a quote within the name
        end = attribute.index('"', end + 1) + 1
    return attribute[:end]


def drop(each: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a type or a domain."""
    return f"DROP {kind_of(each, around)} {written(each.name)}"


def rename(each: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a type or a domain another name."""
    return f"ALTER {kind_of(each, around)} {written(each.name)} RENAME TO {to}"


def kind_of(each: DatabaseObject, around: Surroundings) -> str:
    """Return ``DOMAIN`` or ``TYPE``.

    Args:
        each: The type.
        around: The objects around it, which know its facts where it does not.
    """
    return "DOMAIN" if "base" in (each.facts or around.facts("type", each.name)) else "TYPE"


def create_sequence(sequence: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a sequence. Its owner, which may use it by default, is made between them."""
    del around
    facts = facts_of(sequence)
    kind = "UNLOGGED SEQUENCE" if facts.get("unlogged") else "SEQUENCE"
    yield Piece(
        " ".join([f"CREATE {kind} {written(sequence.name)}", *_of_sequence(facts)]), Rank.SEQUENCE, (sequence.key,)
    )
    if owner := text(facts, "owned_by"):
        needs: set[Key] = {sequence.key, ("column", owner), ("table", relation_of(owner))}
        yield Piece(_owned(sequence, owner), Rank.MARK, needs=needs)


def _owned(sequence: DatabaseObject, owner: str | None) -> str:
    return f"ALTER SEQUENCE {written(sequence.name)} OWNED BY {written(owner) if owner else 'NONE'}"


#: The facts of a sequence, each with its words.
_OF_SEQUENCE = {
    "type": "AS {}",
    "start": "START {}",
    "increment": "INCREMENT {}",
    "minimum": "MINVALUE {}",
    "maximum": "MAXVALUE {}",
    "cache": "CACHE {}",
}


def _of_sequence(facts: Facts) -> Iterator[str]:
    yield from (words.format(facts[fact]) for fact, words in _OF_SEQUENCE.items() if fact in facts)
    if facts.get("cycle"):
        yield "CYCLE"


def alter_sequence(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a sequence."""
    del around
    return _changed_sequence(after, facts_of(before), facts_of(after))


def _changed_sequence(sequence: DatabaseObject, old: Facts, new: Facts) -> Iterator[str]:
    name = written(sequence.name)
    if any(old.get(fact) != new.get(fact) for fact in (*_OF_SEQUENCE, "cycle")):
        rising = int(str(new.get("increment", 1))) > 0
        usual = {
            "type": "AS bigint",
            "increment": "INCREMENT 1",
            "minimum": "NO MINVALUE",
            "maximum": "NO MAXVALUE",
            "start": f"START {new.get('minimum', 1) if rising else new.get('maximum', -1)}",
            "cache": "CACHE 1",
        }
        words = [_OF_SEQUENCE[fact].format(new[fact]) if fact in new else words for fact, words in usual.items()]
        yield " ".join([f"ALTER SEQUENCE {name}", *words, "CYCLE" if new.get("cycle") else "NO CYCLE"])
    if old.get("unlogged") != new.get("unlogged"):
        yield f"ALTER SEQUENCE {name} SET {'UNLOGGED' if new.get('unlogged') else 'LOGGED'}"
    if old.get("owned_by") != new.get("owned_by"):
        yield _owned(sequence, text(new, "owned_by"))


def release(sequence: DatabaseObject) -> str:
    """Return the statement that keeps a sequence when its column goes."""
    return _owned(sequence, None)


# Collations, conversions and text search: the server makes them of parameters in parentheses, and changes few of them.

#: The facts of these kinds, by kind, with the words of their parameters.
_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "text search parser": {
        "start": "START",
        "gettoken": "GETTOKEN",
        "end": "END",
        "headline": "HEADLINE",
        "lextypes": "LEXTYPES",
    },
    "text search template": {"init": "INIT", "lexize": "LEXIZE"},
    "text search dictionary": {"template": "TEMPLATE"},
    "text search configuration": {"parser": "PARSER"},
}


def create_text_search(each: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a parser, a template, a dictionary or a configuration of text search."""
    facts = facts_of(each)
    given = [f"{word} = {facts[fact]}" for fact, word in _PARAMETERS[each.kind].items() if fact in facts]
    given += texts(facts, "options")
    statement = f"CREATE {each.kind.upper()} {written(each.name)} ({', '.join(given)})"
    needs = around.needs_of(each.key)
    yield Piece(statement, Rank.BASE, (each.key,), needs)
    for mapping in texts(facts, "mappings"):
        yield Piece(
            f"ALTER {each.kind.upper()} {written(each.name)} ADD MAPPING FOR {mapping}",
            Rank.BASE,
            needs=needs | {each.key},
        )


def alter_text_search(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change the mappings or options of text search, or None if it must be made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    if any(old.get(fact) != new.get(fact) for fact in {*old, *new} - {"mappings"}):
        return None
    return _changed_mappings(after, texts(old, "mappings"), texts(new, "mappings"))


def _changed_mappings(each: DatabaseObject, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str]:
    before, after = (dict(mapping.split(" with ") for mapping in mappings) for mappings in (old, new))
    configuration = f"ALTER TEXT SEARCH CONFIGURATION {written(each.name)}"
    yield from (f"{configuration} DROP MAPPING FOR {token}" for token in before if token not in after)
    for token, dictionaries in after.items():
        if before.get(token) != dictionaries:
            yield f"{configuration} {'ALTER' if token in before else 'ADD'} MAPPING FOR {token} WITH {dictionaries}"


def create_collation(collation: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a collation."""
    del around
    facts = facts_of(collation)
    given = [f"PROVIDER = {facts['provider']}"] if "provider" in facts else []
    for fact, word in {"locale": "LOCALE", "collate": "LC_COLLATE", "ctype": "LC_CTYPE", "rules": "RULES"}.items():
        if fact in facts:
            given.append(f"{word} = {quote_literal(str(facts[fact])).strip()}")
    if "deterministic" in facts:
        given.append(f"DETERMINISTIC = {str(facts['deterministic']).lower()}")
    yield Piece(f"CREATE COLLATION {written(collation.name)} ({', '.join(given)})", Rank.BASE, (collation.key,))


def create_conversion(conversion: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a conversion."""
    facts = facts_of(conversion)
    encodings = [quote_literal(str(facts[fact])) for fact in ("from", "to")]
    statement = (
        f"CREATE {'DEFAULT ' if facts.get('default') else ''}CONVERSION {written(conversion.name)} "
        f"FOR {encodings[0]} TO {encodings[1]} FROM {facts['function']}"
    )
    yield Piece(statement, Rank.BASE, (conversion.key,), around.needs_of(conversion.key))


def remake(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return None: no statement changes such an object, so that it is dropped and made again."""
    del before, after, around
    return None


def drop_plain(each: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops an object that its kind and its name identify."""
    del around
    return f"DROP {each.kind.upper()} {written(each.name)}"


def rename_plain(each: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives such an object another name."""
    del around
    return f"ALTER {each.kind.upper()} {written(each.name)} RENAME TO {to}"
