"""Comments, privileges and default privileges: what is said of an object that stands already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import BY_DEFAULT, OBJECT_KINDS, DatabaseObject, Facts, Key
from kimbledb.planning.writer import routines, tables, types, views
from kimbledb.planning.writer.names import (
    of_access_method,
    of_privilege,
    own_name,
    relation_of,
    role,
    routine,
    texts,
    written,
)
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of

#: The end of a privilege that its role may grant to others.
_GRANTABLE = " with grant option"
#: The number of privileges that make ALL, by the kind of the target.
_ALL = {"table": 7, "view": 7, "sequence": 3, "tables": 7, "sequences": 3}
#: The words of GRANT for the targets of privileges.
_TARGETS = {"table": "TABLE", "column": "TABLE", "view": "TABLE", "sequence": "SEQUENCE", "type": "TYPE"}


def _here(statement: str, place: str) -> str:
    """Return a statement on the schema itself, whose name no statement holds: a block looks it up.

    Args:
        statement: The statement, with ``%I`` at the place of the schema.
        place: The name of the schema if it is another one, else nothing.
    """
    if place:
        return statement.replace("%I", written(place))
    doubled = statement.replace("%", "%%").replace("%%I", "%I")
    return f"DO $kimbledb$ BEGIN EXECUTE format({quote_literal(doubled).strip()}, current_schema()); END $kimbledb$"


# Comments.


def create_comment(comment: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statement that comments on an object."""
    target = _commented(comment)
    needs: set[Key] = {target.key}
    if target.kind in ("column", "constraint"):
        home = relation_of(target.name)
        needs |= {("table", home), ("view", home), ("type", home)}
    yield Piece(_comment(target, str(facts_of(comment)["text"]), around), Rank.COMMENT, (comment.key,), needs)


def _commented(comment: DatabaseObject) -> DatabaseObject:
    return DatabaseObject(*target_of(*comment.key))


def target_of(kind: str, name: str) -> Key:
    """Return the object that a comment or a privilege is on.

    Args:
        kind: ``comment`` or ``privilege``.
        name: The name of the comment or the privilege.
    """
    if kind == "privilege":
        return of_privilege(name)[:2]
    if name == "schema" or name.startswith("schema "):
        return ("schema", name[7:])
    target = max((each for each in OBJECT_KINDS if name.startswith(f"{each} ")), key=len)
    return (target, name[len(target) + 1 :])


def _comment(target: DatabaseObject, words: str | None, around: Surroundings) -> str:
    value = "NULL" if words is None else quote_literal(words).strip()
    if target.kind == "schema":
        return _here(f"COMMENT ON SCHEMA %I IS {value}", target.name)
    return f"COMMENT ON {_named(target, around)} IS {value}"


def _named(each: DatabaseObject, around: Surroundings) -> str:
    """Return the kind and the name of an object as COMMENT names it."""
    kind = each.kind.upper()
    if each.kind in ("trigger", "policy", "rule", "constraint"):
        home = relation_of(each.name)
        domain = "DOMAIN " if each.kind == "constraint" and around.has("type", home) else ""
        return f"{kind} {own_name(each.name)} ON {domain}{written(home)}"
    if each.kind in ("operator class", "operator family"):
        return f"{kind} {' USING '.join(of_access_method(each.name))}"
    naming = {
        "function": lambda: routines.named(each, around),
        "operator": lambda: f"OPERATOR {routines.operator(each.name)}",
        "table": lambda: f"{tables.kind_of(each, around)} {written(each.name)}",
        "view": lambda: f"{views.kind_of(each, around)} {written(each.name)}",
        "type": lambda: f"{types.kind_of(each, around)} {written(each.name)}",
    }.get(each.kind)
    return naming() if naming else f"{kind} {written(each.name)}"


def alter_comment(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statement that changes a comment."""
    del before
    return iter([_comment(_commented(after), str(facts_of(after)["text"]), around)])


def drop_comment(comment: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that takes a comment away."""
    return _comment(_commented(comment), None, around)


# Privileges. A role has what it was granted; `lacks` is what an owner, or everybody, has unless it is taken away.


def create(privilege: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that grant a role its privileges on an object, after all that are taken away."""
    kind, name, grantee = of_privilege(privilege.name)
    needs = _target_keys(kind, name)
    if kind == "column":
        # A REVOKE on the table takes what is granted on its columns.
        needs |= {("privilege", f"{each} {relation_of(name)} to {grantee}") for each in ("table", "view")}
    may, lacks = (texts(facts_of(privilege), fact) for fact in ("may", "lacks"))
    for statement in _revokes(privilege, lacks, around):
        yield Piece(statement, Rank.REVOKE, needs=needs)
    for statement in _grants(privilege, may, around):
        yield Piece(statement, Rank.GRANT, needs=needs)


def _target_keys(kind: str, name: str) -> set[Key]:
    if kind == "column":
        return {(kind, name), ("table", relation_of(name)), ("view", relation_of(name))}
    return {(kind, name)}


def _grants(privilege: DatabaseObject, may: Iterable[str], around: Surroundings) -> Iterator[str]:
    for words, option in _groups(of_privilege(privilege.name)[0], may):
        yield _granting(privilege, words, "GRANT", around) + option


def _groups(kind: str, may: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """Yield privileges that one GRANT gives, with its option: first all, then those that the role may grant to others."""
    may = list(may)
    grantable = [each.removesuffix(_GRANTABLE) for each in may if each.endswith(_GRANTABLE)]
    plain = [each for each in may if not each.endswith(_GRANTABLE)]
    for words, whole, option in ((plain, may, ""), (grantable, grantable, _GRANTABLE.upper())):
        if words:
            yield ["all"] if len(whole) == _ALL.get(kind) else words, option


def _revokes(privilege: DatabaseObject, lacks: Iterable[str], around: Surroundings) -> Iterator[str]:
    words = list(lacks)
    if words:
        yield _granting(privilege, words, "REVOKE", around)


def _granting(privilege: DatabaseObject, words: list[str], act: str, around: Surroundings) -> str:
    kind, name, grantee = of_privilege(privilege.name)
    who = f"{'TO' if act == 'GRANT' else 'FROM'} {'CURRENT_USER' if grantee == 'owner' else role(grantee)}"
    own = f" ({own_name(name)})" if kind == "column" else ""
    what = "ALL" if len(words) == _ALL.get(kind) else ", ".join(f"{word.upper()}{own}" for word in words)
    if kind == "schema":
        return _here(f"{act} {what} ON SCHEMA %I {who}", name)
    return f"{act} {what} ON {_target(kind, name, around)} {who}"


def _target(kind: str, name: str, around: Surroundings) -> str:
    if kind == "function":
        procedure = around.facts("function", name).get("kind") == "procedure"
        return f"{'PROCEDURE' if procedure else 'FUNCTION'} {routine(name)}"
    return f"{_TARGETS[kind]} {written(relation_of(name) if kind == 'column' else name)}"


def alter(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change the privileges of a role on an object."""
    return _changed(after, facts_of(before), facts_of(after), around)


def takes(before: DatabaseObject, after: DatabaseObject) -> bool:
    """Return whether a change of privileges takes some from the role.

    Args:
        before: The privileges now.
        after: The later ones.
    """
    old, new = facts_of(before), facts_of(after)
    return not set(texts(old, "may")) <= set(texts(new, "may")) or not set(texts(new, "lacks")) <= set(
        texts(old, "lacks")
    )


def may_grant(facts: Facts) -> bool:
    """Return whether a role may grant privileges to others.

    Args:
        facts: The facts of its privileges.
    """
    return any(each.endswith(_GRANTABLE) for each in texts(facts, "may"))


def _changed(privilege: DatabaseObject, old: Facts, new: Facts, around: Surroundings) -> Iterator[str]:
    has, gets = texts(old, "may"), texts(new, "may")
    lacked, lacks = texts(old, "lacks"), texts(new, "lacks")
    gone = [each.removesuffix(_GRANTABLE) for each in has if each not in gets]
    if gone and len(has) == _ALL.get(of_privilege(privilege.name)[0]):
        # Since version 17 that is more than the facts say.
        gone = [each.removesuffix(_GRANTABLE) for each in has]
    yield from _revokes(privilege, [*gone, *(each for each in lacks if each not in lacked)], around)
    kept = {each for each in has if each.removesuffix(_GRANTABLE) not in gone}
    given_back = [each for each in lacked if each not in lacks]
    yield from _grants(privilege, [*(each for each in gets if each not in kept), *given_back], around)


def drop(privilege: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that takes back the privileges of a role, or gives back those that were taken."""
    facts = facts_of(privilege)
    if "lacks" in facts and "may" not in facts:
        return _granting(privilege, list(texts(facts, "lacks")), "GRANT", around)
    # Grants by the role itself go, too: their grantees get their declared ones again.
    return _granting(privilege, ["ALL"], "REVOKE", around) + (" CASCADE" if may_grant(facts) else "")


# Default privileges, of those that belong to the schema.


def create_default(privilege: DatabaseObject, around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that grant a role privileges on the objects that an owner makes later."""
    del around
    for statement in _defaults(privilege, "GRANT", texts(facts_of(privilege), "may")):
        yield Piece(statement, Rank.DEFAULT_PRIVILEGE)


def _defaults(privilege: DatabaseObject, act: str, may: Iterable[str]) -> Iterator[str]:
    kinds, owner, grantee, schema = _of_default(privilege.name)
    if act == "REVOKE":
        may = [each.removesuffix(_GRANTABLE) for each in may]
    who = f"{'TO' if act == 'GRANT' else 'FROM'} {role(grantee)}"
    for words, option in _groups(kinds, may):
        what = ", ".join(words).upper()
        yield _here(
            f"ALTER DEFAULT PRIVILEGES{owner} IN SCHEMA %I {act} {what} ON {kinds.upper()} {who}{option}", schema
        )


def _of_default(name: str) -> tuple[str, str, str, str]:
    """Return what a default privilege is on, the words for its owner, its role, and its schema if that is another."""
    kinds, _, rest = name.partition(" of ")
    owner, _, target = rest.partition(" to ")
    grantee, _, schema = target.partition(" in ")
    return kinds, "" if owner == "current_user" else f" FOR ROLE {role(owner)}", grantee, schema


def alter_default(before: DatabaseObject, after: DatabaseObject, around: Surroundings) -> Iterator[str] | None:
    """Return the statements that change a default privilege."""
    del around
    has, gets = (texts(facts_of(each), "may") for each in (before, after))
    gone = [each for each in has if each not in gets]
    plain = {each.removesuffix(_GRANTABLE) for each in gone}
    back = [each for each in gets if each not in has or each.removesuffix(_GRANTABLE) in plain]
    return iter([*_defaults(after, "REVOKE", gone), *_defaults(after, "GRANT", back)])


def drop_default(privilege: DatabaseObject, around: Surroundings) -> str:
    """Return the statement that takes a default privilege away."""
    del around
    return next(_defaults(privilege, "REVOKE", ["all"]))


#: The kinds of objects in default privileges, by the class that the server has for them.
_CLASSES = {"r": "tables", "S": "sequences", "f": "functions", "T": "types"}


def of_all_schemas(given: Mapping[tuple[str, str], Collection[str]]) -> dict[Key, Facts]:
    """Return default privileges, also those that belong to no schema, as those of a schema are known.

    Args:
        given: What the role that makes the objects gives: the class of objects and the role, with what it gets.
    """
    return {
        # In the words that versions before 17 have, too.
        ("default privilege", f"{_CLASSES[of]} of current_user to {grantee}"): {"may": tuple({*may} - {"maintain"})}
        for (of, grantee), may in given.items()
        if of in _CLASSES
    }


def not_by_default(key: Key, defaults: Mapping[Key, Facts], around: Surroundings) -> Iterator[Piece]:
    """Yield the statements that take from a new object the default privileges that it is not to have.

    Args:
        key: The object.
        defaults: The default privileges that there are when it is made, by kind and name.
        around: The objects around it.
    """
    kind, name = key
    if kind == "column" and (counter := around.counter(key)) is not None:
        kind, name = "sequence", counter
    for (_, default), facts in defaults.items():
        kinds, _, grantee = default.partition(" of current_user to ")
        if kinds == BY_DEFAULT.get(kind) and grantee:
            granted = DatabaseObject("privilege", f"{kind} {name} to {grantee}")
            wanted = texts(around.facts(*granted.key), "may")
            surplus = [each.removesuffix(_GRANTABLE) for each in texts(facts, "may") if each not in wanted]
            if surplus and len(texts(facts, "may")) == _ALL.get(kind):
                surplus = ["all"]  # since version 17 that is more than the facts say
            for statement in _revokes(granted, surplus, around):
                yield Piece(statement, Rank.REVOKE, needs={key})
