"""Search by meaning: the application's calls, the log of searches, and what is known of each embedding.

Embeddings have few components that are not zero, so that each similarity is worked out by hand: (4, 3) has 4/5 with (1).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

import kimbledb

QUERY = (1,)
#: What is stored, with its similarity to the query.
SAME, NEAR, FAR, SOME, TENTH, AWAY = (1,), (4, 3), (3, 4), (2, 4, 2, 1), (1, 7, 7, 1), (0, 1)


def vector(*components: int) -> str:
    """An embedding that begins with components, as the server reads it."""
    return json.dumps([*components, *[0] * (1536 - len(components))])


@pytest.fixture
async def service(hosted_migrated_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the application's service; ann and bob have a project, and content of each kind."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute(
        f"""
        SET search_path = public, extensions;
        INSERT INTO users (id) VALUES ('ann'), ('bob');
        INSERT INTO projects (id, name, owner_id) VALUES ('of_ann', 'a', 'ann'), ('of_bob', 'b', 'bob');
        INSERT INTO knowledge_base (user_id, project_id, title, content, embedding) VALUES
            ('ann', NULL, 'same', '.', '{vector(*SAME)}'), ('ann', 'of_ann', 'near', '.', '{vector(*NEAR)}'),
            ('ann', 'of_ann', 'far', '.', '{vector(*FAR)}'), ('ann', NULL, 'away', '.', '{vector(*AWAY)}'),
            ('ann', NULL, 'tenth', '.', '{vector(*TENTH)}'), ('ann', NULL, 'some', '.', '{vector(*SOME)}'), ('ann', NULL, 'zeros', '.', '{vector()}'),
            ('ann', NULL, 'none', '.', NULL), ('bob', 'of_bob', 'of bob', '.', '{vector(8, 6)}');
        INSERT INTO knowledge_base (user_id, title, content, embedding, is_active)
            VALUES ('ann', 'put away', '.', '{vector(*SAME)}', false);
        INSERT INTO conversations (id, user_id, project_id, title, embedding) VALUES
            ('talk', 'ann', 'of_ann', 'talk', '{vector(*FAR)}'), ('talk of bob', 'bob', NULL, 'b', '{vector(*SAME)}');
        INSERT INTO messages (id, conversation_id, role, content, embedding) VALUES
            ('said', 'talk', 'user', 'said', '{vector(*NEAR)}'), ('said to bob', 'talk of bob', 'user', 'b', '{vector(*SAME)}');
        INSERT INTO files (id, user_id, filename, embedding) VALUES ('file', 'ann', 'f', '{vector(12, 5)}');
        INSERT INTO audio_transcriptions (id, user_id, project_id, filename, text, embedding)
            VALUES ('00000000-0000-4000-8000-000000000001', 'ann', 'music', 't', 'la', '{vector(24, 7)}');
        INSERT INTO chatgpt_conversations (id, user_id) VALUES ('import', 'ann');
        SET ROLE service_role;
        """
    )
    yield connection
    await connection.close()


async def found(connection: asyncpg.Connection, arguments: str) -> list[tuple[str, float]]:
    """The titles and similarities that search_knowledge_base gives, in the order of their rank."""
    query = f"'{vector(*QUERY)}'"
    rows = await connection.fetch(f"SELECT * FROM search_knowledge_base({arguments.format(query=query)}) ORDER BY rank")
    return [(row["title"], round(row["similarity"], 9)) for row in rows]


ALL = [("same", 1.0), ("near", 0.8), ("of bob", 0.8), ("far", 0.6), ("some", 0.4), ("tenth", 0.1), ("away", 0.0)]


#: Calls, and the titles that each finds.
CALLS = [
    ("{query}", "same near of_bob far"),
    ("{query}, 0.1, 10", "same near of_bob far some tenth"),
    ("{query}, -1, 1000", "same near of_bob far some tenth away"),
    ("{query}, 0.8", "same near of_bob"),
    ("{query}, 0.8000001", "same"),
    ("{query}, -1, 1", "same"),
    ("query_embedding => {query}, p_user_id => 'ann', match_count => 2", "same near"),
    ("query_embedding => {query}, p_user_id => 'ann', match_count => 10", "same near far some"),
    ("query_embedding => {query}, p_user_id => 'bob', match_count => 5", "of_bob"),
    ("query_embedding => {query}, p_user_id => 'nobody', match_count => 5", ""),
    (
        (
            "query_embedding => {query}, query_text => 'words', user_id_param => 'ann', project_id_param => NULL, "
            "similarity_threshold => 0.7, match_count => 20"
        ),
        "same near",
    ),
    (
        (
            "query_embedding => {query}, query_text => 'words', user_id_param => 'ann', project_id_param => 'of_ann', "
            "similarity_threshold => 0, match_count => 20"
        ),
        "near far",
    ),
    (
        (
            "query_embedding => {query}, query_text => 'words', user_id_param => 'ann', project_id_param => 'of_bob', "
            "similarity_threshold => -1, match_count => 20"
        ),
        "",
    ),
    ("{query}, -1, 20, user_id_param => 'ann', project_id_param => 'general'", "same some tenth away"),
]


async def test_the_calls_of_the_application(service: asyncpg.Connection) -> None:
    """Each call finds the active entries of the person and the project that it names, at or above its threshold, by rank."""
    similarities = dict(ALL)
    for arguments, titles in CALLS:
        rows = await found(service, arguments)

        wanted = [title.replace("_", " ") for title in titles.split()]
        # Two of 0.8 are ranked by their ids, which are random.
        assert sorted(rows) == sorted((title, similarities[title]) for title in wanted), arguments
        assert [similarity for _, similarity in rows] == sorted((each for _, each in rows), reverse=True), arguments


#: Calls that are refused, each with words of the error.
REFUSED = [
    ("'[1,0]'", "has 2 dimensions"),
    (f"'{vector()}'", "all zeros"),
    ("NULL", "is null"),
    ("{query}, 1.1", "between -1 and 1"),
    ("{query}, 0.5, 0", "between 1 and 1000"),
    ("{query}, 0.5, 1001", "between 1 and 1000"),
    ("{query}, user_id_param => 'ann', p_user_id => 'bob'", "one thing each"),
    ("{query}, 0.5, similarity_threshold => 0.6", "one thing each"),
]


async def test_calls_that_say_nothing_of_use(service: asyncpg.Connection) -> None:
    """A call with an embedding that cannot be compared, or with what is out of bounds or contradicts itself, is refused."""
    for arguments, message in REFUSED:
        with pytest.raises(asyncpg.PostgresError, match=message):
            await found(service, arguments)


async def everything(connection: asyncpg.Connection, arguments: str) -> list[tuple[str, str, float]]:
    """The kinds, ids or titles, and similarities that search_all_content gives, in the order of their rank."""
    rows = await connection.fetch(
        f"SELECT * FROM search_all_content(query_embedding => '{vector(*QUERY)}', {arguments}) ORDER BY rank"
    )
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    return [
        (row["kind"], row["title"] if row["kind"] == "knowledge" else row["id"], round(row["similarity"], 3))
        for row in rows
    ]


async def test_all_content(service: asyncpg.Connection) -> None:
    """All kinds of a person's content are ranked together, from 0.7 on where no threshold is named; other people's is not found."""
    song = "00000000-0000-4000-8000-000000000001"
    best = [
        ("knowledge", "same", 1.0),
        ("transcription", song, 0.96),
        ("file", "file", 0.923),
        ("knowledge", "near", 0.8),
        ("message", "said", 0.8),
    ]
    assert await everything(service, "p_user_id => 'ann'") == best
    assert await everything(service, "p_user_id => 'ann', match_count => 2") == best[:2]
    assert await everything(service, "p_user_id => 'ann', match_threshold => 0.96, match_count => 20") == best[:2]
    assert await everything(service, "p_user_id => 'ann', p_content_types => '{message,audio}'") == [best[1], best[4]]
    # The project of a message that names none is its conversation's.
    assert await everything(service, "p_user_id => 'ann', match_threshold => 0, p_project_id => 'of_ann'") == [
        ("knowledge", "near", 0.8),
        ("message", "said", 0.8),
        ("conversation", "talk", 0.6),
        ("knowledge", "far", 0.6),
    ]
    assert await everything(service, "p_user_id => 'ann', p_project_id => 'music'") == [best[1]]
    assert await everything(service, "p_user_id => 'ann', p_project_id => 'general'") == [best[0], best[2]]
    assert await everything(service, "p_user_id => 'ann', p_project_id => 'of_bob'") == []
    assert len(await everything(service, "p_user_id => NULL, match_threshold => 0.7")) == 8


async def test_what_a_hit_says(service: asyncpg.Connection) -> None:
    """A hit has the content with its title, its source and its project."""
    rows = await service.fetch(
        f"SELECT kind, content_type, title, content, source_id, project_id FROM search_all_content('{vector(*QUERY)}', 'ann', 0.5) "
        "WHERE kind IN ('message', 'transcription', 'conversation') ORDER BY rank"
    )

    assert [tuple(row) for row in rows] == [
        ("transcription", "transcription", "t", "la", None, None),
        ("message", "message", "talk", "said", "talk", "of_ann"),
        ("conversation", "conversation", "talk", None, "talk", "of_ann"),
    ]


async def test_a_person_finds_their_own(service: asyncpg.Connection) -> None:
    """A person finds their own by the policies, whomever they name, and nothing of other people."""
    await service.execute('SET ROLE authenticated; SET request.jwt.claims = \'{"sub": "bob"}\'')

    assert await found(service, "{query}, -1") == [("of bob", 0.8)]
    assert await found(service, "{query}, -1, p_user_id => 'ann'") == []
    assert await everything(service, "p_user_id => 'ann', match_threshold => -1") == []
    assert {kind for kind, _, _ in await everything(service, "p_user_id => NULL")} == {
        "knowledge",
        "conversation",
        "message",
    }


async def test_searches_are_logged(service: asyncpg.Connection) -> None:
    """Each search leaves one row with what was asked and found, for the person who asks or is named, if they are known."""
    await found(
        service, "{query}, 0.7, 20, query_text => 'words', user_id_param => 'ann', project_id_param => 'of_ann'"
    )
    await everything(service, "p_user_id => 'bob', p_content_types => '{file}'")
    await found(service, "{query}, 0.9, 50, p_user_id => 'nobody'")
    await service.execute('SET ROLE authenticated; SET request.jwt.claims = \'{"sub": "bob"}\'')
    await found(service, "{query}, 0.5, 5, p_user_id => 'ann'")
    await service.execute('SET request.jwt.claims = \'{"sub": "stranger"}\'')
    await found(service, "{query}")
    await service.execute("RESET ROLE; RESET request.jwt.claims")
    async with service.transaction(readonly=True):
        await found(service, "{query}")

    rows = await service.fetch("SELECT * FROM semantic_search_log ORDER BY id")

    assert [
        (
            *(row["user_id"], row["source_table"], row["query_text"], row["match_threshold"], row["match_count"]),
            *(row["result_count"], row["top_similarity"], row["ef_search"], json.loads(row["metadata"])),
        )
        for row in rows
    ] == [
        ("ann", "knowledge_base", "words", 0.7, 20, 1, 0.8, 40, {"project_id": "of_ann"}),
        ("bob", "all", None, 0.7, 20, 0, None, 40, {"content_types": ["file"]}),
        (None, "knowledge_base", None, 0.9, 50, 0, None, 50, {}),
        ("bob", "knowledge_base", None, 0.5, 5, 0, None, 40, {}),
    ]
    assert all(row["duration_ms"] > 0 for row in rows)
    assert await service.fetchval("SELECT sum(searches) FROM semantic_search_performance") == 4


#: For each table: what an insert says, what holds its text, and what is embedded of it.
TRACKED = {
    "messages": ("conversation_id, role", "'talk', 'user'", "content"),
    "knowledge_base": ("user_id", "'ann'", "content"),
    "conversations": ("user_id", "'ann'", "summary"),
    "projects": ("owner_id, name", "'ann', ''", "description"),
    "files": ("user_id", "'ann'", "processed_content"),
    "audio_transcriptions": ("user_id", "'ann'", "text"),
    "chatgpt_conversations": ("user_id", "'ann'", "full_text"),
    "chatgpt_messages": ("conversation_id, role", "'import', 'user'", "content"),
}


async def states(connection: asyncpg.Connection, table: str) -> list[tuple[str, str, int | None]]:
    """What is known of the embeddings of a table: owner, state, length of the text that was embedded."""
    rows = await connection.fetch(
        "SELECT user_id, status, content_length FROM semantic_search_metadata WHERE source_table = $1 ORDER BY created_at",
        table,
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("table", TRACKED)
async def test_what_is_known_of_an_embedding(service: asyncpg.Connection, table: str) -> None:
    """A text that comes is pending, one that changes stale, its embedding done; the text as it was is done, what goes is gone."""
    columns, values, text = TRACKED[table]
    await service.execute(
        "SET ROLE service_role; DELETE FROM knowledge_base; DELETE FROM files; DELETE FROM audio_transcriptions"
    )
    if table in ("conversations", "projects", "chatgpt_conversations"):
        await service.execute(f"DELETE FROM {table}")
    else:
        await service.execute("DELETE FROM messages")
    key = await service.fetchval(
        f"INSERT INTO {table} ({columns}, {text}) VALUES ({values}, 'first') RETURNING id::text"
    )
    seen = [await states(service, table)]
    for change in (
        f"{text} = 'second'",
        f"embedding = '{vector(1)}'",
        f"{text} = 'a third'",
        f"{text} = 'second'",
        f"{text} = 'fourth'",
        f"{text} = 'a fifth', embedding = '{vector(2)}'",
        f"{text} = 'a fifth', embedding = '{vector(2)}'",
        "embedding = NULL",
    ):
        assert await service.execute(f"UPDATE {table} SET {change} WHERE id::text = $1", key) == "UPDATE 1"
        seen.append(await states(service, table))
    assert (
        await service.fetchval("SELECT source_id FROM semantic_search_metadata WHERE source_table = $1", table) == key
    )
    await service.execute(f"DELETE FROM {table}")
    seen.append(await states(service, table))

    more = 1 if table == "projects" else 0  # the name, and a line's end
    assert seen == [
        [("ann", "pending", None)],
        [("ann", "stale", None)],
        [("ann", "done", 6 + more)],
        [("ann", "stale", 6 + more)],
        [("ann", "done", 6 + more)],
        [("ann", "stale", 6 + more)],
        [("ann", "done", 7 + more)],
        [("ann", "done", 7 + more)],
        [("ann", "pending", None)],
        [],
    ]


async def test_nothing_to_embed(service: asyncpg.Connection) -> None:
    """What has no text and no embedding is not waited for, until a text comes; a job's failure ends with the next text."""
    await service.execute("DELETE FROM files; INSERT INTO files (id, user_id, filename) VALUES ('f', 'ann', 'f')")
    assert await states(service, "files") == []
    await service.execute("UPDATE files SET processed_content = 'text'")
    assert await states(service, "files") == [("ann", "pending", None)]
    await service.execute(
        "UPDATE semantic_search_metadata SET status = 'failed', attempts = 3, error_message = 'x' WHERE source_table = 'files'"
    )
    await service.execute("UPDATE files SET tags = '{a}'")
    assert await states(service, "files") == [("ann", "failed", None)]

    await service.execute("UPDATE files SET processed_content = 'another'")

    row = await service.fetchrow(
        "SELECT status, attempts, error_message FROM semantic_search_metadata WHERE source_table = 'files'"
    )
    assert row is not None
    assert tuple(row) == ("stale", 0, None)
    await service.execute("UPDATE files SET processed_content = NULL")
    assert await states(service, "files") == []


async def test_imports_without_semantic_search(database: str) -> None:
    """Conversations of ChatGPT are imported where nothing keeps track of embeddings."""
    await kimbledb.migrate(database, to="chatgpt-import-schema.sql")
    connection = await asyncpg.connect(database)

    assert await connection.fetchval("SELECT to_regclass('semantic_search_metadata')") is None
    await connection.execute(
        """
        INSERT INTO users (id) VALUES ('ann');
        INSERT INTO chatgpt_conversations (id, user_id, title) VALUES ('import', 'ann', 'a');
        INSERT INTO chatgpt_messages (conversation_id, role, content) VALUES ('import', 'user', 'a');
        UPDATE chatgpt_messages SET content = 'b';
        DELETE FROM chatgpt_messages;
        TRUNCATE chatgpt_conversations CASCADE;
        """
    )
    await connection.close()


async def test_whose_an_embedding_is(service: asyncpg.Connection) -> None:
    """A row's metadata goes over to its new owner, a message's with its conversation, and goes with its owner."""
    await service.execute(
        """
        INSERT INTO chatgpt_messages (conversation_id, role, content) VALUES ('import', 'user', 'said');
        UPDATE conversations SET user_id = 'bob' WHERE id = 'talk';
        UPDATE chatgpt_conversations SET user_id = 'bob', title = 'title';
        UPDATE files SET user_id = 'bob';
        UPDATE projects SET user_id = 'bob';
        """
    )
    of_bob = ("messages", "conversations", "files", "projects", "chatgpt_conversations", "chatgpt_messages")
    for table in of_bob:
        assert {owner for owner, _, _ in await states(service, table)} == {"bob"}, table

    await service.execute('SET ROLE authenticated; SET request.jwt.claims = \'{"sub": "ann"}\'')
    assert await service.fetchval("SELECT count(DISTINCT source_table) FROM semantic_search_metadata") == 2
    # A person's own writing is kept track of, though they may only read the metadata.
    await service.execute("INSERT INTO knowledge_base (user_id, content) VALUES ('ann', 'new')")
    assert await service.fetchval("SELECT count(*) FROM semantic_search_metadata WHERE status = 'pending'") == 2

    await service.execute("SET ROLE service_role; DELETE FROM users WHERE id = 'bob'")
    for table in of_bob:
        assert await states(service, table) == [], table
    await service.execute("RESET ROLE; TRUNCATE knowledge_base")
    assert await states(service, "knowledge_base") == []


async def test_how_much_is_embedded(service: asyncpg.Connection) -> None:
    """The coverage counts all rows, those with an embedding and without, the stale ones among the first, and failures."""
    await service.execute(
        """
        UPDATE knowledge_base SET content = 'other' WHERE title IN ('same', 'none');
        UPDATE semantic_search_metadata SET status = 'failed'
        WHERE source_table = 'projects' AND source_id = 'of_bob';
        """
    )

    rows = await service.fetch("SELECT * FROM embedding_coverage ORDER BY source_table")

    assert [tuple(row) for row in rows] == [
        ("audio_transcriptions", 1, 1, 0, 0, 0),
        ("conversations", 2, 2, 0, 0, 0),
        ("files", 1, 1, 0, 0, 0),
        ("knowledge_base", 10, 9, 1, 1, 0),
        ("messages", 2, 2, 0, 0, 0),
        ("projects", 2, 0, 2, 0, 1),
    ]


async def test_embeddings_from_before(database: str) -> None:
    """Rows from before the metadata are in it: those with an embedding as done, those with a text alone as pending."""
    await kimbledb.migrate(database, to="add-embedding-columns.sql")
    connection = await asyncpg.connect(database)
    await connection.execute(
        f"""
        INSERT INTO users (id) VALUES ('ann');
        INSERT INTO conversations (id, user_id) VALUES ('talk', 'ann');
        INSERT INTO messages (id, conversation_id, role, content, embedding)
            VALUES ('old', 'talk', 'user', 'a', '{vector(1)}'), ('new', 'talk', 'user', 'b', NULL);
        """
    )

    await kimbledb.migrate(database, to="create-semantic-search-function.sql")
    await connection.execute("UPDATE messages SET content = 'c'")

    rows = await connection.fetch(
        "SELECT source_table, source_id, user_id, status FROM semantic_search_metadata ORDER BY 2"
    )
    assert [tuple(row) for row in rows] == [("messages", "new", "ann", "stale"), ("messages", "old", "ann", "stale")]
    # Phase 5 alone has no projects of conversations and transcriptions: a search works without them.
    assert [row[0] for row in await connection.fetch(f"SELECT id FROM search_all_content('{vector(1)}', 'ann')")] == [
        "old"
    ]
    await connection.close()
