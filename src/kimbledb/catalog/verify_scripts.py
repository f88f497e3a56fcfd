"""A script that must merely run without an error, as checks: one for each statement, with its line."""

from __future__ import annotations

import re
from typing import Final

from kimbledb.catalog import sections, statements
from kimbledb.catalog.script_checks import check_script
from kimbledb.model.check import VerificationQuery
from kimbledb.model.fault import Fault
from kimbledb.model.script import Script

_BLOCK: Final = re.compile(r"do\b", re.IGNORECASE)
#: It changes no result.
_QUIET: Final = re.compile(r"set\s+(?:local\s+|session\s+)?client_min_messages\b", re.IGNORECASE)


def checks_of(script: Script, faults: list[Fault]) -> tuple[tuple[VerificationQuery, ...], tuple[str, ...]]:
    """Return the checks of a script, and what is not checked of it, a line each.

    Queries and DO blocks are checked: each passes where it runs without an error, in a read-only transaction.

    Args:
        script: The script. A BEGIN and a ROLLBACK, or a COMMIT, around it are no part of it.
        faults: Receives the faults of a script that cannot be read.
    """
    bare = sections.without_transaction(script, rolled_back=True)
    if bare is script:
        bare = sections.without_transaction(script)
    bare = sections.with_local_settings(bare)
    known = len(faults)
    check_script(bare, faults, transactional=False, part="rollback")
    if len(faults) > known:
        return (), ()
    checks: list[VerificationQuery] = []
    remarks: list[str] = []
    for each in statements.split(bare.text):
        line, _ = bare.line_and_column(each.start)
        if statements.is_query(each.skeleton) or _BLOCK.match(each.skeleton):
            checks.append(VerificationQuery(f"line {line}", each.text, runs=True, line=line))
        elif _QUIET.match(each.skeleton) is None:
            shown = " ".join(each.skeleton.split()[:3])
            remarks.append(f"{script.path}:{line} is no query, and is not checked: {shown}")
    return tuple(checks), tuple(remarks)
