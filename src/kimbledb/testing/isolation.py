"""The isolation check: proof that a schema's policies keep two people away from each other's rows.

The check works on a fresh schema that it drops at the end. Except for the migrations
all of it happens in one transaction that is rolled back. The roles ``authenticated``
and ``anon`` are used where the server has them; elsewhere the transaction creates
roles, and its rollback removes them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import PreflightError
from kimbledb.inspection import history
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.operations.migrate import migrate
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import Connection, ServerError, driver_errors, first_line
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import TargetLike, target_of
from kimbledb.testing.access_attempts import AccessAttempts, acting_as
from kimbledb.testing.isolation_report import Breach, IsolationReport
from kimbledb.testing.ownership import Ownership, TableFacts
from kimbledb.testing.sample_rows import SampleRows

#: The names of columns that name the owner of a row.
OWNERS = ("user_id", "owner_id")


async def check_isolation(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    owners: Collection[str] = OWNERS,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    options: Options | None = None,
) -> IsolationReport:
    """Prove that people cannot reach each other's rows, on a fresh schema.

    Two people get rows in every table that has an owner column or an owned parent.
    As ``authenticated`` each of them tries to read, change, delete and take over the
    other's rows, to insert rows that belong to the other or to the other's rows, and
    to hand rows over. ``anon`` may do nothing at all. The identity is given by the claim
    ``sub`` of ``request.jwt.claims`` and by the setting ``kimbledb.user_id``.

    Nothing stays except extensions that were missing. The role must be allowed to create a
    schema, and to create roles where the server has no ``authenticated`` and ``anon``.

    Args:
        target: The database: a DSN, a connection, a pool or an engine. None reads ``KIMBLEDB_DSN``,
            then ``DATABASE_URL``, then libpq's variables.
        catalog: The migrations; None means the built-in ones.
        owners: The names of columns that name the owner of a row.
        values: Values for sample rows, by table and column. They replace made-up values that the
            table does not accept.
        options: Deadline, timeouts and attempts; None means the defaults.

    Returns:
        The accesses that the database should have refused, and the tables that could not be tried.

    Raises:
        ConfigurationError: The target cannot be used, or tables require each other's rows.
        PreflightError: The role may not act as the two people.
        MigrationError: The catalog cannot be applied to a fresh schema.
    """
    options = options or Options()
    where = target_of(target)
    schema = f"kimbledb_isolation_{secrets.token_hex(4)}"
    with driver_errors():
        try:
            await migrate(where, catalog=catalog, schema=schema, verify=False, options=options)
            async with where.session(options) as session:
                return await _check(session, schema, tuple(owners), values or {})
        finally:
            async with where.session(options) as session:
                await session.send(f"DROP SCHEMA IF EXISTS {quote_identifier(schema)} CASCADE")


async def _check(
    session: Session, schema: str, owners: Sequence[str], values: Mapping[str, Mapping[str, Any]]
) -> IsolationReport:
    """Check a migrated schema in a transaction that is rolled back."""
    connection = session.connection
    state = await history.look(session, schema)
    found = await session.ask(queries.question("test_tables", schema=quote_literal(schema)))
    tables: dict[str, TableFacts] = {table["name"]: table for table in found}
    ownership = Ownership(tables, owners)
    async with connection.transaction(kept=False):
        await connection.execute(Session.path(state.search_path(schema, state.extensions)))
        samples = SampleRows(connection, schema, ownership, values)
        people, nobody = await _roles(connection, schema, map(samples.qualified, tables), samples.people[0])
        await samples.insert_all()
        attempts = AccessAttempts(connection, people, ownership, samples)
        for table in sorted(ownership.owned - samples.untried.keys()):
            await attempts.try_table(table)
        privileges = await _privileges(connection, schema, nobody)
    return IsolationReport(
        tables=attempts.seen,
        breaches=_distinct([*attempts.breaches, *privileges]),
        loose=_distinct(attempts.loose),
        untried=samples.untried | attempts.untried,
        tries=attempts.tries,
        roles=(people, nobody),
    )


async def _roles(connection: Connection, schema: str, tables: Iterable[str], person: str) -> tuple[str, str]:
    """Return the role of the two people and the role of an anonymous visitor.

    Roles that the server lacks are created, and removed by the transaction's rollback.

    Args:
        connection: A connection in the transaction of the check.
        schema: The schema.
        tables: The quoted names of its tables.
        person: A person whose identity is set once, as a test.

    Raises:
        PreflightError: The connection's role may not create them, or may not act as them.
    """
    present = {
        row[0]
        for row in await connection.fetch(
            "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('authenticated', 'anon')"
        )
    }
    people, nobody = (
        name if name in present else f"kimbledb_{temporary}_{secrets.token_hex(4)}"
        for name, temporary in (("authenticated", "people"), ("anon", "nobody"))
    )
    home = quote_identifier(schema)
    try:
        for role in (people, nobody):
            if role not in present:
                await connection.execute(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER")
            await connection.execute(f"GRANT USAGE ON SCHEMA {home} TO {role}")
        if people not in present:
            # No migration has granted this role anything: the policies alone must keep people apart.
            await connection.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {people};"
                f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {home} TO {people};"
                f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {home} TO {people}"
            )
        async with acting_as(connection, people, person):
            pass
    except ServerError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        raise PreflightError(
            [
                (
                    f"the connection's role cannot act as the two people of the check: {first_line(error)}",
                    "connect as a role that may create roles, or GRANT it the roles authenticated and anon",
                )
            ]
        ) from error
    return people, nobody


async def _privileges(connection: Connection, schema: str, nobody: str) -> list[Breach]:
    """Return each privilege that an anonymous visitor has on an object of the schema."""
    query = queries.filled("test_granted", schema=quote_literal(schema), role=quote_literal(nobody))
    [[answer]] = await connection.fetch(query)
    return [Breach(thing, privilege, f"granted to {nobody}") for thing, privilege in json.loads(answer)]


def _distinct(breaches: Iterable[Breach]) -> tuple[Breach, ...]:
    """Return the breaches, each once: most of them are found for both people."""
    return tuple(dict.fromkeys(breaches))
