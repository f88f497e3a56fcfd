"""The try run of a rollback: its scripts run in a transaction that is rolled back, and the losses are measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from kimbledb.execution import error_location
from kimbledb.execution.messages import Messages, before_script, keep_older
from kimbledb.execution.step_errors import step_error
from kimbledb.execution.work import Work
from kimbledb.inspection import data_loss
from kimbledb.inspection.data_loss import Guard, Measured
from kimbledb.model.names import quote_literal
from kimbledb.server import queries
from kimbledb.server.codes import ANSWERED, HISTORY_CHANGED, MEASURED, own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.loops import END_OF_SCRIPT


@frozen
class Tried:
    """The effects of the scripts in a transaction that was rolled back."""

    #: The data that would be lost.
    measured: Measured
    #: The objects that would be dropped and belong to no other object, each as [kind, name].
    objects: Sequence[Sequence[str]]
    #: The objects that would be dropped and belong to columns of tables that stay, each as [kind, name].
    parts: Sequence[Sequence[str]]
    #: The answer to the question after the scripts, or None where none was asked.
    answer: Any


async def try_run(
    messages: Messages,
    works: Sequence[Work],
    log_position: int,
    guard: Guard,
    question: str,
    *,
    checking_each: bool = False,
) -> Tried:
    """Run scripts one after the other in a transaction that is rolled back.

    It is one message, which ends by itself even if the client dies. Sequences get a storage
    of their own first, so that nothing of a setval() is left.

    Args:
        messages: The messages of the run, for one schema and one session.
        works: The scripts, in order.
        log_position: The id of the log's newest entry when the plan was made.
        guard: The measurement of data loss in the transaction.
        question: A block that answers a question after all scripts, or nothing.
        checking_each: Whether to check after each script, and not only after the last one, that history is unchanged. A
            check reads all locks of the transaction, of which each script adds some.

    Raises:
        Retry: As for ``Transactions.carry_out()``.
        ScriptError: One of the scripts failed.
    """
    session = messages.session
    namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {quote_literal(messages.schema)})"
    listed = {each: queries.filled(f"own_{each}", namespace=namespace) for each in ("objects", "parts")}
    message = (
        messages.setting_up(works[0], log_position)
        + session.path()
        + queries.block("inventory", **listed)
        + guard.before()
        + before_script(messages.schema, messages.path)
    )
    places = []
    checking = queries.block("check_script", parts=queries.text_of("check_history"))
    for work in works:
        older = keep_older() if work.closes else ""
        message += messages.settings(work) + older + session.path(messages.path)
        places.append(len(message))
        message += work.script.text + END_OF_SCRIPT + messages.ending(work)
        message += checking if checking_each or work is works[-1] else ""
    asking = question + queries.question("vanished", **listed)
    message += guard.after() + asking + session.leaving() + "ROLLBACK;\n"
    try:
        answers = await session.transact(messages.begin(*works), message)
    except ServerError as error:
        if own_code(error) == HISTORY_CHANGED and not checking_each and len(works) > 1:
            # Once more, to find the script.
            return await try_run(messages, works, log_position, guard, question, checking_each=True)
        first, *others = (message[begin:end] for begin, end in itertools.pairwise((0, *places)))
        at = error_location.stopped_in(error, [session.prefix + first, *others], session.completed)
        raise await step_error(session, error, works[at], [session.prefix + message[: places[at]]]) from error
    [measured] = [answer.value for answer in answers if answer.code == MEASURED]
    [*answered, vanished] = [answer.value for answer in answers if answer.code == ANSWERED]
    return Tried(
        data_loss.measured(measured), vanished["objects"], vanished["parts"], answered[0] if answered else None
    )
