"""The base of all operations: the request of a call, and the run of a call that writes.

A run settles lost replies. A transaction whose reply was lost with the connection is *in flight*: the next
connection asks the log whether it was committed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from kimbledb.catalog.catalog import Catalog, CatalogLike, at
from kimbledb.errors import ConnectionLostError, OutcomeUnknownError
from kimbledb.model.clock import stopwatch
from kimbledb.server.notifications import has_listener, notify
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry
from kimbledb.server.runner import Runner
from kimbledb.server.schemas import check_schema_name
from kimbledb.server.session import Session
from kimbledb.server.targets import target_of

if TYPE_CHECKING:
    from kimbledb.events import Watcher
    from kimbledb.model.migration import AppliedStep, Migration
    from kimbledb.model.operator_reports import AdoptionReport, ResetReport, RollbackReport
    from kimbledb.model.reports import MigrationReport
    from kimbledb.model.state import DatabaseState
    from kimbledb.server.in_process_lock import InProcessLock
    from kimbledb.server.targets import Target, TargetLike

T = TypeVar("T")
Report = TypeVar("Report", "AdoptionReport", "MigrationReport", "ResetReport", "RollbackReport")


def schema_of(given: str | None) -> str:
    """Return the name of the target schema: the caller's, or ``public`` for None.

    Raises:
        ConfigurationError: The name cannot be that of a target schema.
    """
    return check_schema_name(given or "public")


def catalog_of(given: CatalogLike) -> Catalog:
    """Return the catalog of a call: the caller's, that of the caller's folder, or the built-in one for None.

    Raises:
        ConfigurationError: The path is not a folder.
    """
    if given is None:
        return Catalog.builtin()
    return at(given) if isinstance(given, str | os.PathLike) else given


class Request:
    """The target and the wishes of a call, with all defaults filled in."""

    def __init__(
        self,
        target: TargetLike = None,
        *,
        catalog: CatalogLike = None,
        schema: str | None = None,
        options: Options | None = None,
        progress: Watcher | None = None,
    ) -> None:
        """Fill in the defaults.

        Args:
            target: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them.
                None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
            catalog: The migrations, or the path of their folder; None for the built-in ones.
            schema: The name of the target schema; None for ``public``.
            options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.
            progress: Called with each ``Event``. None for no notifications.

        Raises:
            ConfigurationError: The target or the schema cannot be used.
        """
        #: The target of the call.
        self.target: Target = target_of(target)
        #: The name of the target schema.
        self.schema: str = schema_of(schema)
        #: The options of the call.
        self.options: Options = options or Options()
        #: Called with each ``Event``. None for no notifications.
        self.progress: Watcher | None = progress
        self._catalog = catalog

    @cached_property
    def catalog(self) -> Catalog:
        """The migrations. The built-in ones are read at the first access."""
        return catalog_of(self._catalog)


class Sent(NamedTuple):
    """A transaction that a run sent, by the name of its entry in the log."""

    event: Literal["apply", "rollback", "adopt", "reset"]
    #: The migration that it applies or takes back, or None where it concerns the whole schema.
    migration: Migration | None = None

    def __str__(self) -> str:
        if self.migration is not None:
            return self.migration.name
        return "the adoption" if self.event == "adopt" else f"the {self.event}"


class Run:
    """One call that writes, across all its connections: its clock, what it achieved, and what is in flight."""

    def __init__(
        self,
        request: Request,
        *,
        backup: str | os.PathLike[str] | None = None,
        in_process_lock: InProcessLock | None = None,
    ) -> None:
        """Start the clock of a call.

        Args:
            request: The target and the wishes of the call.
            backup: The path of a file to write a backup to, before the first change; None for no backup.
            in_process_lock: The lock among the calls of this process on the same schema; None where the call takes none.
        """
        self.request = request
        self.runner = Runner(request.target, request.options, request.progress, in_process_lock)
        #: Seconds since the call began.
        self.clock = stopwatch()
        #: The migrations that this run applied or took back, each with its seconds.
        self.achieved: list[AppliedStep] = []
        #: The transactions that were sent and not answered, in order; the server runs them in this order, and none after
        #: one that fails. History says whether they were committed. They stay here until history shows them, or a try
        #: under the same lock shows that they were not committed.
        self.in_flight: list[Sent] = []
        #: Seconds since the first of these transactions was first sent, or since the one before it was committed.
        self.step_clock = self.clock
        self._backup = backup

    async def until_done(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do the work, and repeat it where it raises ``Retry``.

        Args:
            work: A function of a session, called anew for each try.

        Returns:
            The result of the work.

        Raises:
            OutcomeUnknownError: The reply to a COMMIT was lost, and no new connection can be opened to ask history.
            DeadlineExceededError: The options' deadline passed.
            LockUnavailableError: The application held a lock in every attempt.
            ConnectionLostError: The server stays away, or no new connection can be opened.
            PreflightError: The role lacks a privilege.
            MigrationError: The server refused for another reason.
        """
        try:
            return await self.runner.run(work)
        except ConnectionLostError as error:
            if not self.in_flight:
                raise
            raise OutcomeUnknownError(
                str(self.in_flight[0]),
                applied=self.achieved,
                can_ask=self.request.target.can_reconnect,
                back=self.in_flight[0].event == "rollback",
                after=[str(sent) for sent in self.in_flight[1:]],
            ) from error

    @contextmanager
    def sending(self, *sent: Sent, in_doubt: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Hold the outcomes of transactions for unknown from the moment they are sent until they are answered.

        Args:
            sent: The transactions, in order.
            in_doubt: Called when the connection is lost: whether the server may have executed the next COMMIT.
        """
        unsettled = self.in_flight
        if not unsettled:
            self.step_clock = stopwatch()
        self.in_flight = list(sent)
        try:
            yield
        except Retry:
            self._forget(unsettled, sent)
            raise
        except ConnectionLostError:
            if not in_doubt():
                self._forget(unsettled, sent)
            raise
        except Exception:
            # The server refused one under the lock, whatever the error: nothing is in flight any more.
            self.in_flight = []
            raise
        self.in_flight = []
        self.runner.committed()

    def committed(self) -> None:
        """Note that the first transaction in flight was committed. The clock of the next one begins."""
        del self.in_flight[0]
        self.runner.committed()
        self.step_clock = stopwatch()

    def _forget(self, unsettled: list[Sent], sent: Sequence[Sent]) -> None:
        """Forget the transactions that were sent and that nothing committed.

        Args:
            unsettled: Those that were in flight before them.
            sent: All that were sent.
        """
        # Where one of them was committed, it was under the lock: those from before were not, and never will be.
        self.in_flight = unsettled if len(self.in_flight) == len(sent) else []

    async def settle(
        self, session: Session, state: DatabaseState, *, shown: Callable[[Sent], bool] = lambda _: False
    ) -> list[Sent]:
        """Find out whether the transactions that were in flight when a connection was lost were committed.

        Where the log does not show one, the server may still be at work on it, under the lock.

        Args:
            session: The new session, in which the log is read.
            state: The state of the database at the begin of this session.
            shown: Whether history shows the effect of a transaction: if not by this run, then by another.

        Returns:
            The transactions that this run committed, as the log shows.
        """
        settled: list[Sent] = []
        while self.in_flight:
            sent = self.in_flight[0]
            if sent.event == "apply" and not shown(sent):
                break  # where it is committed only now, the plan, which is older, does not know
            taken = await self._seconds(session, state, sent)
            if taken is not None:
                # Only of the first one it is known here how long it took.
                seconds = taken if settled else self.step_clock()
                self.committed()
                settled.append(sent)
                if sent.migration is not None:
                    from kimbledb.model.migration import AppliedStep  # only where a connection was lost

                    self.achieved.append(AppliedStep(sent.migration, seconds))
                    self._notify_of(sent, sent.migration, seconds)
            elif shown(sent):
                del self.in_flight[0]
            else:
                break
        return settled

    def _notify_of(self, sent: Sent, migration: Migration, seconds: float) -> None:
        """Notify of a commit whose reply was lost; how many checks passed is not known any more."""
        from kimbledb.events import Applied, RolledBack  # only where a connection was lost

        event = RolledBack(migration, seconds) if sent.event == "rollback" else Applied(migration, seconds, 0)
        notify(self.request.progress, event)

    async def did(self, session: Session, state: DatabaseState, sent: Sent) -> bool:
        """Ask the log whether this run committed a transaction, and not a rival that did the same.

        Args:
            session: The session in which the log is read.
            state: The state of the database at the begin of this session.
            sent: The transaction.
        """
        return await self._seconds(session, state, sent) is not None

    async def _seconds(self, session: Session, state: DatabaseState, sent: Sent) -> float | None:
        """Return the seconds that a transaction of this run took, as the log says, or None where it was not committed."""
        if state.log_position is None:
            return None
        from kimbledb.inspection import history  # only where a connection was lost

        name = None if sent.migration is None else sent.migration.name
        return await history.seconds_of(session, self.request.schema, self.runner.run_id, sent.event, name)

    @property
    def wants_backup(self) -> bool:
        """Whether a backup was asked for and is not written yet."""
        return self._backup is not None

    async def back_up(self, session: Session, state: DatabaseState) -> None:
        """Write the backup that was asked for, if it is not written yet.

        Args:
            session: The session that makes the changes afterwards.
            state: The state of the database at the begin of this session.

        Raises:
            BackupError: The backup cannot be made; nothing was touched.
        """
        if self._backup is None:
            return
        from kimbledb.execution import backup  # 6 ms, on the path of a start with nothing to do

        self.runner.doing = "making the backup"
        await backup.write(self._backup, session, state, self.request.target, self.request.options)
        self._backup = None

    def done(self, report: Report) -> Report:
        """Notify the caller that the call is done, and return its report."""
        if has_listener(self.request.progress):
            from kimbledb.events import Done  # only where somebody listens

            notify(self.request.progress, Done(report.seconds, report))
        return report
