"""What a SQLSTATE means for a call, decided once.

Whoever sends something asks :func:`meaning` first. Where it has no answer, the operation
decides what only it can know: which script failed, or whose objects a refusal is about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kimbledb.errors import HistoryError, KimbleDBError, MigrationError, PreflightError
from kimbledb.model.text import one_line
from kimbledb.server.drivers import ServerError, own_code
from kimbledb.server.session import first_line

#: SQLSTATEs of our own blocks, which mean the same for every call.
_LOCK_BUSY = "KD001"
_HISTORY_MOVED = "KD002"
#: Another hand made a history that cannot be read or taken over.
_OTHER_SHAPE = "KD008"
#: Others hold a lock, or won a conflict: lock not available, deadlock detected, serialization failure.
_WORTH_ANOTHER_TRY = frozenset({"55P03", "40P01", "40001"})
#: IF NOT EXISTS fails with one of these where somebody else, who does not take our
#: lock, makes the same schema or extension at the same moment.
_MADE_BY_ANOTHER = frozenset({"23505", "42P06", "42P07", "42710", "42723"})
_INSUFFICIENT_PRIVILEGE = "42501"
#: How much of a query is shown.
_SHOWN = 120


class Retry(Exception):
    """The work cannot go on now, and is worth beginning anew.

    Attributes:
        blockers: Who is in the way, as far as the server tells.
        contended: The lock timeout or a deadlock ended a try: the number of
            such tries is bounded. Otherwise only the deadline is a bound.
    """

    def __init__(self, *, blockers: Sequence[str] = (), contended: str | None = None) -> None:
        super().__init__()
        self.blockers = tuple(blockers)
        self.contended = contended


def meaning(error: ServerError, *, making: bool = False) -> Retry | HistoryError | None:
    """Return what an error means for every call, or None where only the operation can say.

    Args:
        error: What the server said.
        making: Whether what was sent makes things by IF NOT EXISTS.
    """
    code = own_code(error)
    if code == _LOCK_BUSY:
        return Retry(blockers=describe_holders(json.loads(error.detail or "[]")))
    if code == _HISTORY_MOVED:
        # The other run goes on, most likely: to begin anew at once would only be in its way.
        return Retry()
    if code == _OTHER_SHAPE:
        return _other_shape(error)
    # A script that raises such a SQLSTATE itself would do so again.
    if error.raised_by_script:
        return None
    if error.sqlstate in _WORTH_ANOTHER_TRY or (making and error.sqlstate in _MADE_BY_ANOTHER):
        return Retry(contended=first_line(error))
    return None


@contextmanager
def decided() -> Iterator[None]:
    """Raise what :func:`meaning` says of an error in its place.

    Raises:
        Retry: Others are in the way.
        HistoryError: Another hand made a history that cannot be read or taken over.
        ServerError: It means nothing that holds for every call.
    """
    try:
        yield
    except ServerError as error:
        if (meant := meaning(error)) is None:
            raise
        raise meant from error


def failure(error: ServerError, doing: str) -> KimbleDBError:
    """Return what an error means that is of no migration's script, and that no operation knows.

    Args:
        error: What the server said.
        doing: What was being done, in words.
    """
    if error.sqlstate == _INSUFFICIENT_PRIVILEGE:
        cure = "connect as the owner of the schema and its history, or as a member of that role"
        return PreflightError([(f"{doing}: {first_line(error)}", cure)])
    return MigrationError(
        f"{doing} failed: {first_line(error)} (SQLSTATE {error.sqlstate})", sqlstate=error.sqlstate, hint=error.hint
    )


def _other_shape(error: ServerError) -> HistoryError:
    differences = json.loads(error.detail or "[]")
    lines = "".join(f"\n  {one_line(difference)}" for difference in differences)
    if all("migration_log" in difference for difference in differences):
        hint = (
            "rename it (ALTER TABLE migration_log RENAME TO ...), or give this catalog a schema of its own (schema=...)"
        )
    else:
        hint = (
            "rename it (ALTER TABLE migration_history RENAME TO migration_history_before), then let adopt() "
            "find out what is applied; or give it the shape of the columns above"
        )
    return HistoryError(f"{error.message}:{lines}\nnothing was changed", hint=hint)


def describe_holders(holders: Sequence[dict[str, Any]]) -> list[str]:
    """Return for each who holds a lock one line: process id, application, state, age and query."""
    return [_describe(holder) for holder in holders]


def _describe(holder: dict[str, Any]) -> str:
    if "prepared" in holder:
        return (
            f"the prepared transaction {holder['prepared']!r} of {one_line(holder['owner'])}, {holder['seconds']} s old "
            f"(COMMIT PREPARED or ROLLBACK PREPARED ends it)"
        )
    if holder.get("standbys") is not None:
        return (
            f"a COMMIT (pid {holder['pid']}, {one_line(holder.get('application') or 'no application name')}) that waits for a synchronous"
            f" standby, which does not answer: synchronous_standby_names = {holder['standbys']!r}"
            " (start that standby, or take its name out of the setting)"
        )
    from kimbledb.model.redaction import masked  # only where somebody is in the way

    query = one_line(" ".join(masked(holder.get("query") or "", numbers=True).split()))
    return (
        f"pid {holder.get('pid')}, {one_line(holder.get('application') or 'no application name')}, "
        f"{holder.get('state') or 'state not visible'}, transaction open for {holder.get('seconds') or '?'} s"
        + (f": {query[:_SHOWN]}{'...' if len(query) > _SHOWN else ''}" if query else "")
    )
