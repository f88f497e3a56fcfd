"""The meaning of a server's error for the step that it ended: another try, a refusal, or a fault of the script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from attrs import evolve, frozen

from kimbledb.errors import ConnectionLostError
from kimbledb.execution import error_location
from kimbledb.execution.located_error import LocatedError
from kimbledb.execution.work import ChecksFailed, PlanMoved, ScriptError, Work
from kimbledb.inspection import data_loss, proof
from kimbledb.inspection.checks import results_of
from kimbledb.server import queries
from kimbledb.server.codes import (
    DATA_LOSS,
    NOT_PROVED,
    PLAN_MOVED,
    QUERY_CANCELLED,
    RECORDED,
    VERIFICATION_FAILED,
    own_code,
)
from kimbledb.server.driver import ServerError
from kimbledb.server.retry import meaning
from kimbledb.server.session import Session

#: The words for a script that committed a part of itself.
_COMMITTED_BY_SCRIPT = (
    "the script ended its transaction by itself: its changes up to there are committed and not recorded. Inspect the "
    "schema, undo them by hand (a prepared transaction by ROLLBACK PREPARED), and take the COMMIT out of the script"
)


@frozen
class Earlier:
    """The transactions of a message that were committed before the one that failed."""

    #: The number of transactions.
    count: int = 0
    #: The number of the message's characters that belong to them.
    length: int = 0


async def step_error(
    session: Session, error: ServerError, work: Work, ahead: Sequence[str], earlier: Earlier = Earlier()
) -> Exception:
    """Return the exception that an error of the server means for a step.

    Args:
        session: The session of the step; no transaction is open.
        error: The server's error.
        work: The work of the step.
        ahead: For each script of the work the part of its transaction before it; none where the message held no script.
        earlier: The transactions of the same message before it.

    Returns:
        As ``refusal_of()``, or ``ScriptError``.
    """
    if len(session.commits) > recorded(session):
        # The script ended its transaction by itself: a second try would repeat what it committed.
        failure = await _script_error(session, error, work, ahead, earlier)
        failure.standing = _COMMITTED_BY_SCRIPT
        return failure
    return refusal_of(error, work) or await _script_error(session, error, work, ahead, earlier)


def recorded(session: Session) -> int:
    """Return the number of transactions of the last message that have written their history row."""
    return sum(answer.code == RECORDED for answer in session.answered)


def refusal_of(error: ServerError, work: Work) -> Exception | None:
    """Return the exception that an error means where it is no failure of the script, else None.

    Args:
        error: The server's error.
        work: The work of the step.

    Returns:
        A ``Retry`` or an error of the library, or ``ChecksFailed``, ``PlanMoved``, ``Suspected`` or ``Lost``.
    """
    if (meant := meaning(error)) is not None:
        return meant
    code = own_code(error)
    if code == PLAN_MOVED:
        return PlanMoved()
    if code == DATA_LOSS and work.guard is not None:
        return data_loss.refusal(error, work.guard)
    if code == NOT_PROVED:
        faults = json.loads(error.detail or "[]")
        return ChecksFailed(proof.checks_of(faults, work.migration, hosted=work.hosted))
    if code == VERIFICATION_FAILED:
        return ChecksFailed(results_of(json.loads(error.detail or "[]"), [work.migration]))
    return None


async def _script_error(
    session: Session, error: ServerError, work: Work, ahead: Sequence[str], earlier: Earlier
) -> ScriptError:
    script, offset = work.script, None
    # A position within a generated statement is in no file.
    exact = bool(error.position) and work.derived is None
    if ahead:
        before = session.commits[earlier.count - 1] if 0 < earlier.count <= len(session.commits) else 0
        completed = session.completed - before
        at = error_location.failed_script(error, ahead, completed, start=earlier.length) if len(ahead) > 1 else 0
        script = work.scripts[at]
        offset = error_location.offset_of(error, script.text, ahead[at], completed, start=earlier.length, exact=exact)
    located = error_location.locate(error, work.migration, script, offset=offset, exact=exact)
    return ScriptError(work.migration, await with_cancel_reason(session, error, located))


async def with_cancel_reason(session: Session, error: ServerError, located: LocatedError) -> LocatedError:
    """Return an error of a cancelled statement with a hint that says whether its limit or a person cancelled it.

    Args:
        session: The session of the statement; no transaction is open.
        error: The server's error.
        located: The same error with its place.
    """
    match await _cancelled_by(session, error):
        case "a person":
            return evolve(located, hint="somebody cancelled it on the server (pg_cancel_backend): run again")
        case "a script":
            return evolve(located, hint=error.hint)
    return located


async def is_cancelled_by_a_person(session: Session, error: ServerError) -> bool:
    """Whether somebody cancelled a statement, and not its limit.

    Args:
        session: The session of the statement; no transaction is open.
        error: The server's error.
    """
    return await _cancelled_by(session, error) == "a person"


async def _cancelled_by(session: Session, error: ServerError) -> Literal["a person", "a script"] | None:
    """Return the origin of a statement's cancellation; None for its limit, an unknown origin, or another error.

    The message of the server is in the server's language. Therefore the server is asked for both texts.
    """
    if error.sqlstate != QUERY_CANCELLED:
        return None
    block = {by_hand: queries.block("cancel_words", by_hand=by_hand) for by_hand in ("false", "true")}
    try:
        answers = await session.send(
            f"BEGIN READ ONLY;\n{session.settings()}SET LOCAL statement_timeout = 50;\n{block['false']}"
            f"SET LOCAL statement_timeout = 0;\n{block['true']}ROLLBACK;\n"
        )
    except (ServerError, ConnectionLostError):
        return None
    if len(answers) != 2:
        return None
    timed_out, cancelled = (answer.value for answer in answers)
    if error.message == cancelled:
        return "a person"
    # A script can raise that SQLSTATE, too.
    return None if error.message == timed_out else "a script"
