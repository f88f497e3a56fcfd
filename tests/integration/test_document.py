"""The catalog and a migrated database against the document, read from the copy kept with the tests."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from attrs import frozen

import kimbledb

DOCUMENT = (Path(__file__).parent.parent / "data" / "MIGRATION_ORDER.md").read_text(encoding="utf-8")
CATALOG = kimbledb.Catalog.builtin()


@frozen
class Entry:
    """What the document says of one migration."""

    number: int
    name: str
    phase: int
    text: str

    def line(self, key: str) -> str | None:
        """Return the text behind a bold key."""
        match = re.search(rf"^\*\*{key}:\*\* (.+)$", self.text, re.MULTILINE)
        return match[1] if match else None


def _entries() -> list[Entry]:
    entries = []
    phase = 0
    body = DOCUMENT.partition("## Migration Execution Order\n")[2].partition("## Rollback Procedures\n")[0]
    for part in re.split(r"^(?=#{3,4} )", body, flags=re.MULTILINE):
        if match := re.match(r"### Phase (\d+)", part):
            phase = int(match[1])
        elif match := re.match(r"#### (\d+)\. (\S+)", part):
            entries.append(Entry(int(match[1]), match[2], phase, part))
    return entries


ENTRIES = _entries()


def test_the_copy_is_whole() -> None:
    """The document has 35 migrations in 18 phases."""
    assert (len(ENTRIES), max(entry.phase for entry in ENTRIES)) == (35, 18)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_facts_are_those_of_the_document(entry: Entry) -> None:
    """Name, number, phase, order and purpose of a migration are those of the document."""
    migration = CATALOG[entry.number]
    order = re.match(r"\d+", entry.line("Execution Order") or "")
    assert order is not None
    assert (entry.name, entry.phase, int(order[0]), entry.line("Purpose")) == (
        migration.name,
        migration.phase,
        migration.order,
        migration.purpose,
    )
    status = entry.line("Status")
    if status is not None:
        assert status == migration.status


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_dependencies_of_the_document_are_required(entry: Entry) -> None:
    """What the document's dependency line names is required, directly."""
    line = entry.line("Dependencies") or ""
    requires = set(CATALOG[entry.number].requires)
    numbers = {
        8: {5, 6},  # "All project-related migrations"
        10: {5, 6, 8, 9},  # "All project migrations"
        35: {15, 16, 17, 18, 24},  # "Multiple previous migrations"
    }
    if entry.number in numbers:
        assert {CATALOG[number].name for number in numbers[entry.number]} <= requires
    else:
        assert set(re.findall(r"[\w-]+\.sql", line)) == requires


def test_order_of_execution() -> None:
    """The derived order is the document's, with either alternative."""
    for prefer in ("create_user_tokens_table.sql", "supabase-migration-user_tokens.sql"):
        plan = kimbledb.Planner(CATALOG, prefer=[prefer]).plan()
        assert list(range(1, 35)) == [step.migration.order for step in plan.pending]


@pytest.fixture
async def migrated(migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database that is brought to the whole schema."""
    connection = await asyncpg.connect(migrated_database)
    yield connection
    await connection.close()


def _documented_tables() -> set[str]:
    found = set()
    for entry in ENTRIES:
        created = entry.text.partition("**What it creates:**")[2]
        found |= set(re.findall(r"^- `(\w+)`(?: table)?(?= -| with| to| table|$)", created, re.MULTILINE))
        found |= set(re.findall(r"^- `(\w+)` table", created, re.MULTILINE))
    found |= set(re.findall(r"DROP TABLE IF EXISTS (\w+)", DOCUMENT)) - {"table_name"}
    for line in re.findall(r"^- (?:Core tables|Knowledge base|Files|Activity tracking): (.+)$", DOCUMENT, re.MULTILINE):
        found |= set(re.findall(r"`(\w+)`", line))
    return found - {"parent_id"}


async def test_documented_objects(migrated: asyncpg.Connection) -> None:
    """Every table, column and function that the document names is there."""
    tables = _documented_tables()
    assert len(tables) > 40
    present = {row[0] for row in await migrated.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert tables - present == set()

    columns = {
        (row[0], row[1]): row[2]
        for row in await migrated.fetch(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a "
            "JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0"
        )
    }
    for table, column, kind in (
        ("audio_transcriptions", "project_id", "text"),
        ("conversations", "is_pinned", "boolean"),
        ("conversations", "pinned_at", "timestamp with time zone"),
        ("conversations", "pinned_by", "text"),
        ("conversations", "embedding", "vector(1536)"),
        ("projects", "embedding", "vector(1536)"),
        ("files", "embedding", "vector(1536)"),
        ("audio_transcriptions", "job_id", "text"),
        ("audio_transcriptions", "status", "text"),
        ("audio_transcriptions", "error_message", "text"),
        ("categories", "parent_id", "text"),
    ):
        assert columns.get((table, column)) == kind, f"{table}.{column}"
    documented = "SELECT id, similarity FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector, 0.5, 10)"
    assert await migrated.fetch(documented) == []
    assert await migrated.fetchval("SELECT count(*) FROM migration_history WHERE success") == 34


def _verification_queries() -> list[str]:
    found = []
    for block in re.findall(r"```sql\n(.*?)```", DOCUMENT.partition("## Rollback Procedures")[0], re.DOTALL):
        found += [query.strip() for query in block.split(";") if query.strip().upper().startswith("SELECT")]
    checks = DOCUMENT.partition("## Verification Queries\n\n")[2].partition("## Migration Best Practices")[0]
    for block in re.findall(r"```sql\n(.*?)```", checks, re.DOTALL):
        found += [query.strip() for query in block.split(";") if query.strip()]
    return found


async def test_verification_queries_run(migrated: asyncpg.Connection) -> None:
    """Each verification query of the document runs, but the one that asks pg_tables for a column it never had."""
    queries = _verification_queries()
    assert len(queries) >= 20
    for query in queries:
        # pg_tables calls it tablename; verify() asks the same in SQL that runs.
        await migrated.fetch(query.replace("table_name", "tablename") if "FROM pg_tables" in query else query)


def _rollback_blocks() -> list[list[str]]:
    """The document's rollback statements: each line of a migration, and each block of the section, its pattern aside."""
    blocks = [
        [line.strip() + ";"]
        for code in re.findall(r"^\*\*Rollback:\*\* `(.+)`$", DOCUMENT, re.MULTILINE)
        for line in code.rstrip(";").split(";")
    ]
    section = DOCUMENT.partition("## Rollback Procedures\n")[2].partition("## Verification Queries\n")[0]
    for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL):
        lines = [line for line in block.splitlines() if line and not line.startswith("--")]
        if not any("table_name" in line for line in lines):
            blocks.append(lines)
    return blocks


async def test_rollback_lines_run(migrated: asyncpg.Connection) -> None:
    """Each rollback line of the document runs on the whole schema, alone and with the others of its block."""
    blocks = _rollback_blocks()
    assert (len(blocks), sum(map(len, blocks))) == (14, 27)
    if not await migrated.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres')"):
        blocks = [[line for line in block if not line.endswith("TO postgres;")] for block in blocks]
    for block in blocks:
        for lines in (block, *([line] for line in block if line != "CREATE SCHEMA public;")):
            await migrated.execute("BEGIN")
            for line in lines:
                await migrated.execute(line)
            await migrated.execute("ROLLBACK")


async def test_the_page_says_what_the_lines_leave(migrated: asyncpg.Connection) -> None:
    """The tables that the document's rollback lines leave of their migrations are those that the page on rolling back names."""
    page = (Path(__file__).parent.parent.parent / "docs" / "how-to" / "rollback.md").read_text(encoding="utf-8")
    named = {table for each in re.findall(r"`DROP TABLE IF EXISTS (.*) CASCADE;`", page) for table in each.split(", ")}
    makers = {each.name: migration for migration in CATALOG for each in migration.creates if each.kind == "table"}
    left: set[str] = set()
    for lines in _rollback_blocks():
        dropped = re.findall(r"DROP TABLE IF EXISTS (\w+)", "".join(lines))
        made = {each.name for table in dropped for each in makers[table].creates if each.kind == "table"}
        if not dropped:
            continue
        await migrated.execute("BEGIN;" + "".join(lines))
        left |= {table for table in made if await migrated.fetchval("SELECT to_regclass($1)", table)}
        await migrated.execute("ROLLBACK")

    assert left == named


async def test_work_goes_on_without_projects(migrated: asyncpg.Connection) -> None:
    """Where the document's lines have dropped project_id, rows are written, changed and found as before, by people, too."""
    await migrated.execute("INSERT INTO users (id) VALUES ('ann')")
    role = f"people_{migrated.get_server_pid()}"
    work = f"""
        INSERT INTO conversations (user_id, title) VALUES ('ann', 'a');
        INSERT INTO audio_transcriptions (user_id, text) VALUES ('ann', 'a');
        UPDATE conversations SET title = 'b';
        UPDATE audio_transcriptions SET text = 'b', embedding = '{[1.0] * 1536}';
    """
    await migrated.execute(
        f"""
        BEGIN;
        CREATE ROLE {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role};
        {work}
        ALTER TABLE audio_transcriptions DROP COLUMN IF EXISTS project_id;
        ALTER TABLE conversations DROP COLUMN IF EXISTS project_id;
        {work}
        SET LOCAL ROLE {role};
        SET LOCAL kimbledb.user_id = 'ann';
        {work}
        """
    )

    search = f"SELECT kind FROM search_all_content('{[1.0] * 1536}', 'ann')"
    assert [row[0] for row in await migrated.fetch(search)] == ["transcription"] * 3
    assert await migrated.fetchval("SELECT count(*) FROM conversations WHERE title = 'b'") == 3


@pytest.mark.parametrize("phase", [17, 13, 9])
async def test_rollback_by_phase(migrated_database: str, phase: int) -> None:
    """A documented rollback of a phase drops at least the tables that the document drops, and leaves nothing of the phase over."""
    section = DOCUMENT.partition(f"#### Rollback Phase {phase} ")[2].partition("####")[0]
    documented = set(re.findall(r"DROP TABLE IF EXISTS (\w+)", section))
    assert documented

    await kimbledb.rollback(migrated_database, phase=phase)

    connection = await asyncpg.connect(migrated_database)
    present = {
        f"{row[0]} {row[1]}"
        for row in await connection.fetch(
            "SELECT CASE WHEN relkind IN ('v', 'm') THEN 'view' ELSE 'table' END, relname FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace UNION ALL "
            "SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
    }
    await connection.close()
    made = {
        f"{each.kind} {each.name.partition('(')[0]}"
        for migration in CATALOG
        if migration.phase == phase
        for each in migration.creates
        if each.kind in ("table", "view", "function")
    }
    assert {f"table {name}" for name in documented} <= made
    assert made & present == set()
