"""Hazards: locks, rewrites and deletions that pending migrations would cause. Pure.

``kimbledb.catalog.statements`` splits the scripts. The caller asks the server once for the existing
tables and their sizes. A statement on a table that does not exist or holds no rows is no hazard, nor is one whose column, index or
constraint already exists. DO blocks, functions and CASCADE are not analysed here: the transaction that applies a
migration measures the data loss. Of a migration that is completed the statements of the completion count. The hazards
of another repair are those of the columns that it ``expects``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.statements import pattern
from kimbledb.model.completion import Completion
from kimbledb.model.hazard import Hazard
from kimbledb.model.migration import Migration
from kimbledb.model.names import split_list, unquoted
from kimbledb.model.objects import parts_of
from kimbledb.model.script import Script

# All but the characters of ASCII that a name has not (manual, 4.1.1): a class of the others
# that pays no regard to case takes long to be compiled.
_NAME = r'(?:"(?:[^"]|"")+"|[^\x00-@\[-^`{-\x7F][^\x00-#%-/:-@\[-^`{-\x7F]*)'
_QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
_TABLE = rf"(?P<tables>{_QUALIFIED})"
#: Several, as DROP TABLE and TRUNCATE take them.
_TABLES = rf"(?P<tables>{_QUALIFIED}(?:\s*\*?\s*,\s*(?:only\s+)?{_QUALIFIED})*)"
_COLUMN = rf"(?P<column>{_NAME})"


_ALTER_TABLE = pattern(rf"alter table (?:if exists )?(?:only )?{_TABLE}\s*\*?\s*(?P<actions>.*)")
_CREATE_INDEX = pattern(
    rf"create (?:unique )?index (?:(?P<concurrently>concurrently) )?(?:if not exists )?(?:(?P<index>(?!on\b){_NAME}) )?on (?:only )?{_TABLE}"
)
_DROP_INDEX = pattern(rf"drop index (?!concurrently )(?:if exists )?{_TABLES}")
_DROP_TABLE = pattern(rf"drop (?:foreign table|table|materialized view) (?:if exists )?{_TABLES}")
_DROP_SCHEMA = pattern(rf"drop schema (?:if exists )?{_TABLES}")
_DROP_OWNED = pattern(r"drop owned by\b")
_TRUNCATE = pattern(rf"truncate (?:table )?(?:only )?{_TABLES}")
# Rows may be deleted in a WITH of any of these, and behind EXPLAIN ANALYZE, PREPARE and COPY.
_RUNS = pattern(r"(?:with|delete|merge|insert|update|select|values|table|explain|prepare|copy)\b|\(")
_DELETE = pattern(
    rf"\bdelete from (?:only )?{_TABLE}|\bmerge into (?:only )?(?P<merged>{_QUALIFIED})(?=.*\bthen delete\b)"
)
_LOCKS = pattern(
    rf"(?:(?:create|alter|drop) policy (?:if exists )?{_NAME} on|drop (?:trigger|rule) (?:if exists )?{_NAME} on"
    rf"|create (?:or replace )?rule {_NAME} as on \w+ to) {_TABLES}"
)
_LOCK_TABLE = pattern(rf"lock(?: table)?(?: only)? {_TABLES}\s*\*?(?: in access exclusive mode)?(?: nowait)?\s*\Z")
_REWRITES = pattern(
    r"(?:cluster(?: \([^)]*\)| verbose)?|vacuum (?:\([^)]*\bfull\b[^)]*\)|full)(?: (?:freeze|verbose|analyze|analyse))*"
    rf"|refresh materialized view(?! concurrently)) (?:{_NAME} on )?{_TABLES}"
)
_REINDEX = pattern(rf"reindex (?:\((?![^)]*concurrently)[^)]*\) )?(?:table|index) (?!concurrently ){_TABLE}")

_ADD_COLUMN = pattern(
    rf"add (?:column )?(?:if not exists )?(?!(?:constraint|primary|unique|foreign|check|exclude)\b){_COLUMN}\s+(?P<rest>.*)"
)
_ADD_CONSTRAINT = pattern(
    rf"add (?:constraint {_COLUMN} )?(?P<kind>primary key|unique|exclude|foreign key|check)\b(?P<rest>.*)"
)
_TYPE = pattern(rf"alter (?:column )?{_COLUMN} (?:set data )?type (?P<type>.*?)(?: collate .*| using .*)?")
_NOT_NULL = pattern(rf"alter (?:column )?{_COLUMN} set not null")
_DROP_COLUMN = pattern(rf"drop (?:column )?(?:if exists )?(?!constraint\b){_COLUMN}(?: cascade| restrict)?")
# These wait for no reader, and no reader for them.
_GENTLE = pattern(
    r"(?:validate constraint|set \(|set statistics|reset \(|alter (?:column )?\S+ set statistics|cluster on|set without cluster"
    r"|(?:enable|disable) (?:replica |always )?trigger\b).*"
)
_REWRITING = pattern(r"set (?:tablespace|access method|logged|unlogged)\b.*|alter (?:column )?\S+ set expression\b.*")
# A default that differs from row to row is written into each of them (manual, 5.6.1).
_VOLATILE = pattern(
    r".*(?:\b(?:big|small)?serial\b|\bgenerated\b(?=.*\b(?:stored|identity)\b)|default\s.*(?:random|\w*uuid\w*|clock_timestamp|nextval|timeofday)\s*\().*"
)
_IS_NOT_NULL = pattern(r".*\bnot null\b")
#: In the definition of a column, outside of parentheses. A key to another table is looked up only for a value that rows
#: get: a column without a default is NULL in each of them.
_CHECKS_ROWS = pattern(r".*(?:\bcheck\b|\breferences\b.*\bdefault\b|\bdefault\b.*\breferences\b)")
#: The clauses that give a new column a value in existing rows. Without one NOT NULL fails in each of them.
_HAS_VALUE = pattern(r".*\b(?:default|generated|(?:big|small)?serial)\b")
_BUILDS_INDEX = pattern(r".*\b(?:unique|primary key)\b")
#: The types whose values are kept as they stand where they may be longer.
_LENGTHS = re.compile(r"(?P<name>character varying|numeric|bit varying)(?:\((?P<most>\d+)(?:,(?P<scale>\d+))?\))?")
#: Other names of the types whose names are not their own.
_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "float8": "double precision",
    "float4": "real",
    "bool": "boolean",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "decimal": "numeric",
    "varchar": "character varying",
}

_LOCK, _REWRITE, _INDEX, _VALIDATION, _ROWS = (
    "access_exclusive_lock",
    "table_rewrite",
    "index_build",
    "constraint_validation",
    "rows_deleted",
)
_CURES = {
    _LOCK: "the queue for it is bounded by Options.lock_timeout; run it when it is quiet",
    _REWRITE: "add a new column, fill it in parts, and exchange the two; or run it when nobody works",
    _INDEX: "CREATE INDEX CONCURRENTLY in the migration's online.sql",
    _VALIDATION: "add it NOT VALID, and VALIDATE CONSTRAINT, in the migration's online.sql",
    _ROWS: "make a backup first (backup=...)",
}


@frozen
class Tables:
    """The tables and indexes of the target schema."""

    schema: str
    #: By the table's name: rows, filled, bytes, columns, constraints.
    tables: Mapping[str, Mapping[str, Any]]
    #: The table of each index, by the index's name.
    indexes: Mapping[str, str]


def by_strategy(
    migration: Migration,
    tables: Tables,
    *,
    online: bool,
    begun: bool = False,
    hosted: bool = False,
    completion: Completion | None = None,
) -> tuple[tuple[Hazard, ...], bool]:
    """Choose a migration's strategy, and find the hazards under that strategy. Pure.

    Args:
        migration: The migration, with its scripts.
        tables: The tables of the target schema.
        online: Whether the run can execute online.sql, outside of a transaction.
        begun: Whether an earlier run has begun online.sql, which then continues whatever the hazards of the rest.
        hosted: Whether the database has the roles of a hosted platform.
        completion: What is written in place of its script, or before it; None where nothing of it is there.

    Returns:
        The hazards, and whether online.sql runs before apply.sql.
    """
    plain = hazards_of(migration, tables, hosted=hosted, completion=completion)
    # online.sql relies on the schema of the migrations before, which another one may not have.
    if not (plain or begun) or not online or not migration.online_sql or completion is not None:
        return plain, False
    return hazards_of(migration, tables, online=True, hosted=hosted), True


def hazards_of(
    migration: Migration,
    tables: Tables,
    *,
    online: bool = False,
    hosted: bool = False,
    completion: Completion | None = None,
) -> tuple[Hazard, ...]:
    """Return the hazards of a migration for the existing tables, each hazard once for each table. Pure.

    Args:
        migration: The migration, with its scripts.
        tables: The tables of the target schema.
        online: Whether online.sql runs before apply.sql.
        hosted: Whether the database has the roles of a hosted platform.
        completion: What is written in place of its script, or before it; None where nothing of it is there.
    """
    found: dict[tuple[str, str], Hazard] = {}
    told = _of_scripts(migration, tables, online=online, hosted=hosted, completion=completion)
    for script, offset, (name, table, reason) in told:
        facts = tables.tables.get(table)
        if facts is not None and facts["filled"] and facts["rows"] != 0 and (name, table) not in found:
            line = None if offset is None else script.line_and_column(offset)[0]
            rows, size = facts["rows"], facts["bytes"]
            found[name, table] = Hazard(name, table, rows, size, reason, _CURES[name], script.path, line)
    return tuple(found.values())


def _of_scripts(
    migration: Migration, tables: Tables, *, online: bool, hosted: bool, completion: Completion | None
) -> Iterator[tuple[Script, int | None, _Told]]:
    """Yield each hazard with its script, and with the place of its statement if that stands in a file."""
    apply = migration.script("apply")
    scripts = [migration.script("online")] if online else []
    ahead: Script | None = None
    derived: list[Script] = []
    if completion is None:
        yield from ((apply, None, each) for each in _of_repair(migration, tables))
    else:
        ahead = Script(f"{apply.path} (online)", ";\n".join(map(str, completion.online)))
        derived = [ahead, Script(f"{apply.path} (completion)", ";\n".join(completion.statements))]
        scripts += derived
    if completion is None or completion.runs_script:
        scripts += migration.applied_scripts(hosted=hosted).values()
    with suppress(ValueError):  # a text that cannot be split is refused elsewhere
        for script in scripts:
            texts: list[str] = []
            for statement in statements.split(script.text):
                texts.append(statements.with_masks(statement.text))
                place = None if script in derived else statement.start
                for each in _of_statement(texts[-1], tables):
                    # A check that is validated proves it there, and no row is looked at.
                    if script is not ahead or each[0] != _VALIDATION:
                        yield script, place, each
            if script is not scripts[-1]:
                tables = _after(texts, tables)


def _after(texts: Sequence[str], tables: Tables) -> Tables:
    """Return what is there when statements have run: the columns, constraints and indexes that they add."""
    there = {
        name: {**facts, "columns": dict(facts["columns"]), "constraints": list(facts["constraints"])}
        for name, facts in tables.tables.items()
    }
    indexes = dict(tables.indexes)
    for text in texts:
        if (match := _CREATE_INDEX.match(text)) and match["index"] is not None:
            indexes.setdefault(unquoted(match["index"]), _name(match["tables"], tables.schema) or "")
        elif (match := _ALTER_TABLE.match(text)) and (table := _name(match["tables"], tables.schema)) in there:
            for action in split_list(match["actions"]):
                if added := _ADD_COLUMN.fullmatch(action):
                    there[table]["columns"].setdefault(
                        unquoted(added["column"]), ["", _IS_NOT_NULL.match(added["rest"]) is not None]
                    )
                elif (added := _ADD_CONSTRAINT.fullmatch(action)) and added["column"] is not None:
                    there[table]["constraints"].append(unquoted(added["column"]))
    return evolve(tables, tables=there, indexes=indexes)


#: The hazard's name, the table's, and the reason.
_Told = tuple[str, str, str]


def _of_repair(migration: Migration, tables: Tables) -> Iterator[_Told]:
    for column, kind in migration.expects.items():
        table, name = parts_of(column)
        there = tables.tables.get(table, {"columns": {}})["columns"].get(name)
        if there is not None and there[0] != kind:
            yield _LOCK, table, f"the repair changes {name} to {kind}"
            yield _REWRITE, table, f"the repair changes {name} from {there[0]} to {kind}"


def _of_statement(text: str, tables: Tables) -> Iterator[_Told]:
    if _RUNS.match(text):
        for deleted in _DELETE.finditer(text):
            if (table := _name(deleted["tables"] or deleted["merged"], tables.schema)) is not None:
                yield _ROWS, table, _shown(deleted)
        return
    if dropped := _DROP_SCHEMA.match(text):
        if tables.schema in _names(dropped["tables"], None):
            yield from _all_removed(dropped, tables)
        return
    if dropped := _DROP_OWNED.match(text):
        yield from _all_removed(dropped, tables)
        return
    for form, tell in _STATEMENTS:
        match = form.match(text)
        if match is not None:
            for name in _names(match["tables"], tables.schema):
                yield from tell(match, name, tables)
            return


def _all_removed(match: re.Match[str], tables: Tables) -> Iterator[_Told]:
    """Tell of every table: whose it is, which DROP OWNED goes by, is not known here."""
    for table in tables.tables:
        yield from _removes(match, table, tables)


def _shown(match: re.Match[str]) -> str:
    """Return the matched words in one line."""
    return " ".join(match[0].split())


def _alter_table(match: re.Match[str], table: str, tables: Tables) -> Iterator[_Told]:
    facts = tables.tables.get(table)
    if facts is None:
        return
    for action in split_list(match["actions"]):
        yield from _of_action(action, table, facts)


def _of_action(action: str, table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    if _GENTLE.fullmatch(action):
        return
    for form, tell in _ACTIONS:
        if match := form.fullmatch(action):
            yield from tell(match, table, facts)
            return
    yield _lock_for(action, table)
    if _REWRITING.fullmatch(action):
        yield _REWRITE, table, f"{_cut(action)} writes every row anew"


def _cut(action: str) -> str:
    """Return the beginning of an action of ALTER TABLE in one line."""
    return " ".join(action.split())[:60]


def _lock_for(action: str, table: str) -> _Told:
    return _LOCK, table, f"ALTER TABLE ... {_cut(action)}"


def _add_constraint(match: re.Match[str], table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    if match["column"] is not None and unquoted(match["column"]) in facts["constraints"]:
        return
    kind = match["kind"].split()[0].lower()
    # A key to another table keeps others from writing to both, and nobody from reading.
    if kind != "foreign":
        yield _lock_for(match[0], table)
    rest = match["rest"].lower()
    if kind in ("primary", "unique", "exclude"):
        if not re.match(r"\s*using\s+index", rest):
            yield _INDEX, table, f"{_cut(match[0])} builds an index while nobody may read"
    elif not re.search(r"not\s+valid\s*$", rest):
        yield _VALIDATION, table, f"{_cut(match[0])} looks at every row at once"


def _add_column(match: re.Match[str], table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    if unquoted(match["column"]) in facts["columns"]:
        return
    yield _lock_for(match[0], table)
    shown = _cut(match[0])
    if _VOLATILE.fullmatch(match["rest"]):
        yield _REWRITE, table, f"{shown} writes every row anew"
    outside = _outside_of_parentheses(match["rest"])
    if _BUILDS_INDEX.match(outside):
        yield _INDEX, table, f"{shown} builds an index while nobody may read"
    if _CHECKS_ROWS.match(outside) or (_IS_NOT_NULL.match(outside) and not _HAS_VALUE.match(outside)):
        yield _VALIDATION, table, f"{shown} looks at every row at once"


def _change_type(match: re.Match[str], table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    there = facts["columns"].get(unquoted(match["column"]))
    wanted = _type(match["type"])
    if there is None or there[0] == wanted:
        return
    yield _lock_for(match[0], table)
    if not _holds_each(wanted, there[0]):
        yield _REWRITE, table, f"{match['column']} from {there[0]} to {wanted} writes every row anew"


def _set_not_null(match: re.Match[str], table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    there = facts["columns"].get(unquoted(match["column"]))
    if there is not None and not there[1]:
        yield _lock_for(match[0], table)
        yield _VALIDATION, table, f"{_cut(match[0])} looks at every row at once"


def _drop_column(match: re.Match[str], table: str, facts: Mapping[str, Any]) -> Iterator[_Told]:
    if unquoted(match["column"]) in facts["columns"]:
        yield _lock_for(match[0], table)
        yield _ROWS, table, f"{_cut(match[0])} takes its values away"


#: The actions of ALTER TABLE, the first that fits.
_ACTIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, Mapping[str, Any]], Iterator[_Told]]], ...] = (
    (_ADD_CONSTRAINT, _add_constraint),
    (_ADD_COLUMN, _add_column),
    (_TYPE, _change_type),
    (_NOT_NULL, _set_not_null),
    (_DROP_COLUMN, _drop_column),
)


def _holds_each(wanted: str, there: str) -> bool:
    """Return whether a type is known to hold each value of another as it stands, so that no row is written anew."""
    if wanted == "text":
        return there.startswith("character varying")
    new, old = _LENGTHS.fullmatch(wanted), _LENGTHS.fullmatch(there)
    if new is None or old is None or new["name"] != old["name"]:
        return False
    if new["most"] is None or old["most"] is None:
        return new["most"] is None
    return int(new["most"]) >= int(old["most"]) and (new["scale"] or "0") == (old["scale"] or "0")


def _create_index(match: re.Match[str], table: str, tables: Tables) -> Iterator[_Told]:
    there = match["index"] is not None and unquoted(match["index"]) in tables.indexes
    if not match["concurrently"] and not there:
        yield _INDEX, table, f"{_shown(match)} holds up whoever writes"


def _drop_index(match: re.Match[str], index: str, tables: Tables) -> Iterator[_Told]:
    if index in tables.indexes:
        yield _LOCK, tables.indexes[index], _shown(match)


def _locks(match: re.Match[str], table: str, _tables: Tables) -> Iterator[_Told]:
    yield _LOCK, table, _shown(match)


def _removes(match: re.Match[str], table: str, _tables: Tables) -> Iterator[_Told]:
    yield _LOCK, table, _shown(match)
    yield _ROWS, table, _shown(match)


def _rewrites(match: re.Match[str], table: str, _tables: Tables) -> Iterator[_Told]:
    yield _LOCK, table, _shown(match)
    yield _REWRITE, table, _shown(match)


def _reindexes(match: re.Match[str], name: str, tables: Tables) -> Iterator[_Told]:
    table = tables.indexes.get(name, name)
    yield _LOCK, table, _shown(match)
    yield _INDEX, table, f"{_shown(match)} builds indexes while nobody may write"


_STATEMENTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, Tables], Iterator[_Told]]], ...] = (
    (_ALTER_TABLE, _alter_table),
    (_CREATE_INDEX, _create_index),
    (_DROP_INDEX, _drop_index),
    (_DROP_TABLE, _removes),
    (_TRUNCATE, _removes),
    (_LOCKS, _locks),
    (_LOCK_TABLE, _locks),
    (_REWRITES, _rewrites),
    (_REINDEX, _reindexes),
)


def _outside_of_parentheses(text: str) -> str:
    """Return a text with a space for each pair of parentheses with what it holds, and for each quoted name."""
    pieces: list[str] = []
    depth, begin = 0, 0
    for match in re.finditer(r'"(?:[^"]|"")*"|[()]', text):
        if depth == 0:
            pieces.append(text[begin : match.start()])
        depth += (match[0] == "(") - (match[0] == ")")
        begin = match.end()
    return " ".join([*pieces, text[begin:]])


def _names(text: str, schema: str | None) -> list[str]:
    """Return the names of a list that are of the target schema, or all of them where that is None."""
    every = re.findall(_QUALIFIED, re.sub(r"(,\s*)only\s+", r"\1", text, flags=re.IGNORECASE))
    found = [unquoted(each) if schema is None else _name(each, schema) for each in every]
    return [each for each in found if each is not None]


def _name(text: str, schema: str) -> str | None:
    """Return the name of an object of the target schema, or None for another schema's."""
    parts = re.findall(_NAME, text)
    return None if len(parts) > 1 and unquoted(parts[0]) != schema else unquoted(parts[-1])


def _type(text: str) -> str:
    words = " ".join(text.lower().split())
    head, bracket, rest = words.partition("(")
    return _ALIASES.get(head.strip(), head.strip()) + bracket + rest.replace(" ", "")
