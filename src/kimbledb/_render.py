"""One SQL file of all migrations, for an SQL editor: the document's run-all-migrations.sql.

It is one transaction in plain SQL, for the schema ``public``. It writes the same
history as :func:`kimbledb.migrate`, under the same locks, so that either can go
on where the other was.
"""

from __future__ import annotations

from kimbledb import history, queries
from kimbledb.catalog import Catalog
from kimbledb.errors import AlternativesError, ConfigurationError
from kimbledb.locks import BOOTSTRAP_KEY, LOCK_CLASS, lock_key
from kimbledb.model import Evidence, Migration
from kimbledb.names import quote_array, quote_literal
from kimbledb.plan import Plan, StepState
from kimbledb.planner import Planner
from kimbledb.preflight import OLDEST_SERVER, wanted_extensions
from kimbledb.version import __version__

_SCHEMA = "public"

_HEAD = """\
-- {count} migrations of {source} in order, as one transaction. Made by `kimbledb render`: do not edit it.
--
-- Paste it into an SQL editor and run it whole, as the owner of the schema public. Where a
-- migration fails the error begins with its name, and nothing of the file is kept. Run again it
-- passes over what is applied; kimbledb goes on from what it leaves, and it from kimbledb.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL row_security = off;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '30s';
SET LOCAL statement_timeout = 0;
"""

_TAIL = """
COMMIT;

SELECT migration_name, applied_at, success, execution_time_ms FROM public.migration_history ORDER BY id;
"""


def render(catalog: Catalog | None = None) -> str:
    """Return the file. See :func:`kimbledb.render`."""
    chosen = catalog if catalog is not None else Catalog.builtin()
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
    parts = [
        _HEAD.format(count=len(chosen), source="kimbledb" if chosen.source == "built-in" else "a folder"),
        "\n-- One at a time, and not while kimbledb is at work.\n",
        queries.block(
            "render_lock",
            lock_class=str(LOCK_CLASS),
            bootstrap_key=str(BOOTSTRAP_KEY),
            lock_key=str(lock_key(_SCHEMA)),
        ),
        "\n-- What they need of the server, and the tables that say what is applied.\n",
        # The history tables first: they are named in full, and their functions pin their path.
        history.creation(_SCHEMA, version=__version__, take_over=True),
        queries.block(
            "render_start",
            oldest=str(OLDEST_SERVER),
            oldest_major=str(OLDEST_SERVER // 10000),
            extensions=quote_array(each.name for each in wanted_extensions(chosen)),
        ),
    ]
    phase = None
    for name in planner.ordered(needs):
        migration = chosen[name]
        if migration.phase != phase:
            phase = migration.phase
            parts.append(f"\n-- Phase {phase}\n" if phase is not None else "\n")
        parts.append(f"\n-- {migration}\n" + _block(migration, plans))
    return queries.unsigned("".join(parts)) + _TAIL


def _block(migration: Migration, plans: dict[bool, Plan]) -> str:
    taken = {hosted: plan.step(migration.name).state is not StepState.REPLACED for hosted, plan in plans.items()}
    condition = {(True, True): "true", (True, False): "NOT hosted", (False, True): "hosted", (False, False): "false"}
    body = queries.filled(
        "render_migration",
        name=quote_literal(migration.name),
        alternatives=quote_array(migration.alternatives),
        condition=condition[taken[False], taken[True]],
        checksum=migration.checksum,
        checksums=quote_array((migration.checksum, *migration.supersedes)),
        version=quote_literal(__version__),
        script=queries.quoted(migration.apply_sql.rstrip("\n"), "script"),
    )
    return f"DO {queries.quoted(body, 'migration')};\n"
