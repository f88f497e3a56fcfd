"""Provision: make a new database that is current, as a clone of a template; or a new schema."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from attrs import evolve

from kimbledb.catalog.catalog import CatalogLike
from kimbledb.errors import ConfigurationError, PreflightError
from kimbledb.execution.database_admin import (
    DATABASE_IN_USE,
    DUPLICATE_DATABASE,
    NO_SUCH_DATABASE,
    DatabaseAdmin,
)
from kimbledb.execution.run import Request
from kimbledb.execution.template import Template
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import AppliedStep
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.model.step import StepState
from kimbledb.operations.migrate import Executor, migrate
from kimbledb.server import queries
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.notifications import call_scope
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry
from kimbledb.server.runner import Runner
from kimbledb.server.schemas import check_database_name
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.targets import Target, TargetLike, kept, target_of
from kimbledb.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ("database",)
EXAMPLE = "kimbledb provision acme --catalog migrations"

#: The schema of a new database that is migrated.
_SCHEMA = "public"
_CURE = (
    "ALTER ROLE ... CREATEDB; where a platform allows none, make a schema in the database: schema=True (--schema NAME)"
)


async def provision(
    name: str,
    *,
    template: str | None = None,
    target: TargetLike = None,
    schema: bool = False,
    catalog: CatalogLike = None,
    options: Options | None = None,
) -> MigrationReport:
    """Make a new database that is current, in the time of a clone; or, with ``schema``, a new schema.

    The database is a clone (``CREATE DATABASE ... TEMPLATE``) of a template on the same server. The template is a database
    that was migrated once. It is made if it is missing, or if the catalog, the server's version, its extensions or the
    role have changed since. Any number of processes may call provision() at once: one makes the
    template, and the others wait for it.

    A call may be repeated: an existing database that is current stays as it is. Any other existing database is refused. A
    call that is killed leaves no database of that name, or a complete one.

    The history of the clone says who applied each migration, and when: at the making of the template. An entry
    ``provision`` in ``migration_log`` says when the clone was made.

    With ``schema`` the migrations run in the schema, which is made if missing. After a killed call the next one continues.

    Args:
        name: The name of the new database, or of the new schema.
        template: The name of the template, which kimbledb makes and replaces. None for a name that is made of a hash of its
            content: two versions of an application then have a template each. A template without a use in
            14 days is dropped when another one is made; one that a caller names stays.
        target: A database of the server, which stays as it is; or, with ``schema``, the database of the new schema. A
            DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them. None reads
            ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables. For a database it must be a DSN that does not
            lead through a pooler, or ``Options.direct_dsn`` must be one.
        schema: Whether to make a schema in the database of the target.
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        options: The deadline, the timeouts (in seconds) and the other limits. None for the defaults.

    Returns:
        The migrations that the new database or schema has by this call; none if it existed and was current. Those of a
        clone have no seconds and no checks: the template passed them.

    Raises:
        ConfigurationError: The name, the target or an option cannot be used.
        PreflightError: The role may not create databases; an existing database of that name is not current; or the
            database with the template's name is not kimbledb's. Nothing was touched.
        LockUnavailableError: Sessions were connected to the template in every attempt, or another process has been
            making it for longer than the deadline.
        KimbleDBError: As ``migrate()`` raises it, for the template or for the schema.
    """
    with call_scope("provision") as call:
        if schema:
            if template is not None:
                raise ConfigurationError(
                    "template and schema exclude each other", hint="only a database is made from a template"
                )
            executor = Executor(target, catalog=catalog, schema=name, options=options)
            call.about(executor.target.label, name)
            return await executor.apply()
        work = _Database(name, template, Request(target, catalog=catalog, options=options))
        call.about(work.made.label, _SCHEMA)
        return call.done(await work.provision())


class _Database:
    """One call that makes a database."""

    def __init__(self, name: str, template: str | None, request: Request) -> None:
        self._name = check_database_name(name)
        self._template = None if template is None else check_database_name(template, "template")
        if name == template:
            raise ConfigurationError(f"the new database and its template have the same name, {name!r}")
        self._catalog = request.catalog
        self._options = request.options
        direct = request.options.direct_dsn
        self._server = request.target if direct is None else target_of(direct, "Options.direct_dsn")
        if self._server.address is None:
            raise ConfigurationError(
                "a new database needs connections of its own, and the target is a connection, a pool or an engine",
                hint="pass a DSN, here or in Options(direct_dsn=...); schema=True makes a schema on any target",
            )
        #: The new database.
        self.made: Target = self._server.beside(name)
        self._clock = stopwatch()
        self._runner = Runner(self._server, self._options)
        self._run = secrets.randbits(31)
        #: The template of which a clone was asked for, or None.
        self._cloned: str | None = None

    async def provision(self) -> MigrationReport:
        is_ours = await self._runner.run(self._clone)
        async with kept(self.made) as made:
            # A template is complete, so that a glance is enough, except after a change to an opened template.
            report = await (self._applied(made) if is_ours else self._existing(made))
            if self._cloned is None:
                return report
            await Runner(made, self._left()).run(self._record)
        steps = (step for step in report.plan.steps if step.state is StepState.APPLIED)
        applied = report.applied or tuple(AppliedStep(step.migration, 0.0) for step in steps)
        return evolve(report, applied=applied, seconds=self._clock())

    async def _applied(self, made: Target) -> MigrationReport:
        return await Executor(made, catalog=self._catalog, options=self._left()).apply()

    def _left(self) -> Options:
        """Return the options with what is left of the deadline."""
        return evolve(self._options, deadline=max(0.001, self._options.deadline - self._clock()))

    async def _clone(self, session: Session) -> bool:
        """Clone the template, and return whether this attempt did. An existing database may be the clone of a lost attempt."""
        maker = DatabaseAdmin(self._server, self._options, session=session, cure=_CURE)
        dropper = DatabaseAdmin(self._server, self._options)
        template = Template(
            maker,
            dropper,
            catalog=self._catalog,
            fill=self._fill,
            schema=_SCHEMA,
            prepare="",
            options=self._options,
            name=self._template,
        )
        self._runner.doing = f"looking for the database {self._name}"
        own = queries.question("provision_look", name=quote_literal(self._name))
        here, templates = await session.ask_all([own, template.question()])
        if here["exists"]:
            return False
        if here["process_id"] != session.connection.server_pid:
            raise ConfigurationError(
                f"{self._server.label} is a pooler, and a database is made in a session of the server's own",
                hint="pass the DSN of the server itself: Options(direct_dsn=...)",
            )
        try:
            self._runner.doing = "finding the template"
            is_new = await template.find(self._run, templates)
            template.check_unused()
            self._runner.doing = f"cloning the template {template.name}"
            self._cloned = template.name
            await self._create(maker, template.name)
            if is_new:
                for name in await maker.leftovers(template.name):
                    await dropper.drop(name)
        finally:
            await dropper.close()
            await maker.close()
        return True

    async def _create(self, maker: DatabaseAdmin, template: str) -> None:
        try:
            await maker.create(self._name, template, ours=False)
        except ServerError as error:
            if not maker.is_closed:
                self._cloned = None
            if error.sqlstate in DUPLICATE_DATABASE:
                raise Retry from error  # another call was quicker
            if error.sqlstate in (DATABASE_IN_USE, NO_SUCH_DATABASE):
                raise Retry(contended=first_line(error)) from error  # sessions use the template, or it was dropped
            raise

    async def _fill(self, name: str) -> None:
        self._runner.doing = "making the template"
        await migrate(self._server.beside(name), catalog=self._catalog, options=self._left())

    async def _record(self, session: Session) -> None:
        detail = {"run": self._runner.run_id, "template": self._cloned}
        await session.send(
            BEGIN
            + session.settings()
            + queries.filled(
                "record_provisioned",
                schema=quote_identifier(_SCHEMA),
                version=quote_literal(__version__),
                detail=f"{quote_literal(json.dumps(detail))}::jsonb",
            )
            + "COMMIT;\n"
        )

    async def _existing(self, made: Target) -> MigrationReport:
        """Return the report of an existing database that is current.

        Raises:
            PreflightError: It is not current.
        """
        plan = await Executor(made, catalog=self._catalog, options=self._left()).plan()
        if plan.pending or plan.refused:
            raise PreflightError(
                [
                    (
                        f"the database {self._name} exists already, and is not current: {plan.summary}",
                        "choose another name, or bring it up to date: migrate()",
                    )
                ]
            )
        return MigrationReport((), plan, self._clock(), VerificationReport(()))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the new database; none with --schema NAME")
    parser.add_argument(
        "--template", metavar="DATABASE", help="the template, which is made and replaced (one for each content)"
    )


async def command(invocation: Invocation) -> int:
    """Make a new database that is current, as a clone; or a new schema, with --schema.

    A database that is current is left as it is, and one that is not is refused.
    """
    given = invocation.given
    schemas = given.schema or []
    if len(schemas) + (given.name is not None) != 1:
        raise ConfigurationError(
            "provision makes one thing: a database (NAME) or a schema (--schema NAME)",
            hint="`kimbledb provision acme`, or `kimbledb provision --schema acme`",
        )
    async with invocation.target() as target:
        report = await provision(
            given.name or schemas[0],
            template=given.template,
            target=target,
            schema=given.name is None,
            catalog=invocation.catalog,
            options=invocation.options,
        )
    invocation.show(report)
    return 0
