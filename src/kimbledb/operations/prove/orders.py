"""The orders that ``requires`` allows: a requirement that is missing shows where a migration comes without the others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from kimbledb.errors import KimbleDBError
from kimbledb.model.catalog_report import Proof
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.operations.prove.bench import OF_THE_SERVER, Bench, Broken, Look

#: The seed by which one order of all migrations is drawn: the same in every run, so that a failure comes again.
_SEED: Final = 20


class Orders:
    """The orders of the migrations of one plan."""

    def __init__(self, bench: Bench, plan: Plan, prefer: Sequence[str]) -> None:
        """Take a plan.

        Args:
            bench: Makes empty databases.
            plan: The plan of an empty database.
            prefer: The alternatives that are chosen.
        """
        self._bench = bench
        self._migrations = [step.migration for step in plan.pending]
        self._prefer = prefer
        #: Those that do not require all of those before them.
        self._free = list(_free(plan))
        self._failed: set[str] = set()

    async def prove(self, end: Look | None) -> None:
        """Apply each migration after nothing but what it requires, and all of them in other orders.

        Args:
            end: The contents of the schema at the end of the plan's own order; None if that was not reached.
        """
        if not self._free:
            return
        await self._bench.together(
            self._order([migration], "after nothing but what it requires") for migration in self._free
        )
        if end is None or self._failed:
            return  # other orders would fail by the same
        drawn = list(self._migrations)
        random.Random(_SEED).shuffle(drawn)
        orders = {"the last one first": self._migrations[::-1], "in a drawn order": drawn}
        await self._bench.together(self._order(order, name, end) for name, order in orders.items())

    async def _order(self, order: Sequence[Migration], name: str, end: Look | None = None) -> None:
        """Apply migrations in an order, each with what it requires and is not there yet, and note how that ends."""
        clock = stopwatch()
        at = order[0]
        message = skipped = None
        try:
            async with self._bench.empty() as target:
                for at in order:
                    await self._bench.apply(target, at, self._prefer, verify=end is None)
                if end is not None:
                    (await self._bench.look(target)).since(end, "the migrations end in another schema")
        except Broken as fault:
            message = str(fault)
        except OF_THE_SERVER:
            raise
        except KimbleDBError as error:
            failed = getattr(error, "failed", None) or at
            self._failed.add(failed.name)
            if end is None and failed is not at:
                skipped = f"it requires {failed.name}, which failed"
            else:
                at, message = failed, error.text
        self._bench.note(at, Proof.ORDER, name, message=message, skipped=skipped, seconds=clock())


def _free(plan: Plan) -> Iterator[Migration]:
    """Yield the migrations of a plan that do not require all of those before them, one way or another."""
    required: dict[str, set[str]] = {}
    for step in plan.pending:
        needs = {each for need in step.needs for each in (need, *required.get(need, ()))}
        if len(needs) < len(required):
            yield step.migration
        required[step.name] = needs
