"""Render: write all migrations as one SQL file for an SQL editor, the document's run-all-migrations.sql.

The file is plain SQL for the schema ``public``: one transaction, or several if a migration adds a value to a type.
Each transaction begins with the same questions: whether the migrations before it are applied, and whether the schema
holds a part of one that is not.
It writes the same history as ``kimbledb.migrate()``, under the same locks, so that either can continue
where the other stopped.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog, CatalogLike
from kimbledb.errors import AlternativesError, ConfigurationError
from kimbledb.execution import history_tables
from kimbledb.execution.command import limits_of
from kimbledb.execution.messages import keep_older, take_back
from kimbledb.execution.run import catalog_of
from kimbledb.inspection.preflight import OLDEST_SERVER, wanted_extensions
from kimbledb.inspection.proof import lookup_values
from kimbledb.model.evidence import Evidence
from kimbledb.model.garbage import uncollected
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import DatabaseObject
from kimbledb.model.plan import Plan
from kimbledb.model.state import PLATFORMS
from kimbledb.model.step import StepState
from kimbledb.model.text import one_line
from kimbledb.operations.migrate import Executor
from kimbledb.planning.fold import fold, owners_of
from kimbledb.planning.planner import Planner
from kimbledb.server import queries
from kimbledb.server.locks import BOOTSTRAP_KEY, LOCK_CLASS, lock_key
from kimbledb.server.search_path import guard_of
from kimbledb.server.settings import PINNED, settings_values
from kimbledb.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from kimbledb.execution.command import Invocation

GROUPS = ("database", "limits")
EXAMPLE = "kimbledb render --output all.sql"

_SCHEMA = "public"

_HEAD = """\
-- {count} migrations of {source} in order, {transactions}. Made by `kimbledb render`: do not edit it.
--
-- Paste it into an SQL editor and run it whole, as the owner of the schema public. Where a
-- migration fails the error begins with its name, and {kept}. Run again it
-- passes over what is applied; kimbledb goes on from what it leaves, and it from kimbledb. Where
-- the schema holds a part of a migration that is not applied it changes nothing: migrate() completes.
{division}"""
_CHANGED = """\
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is {checksum}', recorded;
"""

_DIVISION = """\
--
-- A value that is added to a type can be used after the COMMIT. One follows
{names}.
"""
#: A value that is added to an enumeration can be used only after the COMMIT. The words need only stand
#: somewhere in a script: a COMMIT too many does no harm.
_ADDS_VALUE = re.compile(r"\badd(?:\s|--[^\n]*\n|/\*.*?\*/)+value\b", re.IGNORECASE | re.DOTALL)
#: The kinds of objects of which a schema may hold more than its migrations make: they make no part of one.
_SLIGHT = frozenset({"comment", "privilege", "default privilege"})
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


def render(catalog: CatalogLike = None, *, plan: Plan | None = None) -> str:
    """Return one SQL file of all migrations, for an SQL editor; or what a plan would do, to be read.

    With ``plan`` it is ``plan.sql()``, which is not to be run. All that follows is about the file of all migrations.

    The file is for the schema ``public``, without commands of a client. It is one transaction. Where a migration adds
    a value to a type, one transaction ends after it, since a value can be used only then; the head of the file names
    these migrations.

    The file asks history for each migration, passes over what is applied, and writes history as ``migrate()`` does. It
    does nothing the second time. Where a migration fails, the error begins with its name, and nothing of its transaction
    is kept. Where the schema holds an object of a migration that is not applied, the file stops before it changes
    anything, and names the object and ``migrate()``. It knows the objects of recorded migrations alone
    (``kimbledb declare``). History decides between alternatives, else whether the database is hosted. The file does
    not run verify.sql: ``verify()`` does.

    Args:
        catalog: The migrations, or the path of their folder; None for the built-in ones.
        plan: A plan, which excludes ``catalog``; None for all migrations.

    Returns:
        The text of the file.

    Raises:
        ConfigurationError: A migration cannot run in a transaction, or both a catalog and a plan are given.
        PlanningError: No plan can be made, as where alternatives have no default.
    """
    if plan is not None:
        if catalog is not None:
            raise ConfigurationError("catalog and plan exclude each other", hint="the plan holds its migrations")
        return plan.sql()
    chosen = catalog_of(catalog)
    outside = [migration.name for migration in chosen if not migration.transactional]
    if outside:
        raise ConfigurationError(
            f"one transaction cannot hold {', '.join(outside)}: transactional = false",
            hint="apply them by migrate()",
        )
    with uncollected():
        return _rendered(chosen)


def _rendered(chosen: Catalog) -> str:
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
    # The last migration has a COMMIT in any case.
    breaks = [migration for migration in ordered[:-1] if _adds_value(migration)]
    # It grows in place: a text of ten thousand migrations is long, and a list of its parts as long again.
    text = _head(chosen, breaks)
    kept = "nothing of this file was kept"
    phase = None
    for number, migration in enumerate(ordered):
        if number == 0 or ordered[number - 1] in breaks:
            if number:
                kept = f"what stands before it is kept, up to {ordered[number - 1].name}"
                text += "\n-- Values that were added to a type can be used from here on.\nCOMMIT;\n"
            text += _beginning(chosen, ordered, number, plans, kept)
        if migration.phase != phase:
            phase = migration.phase
            text += f"\n-- Phase {phase}\n" if phase is not None else "\n"
        text += f"\n-- {migration}\n{_block(migration, plans, kept)}"
    if not ordered:
        text += _beginning(chosen, ordered, 0, plans, kept)
    text += _TAIL
    return text


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", metavar="FILE", help="the file (standard output)")
    parser.add_argument(
        "--pending",
        action="store_true",
        help="only what is pending in the database, as SQL to be read and not to be run",
    )


async def command(invocation: Invocation) -> int:
    """Write one SQL file of all migrations, for an SQL editor.

    The file asks history for each migration, writes history as migrate does, and does nothing the second time.
    """
    given, output = invocation.given, invocation.given.output
    _check(given)
    if given.pending:
        async with invocation.target() as target:
            executor = Executor(
                target, catalog=invocation.catalog, schema=invocation.schema, options=invocation.options
            )
            found = await executor.plan(**limits_of(given))
        invocation.write(render(plan=found), output)
        if output is not None:
            invocation.line(f"wrote {output}: {found.summary}")
        return 0
    invocation.write(render(invocation.catalog), output)
    if output is not None:
        invocation.line(f"wrote {output}: run the whole file in an SQL editor")
    return 0


def _check(given: Namespace) -> None:
    """Refuse arguments that would change nothing."""
    if given.json:
        raise ConfigurationError("render writes SQL, and takes no --json", hint="`kimbledb plan --json` is the plan")
    names = ("dsn", "embedded", "schema", "to", "phase", "prefer", "set_aside")
    if not given.pending and (without := [name for name in names if getattr(given, name) not in (None, [])]):
        raise ConfigurationError(
            f"--{without[0].replace('_', '-')} is for `kimbledb render --pending`",
            hint="without --pending the file is for any database, and for the schema public",
        )


def _head(catalog: Catalog, breaks: Sequence[Migration]) -> str:
    names = textwrap.wrap(", ".join(one_line(each.name) for each in breaks), 96, break_on_hyphens=False)
    return _HEAD.format(
        count=len(catalog),
        source="kimbledb" if catalog.source == "built-in" else "a folder",
        transactions=f"as {len(breaks) + 1} transactions" if breaks else "as one transaction",
        kept="nothing of its transaction is kept" if breaks else "nothing of the file is kept",
        division=_DIVISION.format(names="\n".join(f"-- {line}" for line in names)) if breaks else "",
    )


def _adds_value(migration: Migration) -> bool:
    """Whether a migration may add a value to a type, by its words or by its declarations."""
    return _ADDS_VALUE.search(f"{migration.apply_sql}\n{migration.hosted_sql}") is not None or any(
        each.kind == "type" and "labels" in (each.facts or {}) for each in migration.changes
    )


def _beginning(
    catalog: Catalog, ordered: Sequence[Migration], number: int, plans: Mapping[bool, Plan], kept: str
) -> str:
    """Return the start of a transaction: its settings, its locks, and what must hold before its first migration.

    Args:
        catalog: The catalog.
        ordered: All migrations, in the order of the file.
        number: The number of those in transactions before this one.
        plans: The plan of an empty database, by whether it is hosted.
        kept: The part of the file that stays where this transaction fails, in words.
    """
    older, taking = queries.quoted(keep_older().rstrip("\n"), "older"), queries.quoted(take_back().rstrip("\n"), "back")
    extensions = quote_array(each.name for each in wanted_extensions(catalog))
    parts = [
        "BEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\n",
        queries.block("render_settings", values=settings_values(_SETTINGS)),
        "\n-- One at a time, and not while kimbledb is at work.\n",
        queries.block(
            "render_lock",
            lock_class=str(LOCK_CLASS),
            bootstrap_key=str(BOOTSTRAP_KEY),
            lock_key=str(lock_key(_SCHEMA)),
        ),
        "\n-- Nothing of a stranger's is called.\n",
        f"DO {queries.quoted(guard_of([_SCHEMA, 'extensions']), 'guard')};\n",
    ]
    made_on = queries.filled(
        "render_made_on", parts=queries.filled("own_parts", namespace=f"'{_SCHEMA}'::regnamespace")
    )
    parts += [
        "\n-- What a migration makes on older tables is noted.\n",
        queries.block("render_made", made_on=queries.quoted(made_on, "made")),
    ]
    if catalog.closed:
        parts += [
            "\n-- What default privileges give on what a migration makes is taken back.\n",
            queries.block("render_closed", older=older, take_back=taking),
        ]
    parts.append("\n-- What they need of the server, and the tables that say what is applied.\n")
    if number == 0:
        # The history tables come first: they are named in full, and their functions pin their search_path.
        parts.append(history_tables.creation(_SCHEMA, version=__version__, take_over=True))
    else:
        parts.append(queries.block("render_part", before=_json(_steps(ordered[:number], plans))))
    parts += [
        queries.block(
            "render_start",
            oldest=str(OLDEST_SERVER),
            oldest_major=str(OLDEST_SERVER // 10000),
            extensions=extensions,
            migrations=_json([{"name": each.name, "checksums": [each.checksum, *each.supersedes]} for each in catalog]),
        ),
        queries.block("render_path", extensions=extensions),
        _looking(ordered, number, plans, kept),
    ]
    return queries.unsigned("".join(parts))


def _steps(migrations: Iterable[Migration], plans: Mapping[bool, Plan]) -> list[dict[str, object]]:
    """Return the questions of the file to history about migrations, in order."""
    return [
        {
            "name": each.name,
            "checksums": [each.checksum, *each.supersedes],
            "instead": each.alternatives,
            "on": [platform for hosted, platform in PLATFORMS.items() if _is_taken(each, plans[hosted])],
        }
        for each in migrations
    ]


def _looking(ordered: Sequence[Migration], number: int, plans: Mapping[bool, Plan], kept: str) -> str:
    """Return the block that stops where the schema holds a part of a migration that is not applied.

    Args:
        ordered: All migrations, in the order of the file.
        number: The number of those in transactions before this one.
        plans: The plan of an empty database, by whether it is hosted.
        kept: The part of the file that stays where this transaction fails, in words.
    """
    steps = _steps(ordered, plans)
    looked: dict[str, DatabaseObject] = {}
    differs = any(each.hosted is not None for migration in ordered for each in migration.declarations.statements)
    takes_others = any(_is_taken(each, plans[False]) != _is_taken(each, plans[True]) for each in ordered)
    for hosted, platform in PLATFORMS.items():
        if not hosted or differs or takes_others:
            first, made = _first_made(ordered, number, plans[hosted], hosted=hosted)
            looked |= first
        for step, names in zip(steps, made, strict=True):
            step[f"makes on {platform}"] = names
    values = lookup_values(looked.values(), _SCHEMA)
    if not values:
        return ""
    return "\n-- What is there in part is not for this file.\n" + queries.block(
        "render_look", steps=_json(steps), kept=quote_literal(kept), **values
    )


def _first_made(
    ordered: Sequence[Migration], number: int, plan: Plan, *, hosted: bool
) -> tuple[dict[str, DatabaseObject], list[list[str]]]:
    """Return the objects that migrations are the first to make, without those that belong to other objects of theirs.

    Args:
        ordered: All migrations, in the order of the file.
        number: The number of those in transactions before.
        plan: The plan of an empty database of the platform.
        hosted: Whether it is a hosted one.

    Returns:
        The objects by their kinds and names, and for each migration the names of those that it makes, too.
    """
    taken = [migration for migration in ordered if _is_taken(migration, plan)]
    folded = fold(taken, hosted=hosted)
    applied = {migration.name for migration in taken}
    older: set[str] = set()
    found: dict[str, DatabaseObject] = {}
    names: list[list[str]] = []
    for place, migration in enumerate(ordered):
        made = _made_by(migration, hosted=hosted)
        names.append(list(made))
        if migration.name not in applied:
            continue
        if place >= number:
            keys = {each.key for each in made.values()}
            found |= {
                name: each
                for name, each in made.items()
                if (each.kind == "table" or keys.isdisjoint(owners_of(each.key, each.facts)))
                and name not in older
                # A part of a renamed table is there under its new name, which no migration gives it.
                and (each.facts is None or not folded.before(migration, each.key))
            }
        older.update(made)
    return found, [[name for name in each if name in found] for each in names]


def _made_by(migration: Migration, *, hosted: bool) -> dict[str, DatabaseObject]:
    """Return the objects that a migration makes, or gives their names, by their kinds and names."""
    statements = migration.declarations.on(hosted=hosted)
    renamed = [DatabaseObject(kind, name) for statement in statements for (kind, _), name in statement.renames.items()]
    made = [each for statement in statements for each in statement.creates if each.kind not in _SLIGHT]
    return {str(each): each for each in (*renamed, *made)}


def _json(value: object) -> str:
    return f"{quote_literal(json.dumps(value))}::jsonb"


def _condition(migration: Migration, plans: dict[bool, Plan]) -> str:
    """Return the SQL condition under which a migration is taken, by platform."""
    taken = {hosted: _is_taken(migration, plan) for hosted, plan in plans.items()}
    condition = {(True, True): "true", (True, False): "NOT hosted", (False, True): "hosted", (False, False): "false"}
    return condition[taken[False], taken[True]]


def _is_taken(migration: Migration, plan: Plan) -> bool:
    return plan.step(migration.name).state is not StepState.REPLACED


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
        changed="" if migration.repeatable else _CHANGED.format(checksum=migration.checksum),
        version=quote_literal(__version__),
        script=queries.quoted(migration.apply_sql.rstrip("\n"), "script"),
    )
    return queries.unsigned(f"DO {queries.quoted(body, 'migration')};\n")
