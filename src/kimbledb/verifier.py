"""Verification: a migration's own checks, and the questions about the whole database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kimbledb import evidence, history, queries
from kimbledb.catalog import Catalog
from kimbledb.history import DatabaseState
from kimbledb.model import Check, Migration
from kimbledb.names import check_schema_name, quote_array, quote_literal
from kimbledb.options import Options
from kimbledb.plan import StepState
from kimbledb.planner import Planner
from kimbledb.reports import VerificationReport
from kimbledb.runner import Runner
from kimbledb.session import Session, setting
from kimbledb.targets import Target, target_of


class Verifier:
    """Asks a database whether what is applied is really there. It never writes."""

    def __init__(
        self,
        target: object = None,
        *,
        catalog: Catalog | None = None,
        schema: str | None = None,
        options: Options | None = None,
    ) -> None:
        self.options = options or Options()
        self.target: Target = target_of(target)
        self.catalog = catalog if catalog is not None else Catalog.builtin()
        self.schema = check_schema_name(schema or "public")

    async def verify(self, only: str | int | Iterable[str | int] | None = None) -> VerificationReport:
        """Run the checks of the applied migrations, and those of the whole database.

        Args:
            only: A migration's name or number, or several: run theirs alone,
                applied or not.
        """
        runner = Runner(self.target, self.options)

        async def work(session: Session) -> VerificationReport:
            runner.doing = "verifying"
            state = await history.look(session, self.schema)
            if only is None:
                chosen = await self._applied(session, state)
            else:
                keys = [only] if isinstance(only, str | int) else list(only)
                chosen = [self.catalog[key] for key in keys]
            path = state.search_path(self.schema, (each.name for m in self.catalog for each in m.extensions))
            checks = await verify_migrations(session, chosen, path)
            if only is None:
                checks += await self._whole_database(session, path)
                from kimbledb import security  # not for the checks of one migration

                checks += await security.check(session, self.schema)
            return VerificationReport(tuple(checks))

        return await runner.run(work)

    async def _applied(self, session: Session, state: DatabaseState) -> list[Migration]:
        """Return what is applied, by history; what another hand recorded is looked at before it is believed."""
        rows = [row for row in state.history or () if row.success is True]
        if not any(row.legacy for row in rows):
            names = {row.name for row in rows}
            return [each for each in self.catalog if each.name in names]
        shown = await evidence.gather(session, self.catalog, state, self.schema)
        steps = Planner(self.catalog).plan(state.history or (), shown, schema=self.schema).steps
        return [step.migration for step in steps if step.state in (StepState.APPLIED, StepState.CHANGED)]

    async def _whole_database(self, session: Session, path: Sequence[str]) -> list[Check]:
        wanted = sorted({each.name for migration in self.catalog for each in migration.extensions})
        rows = await session.ask(
            queries.question("whole_database", schema=quote_literal(self.schema), extensions=quote_array(wanted)),
            path=path,
        )
        return [
            Check(
                migration=None,
                name=row["name"],
                passed=row["passed"],
                expected=row.get("expected"),
                found=row.get("found"),
                rows=tuple(row.get("rows") or ()),
                hint=row.get("hint"),
                informative=row.get("informative", False),
            )
            for row in rows
        ]


async def verify_migrations(session: Session, migrations: Iterable[Migration], path: Sequence[str]) -> list[Check]:
    """Run the checks of migrations in one read-only transaction."""
    migrations = list(migrations)
    if not migrations:
        return []
    answers = await session.send(
        "BEGIN READ ONLY;\n"
        + session.settings()
        + checks_setting(migrations)
        + session.guarded(path)
        + checks_block(session, path, judging=False)
        + "COMMIT;\n"
    )
    return results_of(answers[-1].value)


def checks_setting(migrations: Iterable[Migration]) -> str:
    """Return the statement that hands the checks of migrations to the server."""
    return setting(
        "kimbledb.checks",
        [
            {"migration": migration.name, "name": query.name, "sql": query.sql, "runs": query.runs}
            for migration in migrations
            for query in migration.verification_queries
        ],
    )


def checks_block(session: Session, path: Sequence[str], *, judging: bool) -> str:
    """Return the statements that run those checks.

    Args:
        session: For its settings.
        path: The schemas in which the checks look names up.
        judging: Whether a failed one is an error that stops the transaction.
    """
    return session.path(path) + queries.block("run_checks", judging=str(judging).lower())


def results_of(value: Sequence[dict[str, Any]]) -> list[Check]:
    """Make checks of what the server answered."""
    checks = []
    for result in value:
        rows = result.get("rows") or []
        failing = rows if not result["passed"] else result.get("all") or []
        checks.append(
            Check(
                migration=result.get("migration"),
                name=result["name"],
                passed=result["passed"],
                expected=_joined(failing, "expected"),
                found=result.get("error")
                or _joined(failing, "found")
                or (None if result["passed"] or rows else "no rows"),
                rows=tuple(rows) if result["passed"] else (),
                hint=None if "error" not in result else f"the query failed with SQLSTATE {result.get('sqlstate')}",
            )
        )
    return checks


def _joined(rows: Sequence[dict[str, Any]], key: str) -> str | None:
    values = [str(row[key]) for row in rows if row.get(key) is not None]
    return "; ".join(values[:5]) or None
