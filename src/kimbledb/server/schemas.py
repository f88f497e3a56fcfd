"""The rules for the name of a target schema."""

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
    problem = None
    if not isinstance(schema, str):
        problem = "it is no text"
    elif not schema:
        problem = "it is empty"
    elif "\0" in schema:
        problem = "it contains a NUL character"
    elif not _is_encodable(schema):
        problem = "it is not valid Unicode"
    elif len(schema.encode()) > MAX_IDENTIFIER_BYTES:
        problem = f"it is {len(schema.encode())} bytes long, and PostgreSQL keeps {MAX_IDENTIFIER_BYTES}"
    elif schema.startswith("pg_") or schema in _RESERVED_SCHEMAS:
        problem = "that name belongs to the server"
    if problem:
        raise ConfigurationError(f"{schema!r} cannot be the target schema: {problem}")
    return schema


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
