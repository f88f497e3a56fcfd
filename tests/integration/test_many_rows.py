"""The built-in schema with rows in it: what people ask all day is found by an index, and so is whose it is."""

from __future__ import annotations

from pathlib import Path

import asyncpg

ROWS = 10_000
LOAD = Path(__file__).parent.parent / "data" / "many_rows.sql"

SEARCH = "SELECT id FROM search_knowledge_base($1::text::vector, 0.1, 10)"
#: What is asked: by whom, the query, the table that is large, the index that finds the rows, and the one that finds
#: whose they are, where that takes a look elsewhere.
QUERIES = {
    "conversations": (
        "person",
        "SELECT id, title, updated_at FROM conversations ORDER BY updated_at DESC LIMIT 20",
        "conversations",
        "idx_conversations_user_id_project_id_updated_at",
        "idx_conversations_shared_project_id",
    ),
    "messages": (
        "person",
        "SELECT role, content FROM messages WHERE conversation_id = 'c6' ORDER BY created_at",
        "messages",
        "idx_messages_timestamp",
        "idx_conversations_user_id_project_id_updated_at",
    ),
    "latest messages": (
        "person",
        "SELECT role, content FROM messages ORDER BY created_at DESC LIMIT 20",
        "messages",
        "idx_messages_timestamp",
        "idx_conversations_user_id_project_id_updated_at",
    ),
    "latest messages of oneself": (
        "person",
        "SELECT role, content FROM messages WHERE user_id = 'person_7' ORDER BY created_at DESC LIMIT 20",
        "messages",
        "idx_messages_user_id",
    ),
    "messages of a shared conversation": (
        "person",
        "SELECT role, content FROM messages WHERE conversation_id = 'c7' ORDER BY created_at",
        "messages",
        "idx_messages_timestamp",
        "idx_conversations_shared_project_id",
    ),
    "shared conversations": (
        "person",
        "SELECT id, title FROM conversations WHERE project_id = 'shared' ORDER BY updated_at DESC LIMIT 20",
        "conversations",
        "idx_conversations_project_id_updated_at",
    ),
    "knowledge": (
        "person",
        "SELECT count(*) FROM knowledge_base",
        "knowledge_base",
        "idx_knowledge_base_user_id_project_id_created_at",
    ),
    # What is one person's of a hundred is found sooner by the person than by the distance.
    "search": ("person", SEARCH, "knowledge_base", "idx_knowledge_base_user_id_project_id_created_at"),
    "search of all": ("service", SEARCH, "knowledge_base", "idx_knowledge_base_embedding"),
    "daily costs": ("person", "SELECT * FROM daily_costs", "api_cost_tracking", "idx_api_cost_tracking_user_id"),
    "monthly costs": ("person", "SELECT * FROM monthly_costs", "api_cost_tracking", "idx_api_cost_tracking_user_id"),
}
#: Indexes and tables that were read in this transaction; the large tables were never read from one end to the other.
READ = """
SELECT (SELECT array_agg(relname::text) FROM pg_class WHERE relkind = 'i' AND pg_stat_get_xact_numscans(oid) > 0),
       (SELECT array_agg(relname::text) FROM pg_stat_xact_user_tables WHERE seq_scan > 0)
"""


async def test_what_people_ask_is_found_by_an_index(migrated_database: str) -> None:
    """Each question, a person's by the policies, reads an index and no large table from one end to the other."""
    connection = await asyncpg.connect(migrated_database)
    role = f"people_{connection.get_server_pid()}"
    await connection.execute(LOAD.read_text().format(rows=ROWS, embedded=ROWS, role=role))
    await connection.execute(
        """
        INSERT INTO projects (id, name, owner_id, collaborators) VALUES ('shared', 's', 'person_8', '{person_7}');
        UPDATE conversations SET project_id = 'shared' WHERE user_id = 'person_8';
        """
    )
    await connection.execute("VACUUM ANALYZE")
    embedding = await connection.fetchval("SELECT embedding::text FROM knowledge_base WHERE title = 'title 6'")
    try:
        for name, (who, query, table, *indexes) in QUERIES.items():
            # What was counted before is handed over, so that what is read next is counted alone.
            await connection.execute("SELECT pg_stat_force_next_flush()")
            async with connection.transaction():
                if who == "person":
                    await connection.execute(f"SET LOCAL ROLE {role}; SET LOCAL kimbledb.user_id = 'person_7'")
                rows = await connection.fetch(query, *([embedding] if "$1" in query else []))
                [(read, scanned)] = await connection.fetch(READ)
            assert rows, name
            assert set(indexes) <= set(read), f"{name}: {read}"
            assert table not in (scanned or ()), f"{name}: {scanned}"
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await connection.close()
