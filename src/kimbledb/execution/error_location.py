"""From a server's error to the line that caused it, and to a cure."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.model.migration import Migration
from kimbledb.model.redaction import cover, excerpt, spans
from kimbledb.model.script import Script
from kimbledb.model.text import one_line, printable
from kimbledb.server.codes import own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.drivers.asyncpg import condition

_NO_TRANSACTIONS = (
    "each migration is one transaction, which kimbledb begins and ends: take COMMIT, ROLLBACK and procedures that commit "
    "out of it, or write `transactional = false` in migration.toml"
)
#: For each SQLSTATE (manual, appendix A) what helps. The first five answer the
#: common issues of the document: already exists, column missing, foreign key
#: fails, permission denied, vector not found.
_CURES = {
    "42P07": "it is there already: write CREATE ... IF NOT EXISTS, or let `kimbledb adopt` record what is applied",
    "42701": "the column is there already: write ADD COLUMN IF NOT EXISTS",
    "42710": "it is there already: ask the catalogs first, or let `kimbledb adopt` record what is applied",
    "42723": "the function is there already: write CREATE OR REPLACE FUNCTION",
    "42P06": "the schema is there already: write CREATE SCHEMA IF NOT EXISTS",
    "42703": "the migration that makes this column is not applied: name it under `requires` in migration.toml, or mend the spelling",
    "42P01": "the migration that makes this table is not applied: name it under `requires` in migration.toml, or mend the spelling",
    "42704": "the migration that makes it is not applied: name it under `requires` in migration.toml, or mend the spelling",
    "42883": "no function or operator of that name takes these arguments: look at the spelling, at the types, and at `requires` and `extensions` in migration.toml",
    "3F000": "no migration makes that schema: name only objects of the target schema, or let an administrator make it first",
    "42601": "look at the place and right before it: a comma, a bracket or a quote is missing or too many, or a word is another database's",
    "23503": "rows point to rows that are not there: find and mend them first, then run again",
    "42830": "the referenced columns have no unique key: the migration that makes it is not applied; name it under `requires`",
    "42P10": "ON CONFLICT wants a unique key of exactly these columns: make it first",
    "42804": "the types differ: cast the value (value::type), or convert the column first (ALTER COLUMN ... TYPE ... USING ...)",
    "42846": "there is no cast between these types: convert by way of text, or write the conversion after USING",
    "42809": "it is an object of another kind: a view where a table is meant, or the other way round",
    "23505": "rows that are there already repeat a value: find and merge them first, then run again",
    "23514": "rows that are there already break this check: mend them first, then run again",
    "23502": "rows that are there already have no value here: fill it in first, then run again",
    "23P01": "rows that are there already exclude each other: mend them first, then run again",
    "42501": "connect as the owner of what is named, or let the owner, or an administrator, grant what is missing",
    "58P01": "a file of the server is missing, often an extension's: install its package",
    "57014": "the statement took longer than its limit: raise statement_timeout in migration.toml or in Options",
    "53200": "the server ran out of memory: split the migration, or lower work_mem and maintenance_work_mem",
    "53100": "the server's disk is full: free some room, then run again",
    "53300": "the server has no connection left: close some, or raise max_connections",
    "54000": "the server has a limit there: rows of an index are no longer than a third of a page; index a hash or a part of the value",
    "55006": "sessions use it: end them first, or run again when they are gone",
    "25001": "it cannot run in a transaction or a function: write it as a statement of its own, and `transactional = false` in migration.toml",
    "25006": "the server, or this session, only reads: connect to the primary, and take SET TRANSACTION READ ONLY out",
    "2D000": _NO_TRANSACTIONS,
    "55P04": "a value that ALTER TYPE ... ADD VALUE adds can be used after its COMMIT: use it in a migration of its own, which requires this one",
    "2BP01": "what is named here was made on top by another hand: drop or move it first, then run again",
    "KD003": "take COMMIT, ROLLBACK and procedures that commit out of it",
    **dict.fromkeys(
        ("22P02", "22001", "22003", "22007", "22008"),
        "a value does not fit the type; it is not shown, since it may be a secret: look for such values with a SELECT, and mend them first",
    ),
}
#: Where the server's own hint leads astray (to CASCADE, which would take what is not ours; to casts alone) or says not how.
_BETTER_THAN_THE_SERVERS = frozenset({"2BP01", "42883", "55P04"})
#: Objects of extensions that scripts name, by extension.
_MEMBERS = {
    "vector": r"vector|halfvec|sparsevec|ivfflat|hnsw|\w+_(?:l1|l2|ip|cosine|hamming|jaccard)_ops|cosine_distance|l[12]_distance"
    r"|inner_product|vector_dims|vector_norm|l2_normalize|binary_quantize|subvector|hamming_distance|jaccard_distance",
    "pg_trgm": r"g(?:in|ist)_trgm_ops|(?:strict_)?(?:word_)?similarity|show_trgm",
    "uuid-ossp": r"uuid_generate_v\w+|uuid_nil|uuid_ns_\w+",
    "pgcrypto": r"gen_salt|crypt|digest|hmac|encrypt(?:_iv)?|decrypt(?:_iv)?|gen_random_bytes|pgp_\w+|armor|dearmor",
    "citext": r"citext",
    "hstore": r"hstore|(?:gin|gist)_hstore_ops",
    "ltree": r"ltree|lquery|ltxtquery",
    "unaccent": r"unaccent",
    "postgis": r"geometry|geography|box[23]d|st_\w+",
    "fuzzystrmatch": r"levenshtein\w*|soundex|metaphone|d?metaphone\w*",
    "tablefunc": r"crosstab\w*|normal_rand|connectby",
    "intarray": r"g(?:in|ist)__int\w*_ops|intset",
}
#: The first name in a message: quoted, else one that takes arguments.
_FIRST_NAME = re.compile(r'"(?:[^".]+\.)*([^".(]+)(?:\([\d,]+\))?"|([\w$]+)\(')
#: A statement of transaction control, where the server met a syntax error.
_TRANSACTION_WORD = re.compile(r"(?:commit|rollback|begin|abort|start\s+transaction|end)\b", re.IGNORECASE)
#: The line of a DO block's body on which PL/pgSQL stopped, in whatever language of the server.
_LINE_OF_BLOCK = re.compile(r"inline_code_block\D*(\d+)")
#: Characters of a message, and of a line below it, that are shown.
_LONGEST_MESSAGE, _LONGEST_LINE = 1000, 300
#: What history calls errors of our own blocks.
_OUR_CONDITIONS = {
    "KD003": "the script ended its transaction",
    "KD004": "the script reached outside of its schema",
    "KD012": "the script passed over an index that is not valid",
    "KD006": "rows or values would be lost",
}

#: Of names and syntax: what looks like a space may have been taken for a name.
_NAMES = frozenset({"42601", "42703", "42P01", "42883", "42704"})


@frozen
class Diagnosis:
    """Where an error arose and what helps."""

    message: str
    sqlstate: str
    hint: str | None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    statement: str | None = None
    #: The line, to be shown: strings and comments masked, and cut where it is long.
    source: str | None = None
    #: Where the caret stands under it, counted from 0, or None where the server named no character.
    caret: int | None = None
    #: The functions on the way, as the server says, or None.
    context: str | None = None
    #: What the server adds: names of objects.
    detail: str | None = None
    #: What the SQLSTATE means, in words.
    condition: str = ""
    #: What the error is about, by the server's own fields: ``constraint t_pkey of table t``.
    subject: str | None = None

    @property
    def for_history(self) -> str:
        """What history and log keep: condition, names and place, and no words that could quote a value."""
        about = "" if self.subject is None else f" of {self.subject}"
        place = "" if self.file is None else f" at {self.file}" + ("" if self.line is None else f":{self.line}")
        return f"{self.condition}{about} (SQLSTATE {self.sqlstate}){place}"

    def __str__(self) -> str:
        lines = [f"{self.message} (SQLSTATE {self.sqlstate})"]
        if self.file is not None and self.line is not None:
            place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
            lines.append(f"  at {place}")
            if self.source is not None:
                number = f"{self.line}"
                lines.append(f"  {number} | {self.source}")
                if self.caret is not None:
                    lines.append(f"  {' ' * len(number)} | {_blank(self.source[: self.caret])}^")
        elif self.file is not None:
            lines.append(f"  in {self.file}")
        if self.detail:
            lines += [f"  {_cut(line)}" for line in self.detail.splitlines()[:10]]
        if self.context:
            lines += [f"  {_cut(line)}" for line in self.context.splitlines()[:3] if "inline_code_block" not in line]
        return "\n".join(lines)


def _blank(text: str) -> str:
    """Return space that is as wide as a text: an error spells out what cannot be shown, and tabs stay tabs."""
    return "".join(each if each == "\t" else " " * _width(each) for each in printable(text))


def _width(character: str) -> int:
    """Return how many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def diagnose(error: ServerError, migration: Migration, script: Script, *, offset: int | None, exact: bool) -> Diagnosis:
    """Place an error in a file.

    Args:
        error: What the server said.
        migration: The migration that the script belongs to.
        script: The script that was sent.
        offset: Characters before the place in the script, or None where there is no place.
        exact: True where the server named the very character, False where
            only the statement's start is known.
    """
    text = script.text
    sqlstate = error.sqlstate
    ours = own_code(error)
    diagnosis = Diagnosis(
        message=_cut(error.message, _LONGEST_MESSAGE),
        sqlstate=sqlstate,
        hint=_cure(error, migration, "" if offset is None else text[offset : offset + 20]),
        file=script.path,
        context=error.context,
        # Of our own errors it is for programs.
        detail=error.detail if ours is None else None,
        condition=condition(sqlstate) if ours is None else _OUR_CONDITIONS.get(ours, "refused by kimbledb"),
        subject=_subject(error) if ours is None else None,
    )
    if offset is None or not 0 <= offset <= len(text):
        return diagnosis
    if not exact and ours is None:
        offset = _place_in_block(error, text, offset)
    line, column = script.line_and_column(offset)
    hidden = spans(text, broken_at=offset if sqlstate == "42601" and exact else None)
    source, caret = excerpt(text, offset, hidden)
    seeming = None
    if sqlstate in _NAMES:
        begin = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        seeming = statements.misleading_in(text[begin : len(text) if end < 0 else end])
    return evolve(
        diagnosis,
        hint=diagnosis.hint if seeming is None else f"{seeming}, which is part of a name there: write it in ASCII",
        line=line,
        column=column if exact else None,
        statement=_statement_at(text, offset, hidden),
        source=source,
        caret=caret if exact else None,
    )


def _place_in_block(error: ServerError, text: str, offset: int) -> int:
    """Return the place in a DO block at which an error arose, given where the statement begins, or that beginning."""
    # The outermost call comes last.
    numbers = _LINE_OF_BLOCK.findall(error.context or "")
    with suppress(ValueError):  # what keeps statements from being told apart
        return (numbers and statements.line_of_block(text, offset, int(numbers[-1]))) or offset
    return offset


def _subject(error: ServerError) -> str | None:
    """Return what an error is about, by the names that the server gives beside its words."""
    names = (("constraint", error.constraint_name), ("column", error.column_name), ("table", error.table_name))
    told = [f"{kind} {one_line(name)}" for kind, name in names if name]
    return " of ".join(told) or None


def _cure(error: ServerError, migration: Migration, rest: str) -> str | None:
    """Return what helps.

    Args:
        error: What the server said.
        migration: Whose script it is.
        rest: The script from the place of the error on, where that is known.
    """
    sqlstate = error.sqlstate
    if error.raised_by_script and error.hint:
        return error.hint  # its author knows best
    # The function of the server that raised it does not depend on the server's language, as its words do.
    where = error.source_function
    if sqlstate in ("42704", "42883") and (missing := _of_extension(error)) is not None:
        name, extension = missing
        if extension not in {each.name for each in migration.extensions}:
            return f'{name} comes with the extension {extension}: write extensions = ["{extension}"] in migration.toml'
        return (
            f"{name} comes with the extension {extension}, which is declared: the one that is installed may be too old "
            f"(ALTER EXTENSION), or the arguments have other types"
        )
    if sqlstate == "42704":
        if where == "get_role_oid":
            return "roles belong to the server: let an administrator make it (CREATE ROLE), or take the statement out"
        if where == "get_collation_oid":
            return "this server has no such collation (SELECT collname FROM pg_collation); those of ICU want a server built with ICU"
        if where == "ResolveOpClass" and error.hint is not None:
            found = _FIRST_NAME.search(error.message)
            own = (
                f'; for plain values extensions = ["btree_{found[1]}"]' if found and found[1] in ("gin", "gist") else ""
            )
            return f"write the operator class after the column, as in (embedding vector_cosine_ops){own}"
    if sqlstate == "0A000":
        if where == "parse_extension_control_file":
            return "install the extension on the server (for vector: the package pgvector), then run again"
        if "ICU" in str(error):
            return "this server is built without ICU: take a collation of the provider builtin or libc, or a server with ICU"
        if where in ("RememberAllDependentForRebuilding", "ATExecAlterColumnType"):  # since 16, and on 15
            return "drop what depends on the column before, and make it anew after, in the same migration"
        if where == "exec_stmt_dynexecute":
            return _NO_TRANSACTIONS
    if sqlstate == "42501" and where == "check_enable_rls":
        return (
            "its policies hold for its owner, too, and would hide rows from the script: connect as a role with BYPASSRLS, or "
            "write ALTER TABLE ... NO FORCE ROW LEVEL SECURITY before and FORCE after"
        )
    if sqlstate == "25001" and where != "PreventInTransactionBlock":
        return "the transaction has begun before the script: take SET TRANSACTION out of it"
    if sqlstate == "42601" and _TRANSACTION_WORD.match(rest):
        return _NO_TRANSACTIONS
    if sqlstate == "2BP01" and where == "findDependentObjects" and error.detail is None:
        return (
            "it belongs to something else, such as an extension, and goes and comes with that: take the statement out"
        )
    if sqlstate in _BETTER_THAN_THE_SERVERS:
        return _CURES[sqlstate]
    return error.hint or _CURES.get(sqlstate)


def _of_extension(error: ServerError) -> tuple[str, str] | None:
    """Return what is missing, and the extension that it is known to come with."""
    found = _FIRST_NAME.search(error.message)
    if found is None or (error.sqlstate == "42704" and error.hint is not None):  # a default is missing, and not this
        return None
    name = (found[1] or found[2]).lower()
    return next(((name, extension) for extension, pattern in _MEMBERS.items() if re.fullmatch(pattern, name)), None)


def _cut(text: str, longest: int = _LONGEST_LINE) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _statement_at(text: str, offset: int, hidden: list[tuple[int, int]]) -> str | None:
    try:
        for statement in statements.split(text):
            if statement.start <= offset <= statement.start + len(statement.text):
                return cover(text, hidden, statement.start, statement.start + len(statement.text))
    except ValueError:
        return None  # the server found a fault that keeps statements from being told apart
    return None
