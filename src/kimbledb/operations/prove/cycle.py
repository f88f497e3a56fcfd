"""The cycle of one migration: applied, rolled back, applied again, interrupted, beside rows, beside large tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from attrs import frozen

from kimbledb.catalog import statements
from kimbledb.catalog.declared import place_of
from kimbledb.errors import CatalogError, ConflictingObjectsError, DataLossError, KimbleDBError, UnrecordedObjectsError
from kimbledb.model.catalog_report import Proof
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.operations.prove.bench import LARGE, OPTIONS, Bench, Broken, Look, Untried
from kimbledb.planning.whole_declarations import touches
from kimbledb.server.options import Options
from kimbledb.server.targets import Target

#: A case: its kind, what exactly is tried, and what tries it.
_Case = tuple[Proof, str, Callable[[], Awaitable[None]]]


@frozen(eq=False)
class State:
    """A database after some migrations, of which copies are made, and what it holds."""

    target: Target
    look: Look

    @property
    def objects(self) -> dict[Key, DatabaseObject]:
        """The objects of its schema."""
        return {each.key: each for each in self.look.objects}


class Cycle:
    """The cycle of one migration on one platform."""

    def __init__(
        self,
        bench: Bench,
        migration: Migration,
        before: State,
        prefer: Sequence[str],
        *,
        cuts: int | None,
        with_checks: bool,
    ) -> None:
        """Take a database to which all migrations before it are applied.

        Args:
            bench: Makes copies of it.
            migration: The migration.
            before: The database, which stays as it is.
            prefer: The alternatives that are chosen.
            cuts: The number of places at which it is interrupted; None for each of them.
            with_checks: Whether to try its checks on the database before it.
        """
        self._bench = bench
        self._migration = migration
        self._before = before
        self._prefer = prefer
        self._cuts = cuts
        self._with_checks = with_checks
        #: Whether its rollback leaves the schema as it was; known once that was tried.
        self._goes_back: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def run(self, copy: Target) -> State | None:
        """Try everything.

        Args:
            copy: A copy of the database, to which the migration is applied.

        Returns:
            That database, or None if the migration cannot be applied.
        """
        looks: list[Look] = []

        async def apply() -> None:
            await self._bench.apply(copy, self._migration, self._prefer)
            looks.append(await self._bench.look(copy))

        await self._bench.case(self._migration, Proof.APPLY, apply)
        if not looks:
            return None
        after = State(copy, looks[0])
        await self._bench.together(
            self._bench.case(self._migration, kind, work, detail) for kind, detail, work in self._cases(after)
        )
        return after

    def _cases(self, after: State) -> Iterator[_Case]:
        yield Proof.ROLLBACK, "", partial(self._back_and_again, after)
        for count, place in self._places():
            yield Proof.COMPLETE, f"after {place}", partial(self._complete, after, count)
        yield Proof.ROWS, "", partial(self._rows, after)
        yield Proof.ONLINE, "", partial(self._online, after)
        # A hosted platform has extensions before a migration that needs them, and checks that use them pass.
        given = self._bench.hosted and self._migration.extensions
        if self._with_checks and self._migration.verification_queries and not given:
            yield Proof.CHECKS, "", self._checks

    async def _back_and_again(self, after: State) -> None:
        if (reason := self._no_rollback) is not None:
            self._goes_back.set_result(False)
            raise Untried(reason)
        try:
            async with self._bench.copy(after.target, by_one_connection=self._migration.transactional) as copy:
                await self._bench.roll_back(copy, self._migration)
                (await self._bench.look(copy)).since(
                    self._before.look, "its rollback does not leave the schema as it was"
                )
                self._goes_back.set_result(True)
                await self._bench.case(self._migration, Proof.AGAIN, partial(self._again, copy, after))
        finally:
            if not self._goes_back.done():
                self._goes_back.set_result(False)

    async def _again(self, copy: Target, after: State) -> None:
        await self._bench.apply(copy, self._migration, self._prefer, verify=False)
        now = await self._bench.look(copy)
        now.since(after.look, "applied again after its rollback, it ends elsewhere")
        now.rows_since(after.look, "applied again after its rollback, it leaves other rows")

    @property
    def _no_rollback(self) -> str | None:
        try:
            return self._migration.no_rollback
        except CatalogError as error:
            return error.text

    def _places(self) -> Iterator[tuple[int, str]]:
        """Yield the number of statements before each place at which it is interrupted, and the place as ``file:line``."""
        found = [
            (script, statement)
            for script in self._migration.applied_scripts(hosted=self._bench.hosted).values()
            for statement in statements.split(script.text)
        ]
        inner = len(found) - 1
        count = inner if self._cuts is None else min(self._cuts, inner)
        for number in range(count):
            place = (number + 1) * len(found) // (count + 1)
            script, statement = found[place - 1]
            line, _ = place_of(script, statement.start)
            yield place, f"{script.file_name}:{line}"

    async def _complete(self, after: State, count: int) -> None:
        if not self._migration.is_declared:
            raise Untried("it is not declared: run `kimbledb declare`")
        one = self._migration.transactional
        async with self._bench.copy(self._before.target, by_one_connection=one) as copy:
            await self._bench.interrupt(copy, self._migration, count)
            try:
                await self._bench.apply(copy, self._migration, self._prefer, verify=False)
            except UnrecordedObjectsError:
                await self._bench.adopt(copy, self._prefer)
                await self._bench.apply(copy, self._migration, self._prefer, verify=False)
            now = await self._bench.look(copy)
            now.since(after.look, "completed, it ends elsewhere")
            now.rows_since(after.look, "completed, it leaves other rows")

    async def _rows(self, after: State) -> None:
        async with self._beside_rows(after) as (copy, held):
            if not await self._goes_back:  # it was tried first
                return
            full = await self._bench.look(copy)
            await self._bench.roll_back(copy, self._migration)
            now = await self._bench.look(copy)
            now.since(self._before.look, "beside rows its rollback does not leave the schema as it was")
            now.rows_since(full if self._migration.deletes else held, "its rollback loses rows")

    async def _online(self, after: State) -> None:
        async with self._beside_rows(after, large=True):
            pass

    @asynccontextmanager
    async def _beside_rows(self, after: State, *, large: bool = False) -> AsyncIterator[tuple[Target, Look]]:
        """Apply the migration to a copy in which the tables from before hold rows.

        Args:
            after: The database after it, without rows.
            large: Whether the tables are large.

        Yields:
            The copy, and what it held before the migration.
        """
        if not self._before.look.tables:
            raise Untried("no table is there before it")
        # Fewer rows may comply with what the migration demands.
        for row_count in (None, 1):
            one = self._migration.transactional and not large and not self._migration.online_sql
            async with self._bench.copy(self._before.target, by_one_connection=one) as copy:
                await self._bench.fill(copy, self._before.objects, row_count)
                held = await self._bench.look(copy)
                if large:
                    full = [name for name, table in held.tables.items() if table["rows"]]
                    if not (self._migration.online_sql or touches(self._migration, full)):
                        raise Untried("it works on no table from before")
                if not await self._takes_rows(copy, LARGE if large else OPTIONS):
                    continue
                now = await self._bench.look(copy)
                now.since(after.look, "beside rows it ends in another schema")
                if not self._migration.deletes:
                    now.rows_since(held, "it loses rows")
                yield copy, held
                return
        raise Untried(f"it refuses the rows that were made up, as is meant: {self._migration.demands}")

    async def _takes_rows(self, copy: Target, options: Options) -> bool:
        """Apply the migration beside rows, and return whether it takes them; False where it says what it demands of them.

        Raises:
            Broken: It does not take them, and does not say so.
        """
        try:
            await self._bench.apply(copy, self._migration, self._prefer, options=options)
        except DataLossError as error:
            raise Broken(
                f"it loses rows or values that its tables may hold, and does not say so: {error.text}"
            ) from error
        except ConflictingObjectsError as error:  # before anything was touched
            if self._migration.demands is None:
                raise Broken(
                    f'it stops at rows that its tables may hold, and does not say so (demands = "..."): {error.text}'
                ) from error
            return False
        except KimbleDBError as error:
            raise Broken(f"it fails on rows that its tables may hold: {error.text}") from error
        return True

    async def _checks(self) -> None:
        names = await self._passing(filled=False)
        if names and self._before.look.tables:
            names &= await self._passing(filled=True)
        if names:
            raise Broken(
                f"passes before the migration is applied, so that it proves nothing: {', '.join(sorted(names))} in "
                f"{self._migration.file('verify')}"
            )

    async def _passing(self, *, filled: bool) -> set[str]:
        """Return the names of the checks that pass before the migration."""
        async with self._bench.copy(self._before.target) as copy:
            if filled:
                await self._bench.fill(copy, self._before.objects)
            passed = {check.name for check in await self._bench.checks(copy, self._migration) if check.passed}
        # A query that need only run says nothing by itself.
        return passed - {query.name for query in self._migration.verification_queries if query.runs}
