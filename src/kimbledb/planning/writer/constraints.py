"""Constraints of tables: keys, foreign keys, checks and exclusions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.planning.writer import columns
from kimbledb.planning.writer.indexes import attachments_below
from kimbledb.planning.writer.names import (
    changed_options,
    options,
    own_name,
    parenthesized,
    relation_of,
    text,
    with_options,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, attachment_of, facts_of, needs_nothing_late

#: The end of a key that says when it is checked.
_WHEN = re.compile(r"(?: (?:NOT )?(?:DEFERRABLE|VALID|ENFORCED)| INITIALLY (?:DEFERRED|IMMEDIATE))*$")
#: The table that a foreign key refers to, and its columns.
_REFERS = re.compile(r'^FOREIGN KEY \(.*?\) REFERENCES ((?:"(?:[^"]|"")*"|[\w$.])+)\(')


def definition(facts: Facts) -> str:
    """Return a constraint as SQL, after its name.

    Args:
        facts: Its facts.
    """
    if check := text(facts, "check"):
        words = [f"CHECK {parenthesized(check)}", "NO INHERIT" if facts.get("no_inherit") else ""]
    else:
        rule = f"EXCLUDE {facts['exclude']}" if "exclude" in facts else str(facts["key"])
        when = _WHEN.search(rule)
        assert when is not None  # it may be empty
        words = [_with_settings_of_index(rule[: when.start()], facts), when[0].strip()]
    if facts.get("not_enforced"):
        words.append("NOT ENFORCED")
    elif facts.get("not_valid"):
        words.append("NOT VALID")
    return " ".join(filter(None, words))


def _with_settings_of_index(rule: str, facts: Facts) -> str:
    """Return a key with the parameters and the tablespace of its index, which stand before the WHERE of an EXCLUDE."""
    settings = f" WITH {with_options(values)}" if (values := options(facts)) else ""
    if tablespace := text(facts, "tablespace"):
        settings += f" USING INDEX TABLESPACE {written(tablespace)}"
    if not settings:
        return rule
    where = rule.find(" WHERE (") if "exclude" in facts else -1
    return rule + settings if where < 0 else rule[:where] + settings + rule[where:]


def is_reference(facts: Facts) -> bool:
    """Return whether a constraint is a foreign key."""
    return str(facts.get("key", "")).startswith("FOREIGN KEY")


def is_waiting(facts: Facts) -> bool:
    """Return whether rows are not checked by a constraint. Within CREATE TABLE each constraint checks them."""
    return bool(facts.get("not_valid") or facts.get("not_enforced"))


def in_table(constraint: DatabaseObject) -> str:
    """Return a constraint as it stands in CREATE TABLE."""
    return f"CONSTRAINT {own_name(constraint.name)} {definition(facts_of(constraint))}"


def stands_in_table(constraint: DatabaseObject, around: Surroundings) -> bool:
    """Return whether a constraint is written in the CREATE TABLE of its table.

    Args:
        constraint: The constraint.
        around: The objects around it.
    """
    facts = facts_of(constraint)
    return (
        ("table", relation_of(constraint.name)) in around.made
        and not is_reference(facts)
        and not is_waiting(facts)
        and not facts.get("invalid")
        and _is_own(constraint, around)
        and needs_nothing_late(constraint.key, around)
        and not _has_twin(constraint, around)
        and not _needs_late_column(constraint, around)
    )


def _needs_late_column(constraint: DatabaseObject, around: Surroundings) -> bool:
    needs = around.needs_of(constraint.key)
    table = around.parts("column", relation_of(constraint.name))
    return any(each.key in needs and columns.comes_late(each, around) for each in table)


def _has_twin(constraint: DatabaseObject, around: Surroundings) -> bool:
    """Return whether an earlier key of the table has the same columns. Within CREATE TABLE the server makes one of both."""
    own = _columns_of(facts_of(constraint))
    if own is None:
        return False
    for each in around.parts("constraint", relation_of(constraint.name)):
        if each.key == constraint.key:
            return False
        if _columns_of(facts_of(each)) == own:
            return True
    return False


def _columns_of(facts: Facts) -> str | None:
    """Return what makes an index of its own: the text of a key or an exclusion without its first word."""
    if is_reference(facts) or "check" in facts:
        return None
    return str(facts.get("exclude") or facts["key"]).removeprefix("PRIMARY KEY").removeprefix("UNIQUE").strip()


def _is_own(constraint: DatabaseObject, around: Surroundings) -> bool:
    """Return whether a constraint is not made by a constraint of the table above.

    A new partition is made with its keys and checks, and attached. A key of a partition is made before that of its
    parent, which takes it up with its name.
    """
    relation, facts = relation_of(constraint.name), facts_of(constraint)
    if not facts.get("inherited"):
        return True
    if "partition_of" not in around.facts("table", relation):
        return False
    if is_reference(facts):
        # A foreign key that was there before the parent's keeps its name.
        return not any(around.has("constraint", f"{each}.{_last(constraint)}") for each in around.above(relation))
    if is_waiting(facts):
        return False
    return "check" not in facts or ("table", relation) in around.made or relation in around.apart


def _last(constraint: DatabaseObject) -> str:
    return quoted(parts_of(constraint.name)[-1])


def create(constraint: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a constraint, but not what the statement of its table, or of the table above, makes."""
    if stands_in_table(constraint, around):
        return
    relation, facts = relation_of(constraint.name), facts_of(constraint)
    # A key of a partitioned table is invalid where partitions lack it.
    table = f"ALTER TABLE {'ONLY ' if 'invalid' in facts else ''}{written(relation)}"
    needs: set[Key] = {("table", relation), *(each.key for each in around.parts("column", relation))}
    needs |= around.needs_of(constraint.key)
    if _is_own(constraint, around):
        needs |= _needs_of_kind(constraint, relation, around)
        if facts.get("invalid"):
            table = f"ALTER TABLE {around.only(relation)}{written(relation)}"
        statement = f"{table} ADD CONSTRAINT {own_name(constraint.name)} {definition(facts)}"
        yield Piece(statement, _rank(facts), (constraint.key,), needs)
        if facts.get("invalid"):
            yield from (_attachment(each, constraint) for each in _same_below(constraint, around))
    elif not is_waiting(facts):
        above = [("constraint", f"{each}.{_last(constraint)}") for each in around.above(relation)]
        if any(is_waiting(around.facts(*key)) for key in above):
            statement = f"{table} VALIDATE CONSTRAINT {own_name(constraint.name)}"
            yield Piece(statement, Rank.REFERENCE, needs=needs.union(above))


def _attachment(below: DatabaseObject, above: DatabaseObject) -> Piece:
    """Return the statement that attaches the key of a partition to that of its parent, which is not valid."""
    needs = {below.key, above.key, attachment_of(relation_of(below.name))}
    return Piece(f"ALTER INDEX {own_name(above.name)} ATTACH PARTITION {own_name(below.name)}", Rank.MARK, needs=needs)


def _rank(facts: Facts) -> Rank:
    return Rank.CHECK if "check" in facts else Rank.REFERENCE if is_reference(facts) else Rank.KEY


def rule_of(facts: Facts) -> str | None:
    """Return the text of a key, a foreign key or an exclusion, which is the same below and above; None for a check."""
    return text(facts, "key") or text(facts, "exclude")


def _same_below(constraint: DatabaseObject, around: Surroundings) -> list[DatabaseObject]:
    """Return the keys of the partitions of a table that belong to a key of the table, whatever their names."""
    rule = rule_of(facts_of(constraint))
    return [
        each
        for child in around.children(relation_of(constraint.name))
        for each in around.parts("constraint", child)
        if facts_of(each).get("inherited") and rule is not None and rule_of(facts_of(each)) == rule
    ]


def _needs_of_kind(constraint: DatabaseObject, relation: str, around: Surroundings) -> set[Key]:
    """Return the objects that a constraint needs by its own text, and by its place above or below others."""
    facts = facts_of(constraint)
    same = {each.key for each in _same_below(constraint, around)}
    if is_reference(facts):
        return same | _referred(facts, around)
    if is_waiting(facts) or facts.get("invalid"):
        return {attachment_of(each) for each in around.children(relation)}
    return same


def refers_to(facts: Facts) -> str | None:
    """Return the name of the table that a foreign key refers to, or None for another constraint."""
    found = _REFERS.match(str(facts.get("key", "")))
    return ".".join(map(quoted, parts_of(found[1]))) if found else None


def _referred(facts: Facts, around: Surroundings) -> set[Key]:
    """Return the table that a foreign key refers to, with its unique keys, and what makes these valid."""
    table = refers_to(facts)
    if table is None:
        return set()
    keys = {each.key for each in around.parts("constraint", table) if _rank(facts_of(each)) is Rank.KEY}
    unique = [each for each in around.indexes(table) if facts_of(each).get("unique")]
    attached = {key for each in unique for key in attachments_below(each, around)}
    return {("table", table), *keys, *(each.key for each in unique), *attached}


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a constraint, or None if it must be dropped and made again."""
    del around
    old, new = dict(facts_of(before)), dict(facts_of(after))
    table, own = written(relation_of(after.name)), own_name(after.name)
    steps = []
    if old.pop("not_valid", None) and not new.pop("not_valid", None):
        steps.append(f"ALTER TABLE {table} VALIDATE CONSTRAINT {own}")
    if is_reference(old) and is_reference(new):
        keys = [str(facts.pop("key")) for facts in (old, new)]
        whens = [_WHEN.search(key) for key in keys]
        starts = [0 if when is None else when.start() for when in whens]
        if keys[0] != keys[1]:
            if keys[0][: starts[0]] != keys[1][: starts[1]]:
                return None
            steps.append(
                f"ALTER TABLE {table} ALTER CONSTRAINT {own} {keys[1][starts[1] :].strip() or 'NOT DEFERRABLE'}"
            )
    if "check" not in new and not is_reference(new):
        changes = changed_options(options(old), options(new))
        steps += [f"ALTER INDEX {own} {step}" for step in changes]
        old["options"] = new["options"] = ()
    for facts in (old, new):
        facts.pop("inherited", None)  # that follows the table above
        facts.pop("invalid", None)  # and that the tables below
    return iter(steps) if old == new else None


def drop(constraint: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a constraint."""
    del around
    return f"ALTER TABLE {written(relation_of(constraint.name))} DROP CONSTRAINT {own_name(constraint.name)}"


def rename(constraint: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a constraint another name."""
    del around
    return f"ALTER TABLE {written(relation_of(constraint.name))} RENAME CONSTRAINT {own_name(constraint.name)} TO {to}"
