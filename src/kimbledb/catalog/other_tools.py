"""Other migration tools: each is recognised by its files, by directives in them, and by its history in a database.

The readers of folders refuse files that they would misread. A run stops beside a history of another tool that
records applied migrations. Both use the one table of this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from attrs import frozen

from kimbledb.model.fault import Fault


@frozen
class History:
    """A table in which a tool records the migrations that it has applied."""

    table: str
    #: Columns that the table has among others. A single name means that it has only this column.
    columns: tuple[str, ...]
    #: The tool's own schema, or None where the table is in the application's schema.
    schema: str | None = None
    #: The condition that holds for the row of an applied migration.
    applied: str = "true"
    #: The name of a row's migration, as an expression over its columns; None for the first of ``columns``.
    calls: str | None = None
    #: The condition that holds for the row of a migration that failed, or was interrupted.
    failed: str = "false"
    #: The condition that holds for a row that means all migrations before its own, too: some tables hold the last alone.
    last: str = "false"


@frozen
class Tool:
    """A migration tool."""

    name: str
    histories: tuple[History, ...] = ()
    #: Regular expressions of the tool's directives: comments that only this tool interprets, from `--` on.
    directives: tuple[str, ...] = ()
    #: Whether the directives separate a migration from its rollback in one file.
    both_ways: bool = False
    #: Regular expressions of the names of files and folders, or a path, that identify the tool's folder.
    files: tuple[str, ...] = ()
    #: Names of the files in the folder of one migration.
    parts: tuple[str, ...] = ()
    #: Whether a format reads the folder of its migrations.
    is_read: bool = False
    #: The cure that makes such a folder readable.
    cure: str = (
        "give each migration its own folder, such as 01_base-tables, with the change in apply.sql "
        "and its rollback in rollback.sql"
    )


_NO_SUCCESS = "success::text NOT IN ('true', '1')"

# Names that several tools share.
_VERSIONS = (r"(?:[VUB][0-9][0-9._]*|R)__.+\.(?:sql|conf|java|rs)",)
_PAIRS = (r"[0-9]+_.+\.(?:tx\.)?(?:up|down)\.sql",)

TOOLS: tuple[Tool, ...] = (
    Tool(
        "goose",
        (
            History(
                "goose_db_version",
                ("version_id", "is_applied"),
                applied="version_id::text <> '0' AND is_applied::text IN ('true', '1')",
            ),
        ),
        is_read=True,
        directives=(r"--\s*\+goose\b",),
        both_ways=True,
    ),
    Tool(
        "dbmate",
        (History("schema_migrations", ("version",)),),
        is_read=True,
        directives=(r"--\s*migrate:\s*(?:up|down)\b",),
        both_ways=True,
    ),
    Tool(
        "sql-migrate",
        (History("gorp_migrations", ("id", "applied_at")),),
        directives=(r"--\s*\+migrate\b",),
        both_ways=True,
    ),
    Tool(
        "tern",
        (History("schema_version", ("version",), applied="version::text <> '0'", last="true"),),
        is_read=True,
        directives=(r"---*\s*create above\s*/\s*drop below\b", r"----\s*tern:"),
        both_ways=True,
        files=(r"tern\.conf",),
    ),
    Tool(
        "rambler",
        (History("migrations", ("migration",)),),
        directives=(r"--\s*rambler\s+(?:up|down)\b",),
        both_ways=True,
    ),
    Tool(
        "MyBatis Migrations",
        (History("changelog", ("id", "applied_at", "description")),),
        directives=(r"--\s*//\s*@UNDO\b",),
        both_ways=True,
    ),
    Tool(
        "node-pg-migrate",
        (History("pgmigrations", ("id", "name", "run_on"), calls="name"),),
        directives=(r"--\s*(?:up|down)\s+migration\b",),
        both_ways=True,
    ),
    Tool(
        "Play evolutions",
        (History("play_evolutions", ("id", "hash", "apply_script")),),
        directives=(r"---*\s*!(?:ups|downs)\b",),
        both_ways=True,
    ),
    Tool(
        "Liquibase",
        (History("databasechangelog", ("id", "author", "filename", "orderexecuted")),),
        directives=(r"--\s*liquibase\s+formatted\s+sql\b", r"--\s*changeset\s+\S+:\S+"),
        both_ways=True,
        files=(r"(?:.*[-._])?changelog(?:[-._].*)?\.(?:xml|ya?ml|json)", r"liquibase\.properties"),
    ),
    Tool(
        "Sqitch",
        (History("changes", ("change_id", "change", "project"), schema="sqitch", calls="change"),),
        is_read=True,
        directives=(r"--\s*(?:deploy|revert|verify)\s+\S+:\S+\s+(?:to|from|on)\s+pg\b",),
        files=(r"sqitch\.(?:plan|conf)", "deploy"),
    ),
    Tool(
        "Drizzle",
        (
            History("__drizzle_migrations", ("hash", "created_at"), schema="drizzle"),
            History("__drizzle_migrations", ("hash", "created_at")),
        ),
        is_read=True,
        directives=(r"-->\s*statement-breakpoint\b",),
        files=("meta/_journal.json",),
    ),
    Tool(
        "graphile-migrate",
        (History("migrations", ("hash", "previous_hash", "filename"), schema="graphile_migrate", calls="filename"),),
        directives=(r"--!\s*(?:previous|hash|message|include|allowinvalidhash)\b",),
        files=(r"committed",),
    ),
    Tool(
        "Atlas",
        (
            History(
                "atlas_schema_revisions",
                ("version", "applied", "total"),
                schema="atlas_schema_revisions",
                failed="applied < total",
            ),
            History("atlas_schema_revisions", ("version", "applied", "total"), failed="applied < total"),
        ),
        directives=(r"--\s*atlas:",),
        files=(r"atlas\.(?:sum|hcl)",),
        cure="remove that file from the folder, if the others are plain SQL that kimbledb is to run from now on",
    ),
    Tool(
        "postgres-migrations",
        (History("migrations", ("id", "name", "hash", "executed_at"), calls="name"),),
        directives=(r"--\s*postgres-migrations\b",),
    ),
    Tool("Migratus", (History("schema_migrations", ("id", "applied", "description")),), directives=(r"--;;",)),
    Tool(
        "Flyway",
        (
            *(
                History(
                    name,
                    ("installed_rank", "version", "type", "script", "success"),
                    # Rows that mark something else, such as an undo or a schema, are no migration's.
                    applied="type NOT LIKE 'UNDO%' AND type NOT IN ('SCHEMA', 'DELETE')",
                    calls="CASE WHEN type = 'BASELINE' THEN version ELSE script END",
                    failed=_NO_SUCCESS,
                    last="type = 'BASELINE'",
                )
                for name in ("flyway_schema_history", "schema_version")
            ),
        ),
        is_read=True,
        files=(*_VERSIONS, r"flyway\.(?:conf|toml)"),
    ),
    Tool(
        "Evolve",
        (History("changelog", ("id", "type", "version", "checksum", "success"), calls="version", failed=_NO_SUCCESS),),
        is_read=True,
        files=_VERSIONS,
    ),
    Tool(
        "refinery",
        (History("refinery_schema_history", ("version", "name", "applied_on", "checksum")),),
        is_read=True,
        files=_VERSIONS,
    ),
    Tool(
        "golang-migrate",
        (History("schema_migrations", ("version", "dirty"), failed="dirty::text IN ('true', '1')", last="true"),),
        is_read=True,
        files=_PAIRS,
    ),
    Tool(
        "sqlx",
        (History("_sqlx_migrations", ("version", "description", "installed_on", "success"), failed=_NO_SUCCESS),),
        is_read=True,
        files=_PAIRS,
    ),
    Tool(
        "Prisma",
        (
            History(
                "_prisma_migrations",
                ("migration_name", "checksum", "finished_at", "rolled_back_at"),
                applied="rolled_back_at IS NULL",
                failed="finished_at IS NULL",
            ),
        ),
        is_read=True,
        files=(r"migration_lock\.toml", r"schema\.prisma"),
        parts=("migration.sql",),
    ),
    Tool(
        "Diesel",
        (History("__diesel_schema_migrations", ("version", "run_on")),),
        is_read=True,
        files=(r"diesel\.toml",),
        parts=("up.sql", "down.sql"),
    ),
    Tool(
        "pgroll",
        (History("migrations", ("schema", "name", "migration", "parent"), schema="pgroll", calls="name"),),
    ),
    Tool("Supabase", (History("schema_migrations", ("version", "statements"), schema="supabase_migrations"),)),
    Tool(
        "Alembic",
        (History("alembic_version", ("version_num",), last="true"),),
        files=(r"alembic\.ini", r"script\.py\.mako"),
    ),
    Tool("Django", (History("django_migrations", ("app", "name", "applied"), calls="app || '.' || name"),)),
    Tool(
        "yoyo",
        (History("_yoyo_migration", ("migration_hash", "migration_id", "applied_at_utc"), calls="migration_id"),),
        is_read=True,
        files=(r".+\.rollback\.sql", r"yoyo\.ini"),
    ),
    Tool("pogo-migrate", (History("_pogo_migration", ("migration_id", "applied")),)),
    Tool("Rails", (History("schema_migrations", ("version",)),), files=(r"[0-9]{14}_.+\.rb", r"structure\.sql")),
    Tool("Ecto", (History("schema_migrations", ("version", "inserted_at")),), files=(r"[0-9]{14}_.+\.exs",)),
    Tool("Knex", (History("knex_migrations", ("name", "batch", "migration_time")),)),
    Tool("TypeORM", (History("migrations", ("id", "timestamp", "name"), calls='"timestamp"'),)),
    Tool("Sequelize", (History("SequelizeMeta", ("name",)),)),
    Tool("MikroORM", (History("mikro_orm_migrations", ("name", "executed_at")),)),
    Tool("Kysely", (History("kysely_migration", ("name", "timestamp")),)),
    Tool("db-migrate", (History("migrations", ("id", "name", "run_on"), calls="name"),)),
    Tool(
        "Postgrator", (History("schemaversion", ("version", "name", "md5")),), files=(r"[0-9]+\.(?:un)?do\..*\.?sql",)
    ),
    Tool("Laravel", (History("migrations", ("migration", "batch")),)),
    Tool("Doctrine", (History("doctrine_migration_versions", ("version", "executed_at")),)),
    Tool("Phinx", (History("phinxlog", ("version", "migration_name", "start_time")),)),
    Tool("Entity Framework", (History("__EFMigrationsHistory", ("MigrationId", "ProductVersion")),)),
    Tool("DbUp", (History("schemaversions", ("scriptname", "applied")),)),
    Tool("FluentMigrator", (History("VersionInfo", ("Version", "AppliedOn")),)),
    Tool("SeaORM", (History("seaql_migrations", ("version", "applied_at")),)),
    Tool("Aerich", (History("aerich", ("version", "app", "content")),)),
    Tool("Piccolo", (History("migration", ("name", "app_name", "ran_on")),)),
    Tool("peewee-migrate", (History("migratehistory", ("name", "migrated_at")),)),
    Tool("pgmigrate", (History("schema_version", ("version", "description", "installed_by", "installed_on")),)),
)

#: The names of files by which formats know the folders of one migration each.
PARTS = ("migration.sql", "up.sql")

#: The tools whose migrations are programs or descriptions, by the ending of the file's name.
_PROGRAMS = {
    ".go": "goose",
    ".rb": "Rails",
    ".exs": "Ecto",
    ".php": "Laravel, Doctrine or Phinx",
    ".py": "Alembic, Django or yoyo",
    ".js": "Knex, Sequelize or node-pg-migrate",
    ".ts": "TypeORM, Knex or node-pg-migrate",
    ".cs": "Entity Framework",
    ".java": "Flyway",
    ".rs": "refinery or SeaORM",
    ".xml": "Liquibase",
    ".yaml": "Liquibase or pgroll",
    ".yml": "Liquibase or pgroll",
    ".json": "pgroll or Liquibase",
}

#: The heading of a rollback, of any tool: a comment with nothing else in it, and SQL below it.
_BACK = (
    r"[^\w\n]*(?:(?:migration|migrate|section|script|begin|start)[^\w\n]*)?"
    r"(?:downs?|undo|roll[ -]?back|revert|reverse|backwards?)[^\w\n]*(?:migration|section|script|part|sql)?[^\w\n]*$"
)

#: SQL in comments directly below the heading is an instruction for a reader. It does not run.
_INSTRUCTION = re.compile(
    r"(?:\n[ \t]*(?:--[^\n]*)?){0,20}?\n[ \t]*--[ \t>*]*(?:drop|alter|delete|truncate|update|create|insert|revoke|grant)\s",
    re.IGNORECASE,
)


@frozen(eq=False)
class Directive:
    """A directive: a comment that another tool interprets."""

    #: Characters before it.
    offset: int
    #: The text of the comment.
    text: str
    #: The tool's name, or None where several tools use it.
    tool: str | None
    #: Whether the file holds a migration and its rollback.
    both_ways: bool


def directive_in(text: str, *, forward: bool = True) -> Directive | None:
    """Return the first directive of another tool in a script, or None.

    Text in a string or in a function's body is no directive.

    Args:
        text: The script.
        forward: Whether the script applies a change. The heading of a rollback in such a script counts as well.
    """
    pattern, tools = _directives()
    found = {match.start(): match for match in pattern.finditer(text) if _begins_line(text, match.start())}
    if not found:
        return None
    from kimbledb.catalog import statements  # its patterns take 15 ms, and few scripts have what looks like a directive

    goes_back = forward
    for offset in statements.in_comments(text, list(found)):
        match = found[offset]
        assert match.lastindex is not None  # each alternative is a group
        tool = tools[match.lastindex - 1]
        if tool is None:
            # Without SQL below this heading, there is none below the next.
            goes_back = goes_back and statements.holds_sql(text, match.end())
            if not goes_back or _INSTRUCTION.match(text, match.end()):
                continue
        line_end = text.find("\n", offset)
        shown = text[offset : len(text) if line_end < 0 else line_end].strip()
        return Directive(offset, shown, None if tool is None else tool.name, tool is None or tool.both_ways)
    return None


def _begins_line(text: str, offset: int) -> bool:
    """Whether an offset begins a line, apart from the end of a statement or the `#` of Play evolutions."""
    before = text[text.rfind("\n", 0, offset) + 1 : offset].strip()
    return before in ("", "#") or before.endswith(";")


@cache
def _directives() -> tuple[re.Pattern[str], Sequence[Tool | None]]:
    """Return the pattern of all directives, with one group for each tool, and the tools of the groups."""
    tools = [tool for tool in TOOLS if tool.directives]
    groups = [f"({'|'.join(directive.removeprefix('--') for directive in tool.directives)})" for tool in tools]
    directives = "|".join([*groups, f"({_BACK})"]).replace(r"\s", r"[ \t]")
    # Only the words are matched in either case: re searches for the fixed start of a comment fast.
    return re.compile(rf"--(?i:{directives})|/\*(?i:({_BACK}))", re.MULTILINE), (*tools, None, None)


@frozen(eq=False)
class Owner:
    """The tool that a folder belongs to."""

    #: The tool's name, or the names of several tools with the same file names.
    name: str
    #: The file or folder that identifies the tool.
    file: str
    cure: str
    #: Whether a format reads the folder of its migrations, which is another one then.
    is_read: bool = False

    def fault(self, folder: str) -> Fault:
        """Return the fault of a folder of this tool.

        Args:
            folder: The folder's path, to be shown.
        """
        message = f"this is a file of {self.name}, and kimbledb would misread its migrations"
        return Fault(f"{folder}/{self.file}", message, self.cure)


def owner_of(names: Iterable[str]) -> Owner | None:
    """Return the tool that a folder with these files and folders belongs to, or None."""
    names = list(names)
    known = _any_file().fullmatch
    for name in names:
        if known(name) is None:
            continue
        owners = [tool for tool, pattern in _file_patterns() if pattern.fullmatch(name)]
        # A copy of a Sqitch folder may lack sqitch.plan.
        if name == "deploy" and "revert" not in names:
            continue
        if owners:
            *others, last = [tool.name for tool in owners]
            return Owner(f"{', '.join(others)} or {last}" if others else last, name, owners[0].cure, owners[0].is_read)
    return None


@cache
def _any_file() -> re.Pattern[str]:
    """Return the pattern of all tools' names: one match decides for most files."""
    return re.compile("|".join(f"(?:{each})" for tool in TOOLS for each in tool.files))


@cache
def _file_patterns() -> list[tuple[Tool, re.Pattern[str]]]:
    return [(tool, re.compile("|".join(f"(?:{each})" for each in tool.files))) for tool in TOOLS if tool.files]


def owner_of_parts(names: Iterable[str]) -> Owner | None:
    """Return the tool that the folder of one migration belongs to, or None."""
    present = set(names)
    return next((Owner(tool.name, part, tool.cure) for tool in TOOLS for part in tool.parts if part in present), None)


def owner_of_program(name: str) -> str | None:
    """Return the tools that may own a file that is no SQL, or None."""
    return next((tools for ending, tools in _PROGRAMS.items() if name.endswith(ending)), None)
