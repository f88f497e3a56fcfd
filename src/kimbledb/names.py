"""Names: what may be one, how one is quoted, and which come close to a misspelt one.

Everything that a caller names (schemas, migrations) passes through here before
it gets near a statement. Quoting follows the PostgreSQL manual, 4.1.1
"Identifiers and Key Words" and 4.1.2.1 "String Constants".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence, Sized

from kimbledb.errors import ConfigurationError

#: The most bytes that PostgreSQL keeps of an identifier (NAMEDATALEN - 1); it
#: cuts off the rest silently, so that two long names could be one.
MAX_IDENTIFIER_BYTES = 63

#: Schemas that belong to the server. A target schema is never one of them.
_RESERVED_SCHEMAS = frozenset({"information_schema"})


def check_schema_name(schema: str) -> str:
    """Return the name of a target schema, or say why it cannot be one.

    Raises:
        ConfigurationError: It is no text, empty, longer than 63 bytes, holds a NUL or a
            lone surrogate, or belongs to the server (``pg_...``).
    """
    problem = None
    if not isinstance(schema, str):
        problem = "it is no text"
    elif not schema:
        problem = "it is empty"
    elif "\0" in schema:
        problem = "it holds a NUL character"
    elif not _is_encodable(schema):
        problem = "it is not valid Unicode"
    elif len(schema.encode()) > MAX_IDENTIFIER_BYTES:
        problem = f"it is {len(schema.encode())} bytes long, and PostgreSQL keeps {MAX_IDENTIFIER_BYTES}"
    elif schema.startswith("pg_") or schema in _RESERVED_SCHEMAS:
        problem = "that name belongs to the server"
    if problem:
        raise ConfigurationError(f"{schema!r} cannot be the target schema: {problem}")
    return schema


def quote_identifier(name: str) -> str:
    """Quote a name as an identifier: ``a"b`` becomes ``"a""b"``."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Quote a text as a string constant, safe whatever ``standard_conforming_strings`` is."""
    quoted = value.replace("'", "''")
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def quote_array(values: Iterable[str]) -> str:
    """Quote texts as a constant of type ``text[]``."""
    return "ARRAY[" + ", ".join(map(quote_literal, values)) + "]::text[]"


def counted(things: Sized, noun: str) -> str:
    """Return how many there are with the noun in its number: ``1 migration``, ``2 migrations``."""
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def few(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Return the first of some names and how many more there are."""
    shown = between.join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "nothing"


def folded(name: str) -> str:
    """Return the form in which two names are the same to a file system or a reader.

    Case and Unicode composition do not tell names apart (``É`` typed in two ways);
    the Unicode standard, 3.13, calls that a canonical caseless match.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three of ``known`` that come close to ``name``, best first.

    Case does not count, nor does a missing ``.sql``.
    """
    by_folded = {folded(candidate): candidate for candidate in known}
    wanted = folded(name)
    if wanted in by_folded:
        return [by_folded[wanted]]
    # Compared without .sql, which would make any two short names alike.
    by_stem = {each.removesuffix(".sql"): candidate for each, candidate in by_folded.items()}
    wanted = wanted.removesuffix(".sql")
    if wanted in by_stem:
        return [by_stem[wanted]]
    import difflib  # late: only for what is misspelt

    return [by_stem[match] for match in difflib.get_close_matches(wanted, by_stem, n=3, cutoff=0.6)]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
