"""The settings that this library pins for its transactions, and the statements that set them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from kimbledb.model.names import quote_literal
from kimbledb.server import queries
from kimbledb.server.options import Options

#: The settings by which the server lexes a whole message, before any statement of it runs.
LEXING: Mapping[str, str] = {
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "client_encoding": "UTF8",
}
#: The settings by which the server reads, prints and deparses values, and those that could silence our own blocks.
#: docs/explanation/scripts.md lists the settings that belong to the owner and stay as they are.
PINNED: Mapping[str, str] = {
    **LEXING,
    "array_nulls": "on",
    "bytea_output": "hex",
    "client_min_messages": "warning",
    "DateStyle": "ISO, MDY",
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "gin_fuzzy_search_limit": "0",
    "IntervalStyle": "postgres",
    "jit": "off",
    "quote_all_identifiers": "off",
    # A table hidden by its policies gives an error and does not read as empty.
    "row_security": "off",
    # Only a superuser can have set another value; the server would not check foreign keys.
    "session_replication_role": "origin",
    "transform_null_equals": "off",
    "xmlbinary": "base64",
    "xmloption": "content",
}
#: Pinned for the library's own questions alone. A script runs in the time zone of the database: the rows'
#: timestamps without a zone are in that zone.
PINNED_FOR_QUESTIONS: Mapping[str, str] = {"TimeZone": "UTC"}
#: The settings that bound a transaction, by the options of the call.
LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "client_connection_check_interval",
)
#: Seconds after a call's deadline at which the server itself ends the rest of the call.
_BEYOND_DEADLINE = 1.0


def limits_of(options: Options, statement_timeout: float | None = None) -> dict[str, str]:
    """Return the settings that bound a transaction.

    Args:
        options: The options of the call.
        statement_timeout: Seconds, or None for the options' value.
    """
    timeout = options.statement_timeout if statement_timeout is None else statement_timeout
    # The client ends its call at the deadline. A client that is still connected after it is frozen, and
    # its locks must end.
    latest = options.deadline + _BEYOND_DEADLINE
    values = (
        milliseconds(options.lock_timeout),
        milliseconds(min(timeout, latest)),
        milliseconds(min(options.lock_timeout + timeout, latest)),
        0,  # the statements and the deadline bound a transaction
        milliseconds(options.client_check_interval),
    )
    return {name: str(value) for name, value in zip(LIMITS, values, strict=True)}


def pin(settings: Mapping[str, str], *, for_session: bool = False) -> str:
    """Return the statement that sets each setting that has another value and that this server version has.

    Args:
        settings: The values by name.
        for_session: Whether the values hold for the whole session, or for the transaction alone.
    """
    return _pinning(tuple(settings.items()), for_session=for_session)


@lru_cache(maxsize=64)  # each of thousands of transactions of a run pins the same
def _pinning(settings: tuple[tuple[str, str], ...], *, for_session: bool) -> str:
    return queries.filled("pin", values=settings_values(dict(settings)), local=str(not for_session).lower()) + "\n"


def settings_values(settings: Mapping[str, str]) -> str:
    """Return settings as the rows of a VALUES."""
    return ", ".join(f"({quote_literal(name)}, {quote_literal(value)})" for name, value in settings.items())


def setting(name: str, value: object) -> str:
    """Return the statement that hands a value to our blocks as JSON, for this transaction alone."""
    return handed({name: value})


def handed(values: Mapping[str, object]) -> str:
    """Return the statement that hands values to our blocks as JSON, for this transaction alone."""
    each = (
        f"pg_catalog.set_config({quote_literal(name)}, {quote_literal(json.dumps(value))}, true)"
        for name, value in values.items()
    )
    return f"SELECT {', '.join(each)};\n"


def durable(*, for_session: bool = False) -> str:
    """Return the statement that makes COMMIT wait for the disk where a role, a database or a script turned that off."""
    local = "false" if for_session else "true"
    return (
        f"SELECT pg_catalog.set_config('synchronous_commit', 'local', {local})"
        " WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off';\n"
    )


def milliseconds(seconds: float) -> int:
    """Return a limit as PostgreSQL's settings take it."""
    # PostgreSQL keeps these settings as 32-bit integers of milliseconds; 0 would mean no limit.
    return min(2_147_483_647, max(1, round(seconds * 1000)))
