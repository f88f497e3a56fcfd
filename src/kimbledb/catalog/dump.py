"""Find and remove the settings that pg_dump and Alembic write beside the schema, and a schema named by CREATE EXTENSION."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from kimbledb.catalog import sections
from kimbledb.catalog.statements import Statement
from kimbledb.model.script import Script

_RESTRICT: Final = re.compile(r"^\\(?:un)?restrict\b.*$", re.MULTILINE)
#: Settings of the session that kimbledb makes itself, or that hold everywhere.
_SESSION: Final = re.compile(
    r"(?:set\s+(?:\w+_timeout|client_encoding|standard_conforming_strings|client_min_messages|row_security"
    r"|escape_string_warning)\b|select\s+pg_catalog\.set_config\s*\()",
    re.IGNORECASE,
)
_OWNER: Final = re.compile(r"alter\s.*\sowner\s+to\s+\S+$", re.IGNORECASE | re.DOTALL)
_PUBLIC: Final = re.compile(r"(?:create\s+schema\s+public$|comment\s+on\s+schema\s+public\b)", re.IGNORECASE)
#: An extension in one of the schemas in which kimbledb makes it.
_EXTENSION: Final = re.compile(
    r'create\s+extension\s+(?:if\s+not\s+exists\s+)?("[^"]+"|\w+)\s+with\s+schema\s+"?(?:public|extensions)"?$',
    re.IGNORECASE,
)
#: How Alembic records a revision; it says so in a comment, too.
_RECORDS: Final = re.compile(
    r"(?:create\s+table|drop\s+table|insert\s+into|update|delete\s+from)\s+(?:\w+\.)?alembic_version\b", re.IGNORECASE
)
#: A statement on the tables of kimbledb's history, or on what belongs to them, by its first words.
_HISTORY: Final = re.compile(
    r"(?:create\s+(?:table|function)|alter\s+(?:table(?:\s+only)?|sequence|function)"
    r"|comment\s+on\s+(?:table|column|function)"
    r"|create\s+(?:trigger|policy)\s+\w+\s[\w\s]*?\bon|(?:grant|revoke)\s[\w\s,()]*?\bon\s+(?:table|function|sequence))"
    r"\s+(?:\w+\.)?migration_(?:history|log)(?:_is_append_only|_id_seq)?\b",
    re.IGNORECASE,
)
_ON_EXTENSION: Final = re.compile(r"comment\s+on\s+extension\b", re.IGNORECASE)


def without_session(script: Script, remarks: list[str]) -> Script:
    """Return a dump without the settings of its session, owners, the schema public itself and kimbledb's history.

    Other settings end with the transaction.

    Args:
        script: The script.
        remarks: Receives what was taken off, a line each.
    """
    script = sections.without(script, (match.span() for match in _RESTRICT.finditer(script.text)))
    kinds: tuple[tuple[str, Callable[[Statement], bool]], ...] = (
        ("the settings of its session", lambda each: _SESSION.match(each.skeleton) is not None),
        ("the owners of its objects: they belong to the role that migrates", _is_owner),
        ("the schema public itself", lambda each: _PUBLIC.match(each.skeleton) is not None),
        ("the tables of kimbledb's history", lambda each: _HISTORY.match(each.skeleton) is not None),
        ("comments on extensions", lambda each: _ON_EXTENSION.match(each.skeleton) is not None),
    )
    for what, unwanted in kinds:
        script, found = sections.without_statements(script, unwanted)
        if found:
            remarks.append(f"of the dump were taken off {what}")
    return sections.with_local_settings(script)


def without_extensions(script: Script) -> tuple[Script, list[str]]:
    """Return a script that makes no extension in ``public`` or ``extensions``, and the names of those that it made.

    Args:
        script: The script.
    """
    script, found = sections.without_statements(script, lambda each: _EXTENSION.match(each.text) is not None)
    names = [match[1].strip('"') for each in found if (match := _EXTENSION.match(each.text)) is not None]
    return script, list(dict.fromkeys(names))


def without_revisions(script: Script) -> tuple[Script, bool]:
    """Return what `alembic upgrade --sql` wrote without the record of revisions, and whether there was one.

    Args:
        script: The script.
    """
    script, found = sections.without_statements(script, lambda each: _RECORDS.match(each.skeleton) is not None)
    return script, bool(found)


def _is_owner(statement: Statement) -> bool:
    return _OWNER.match(statement.text) is not None
