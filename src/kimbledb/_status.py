"""How a database stands: everything that a person asks who looks at it."""

from __future__ import annotations

from kimbledb import evidence, foreign, history, queries
from kimbledb.catalog import Catalog
from kimbledb.database_status import Load, Status, TableUse
from kimbledb.names import check_schema_name, quote_identifier, quote_literal
from kimbledb.options import Options
from kimbledb.planner import Planner
from kimbledb.runner import Runner
from kimbledb.session import Session
from kimbledb.targets import target_of


async def look(target: object, *, catalog: Catalog | None, schema: str | None, options: Options | None) -> Status:
    """Ask a database how it stands. See :func:`kimbledb.status`."""
    options = options or Options()
    where = target_of(target)
    name = check_schema_name(schema or "public")
    chosen = catalog if catalog is not None else Catalog.builtin()
    runner = Runner(where, options)

    async def work(session: Session) -> Status:
        runner.doing = "looking how the database stands"
        state = await history.look(session, name)
        shown = await evidence.gather(session, chosen, state, name)
        plan = Planner(chosen).standing(state.history, shown, schema=name)
        plan = await foreign.with_histories(session, plan, state, name)
        log = ()
        if state.head is not None:
            entries = await session.ask(queries.question("latest_events", schema=quote_identifier(name)))
            log = tuple(entries)
        usage = await session.ask(queries.question("usage", schema=quote_literal(name)))
        return Status(
            database=state.database,
            schema=name,
            server_version=state.server_version,
            hosted=state.hosted,
            plan=plan,
            history=state.history,
            extensions=state.extensions,
            log=log,
            tables=tuple(
                TableUse(name, rows, size, whole, by_index, tuple(unused))
                for name, rows, size, whole, by_index, unused in usage["tables"]
            ),
            load=Load(*usage["load"]),
        )

    return await runner.run(work)
