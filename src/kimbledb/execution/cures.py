"""Cures of a server's errors: by SQLSTATE, by the server's function that raised it, by a missing extension.

The name of the function, unlike the text of a message, does not depend on the server's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from kimbledb.model.migration import Migration
from kimbledb.server.codes import TRANSACTION_ENDED
from kimbledb.server.driver import ServerError

_NO_TRANSACTIONS = (
    "kimbledb begins and ends the one transaction of each migration: take COMMIT, ROLLBACK and procedures that commit "
    "out of the script, or write `transactional = false` in migration.toml"
)
#: For each SQLSTATE (manual, appendix A) its cure. The first five answer the
#: common issues of the document: already exists, column missing, foreign key
#: fails, permission denied, vector not found.
BY_SQLSTATE = {
    "42P07": "it exists already: write CREATE ... IF NOT EXISTS, or let `kimbledb adopt` record the migrations that are applied",
    "42701": "the column exists already: write ADD COLUMN IF NOT EXISTS",
    "42710": "it exists already: query the system catalogs first, or let `kimbledb adopt` record the migrations that are applied",
    "42723": "the function exists already: write CREATE OR REPLACE FUNCTION",
    "42P06": "the schema exists already: write CREATE SCHEMA IF NOT EXISTS",
    "42703": "the migration that makes this column is not applied: name it under `requires` in migration.toml, or correct the spelling",
    "42P01": "the migration that makes this table is not applied: name it under `requires` in migration.toml, or correct the spelling",
    "42704": "the migration that makes it is not applied: name it under `requires` in migration.toml, or correct the spelling",
    "42883": "no function or operator of that name takes these arguments: check the spelling, the types, and `requires` and `extensions` in migration.toml",
    "3F000": "no migration makes that schema: name only objects of the target schema, or let an administrator make it first",
    "42601": "check the text at this place and right before it: a comma, a bracket or a quote is missing or superfluous, or a keyword is another database's",
    "23503": "rows refer to rows that do not exist: find and correct them first, then run again",
    "42830": "the referenced columns have no unique key: the migration that makes it is not applied; name it under `requires`",
    "42P10": "ON CONFLICT needs a unique key of exactly these columns: make it first",
    "42804": "the types differ: cast the value (value::type), or convert the column first (ALTER COLUMN ... TYPE ... USING ...)",
    "42846": "there is no cast between these types: convert by way of text, or write the conversion after USING",
    "42809": "it is an object of another kind: a view instead of a table, or a table instead of a view",
    "23505": "existing rows repeat a value: find and merge them first, then run again",
    "23514": "existing rows break this check: correct them first, then run again",
    "23502": "existing rows have no value here: fill it in first, then run again",
    "23P01": "existing rows exclude each other: correct them first, then run again",
    "42501": "connect as the owner of the named object, or let the owner, or an administrator, grant the missing privilege",
    "58P01": "a file of the server is missing, often an extension's: install its package",
    "57014": "the statement took longer than its limit: raise statement_timeout in migration.toml or in Options",
    "53200": "the server ran out of memory: split the migration, or lower work_mem and maintenance_work_mem",
    "53100": "the server's disk is full: free some space, then run again",
    "53300": "the server has no connection left: close some, or raise max_connections",
    "54000": "the value exceeds a limit of the server: an index row is no longer than a third of a page; index a hash or a part of the value",
    "55006": "sessions use it: end them first, or run again when they have ended",
    "25001": "it cannot run in a transaction or a function: write it as a statement of its own, and `transactional = false` in migration.toml",
    "25006": "the server, or this session, only reads: connect to the primary, and take SET TRANSACTION READ ONLY out of the script",
    "2D000": _NO_TRANSACTIONS,
    "55P04": "a value that ALTER TYPE ... ADD VALUE adds can be used after its COMMIT: use it in a migration of its own, which requires this one",
    "2BP01": "another hand made objects that depend on the named one: drop or move them first, then run again",
    TRANSACTION_ENDED: "take COMMIT, ROLLBACK and procedures that commit out of the script",
    **dict.fromkeys(
        ("22P02", "22001", "22003", "22007", "22008"),
        "a value does not fit the type; it is not shown, since it may be a secret: find such values with a SELECT, and correct them first",
    ),
}
#: SQLSTATEs for which the server's own hint misleads (to CASCADE, which would take objects of others; to
#: casts alone) or gives no instruction.
_BETTER_THAN_THE_SERVERS = frozenset({"2BP01", "42883", "55P04"})
#: The marks of check_elsewhere.sql for the place of a fact. A file has its head alone.
_SAY_SO = "say so in migration.toml, or after `-- kimbledb:` at the head of the script: reaches"
_BY_HEAD = "begin the file with the line: -- kimbledb: reaches"
_DROP_DEPENDENTS = "drop what depends on the column before, and make it again after, in the same migration"
#: For a SQLSTATE and the function of the server that raised it.
_BY_FUNCTION = {
    (
        "42704",
        "get_role_oid",
    ): "roles belong to the server: let an administrator make it (CREATE ROLE), or take the statement out",
    (
        "42704",
        "get_collation_oid",
    ): "this server has no such collation (SELECT collname FROM pg_collation); collations of ICU need a server built with ICU",
    (
        "0A000",
        "parse_extension_control_file",
    ): "install the extension on the server (for vector: the package pgvector), then run again",
    ("0A000", "RememberAllDependentForRebuilding"): _DROP_DEPENDENTS,  # since 16
    ("0A000", "ATExecAlterColumnType"): _DROP_DEPENDENTS,  # on 15
    ("0A000", "exec_stmt_dynexecute"): _NO_TRANSACTIONS,
    ("42501", "check_enable_rls"): (
        "the table's policies hold for its owner, too, and would hide rows from the script: connect as a role with BYPASSRLS, or "
        "write ALTER TABLE ... NO FORCE ROW LEVEL SECURITY before and FORCE after"
    ),
}
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
    "fuzzystrmatch": r"levenshtein\w*|soundex|d?metaphone\w*",
    "tablefunc": r"crosstab\w*|normal_rand|connectby",
    "intarray": r"g(?:in|ist)__int\w*_ops|intset",
}
#: The first name in a message: quoted, else one that takes arguments.
_FIRST_NAME = re.compile(r'"(?:[^".]+\.)*([^".(]+)(?:\([\d,]+\))?"|([\w$]+)\(')
#: A statement of transaction control, where the server met a syntax error.
_TRANSACTION_WORD = re.compile(r"(?:commit|rollback|begin|abort|start\s+transaction|end)\b", re.IGNORECASE)


@frozen
class _Case:
    """A cure for some of the errors with one SQLSTATE."""

    sqlstate: str
    #: Whether it is the cure for an error, given the script from the place of the error on.
    applies: Callable[[ServerError, str], bool]
    #: The cure, as it stands or made from the error.
    cure: str | Callable[[ServerError], str]


def _operator_class(error: ServerError) -> str:
    """Return the cure for a type without a default operator class of an access method."""
    found = _FIRST_NAME.search(error.message)
    own = f'; for plain values extensions = ["btree_{found[1]}"]' if found and found[1] in ("gin", "gist") else ""
    return f"write the operator class after the column, as in (embedding vector_cosine_ops){own}"


#: For a SQLSTATE and more than a function.
_BY_CASE = (
    _Case(
        "42704",
        lambda error, _: error.source_function == "ResolveOpClass" and error.hint is not None,
        _operator_class,
    ),
    _Case(
        "0A000",
        lambda error, _: "ICU" in str(error),
        "this server is built without ICU: take a collation of the provider builtin or libc, or a server with ICU",
    ),
    _Case(
        "25001",
        lambda error, _: error.source_function != "PreventInTransactionBlock",
        "the transaction has begun before the script: take SET TRANSACTION out of it",
    ),
    _Case("42601", lambda _, rest: _TRANSACTION_WORD.match(rest) is not None, _NO_TRANSACTIONS),
    _Case(
        "2BP01",
        lambda error, _: error.source_function == "findDependentObjects" and error.detail is None,
        "it belongs to another object, such as an extension, which makes and drops it: take the statement out",
    ),
)


def cure_of(error: ServerError, migration: Migration, rest: str) -> str | None:
    """Return the cure for an error, or None where neither the server nor kimbledb knows one.

    Args:
        error: The server's error.
        migration: The migration whose script failed.
        rest: The script from the place of the error on, or nothing where the place is unknown.
    """
    if error.raised_by_script and error.hint:
        # The script's author knows best; what is not the author's is that of check_elsewhere.sql.
        return error.hint.replace(_SAY_SO, _BY_HEAD) if migration.is_flat else error.hint
    sqlstate = error.sqlstate
    cure = (
        _of_extension(error, migration)
        or _BY_FUNCTION.get((sqlstate, error.source_function or ""))
        or _by_case(error, rest)
    )
    if cure is None and sqlstate not in _BETTER_THAN_THE_SERVERS:
        cure = error.hint
    return cure or BY_SQLSTATE.get(sqlstate)


def _by_case(error: ServerError, rest: str) -> str | None:
    for case in _BY_CASE:
        if case.sqlstate == error.sqlstate and case.applies(error, rest):
            return case.cure if isinstance(case.cure, str) else case.cure(error)
    return None


def _of_extension(error: ServerError, migration: Migration) -> str | None:
    """Return the cure for a missing object that an extension is known to make."""
    missing = _member(error) if error.sqlstate in ("42704", "42883") else None
    if missing is None:
        return None
    name, extension = missing
    if extension not in {each.name for each in migration.extensions}:
        fact = f'extensions = ["{extension}"]'
        where = f"-- kimbledb: {fact} at the head of the script" if migration.is_flat else f"{fact} in migration.toml"
        return f"{name} comes with the extension {extension}: write {where}"
    return (
        f"{name} comes with the extension {extension}, which is declared: the installed version may be too old "
        "(ALTER EXTENSION), or the arguments have other types"
    )


def _member(error: ServerError) -> tuple[str, str] | None:
    """Return the name of the missing object, and of the extension that is known to make it."""
    found = _FIRST_NAME.search(error.message)
    if found is None or (error.sqlstate == "42704" and error.hint is not None):  # a default is missing, not the object
        return None
    name = (found[1] or found[2]).lower()
    return next(((name, extension) for extension, pattern in _MEMBERS.items() if re.fullmatch(pattern, name)), None)
