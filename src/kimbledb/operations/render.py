"""Render: write all migrations as one SQL file for an SQL editor, the document's run-all-migrations.sql.

The file is plain SQL for the schema ``public``: one transaction, or several if a migration adds a value to a type.
It writes the same history as ``kimbledb.migrate()``, under the same locks, so that either can continue
where the other stopped.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import AlternativesError, ConfigurationError
from kimbledb.execution import history_tables
from kimbledb.execution.messages import keep_older, take_back
from kimbledb.execution.run import catalog_of
from kimbledb.inspection.preflight import OLDEST_SERVER, wanted_extensions
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.plan import Plan, StepState
from kimbledb.planning.planner import Planner
from kimbledb.server import queries
from kimbledb.server.locks import BOOTSTRAP_KEY, LOCK_CLASS, lock_key
from kimbledb.server.search_path import guard_of
from kimbledb.server.settings import PINNED, settings_values
from kimbledb.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from kimbledb.execution.command import Invocation

GROUPS = ()

_SCHEMA = "public"

_HEAD = """\
-- {count} migrations of {source} in order, {transactions}. Made by `kimbledb render`: do not edit it.
--
-- Paste it into an SQL editor and run it whole, as the owner of the schema public. Where a
-- migration fails the error begins with its name, and {kept}. Run again it
-- passes over what is applied; kimbledb goes on from what it leaves, and it from kimbledb.
"""
#: A value that is added to an enumeration can be used only after the COMMIT. The words need only stand
#: somewhere in a script: a COMMIT too many does no harm.
_ADDS_VALUE = re.compile(r"\badd\s+value\b", re.IGNORECASE)
#: The settings of each transaction. The client that sends the file sets the encoding.
_SETTINGS = {
    **{name: value for name, value in PINNED.items() if name != "client_encoding"},
    "lock_timeout": "30s",
    "statement_timeout": "0",
}

_TAIL = """
COMMIT;

SELECT migration_name, applied_at, success, execution_time_ms FROM public.migration_history ORDER BY id;
"""


def render(catalog: Catalog | None = None) -> str:
    """Return one SQL file of all migrations, for an SQL editor.

    The file is one transaction for the schema ``public``, without commands of a client.
    It writes history as ``migrate()`` does, is safe to run twice, and stops with the
    name of a migration that fails, keeping nothing. History decides between alternatives,
    else whether the database is hosted.

    Args:
        catalog: The migrations; None for the built-in ones.

    Raises:
        ConfigurationError: A migration cannot run in a transaction.
        PlanningError: No plan can be made, as where alternatives have no default.
    """
    chosen = catalog_of(catalog)
    outside = [migration.name for migration in chosen if not migration.transactional]
    if outside:
        raise ConfigurationError(
            f"one transaction cannot hold {', '.join(outside)}: transactional = false",
            hint="apply them by migrate()",
        )
    planner = Planner(chosen)
    try:
        plans = {hosted: planner.plan((), Evidence(hosted=hosted)) for hosted in (False, True)}
    except AlternativesError as error:
        raise AlternativesError(
            error.message,
            error.alternatives,
            hint="a file for any database has no other choice than the default: write `default = true` "
            f"in the migration.toml of one, such as {error.alternatives[0]}",
        ) from error
    needs = {
        step.name: tuple(dict.fromkeys((*step.needs, *plans[True].step(step.name).needs)))
        for step in plans[False].steps
    }
    ordered = [chosen[name] for name in planner.ordered(needs)]
    #: The migrations after which a COMMIT stands. The last migration has one in any case.
    breaks = [
        migration for migration in ordered[:-1] if _ADDS_VALUE.search(f"{migration.apply_sql}\n{migration.hosted_sql}")
    ]
    extensions = quote_array(each.name for each in wanted_extensions(chosen))
    parts = [
        _HEAD.format(
            count=len(chosen),
            source="kimbledb" if chosen.source == "built-in" else "a folder",
            transactions=f"as {len(breaks) + 1} transactions" if breaks else "as one transaction",
            kept="nothing of its transaction is kept" if breaks else "nothing of the file is kept",
        ),
        _beginning(closed=chosen.closed),
        "\n-- What they need of the server, and the tables that say what is applied.\n",
        # The history tables come first: they are named in full, and their functions pin their search_path.
        history_tables.creation(_SCHEMA, version=__version__, take_over=True),
        queries.block(
            "render_start",
            oldest=str(OLDEST_SERVER),
            oldest_major=str(OLDEST_SERVER // 10000),
            extensions=extensions,
            migrations=quote_literal(
                json.dumps([{"name": each.name, "checksums": [each.checksum, *each.supersedes]} for each in chosen])
            )
            + "::jsonb",
        ),
        queries.block("render_path", extensions=extensions),
    ]
    phase = None
    kept = "nothing of this file was kept"
    for migration in ordered:
        if migration.phase != phase:
            phase = migration.phase
            parts.append(f"\n-- Phase {phase}\n" if phase is not None else "\n")
        parts.append(f"\n-- {migration}\n" + _block(migration, plans, kept))
        if migration in breaks:
            kept = f"what stands before it is kept, up to {migration.name}"
            parts += [
                "\n-- Values that were added to a type can be used from here on.\nCOMMIT;\n",
                _beginning(closed=chosen.closed),
                queries.block(
                    "render_part",
                    condition=_condition(migration, plans),
                    names=quote_array((migration.name, *migration.alternatives)),
                ),
                queries.block("render_path", extensions=extensions),
            ]
    return queries.unsigned("".join(parts)) + _TAIL


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", metavar="FILE", help="the file (standard output)")
    parser.add_argument("--catalog", metavar="DIR", help="a folder of migrations (the built-in ones)")


async def command(invocation: Invocation) -> int:
    """Write one SQL file of all migrations, for an SQL editor."""
    output = invocation.given.output
    invocation.write(render(invocation.catalog), output)
    if output is not None:
        invocation.line(f"wrote {output}: run the whole file in an SQL editor")
    return 0


def _beginning(*, closed: bool) -> str:
    """Return the start of a transaction: its settings, its locks, and the check who owns what it would call.

    Args:
        closed: Whether the catalog is closed.
    """
    older, taking = queries.quoted(keep_older().rstrip("\n"), "older"), queries.quoted(take_back().rstrip("\n"), "back")
    closing = queries.block("render_closed", older=older, take_back=taking)
    return (
        "BEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\n"
        + queries.block("render_settings", values=settings_values(_SETTINGS))
        + "\n-- One at a time, and not while kimbledb is at work.\n"
        + queries.block(
            "render_lock",
            lock_class=str(LOCK_CLASS),
            bootstrap_key=str(BOOTSTRAP_KEY),
            lock_key=str(lock_key(_SCHEMA)),
        )
        + "\n-- Nothing of a stranger's is called.\n"
        + f"DO {queries.quoted(guard_of([_SCHEMA, 'extensions']), 'guard')};\n"
        + (f"\n-- What default privileges give on what a migration makes is taken back.\n{closing}" if closed else "")
    )


def _condition(migration: Migration, plans: dict[bool, Plan]) -> str:
    """Return the SQL condition under which a migration is taken, by platform."""
    taken = {hosted: plan.step(migration.name).state is not StepState.REPLACED for hosted, plan in plans.items()}
    condition = {(True, True): "true", (True, False): "NOT hosted", (False, True): "hosted", (False, False): "false"}
    return condition[taken[False], taken[True]]


def _block(migration: Migration, plans: dict[bool, Plan], kept: str) -> str:
    before = after = ""
    if migration.closed:
        before = "    EXECUTE current_setting('kimbledb.keep_older');\n"
        after = "    EXECUTE current_setting('kimbledb.take_back');\n"
    if migration.hosted_sql:
        hosted = queries.quoted(migration.hosted_sql.rstrip("\n"), "hosted")
        after += (
            f"    IF hosted THEN\n    EXECUTE {hosted};\n    END IF;\n"
            "    SET CONSTRAINTS ALL IMMEDIATE;\n    SET CONSTRAINTS ALL DEFERRED;\n"
        )
    body = queries.filled(
        "render_migration",
        before=before,
        after=after,
        name=quote_literal(migration.name),
        alternatives=quote_array(migration.alternatives),
        condition=_condition(migration, plans),
        failed=quote_literal(f"{migration.name} failed, and {kept}: "),
        checksum=migration.checksum,
        checksums=quote_array((migration.checksum, *migration.supersedes)),
        version=quote_literal(__version__),
        script=queries.quoted(migration.apply_sql.rstrip("\n"), "script"),
    )
    return f"DO {queries.quoted(body, 'migration')};\n"
