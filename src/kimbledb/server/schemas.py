"""The rules for the names of a target schema and of a database."""

from __future__ import annotations

from kimbledb.errors import ConfigurationError

#: The most bytes that PostgreSQL keeps of an identifier (NAMEDATALEN - 1). It
#: silently truncates longer names, so that two long names could become one.
MAX_IDENTIFIER_BYTES = 63

#: Schemas that belong to the server. A target schema is never one of them.
_RESERVED_SCHEMAS = frozenset({"information_schema"})


def check_schema_name(schema: str) -> str:
    """Return the name of a target schema, if it is valid.

    Args:
        schema: The name.

    Raises:
        ConfigurationError: The name is no text, empty, longer than 63 bytes, contains a NUL or a
            lone surrogate, or belongs to the server (``pg_...``).
    """
    problem = _problem(schema)
    if problem is None and (schema.startswith("pg_") or schema in _RESERVED_SCHEMAS):
        problem = "that name belongs to the server"
    if problem:
        raise ConfigurationError(f"{schema!r} cannot be the target schema: {problem}")
    return schema


def check_database_name(database: str, role: str = "new database") -> str:
    """Return the name of a database, if it is valid.

    Args:
        database: The name.
        role: What the database is for, in messages.

    Raises:
        ConfigurationError: The name is no text, empty, longer than 63 bytes, or contains a NUL or a lone surrogate.
    """
    if (problem := _problem(database)) is not None:
        raise ConfigurationError(f"{database!r} cannot be the {role}: {problem}")
    return database


def _problem(name: str) -> str | None:
    """Return why a text is no identifier, or None."""
    if not isinstance(name, str):
        return "it is no text"
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it contains a NUL character"
    if not _is_encodable(name):
        return "it is not valid Unicode"
    if len(name.encode()) > MAX_IDENTIFIER_BYTES:
        return f"it is {len(name.encode())} bytes long, and PostgreSQL keeps {MAX_IDENTIFIER_BYTES}"
    return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
