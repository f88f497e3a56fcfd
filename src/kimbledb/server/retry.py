"""Which errors of the server a call retries, and which mean the same for every call: decided once.

Code that sends SQL calls ``meaning()`` first. Where that returns None, the operation decides, since it alone knows
which script failed, or which role's objects a refusal is about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kimbledb.errors import HistoryError, KimbleDBError, MigrationError, PreflightError
from kimbledb.model.text import one_line
from kimbledb.server.codes import HISTORY_MOVED, INSUFFICIENT_PRIVILEGE, LOCK_BUSY, OTHER_SHAPE, own_code
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.locks import describe_holders

#: Another session holds a lock, or won a conflict: lock not available, deadlock detected, serialization failure.
_WORTH_ANOTHER_TRY = frozenset({"55P03", "40P01", "40001"})
#: IF NOT EXISTS fails with one of these where another session, which does not take our
#: lock, creates the same schema or extension at the same moment.
_CREATED_BY_ANOTHER = frozenset({"23505", "42P06", "42P07", "42710", "42723"})


class Retry(Exception):
    """The work cannot continue now, and is to be started again in a new session.

    Attributes:
        blockers: The sessions that block the work, one line each, as far as the server shows them.
        contended: The server's message where the lock timeout or a deadlock ended the attempt: the number of
            such attempts is bounded (``Options.attempts``). None otherwise: then the deadline is the only bound.
        awaited: What the work waits for, in words, where no session is known to block it; else None.
    """

    def __init__(
        self, *, blockers: Sequence[str] = (), contended: str | None = None, awaited: str | None = None
    ) -> None:
        super().__init__()
        self.blockers = tuple(blockers)
        self.contended = contended
        self.awaited = awaited


def meaning(error: ServerError, *, making: bool = False) -> Retry | HistoryError | None:
    """Return the exception that an error means for every call, or None where only the operation can decide.

    Args:
        error: The server's error.
        making: Whether the statements that were sent create objects by IF NOT EXISTS.
    """
    code = own_code(error)
    if code == LOCK_BUSY:
        return Retry(blockers=describe_holders(json.loads(error.detail or "[]")))
    if code == HISTORY_MOVED:
        # The other run most likely continues: an immediate retry would only block it.
        return Retry()
    if code == OTHER_SHAPE:
        return _other_shape(error)
    # A script that raises such a SQLSTATE itself would raise it again.
    if error.raised_by_script:
        return None
    if error.sqlstate in _WORTH_ANOTHER_TRY or (making and error.sqlstate in _CREATED_BY_ANOTHER):
        return Retry(contended=first_line(error))
    return None


@contextmanager
def decided() -> Iterator[None]:
    """Raise, in place of a server's error, the exception that ``meaning()`` returns.

    Raises:
        Retry: Other sessions block the work.
        HistoryError: ``migration_history`` or ``migration_log`` has a shape that cannot be read or taken over.
        ServerError: Only the operation can decide on this error.
    """
    try:
        yield
    except ServerError as error:
        if (meant := meaning(error)) is None:
            raise
        raise meant from error


def failure(error: ServerError, doing: str) -> KimbleDBError:
    """Return the public error for a server's error that comes from no migration's script and that no operation expects.

    Args:
        error: The server's error.
        doing: The activity that failed, in words.
    """
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
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
