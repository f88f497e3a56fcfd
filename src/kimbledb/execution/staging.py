"""Completes a migration whose tables are large: what takes long runs first, outside of its transaction.

The transaction that holds the lock is opened, and beside it a session that works. That session looks at the schema, and
``kimbledb.planning.online`` derives what can be made without holding others up. Its statements run one at a time, as those
of an online.sql. Then the transaction looks again, finds them there, and does the rest.

Nothing says where an interrupted run stood: the next one looks at the schema, and derives what is missing then.
"""

from __future__ import annotations

import asyncio
from typing import Any

from attrs import evolve

from kimbledb.execution import completing, nontransactional
from kimbledb.execution.completing import Background
from kimbledb.execution.statement_runner import StatementRunner
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.work import Outcome, Work
from kimbledb.inspection import data_loss, sizes
from kimbledb.model.completion import Completion
from kimbledb.model.script import Script
from kimbledb.planning.online import Stage, staged
from kimbledb.server.observer import observed
from kimbledb.server.runner import Runner


async def carry_out(
    runner: Runner, holder: Transactions, work: Work, log_position: int, background: Background
) -> Outcome:
    """Run what takes long, and then the rest of a migration in the transaction that holds the lock.

    Args:
        runner: The runner of the call, which reports the session that blocks a statement.
        holder: The session that takes and holds the lock.
        work: The migration.
        log_position: The id of the log's newest entry when the plan was made.
        background: The facts against which it is checked.

    Raises:
        Retry: Another run holds the lock or was quicker, or the application held a lock for too long. What is made stays.
        ScriptError: A statement failed. ``standing`` says what stays and what was taken back.
        ConflictingObjectsError: The schema holds what no statement reaches.
        ChecksFailed: The verification failed. ``standing`` says the same.
        ConnectionLostError: One of the two connections was lost.
    """
    script = Script(f"{work.migration.file('apply')} (online)", "")
    ahead = evolve(work, part="online", derived=script)
    async with nontransactional.second_session(runner, holder, ahead, log_position) as statements:
        await statements.begin()
        completion, stage = await _look(statements, holder, work, background)
        if stage:
            text = "".join(f"{each};\n" for each in stage.steps)
            await statements.run_stage(evolve(script, text=text), stage.steps)
        async with observed(runner, holder.session, work.migration):
            outcome = await completing.complete(holder, work, background)
        measured = data_loss.combined([statements.measured, outcome.measured])
        return evolve(outcome, measured=measured, notes=tuple(completion.notes))


async def _look(
    statements: StatementRunner, holder: Transactions, work: Work, background: Background
) -> tuple[Completion, Stage]:
    """Look at the schema in the second session: the first must keep no lock on a table and no snapshot."""
    worker, site = statements.worker, holder.messages.site

    async def ask(question: str) -> Any:
        return await worker.ask(question)

    large = sizes.large(await sizes.ask(worker, site.schema), worker.options.large_table)
    looked = await completing.look(ask, site, work, background)
    # In a thread: a large schema would block the event loop.
    completion = await asyncio.to_thread(looked.unfinished.complete, looked.rows)
    if completion.conflicts:
        return completion, Stage()  # the transaction looks again, and says so
    return completion, await asyncio.to_thread(staged, looked.unfinished, completion, large)
