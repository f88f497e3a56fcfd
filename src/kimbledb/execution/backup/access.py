"""The connection settings of client programs: host, port, user, TLS and password, past any pooler.

The password is in the environment of the child process, which only its own user can see; a command
line is visible to everybody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attrs import field, frozen

from kimbledb.errors import BackupError
from kimbledb.inspection import history
from kimbledb.model.state import DatabaseState
from kimbledb.server import queries
from kimbledb.server.address import ENVIRONMENT
from kimbledb.server.driver import Endpoint
from kimbledb.server.dsn import database_pair
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import DSN_VARIABLES, Target, target_of

#: Variables that libpq reads from the environment and that are set here instead (manual, 34.15).
_OURS = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSERVICE", "PGSERVICEFILE"),
    *("PGTARGETSESSIONATTRS", "PGAPPNAME", "PGCONNECT_TIMEOUT", *DSN_VARIABLES),
)


@frozen
class Access:
    """All that a client program needs to reach a database."""

    #: Host, port and database, as it is shown.
    label: str
    database: str
    #: The server's major version: 15, 18.
    major: int
    environment: Mapping[str, str] = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def conninfo(self) -> str:
        """The connection string that names the database; the rest is in the environment."""
        # A bare name that looks like a DSN would be read as one (manual, 34.1.1).
        return database_pair(self.database)


async def access_to(session: Session, state: DatabaseState, target: Target, options: Options) -> Access:
    """Find out how client programs reach the database.

    Args:
        session: A session of the target.
        state: The state of its database.
        target: The target on which the session was opened.
        options: The options with the application's name and the DSN past a pooler.

    Raises:
        BackupError: A pooler is between, the driver does not say where the connection leads, or
            ``direct_dsn`` leads to another database.
    """
    if options.direct_dsn is None:
        return await _access(session, state, target, options)
    target = target_of(options.direct_dsn, "Options.direct_dsn")
    async with target.session(options) as direct:
        found = await history.look(direct, "public")
        if (found.database, found.server_version) != (state.database, state.server_version):
            raise BackupError(
                f"Options.direct_dsn leads to the database {found.database}, and the target is {state.database}",
                hint="name the same database, past the pooler",
            )
        return await _access(direct, state, target, options)


async def _access(session: Session, state: DatabaseState, target: Target, options: Options) -> Access:
    async with session.connection.endpoints() as endpoints:
        process_id = await session.ask(queries.question("process_id"))
    if session.connection.server_pid != process_id:
        raise BackupError(
            "a pooler is between, and the settings that pg_dump makes for its session would reach other clients",
            hint="name the server itself: Options(direct_dsn=...)",
        )
    if not endpoints:
        raise BackupError("the driver does not say where the connection leads", hint="pass a DSN")
    there = endpoints[0]
    database = there.database or state.database
    environment = _environment(target, options, there) | {"PGHOST": there.host, "PGPORT": there.port}
    return Access(
        f"{there.host}:{there.port}/{database}", database, state.version_number // 10000, environment, there.password
    )


def _environment(target: Target, options: Options, there: Endpoint) -> dict[str, str]:
    """Return this process's environment with the user, TLS and password of a connection."""
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment |= {
        "PGUSER": there.user,
        "PGAPPNAME": options.application_name,
        "LC_MESSAGES": "C",
    }
    if there.sslmode is not None:
        environment["PGSSLMODE"] = there.sslmode
    if target.address is not None:
        tls = target.address.tls
        environment |= {ENVIRONMENT[name]: value for name, value in tls.items() if name in ENVIRONMENT}
        if "options" in target.address.settings:
            environment["PGOPTIONS"] = target.address.settings["options"]
    if there.password is not None:
        environment["PGPASSWORD"] = there.password
    return environment
