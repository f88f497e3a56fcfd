"""Remove statements that other tools add to a script and that kimbledb runs by itself; name each for the plan.

These are the BEGIN and the COMMIT around a script, extensions that are made in a schema of their own, what pg_dump writes
for its session, and the revisions that Alembic records.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from kimbledb.catalog import sections
from kimbledb.model.migration import Extension
from kimbledb.model.script import Script

#: Texts of which one stands in the first characters of a dump. The Supabase CLI takes the comments off.
_DUMP: Final = (
    "-- PostgreSQL database dump\n",
    "-- Dumped from database version ",
    "SELECT pg_catalog.set_config('search_path', '', false);",
)
_HEAD_LENGTH: Final = 4000
#: The comment above a revision that Alembic wrote as SQL.
_REVISION: Final = re.compile(r"^-- Running (?:up|down)grade ", re.MULTILINE)
_EXTENSION: Final = re.compile(r"\bextension\b", re.IGNORECASE)


@frozen
class Plain:
    """A script without what was taken off it."""

    script: Script
    #: The removed statements, a line each.
    remarks: tuple[str, ...] = ()
    #: The extensions that it made, which are made before it now.
    extensions: tuple[Extension, ...] = ()


def is_dump(text: str) -> bool:
    """Return whether a text begins as pg_dump writes it."""
    return any(line in text[:_HEAD_LENGTH] for line in _DUMP)


def plain(script: Script) -> Plain:
    """Return a script without what tools add to it. What stays keeps its line in the file.

    Args:
        script: The script.
    """
    remarks: list[str] = []
    extensions: list[str] = []
    if is_dump(script.text) or _EXTENSION.search(script.text) is not None:
        from kimbledb.catalog import dump  # late: its patterns take 5 ms, and most scripts need none of them

        if is_dump(script.text):
            script = dump.without_session(script, remarks)
        script, extensions = dump.without_extensions(script)
        if extensions:
            remarks.append(f"CREATE EXTENSION was taken off, and is done before the script: {', '.join(extensions)}")
    if "alembic_version" in script.text and _REVISION.search(script.text) is not None:
        from kimbledb.catalog import dump

        script, recorded = dump.without_revisions(script)
        if recorded:
            remarks.append("the record of Alembic's revisions was taken off: kimbledb has a history of its own")
    bare = sections.without_transaction(script)
    if bare is not script:
        remarks.append("BEGIN and COMMIT around the script were taken off: it runs in a transaction of kimbledb")
    return Plain(bare, tuple(remarks), tuple(map(Extension, extensions)))
