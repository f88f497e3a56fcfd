"""Views, and what hangs on a view or a table: rules, triggers and policies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimbledb.model.objects import DatabaseObject, Facts, Key
from kimbledb.planning.writer.names import (
    changed_options,
    options,
    own_name,
    parenthesized,
    relation_of,
    role,
    text,
    texts,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of, or_replace

#: The words that set when a trigger or a rule is in force.
_ENABLED = {None: "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}
#: The place of the WHEN of a trigger in its event.
_EXECUTE = re.compile(r'((?:"(?:[^"]|"")*"|[^"])*?) (EXECUTE (?:FUNCTION|PROCEDURE) .*)', re.DOTALL)


def create(view: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a view; a circle of views and functions begins with a stand-in."""
    source = source_of(view)
    if clustered := text(facts_of(view), "clustered_on"):
        marked = {view.key, ("index", clustered)}
        yield Piece(
            f"ALTER MATERIALIZED VIEW {written(view.name)} CLUSTER ON {written(clustered)}", Rank.MARK, needs=marked
        )
    if facts_of(view).get("materialized"):
        yield Piece(source, Rank.VIEW, (view.key,), around.needs_of(view.key))
        return
    columns = around.parts("column", view.name)
    values = ", ".join(f"NULL::{facts_of(each).get('type')} AS {own_name(each.name)}" for each in columns)
    yield Piece(
        source,
        Rank.VIEW,
        (view.key, *(each.key for each in columns)),
        around.needs_of(view.key, *(each.key for each in columns)),
        stand_in=f"CREATE VIEW {written(view.name)} AS SELECT {values}" if columns else None,
    )


def source_of(each: DatabaseObject) -> str:
    """Return the statement that makes an object.

    Raises:
        ValueError: It is not known: the object was not made by a statement of its own, and no snapshot gave it.
    """
    if each.source is None:
        raise ValueError(f"the statement that makes {each} is not known")
    return each.source.strip()


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a view, or None if it must be dropped and made again.

    The columns that a view has must stay, and stay in front: the surroundings hold its later ones, and the server
    refuses to replace it where they differ.
    """
    del around
    old, new = facts_of(before), facts_of(after)
    if old.get("materialized") != new.get("materialized"):
        return None
    if old.get("query") != new.get("query"):
        return None if new.get("materialized") else iter([or_replace(source_of(after))])
    kind = "MATERIALIZED VIEW" if new.get("materialized") else "VIEW"
    steps = list(changed_options(options(old), options(new)))
    if old.get("access_method") != new.get("access_method"):
        steps.append(f"SET ACCESS METHOD {written(text(new, 'access_method') or 'heap')}")
    if old.get("tablespace") != new.get("tablespace"):
        steps.append(f"SET TABLESPACE {written(text(new, 'tablespace') or 'pg_default')}")
    if old.get("clustered_on") != new.get("clustered_on"):
        clustered = text(new, "clustered_on")
        steps.append(f"CLUSTER ON {written(clustered)}" if clustered else "SET WITHOUT CLUSTER")
    return (f"ALTER {kind} {written(after.name)} {step}" for step in steps)


def drop(view: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a view."""
    return f"DROP {kind_of(view, around)} {written(view.name)}"


def rename(view: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a view another name."""
    return f"ALTER {kind_of(view, around)} {written(view.name)} RENAME TO {to}"


def kind_of(view: DatabaseObject, around: Surroundings) -> str:
    """Return ``VIEW`` or ``MATERIALIZED VIEW``.

    Args:
        view: The view.
        around: The objects around it, which know its facts where it does not.
    """
    facts = view.facts or around.facts("view", view.name)
    return "MATERIALIZED VIEW" if facts.get("materialized") else "VIEW"


def home_of(part: DatabaseObject, around: Surroundings) -> set[Key]:
    """Return the table or the view that a part belongs to, with its columns.

    Args:
        part: A rule, a trigger or a policy.
        around: The objects around it.
    """
    relation = relation_of(part.name)
    return {("table", relation), ("view", relation), *(each.key for each in around.parts("column", relation))}


def create_rule(rule: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a rule."""
    needs = home_of(rule, around) | around.needs_of(rule.key)
    yield Piece(source_of(rule), Rank.RULE, (rule.key,), needs)
    yield from _enabled(rule)


def _enabled(each: DatabaseObject) -> Iterator[Piece]:
    if "enabled" in facts_of(each):
        yield Piece(_enabling(each), Rank.MARK, needs={each.key})


def _enabling(each: DatabaseObject) -> str:
    word = _ENABLED[text(facts_of(each), "enabled")]
    return f"ALTER TABLE {written(relation_of(each.name))} {word} {each.kind.upper()} {own_name(each.name)}"


def alter_rule(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a rule."""
    del around
    return _changed_rule(before, after)


def _changed_rule(before: DatabaseObject, after: DatabaseObject) -> Iterator[str]:
    old, new = facts_of(before), facts_of(after)
    if old.get("rule") != new.get("rule"):
        yield or_replace(source_of(after))
    if old.get("enabled") != new.get("enabled"):
        yield _enabling(after)


def create_trigger(trigger: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that make a trigger."""
    facts = facts_of(trigger)
    event = str(facts["event"])
    if when := text(facts, "when"):
        event = _EXECUTE.sub(lambda found: f"{found[1]} WHEN {parenthesized(when)} {found[2]}", event, count=1)
    constraint = "CONSTRAINT " if facts.get("constraint") else ""
    yield Piece(
        f"CREATE {constraint}TRIGGER {own_name(trigger.name)} {event}",
        Rank.TRIGGER,
        (trigger.key,),
        home_of(trigger, around) | around.needs_of(trigger.key),
    )
    yield from _enabled(trigger)


def alter_trigger(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that enables or disables a trigger, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), facts_of(after)
    if any(old.get(fact) != new.get(fact) for fact in {*old, *new} - {"enabled"}):
        return None
    return iter([_enabling(after)])


def create_policy(policy: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that makes a policy."""
    facts = facts_of(policy)
    words = [f"CREATE POLICY {own_name(policy.name)} ON {written(relation_of(policy.name))}"]
    if facts.get("restrictive"):
        words.append("AS RESTRICTIVE")
    if command := text(facts, "for"):
        words.append(f"FOR {command.upper()}")
    words += _rules_of_policy(facts)
    needs = home_of(policy, around) | around.needs_of(policy.key)
    yield Piece(" ".join(words), Rank.POLICY, (policy.key,), needs)


def _rules_of_policy(facts: Facts) -> Iterator[str]:
    if roles := texts(facts, "to"):
        yield f"TO {', '.join(map(role, roles))}"
    if using := text(facts, "using"):
        yield f"USING {parenthesized(using)}"
    if check := text(facts, "with_check"):
        yield f"WITH CHECK {parenthesized(check)}"


def alter_policy(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that changes a policy, or None if it must be dropped and made again."""
    del around
    old, new = facts_of(before), dict(facts_of(after))
    fixed = any(old.get(fact) != new.get(fact) for fact in ("for", "restrictive"))
    if fixed or any(fact in old and fact not in new for fact in ("using", "with_check")):
        return None
    new = {fact: value for fact, value in new.items() if old.get(fact) != value}
    if "to" in old and "to" not in facts_of(after):
        new["to"] = ("public",)
    rules = " ".join(_rules_of_policy(new))
    return iter([f"ALTER POLICY {own_name(after.name)} ON {written(relation_of(after.name))} {rules}"])


def drop_part(part: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that drops a rule, a trigger or a policy."""
    del around
    return f"DROP {part.kind.upper()} {own_name(part.name)} ON {written(relation_of(part.name))}"


def rename_part(part: DatabaseObject, to: str, around: Surroundings) -> str:
    """Return the statement that gives a rule, a trigger or a policy another name."""
    del around
    return f"ALTER {part.kind.upper()} {own_name(part.name)} ON {written(relation_of(part.name))} RENAME TO {to}"
