"""The effects of a script that declarations do not hold and that no derived rollback can undo. Pure.

Declarations hold objects. Rows, positions of sequences, owners and what belongs to the whole server are read off the
statements, conservatively: a statement that may change rows of an older table counts, whether or not it finds any. Two
things are no loss: rows of a table that the migration makes, and values of columns that it makes. Both go with these.

The body of a function is not read where it is only created. A DO block that asks the system catalogs before it changes
rows is *doubtful*: on a schema as declared it may change none. What it does on sample rows decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from attrs import field, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.declared import place_of
from kimbledb.catalog.statements import pattern
from kimbledb.model.names import unquoted
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.script import Script
from kimbledb.planning.fold import split

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"

#: A statement that changes rows, with the table; in dynamic SQL that may be a placeholder of format().
_CHANGE = pattern(
    r"\b(?P<verb>insert into|update|delete from|merge into|truncate|copy)(?: table)?(?: only)?"
    rf" (?P<table>{_QUALIFIED}|%\d*\$?[Is]|(?='))(?P<rest>[^;]*)"
)
_WORDS = {
    "insert": "inserts rows into",
    "update": "updates rows of",
    "delete": "deletes rows of",
    "merge": "merges rows into",
    "truncate": "deletes rows of",
    "copy": "copies rows into",
}
#: A word before UPDATE or TRUNCATE that makes it a clause: FOR UPDATE, ON UPDATE, BEFORE INSERT OR UPDATE.
_CLAUSE = pattern(r"(?:\b(?:for|on|do|key|or|before|after|grant|revoke)|,)\s*\Z")
_SET = pattern(rf"\s*\*?(?:\s+(?:as )?(?!set\b){_NAME})?\s+set\b(?P<columns>.*)")
_END_OF_SET = pattern(r"\b(?:from|where|returning)\b")
_SETS = re.compile(rf"\s*(?:(?P<one>{_NAME})|\((?P<several>[^()]*)\))\s*(?:\[[^]]*\]\s*)*=")
_SEQUENCE = pattern(r"\bsetval\s*\(\s*(?:'(?P<name>[^']*)'|pg_get_serial_sequence\s*\(\s*'(?P<of>[^']*)')?")
_LARGE_OBJECT = pattern(r"\blo_(?:create|creat|import|put|truncate|unlink|from_bytea)\s*\(")
_CALL = re.compile(rf"(?P<name>{_NAME})\s*\(")
_ASKS_CATALOGS = pattern(
    r"\bpg_catalog\s*\.|\binformation_schema\s*\.|\bto_reg\w+\s*\(|\bpg_(?:class|attribute|constraint|index|proc|type)\b"
)

_RESTARTS = pattern(rf"alter (?P<kind>sequence|table) (?:if exists )?(?:only )?(?P<name>{_QUALIFIED}).*\brestart\b")
_OWNER = pattern(rf"alter .*?(?P<name>{_QUALIFIED})\s*(?:\([^)]*\)\s*)?(?: )?owner to\b")
_DROPS = pattern(rf"drop (?P<kind>table|sequence) (?:if exists )?(?P<names>{_QUALIFIED}(?:\s*,\s*{_QUALIFIED})*)")
_ALTERS_TABLE = pattern(rf"alter table (?:if exists )?(?:only )?(?P<name>{_QUALIFIED})\s*\*?\s*(?P<actions>.*)")
_DROPS_COLUMN = pattern(
    rf"\s*drop (?:column )?(?:if exists )?(?!constraint\b)(?P<column>{_NAME})(?: (?:cascade|restrict))?\s*"
)
_CONVERTS = pattern(rf"\s*alter (?:column )?(?P<column>{_NAME}) (?:set data )?type .*?\busing (?P<expression>.*)")
_CAST = pattern(rf"\(*\s*(?P<column>{_NAME})\s*\)*\s*(?:::[^+*/()-]*(?:\([\d, ]*\))?[^+*/()-]*)?")
#: Statements on what declarations do not hold, with what they do.
_ELSEWHERE = pattern(
    r"(?P<act>create|alter|drop) (?:or replace )?(?:trusted |procedural )*(?P<kind>role|user mapping|user|group|database"
    r"|tablespace|schema|event trigger|publication|subscription|server|foreign data wrapper|cast|language"
    r"|access method|transform|system|large object)\b"
)
_SCHEMA = pattern(rf" (?:if (?:not )?exists )?(?!authorization\b)(?P<name>{_NAME})")
_PUBLISHES = pattern(rf"alter publication {_NAME} add table (?P<tables>{_QUALIFIED}(?:\s*,\s*{_QUALIFIED})*)")
_OTHERS = (
    (pattern(r"drop extension\b"), "drops an extension"),
    (pattern(r"security label\b"), "sets a security label"),
    (pattern(r"reassign owned\b"), "changes owners"),
    (pattern(r"drop owned\b"), "drops what a role owns"),
    (pattern(r"(?:grant|revoke)\b(?!.*\bon\b)"), "grants or revokes a role"),
    (
        pattern(r"(?:grant|revoke)\b.*\bon (?:database|language|foreign|large object|parameter|tablespace)\b"),
        "changes privileges on what belongs to no schema",
    ),
    (pattern(r"alter default privileges\b(?!.*\bin schema\b)"), "changes default privileges of all schemas"),
    (pattern(r"execute\b"), "executes a prepared statement"),
    (pattern(r"call\b"), "calls a procedure"),
)


@frozen
class Taking:
    """A statement with an effect that no derived rollback takes back."""

    #: The line of the script's file on which it begins.
    line: int
    #: Its effect, in words after ``it``.
    words: str
    #: Whether it may do nothing on a schema as declared: then sample rows decide.
    doubtful: bool = False


@frozen(slots=False, kw_only=True)
class Around:
    """The objects before and after a migration, as its statements see them."""

    #: The objects before it.
    before: Mapping[Key, DatabaseObject]
    #: The objects after it.
    after: Mapping[Key, DatabaseObject]
    #: The objects that its rollback drops.
    own: frozenset[Key]
    #: The later names of objects that it renames, by the kind and name of before.
    renames: Mapping[Key, str] = field(factory=dict)

    @cached_property
    def volatile(self) -> frozenset[str]:
        """The names of functions that may change rows when they are called."""
        return frozenset(
            parts_of(name)[-1]
            for objects in (self.before, self.after)
            for (kind, name), each in objects.items()
            if kind == "function" and _may_write(each.facts or {})
        )

    def makes(self, kind: str, name: str) -> bool:
        """Return whether an object is the migration's own.

        Args:
            kind: Its kind.
            name: Its name.
        """
        return (kind, name) in self.own

    def is_older(self, kind: str, name: str) -> bool:
        """Return whether an object existed before the migration, under this name or under one that it gets."""
        return (kind, name) in self.before or any(old[0] == kind and new == name for old, new in self.renames.items())

    def triggers_on_update(self, table: str) -> Iterator[str]:
        """Yield the older triggers that fire when rows of a table are updated, whatever columns are set."""
        for (kind, name), each in self.before.items():
            facts = each.facts or {}
            if kind == "trigger" and split(name)[0] == table and facts.get("enabled") != "disabled":
                event = str(facts.get("event", "")).partition(" ON ")[0]
                if re.search(r"\bUPDATE\b(?! OF\b)", event):
                    yield parts_of(name)[-1]


def _may_write(facts: Facts) -> bool:
    """Return whether a call of a function may change rows. A statement cannot call the function of a trigger."""
    return (
        facts.get("kind") != "aggregate"
        and facts.get("volatility") not in ("stable", "immutable")
        and facts.get("returns") not in ("trigger", "event_trigger")
    )


def takings(script: Script, around: Around) -> Iterator[Taking]:
    """Yield the statements of a script with effects that no derived rollback takes back, in order.

    Args:
        script: The script, whose statements can be told apart.
        around: The objects before and after its migration.
    """
    for statement in statements.split(script.text):
        line, _ = place_of(script, statement.start)
        words = statements.with_names(statement.text)
        head = (re.match(r"\w*", words) or [""])[0].lower()
        if head == "do":
            yield from _of_block(line, statement.text, around)
        else:
            reading = _READERS.get(head, _of_queries)
            yield from (Taking(line, each) for each in dict.fromkeys(reading(words, statement.text, around)))


def _of_block(line: int, text: str, around: Around) -> Iterator[Taking]:
    """Yield what a DO block does, at most once."""
    body = statements.body_of_block(text)
    found = next(iter(_of_queries(body, body, around)), None)
    if found is not None:
        yield Taking(line, f"is a DO block that {found}", doubtful=_ASKS_CATALOGS.search(body) is not None)


def _of_queries(words: str, text: str, around: Around) -> Iterator[str]:
    """Yield what the statements in a text do to rows and sequences."""
    for found in _CHANGE.finditer(words):
        verb = found["verb"].split()[0].lower()
        if verb in ("update", "truncate") and _CLAUSE.search(words, 0, found.start()):
            continue
        if verb == "copy" and not re.match(r"\s*(?:\([^)]*\)\s*)?from\b", found["rest"], re.IGNORECASE):
            continue
        table = _name(found["table"]) if found["table"].strip("%") and "%" not in found["table"] else None
        if table is not None and around.makes("table", table):
            continue
        if verb == "update" and table is not None and _sets_own(table, found["rest"], around):
            if trigger := next(around.triggers_on_update(table), None):
                yield f"updates rows of {table}, where trigger {trigger} may change other columns"
            continue
        yield f"{_WORDS[verb]} {table or 'tables'}"
    yield from _of_sequences(text, around)
    if _LARGE_OBJECT.search(words):
        yield "changes large objects"
    for found in _CALL.finditer(words):
        if (name := _name(found["name"])) in around.volatile:
            yield f"calls {name}(), which may change rows"


def _sets_own(table: str, rest: str, around: Around) -> bool:
    """Return whether an UPDATE sets nothing but columns that the migration makes."""
    found = _SET.match(rest)
    if found is None:
        return False
    clause = _END_OF_SET.split(_outer(found["columns"]), maxsplit=1)[0]
    columns: list[str] = []
    for each in clause.split(","):
        assigned = _SETS.match(each)
        if assigned is None or assigned["one"] is None:
            return False  # such as (a, b) = (SELECT ...), whose parentheses are blanked
        columns.append(quoted(unquoted(assigned["one"])))
    return all(around.makes("column", f"{table}.{column}") for column in columns)


def _outer(text: str) -> str:
    """Return a text with a space for all that stands in parentheses."""
    shown, depth = [], 0
    for letter in text:
        depth += letter == "("
        shown.append(" " if depth else letter)
        depth -= letter == ")"
    return "".join(shown)


def _of_sequences(text: str, around: Around) -> Iterator[str]:
    for found in _SEQUENCE.finditer(text):
        name = _name(found["name"]) if found["name"] else None
        table = _name(found["of"]) if found["of"] else None
        if (name is not None and around.makes("sequence", name)) or (
            table is not None and around.makes("table", table)
        ):
            continue
        yield f"moves sequence {name}" if name else "moves a sequence"


def _of_alter(words: str, text: str, around: Around) -> Iterator[str]:
    yield from _of_others(words, text, around)
    if (found := _RESTARTS.match(words)) and not around.makes(found["kind"].lower(), _name(found["name"])):
        yield f"restarts {'the identity of table' if found['kind'].lower() == 'table' else 'sequence'} {_name(found['name'])}"
    if (found := _OWNER.match(words)) and not _is_own(_name(found["name"]), around):
        yield f"changes the owner of {_name(found['name'])}"
    if (found := _ALTERS_TABLE.match(words)) and around.is_older("table", table := _name(found["name"])):
        for action in _actions(found["actions"]):
            yield from _of_action(action, table, around)


def _is_own(name: str, around: Around) -> bool:
    return any(parts_of(own)[-1] == parts_of(name)[-1] for _, own in around.own)


def _actions(text: str) -> Iterator[str]:
    """Yield the actions of ALTER TABLE: its parts between commas outside of parentheses."""
    outer = _outer(text)
    begin = 0
    for comma in [*(place for place, letter in enumerate(outer) if letter == ","), len(text)]:
        yield text[begin:comma]
        begin = comma + 1


def _of_action(action: str, table: str, around: Around) -> Iterator[str]:
    if found := _DROPS_COLUMN.fullmatch(action):
        column = f"{table}.{quoted(unquoted(found['column']))}"
        each = around.before.get(("column", column))
        if "generated" not in ((each and each.facts) or {}) and not around.makes("column", column):
            yield f"drops column {column}, whose values are gone"
    elif found := _CONVERTS.match(action):
        column = f"{table}.{quoted(unquoted(found['column']))}"
        cast = _CAST.fullmatch(found["expression"].strip())
        if not around.makes("column", column) and (cast is None or _name(cast["column"]) != _name(found["column"])):
            yield f"converts column {column} by an expression of its own"


def _of_drop(words: str, text: str, around: Around) -> Iterator[str]:
    yield from _of_others(words, text, around)
    if found := _DROPS.match(words):
        kind = found["kind"].lower()
        gone = "rows are" if kind == "table" else "position is"
        for name in map(_name, re.findall(_QUALIFIED, found["names"])):
            if around.is_older(kind, name):
                yield f"drops {kind} {name}, whose {gone} gone"


def _of_others(words: str, _text: str, around: Around) -> Iterator[str]:
    if (found := _ELSEWHERE.match(words)) and not (
        _is_declared_schema(found, around) or _publishes_own_tables(words, around)
    ):
        kind = " ".join(found["kind"].lower().split())
        act = {"create": "creates", "alter": "alters", "drop": "drops"}[found["act"].lower()]
        yield f"{act} {'an' if kind[0] in 'ae' else 'a'} {kind}, which declarations do not hold"
    yield from (words_of for pattern, words_of in _OTHERS if pattern.match(words))


def _is_declared_schema(found: re.Match[str], around: Around) -> bool:
    """Return whether a statement makes, alters or drops a schema of the migration's own, which declarations hold."""
    named = _SCHEMA.match(found.string, found.end())
    key = ("schema", _name(named["name"])) if named and found["kind"].lower() == "schema" else None
    return key in around.before or key in around.after


def _publishes_own_tables(words: str, around: Around) -> bool:
    """Return whether a statement adds tables of the migration to a publication: they leave it when they are dropped."""
    found = _PUBLISHES.fullmatch(words.strip().rstrip(";").rstrip())
    return found is not None and all(
        around.makes("table", _name(name)) for name in re.findall(_QUALIFIED, found["tables"])
    )


def _of_definitions(words: str, text: str, around: Around) -> Iterator[str]:
    """Yield what a CREATE does; a CREATE TABLE AS may call functions, and all others run nothing."""
    yield from _of_others(words, text, around)
    if re.match(r"create\s+(?:\w+\s+)*?(?:table|materialized\s+view)\b", words, re.IGNORECASE) and re.search(
        r"\bas\b", words, re.IGNORECASE
    ):
        for found in _CALL.finditer(words):
            if (name := _name(found["name"])) in around.volatile:
                yield f"calls {name}(), which may change rows"


def _name(text: str) -> str:
    """Return the name of an object as objects have it: without the target schema, which is the one of a recording."""
    parts = [quoted(unquoted(each)) for each in re.findall(_NAME, text)]
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == "public" else parts)


_READERS: Mapping[str, Callable[[str, str, Around], Iterator[str]]] = {
    "alter": _of_alter,
    "create": _of_definitions,
    "drop": _of_drop,
    **dict.fromkeys(("grant", "revoke", "security", "reassign", "execute", "call"), _of_others),
    **dict.fromkeys(
        ("comment", "set", "reset", "lock", "analyze", "refresh", "vacuum", "reindex", "cluster", "notify", "listen"),
        lambda _words, _text, _around: iter(()),
    ),
}
