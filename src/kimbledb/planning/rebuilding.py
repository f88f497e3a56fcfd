"""Rebuilding: which statements of migrations make the declared objects again, in a schema of their own. Pure.

The statements run in a transaction that is rolled back, beside the live schema, and must not touch it. So a statement
that names an object of another schema is left out: a foreign key to a table would lock that table. Left out are rows,
grants and comments, too, which no expression depends on, and what belongs to a database or a server as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from attrs import frozen

from kimbledb.catalog import statements
from kimbledb.catalog.statements import Statement
from kimbledb.model.migration import Migration
from kimbledb.model.names import unquoted
from kimbledb.model.script import Part, Script

_KINDS = (
    r"(?:table|index|view|function|procedure|routine|aggregate|operator|type|domain|sequence|trigger|rule|policy"
    r"|statistics|collation|conversion|text\s+search)\b"
)
#: A statement that makes or changes objects of a schema.
_DEFINES = re.compile(
    r"(?:create\s+(?:or\s+replace\s+)?(?:(?:unlogged|unique|materialized|recursive|constraint|foreign|default)\s+)*"
    rf"|alter\s+(?:(?:materialized|foreign)\s+)?){_KINDS}",
    re.IGNORECASE,
)
_DROPS = re.compile(rf"drop\s+(?:(?:materialized|foreign)\s+)?{_KINDS}", re.IGNORECASE)
#: A statement that runs code, which is looked at as a whole.
_RUNS = re.compile(r"(?:do|select|with|call|insert|perform)\b", re.IGNORECASE)
_ROUTINE = re.compile(r"(?:create\s+(?:or\s+replace\s+)?|alter\s+)(?:function|procedure|routine)\b", re.IGNORECASE)
#: Functions whose effects outlive a transaction, or that wait for others.
_FAR = re.compile(
    r"\b(?:dblink\w*|http\w*|pg_(?:read|write|ls|terminate|cancel|notify|sleep|advisory|try_advisory|export|switch)\w*"
    r"|lo_\w+|notify|listen|copy|lock|vacuum|set_config)\b",
    re.IGNORECASE,
)
_MOVES = re.compile(r"\bset\s+schema\b", re.IGNORECASE)
_PATH = re.compile(r"\bsearch_path\b", re.IGNORECASE)
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
#: A name before a dot, with the word before it and a parenthesis after what it qualifies.
_QUALIFIED = re.compile(
    rf"(?:(?P<before>\w+)\s+)?(?<![\w$.\"])(?P<schema>{_IDENTIFIER})\s*\.\s*{_IDENTIFIER}\s*(?P<call>\()?"
)
#: Words before the name of a relation, which may have a list of columns behind it.
_BEFORE_RELATION = frozenset(
    {"references", "on", "table", "from", "join", "into", "only", "inherits", "like", "of", "view"}
)
_STRING = re.compile(r"'((?:[^']|'')*)'")
#: Kinds that no expression depends on.
_APART = frozenset({"comment", "privilege", "default privilege"})


@frozen
class Piece:
    """A statement of a migration that makes its objects again."""

    #: The text of the statement.
    text: str
    #: The line of its file on which it begins.
    line: int
    #: The script of the migration that holds it.
    part: Part = "apply"


@frozen
class LeftOut:
    """A statement that makes declared objects, and that cannot run beside the live schema."""

    #: The name of the migration.
    migration: str
    #: The path of its file.
    file: str
    #: The line on which it begins.
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@frozen
class Surroundings:
    """The state beside the schema in which the statements run."""

    #: The names of all schemas of the database.
    schemas: Collection[str]
    #: The schemas of extensions, whose objects may be named.
    homes: Collection[str]
    hosted: bool

    def is_foreign(self, name: str) -> bool:
        """Return whether an identifier is the name of a schema whose objects must not be touched."""
        plain = unquoted(name)
        return plain in self.schemas and plain not in self.homes and plain not in ("pg_catalog", "information_schema")


def pieces(migration: Migration, beside: Surroundings) -> Iterator[Piece | LeftOut]:
    """Yield the statements of a migration that make its objects again, and those that are left out although they do.

    Args:
        migration: The migration.
        beside: What stands beside.
    """
    effects = _effects(migration, hosted=beside.hosted)
    for part, script in migration.applied_scripts(hosted=beside.hosted).items():
        yield from _pieces_of(migration, part, script, effects, beside)


def _pieces_of(
    migration: Migration, part: Part, script: Script, effects: Collection[tuple[Part, int, int]], beside: Surroundings
) -> Iterator[Piece | LeftOut]:
    """Yield the statements of one script, as ``pieces()`` does."""
    last_line = 0
    try:
        for statement in statements.split(script.text):
            line, column = script.line_and_column(statement.start)
            declared = (part, line, 1 if line != last_line else column) in effects
            last_line = line
            if not (declared or _DEFINES.match(statement.skeleton)):
                continue
            reason = _reason(statement, beside, declared=declared)
            if reason is None:
                yield Piece(statement.text, line, part)
            elif declared:
                yield LeftOut(migration.name, script.path, line, reason)
    except ValueError:
        yield LeftOut(migration.name, script.path, 1, "the script cannot be split into statements")


def _effects(migration: Migration, *, hosted: bool) -> set[tuple[Part, int, int]]:
    """Return the places of the statements that affect objects which expressions may depend on."""
    return {
        (each.part, each.line, each.column)
        for each in migration.declarations.on(hosted=hosted)
        if each.renames or any(item.kind not in _APART for item in (*each.creates, *each.changes, *each.drops))
    }


def _reason(statement: Statement, beside: Surroundings, *, declared: bool) -> str | None:
    """Return the reason why a statement cannot run beside the live schema, or None if it can."""
    skeleton = statement.skeleton
    defines = _DEFINES.match(skeleton) is not None
    if statements.runs_alone(skeleton):
        return "it cannot run in a transaction"
    if not defines and not (declared and (_DROPS.match(skeleton) or _RUNS.match(skeleton))):
        return "it makes more than objects of a schema"
    routine = _ROUTINE.match(skeleton) is not None
    # The body of a function is only kept, unless it is a statement of its own.
    text = statements.with_names(statement.text) if routine else statement.text
    if _MOVES.search(skeleton) or (not routine and _PATH.search(text)):
        return "it changes schemas"
    if not defines and _FAR.search(text):
        return "it may reach beyond its transaction"
    foreign = next(_foreign(text, beside, runs=not defines), None)
    return None if foreign is None else f"it names the schema {foreign}"


def _foreign(text: str, beside: Surroundings, *, runs: bool) -> Iterator[str]:
    """Yield the schemas that a statement names and that it must not touch.

    Args:
        text: The text of the statement, without what is only kept.
        beside: What stands beside.
        runs: Whether the statement runs code. Otherwise the call of a function is only kept, and locks nothing.
    """
    for match in _QUALIFIED.finditer(text):
        kept = not runs and match["call"] and (match["before"] or "").lower() not in _BEFORE_RELATION
        if beside.is_foreign(match["schema"]) and not kept:
            yield match["schema"]
    if runs:
        yield from (f'"{each}"' for each in _STRING.findall(text) if beside.is_foreign(f'"{each}"'))
