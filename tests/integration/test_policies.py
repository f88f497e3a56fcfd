"""Who may see and do what: by the caller's identity, on a bare server and on a hosted one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

SERVICE_ALONE = (
    "auth_logs",
    "api_logs",
    "agent_tasks",
    "agent_findings",
    "agent_execution_log",
    "cost_models",
    "mcp_servers",
)


@pytest.fixture
async def people(migrated_on_each: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that can take the part of people; two of them have rows."""
    connection = await asyncpg.connect(migrated_on_each)
    bare = not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')")
    if bare:
        # A bare server has no roles for people: an application makes its own.
        role = f"people_{connection.get_server_pid()}"
        await connection.execute(
            f"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}; REVOKE ALL ON migration_history, migration_log FROM {role}"
        )
    else:
        role = "authenticated"
    await connection.execute(
        """
        INSERT INTO users (id) VALUES ('ann'), ('bob');
        INSERT INTO projects (id, name, owner_id) VALUES ('of_ann', 'a', 'ann'), ('of_bob', 'b', 'bob');
        INSERT INTO conversations (id, user_id) VALUES ('talk_of_ann', 'ann'), ('talk_of_bob', 'bob');
        INSERT INTO messages (conversation_id, user_id, role, content)
            VALUES ('talk_of_ann', 'ann', 'user', 'hello'), ('talk_of_bob', 'bob', 'user', 'hello');
        INSERT INTO user_tokens (user_id, access_token) VALUES ('ann', 'secret'), ('bob', 'secret');
        INSERT INTO categories (id, name, user_id) VALUES ('kind_of_bob', 'b', 'bob');
        """
    )
    await connection.execute(f"SET tests.people = '{role}'")
    yield connection
    await connection.execute("RESET ROLE; RESET kimbledb.user_id")
    if bare:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await connection.close()


async def _as(connection: asyncpg.Connection, person: str, *, by: str = "setting") -> None:
    role = await connection.fetchval("SELECT current_setting('tests.people')")
    await connection.execute(f"SET ROLE {role}")
    if by == "claim":
        await connection.execute("SELECT set_config('request.jwt.claims', $1, false)", f'{{"sub": "{person}"}}')
    else:
        await connection.execute("SELECT set_config('kimbledb.user_id', $1, false)", person)


@pytest.mark.parametrize("by", ["claim", "setting"])
async def test_people_see_their_own(people: asyncpg.Connection, by: str) -> None:
    """A person sees and counts only their own rows, whether they are known by a claim or by the plain setting."""
    await _as(people, "ann", by=by)

    assert [row[0] for row in await people.fetch("SELECT id FROM projects")] == ["of_ann"]
    assert [row[0] for row in await people.fetch("SELECT id FROM conversations")] == ["talk_of_ann"]
    assert await people.fetchval("SELECT count(*) FROM messages") == 1
    assert [row[0] for row in await people.fetch("SELECT user_id FROM user_tokens")] == ["ann"]


async def test_the_claim_comes_first(people: asyncpg.Connection) -> None:
    """Where both are set the claim counts, so that a setting cannot make one person another."""
    await _as(people, "ann", by="claim")
    await people.execute("SET kimbledb.user_id = 'bob'")

    assert [row[0] for row in await people.fetch("SELECT id FROM projects")] == ["of_ann"]


async def test_nobody_sees_nothing(people: asyncpg.Connection) -> None:
    """Without an identity there is no row to be seen."""
    await _as(people, "")

    for table in ("users", "projects", "conversations", "messages"):
        assert await people.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_people_cannot_change_others(people: asyncpg.Connection) -> None:
    """A person cannot insert, change, take over or delete what is another's, nor write into what is another's."""
    await _as(people, "ann", by="claim")

    for refused in (
        "INSERT INTO projects (name, owner_id) VALUES ('x', 'bob')",
        "INSERT INTO conversations (user_id) VALUES ('bob')",
        "INSERT INTO conversations (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO files (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO knowledge_base (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO audio_transcriptions (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO processed_images (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO processed_documents (user_id, project_id) VALUES ('ann', 'of_bob')",
        "INSERT INTO projects (name, owner_id, parent_project_id) VALUES ('x', 'ann', 'of_bob')",
        "INSERT INTO categories (name, user_id, parent_id) VALUES ('x', 'ann', 'kind_of_bob')",
        "INSERT INTO messages (conversation_id, role, content, project_id) VALUES ('talk_of_ann', 'user', 'x', 'of_bob')",
        "INSERT INTO messages (conversation_id, role, content) VALUES ('talk_of_bob', 'user', 'x')",
        "UPDATE projects SET owner_id = 'bob' WHERE id = 'of_ann'",
        "UPDATE projects SET parent_project_id = 'of_bob' WHERE id = 'of_ann'",
        "UPDATE projects SET category_id = 'kind_of_bob' WHERE id = 'of_ann'",
        "UPDATE conversations SET project_id = 'of_bob' WHERE id = 'talk_of_ann'",
        "UPDATE messages SET conversation_id = 'talk_of_bob'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await people.execute(refused)
    for nothing in (
        "UPDATE projects SET name = 'x' WHERE id = 'of_bob'",
        "DELETE FROM conversations WHERE id = 'talk_of_bob'",
        "DELETE FROM messages WHERE conversation_id = 'talk_of_bob'",
    ):
        assert (await people.execute(nothing)).endswith(" 0")


#: The tables of which a collaborator reads rows, and what a row must name besides its person and its project.
_IN_PROJECTS = {
    "conversations": {},
    "messages": {"conversation_id": "'talk_of_bob'", "role": "'user'", "content": "'.'"},
    "knowledge_base": {},
    "files": {},
    "audio_transcriptions": {},
    "processed_images": {},
    "processed_documents": {},
    "file_registry": {},
}


async def _insert(connection: asyncpg.Connection, table: str, person: str, project: str) -> None:
    place = {"projects": f"'{{{project}}}'"} if table == "file_registry" else {"project_id": f"'{project}'"}
    columns = {**_IN_PROJECTS[table], "user_id": f"'{person}'", **place}
    await connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})")


async def _readable(connection: asyncpg.Connection, person: str) -> dict[str, int]:
    """Return how many rows of projects and of what is in projects a person reads that are another's."""
    await _as(connection, person, by="claim")
    found = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE user_id <> $1", person)
        for table in ("projects", *_IN_PROJECTS)
    }
    await connection.execute("RESET ROLE")
    return {table: count for table, count in found.items() if count}


async def test_a_collaborator_reads_what_is_in_the_project(people: asyncpg.Connection) -> None:
    """A collaborator reads the project and what its owner has in it, with all messages of its conversations, and nothing once it is over."""
    await people.execute("UPDATE projects SET collaborators = '{carl,ann}' WHERE id = 'of_bob'")
    for table in _IN_PROJECTS:
        await _insert(people, table, "bob", "of_bob")
    everything = dict.fromkeys(("projects", *_IN_PROJECTS), 1)

    assert await _readable(people, "ann") == everything
    assert await _readable(people, "dora") == {}
    # The message of the fixture names no project: its conversation does.
    await people.execute("UPDATE conversations SET project_id = 'of_bob' WHERE id = 'talk_of_bob'")
    assert await _readable(people, "ann") == {**everything, "conversations": 2, "messages": 2}

    await people.execute("UPDATE projects SET collaborators = '{carl}' WHERE id = 'of_bob'")
    assert await _readable(people, "ann") == {}
    await people.execute("UPDATE projects SET collaborators = '{ann}' WHERE id = 'of_bob'")
    await people.execute("DELETE FROM projects WHERE id = 'of_bob'")
    assert await _readable(people, "ann") == {}


async def test_a_collaborator_changes_nothing(people: asyncpg.Connection) -> None:
    """A collaborator changes nothing of the project and in it, and puts nothing into it or under it."""
    await people.execute("UPDATE projects SET collaborators = '{ann}' WHERE id = 'of_bob'")
    for table in _IN_PROJECTS:
        await _insert(people, table, "bob", "of_bob")
    await _as(people, "ann", by="claim")

    for table in ("projects", *_IN_PROJECTS):
        assert await people.execute(f"UPDATE {table} SET user_id = 'ann' WHERE user_id = 'bob'") == "UPDATE 0"
        assert await people.execute(f"DELETE FROM {table} WHERE user_id = 'bob'") == "DELETE 0"
    # What the registry lists are names in a row of one's own.
    for table in _IN_PROJECTS.keys() - {"file_registry"}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await _insert(people, table, "ann", "of_bob")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await people.execute("INSERT INTO projects (name, owner_id, parent_project_id) VALUES ('x', 'ann', 'of_bob')")
    await people.execute("RESET ROLE; UPDATE file_registry SET content_hash = 'same'")
    await people.execute(
        "INSERT INTO file_registry (user_id, projects, content_hash) VALUES ('bob', '{of_bob}', 'same')"
    )
    await _as(people, "ann", by="claim")
    assert await people.fetchval("SELECT copies FROM duplicate_files") == 2
    assert await people.fetchval("SELECT link_duplicate_files()") == 0
    await people.execute("INSERT INTO conversations (id, user_id, shared_project_id) VALUES ('mine', 'ann', 'of_bob')")
    assert await people.fetchval("SELECT shared_project_id FROM conversations WHERE id = 'mine'") is None


async def test_nobody_shares_what_is_anothers(people: asyncpg.Connection) -> None:
    """Whoever makes a project by a name that the service writes for all, and names collaborators, reads nothing of others by that."""
    await _as(people, "ann", by="claim")
    await people.execute(
        "INSERT INTO projects (id, name, owner_id, collaborators) VALUES ('general', 'g', 'ann', '{bob,carl}')"
    )
    await people.execute("RESET ROLE")
    for table in _IN_PROJECTS:
        await _insert(people, table, "bob", "general")

    assert await _readable(people, "ann") == {}
    assert await _readable(people, "carl") == {"projects": 1}


async def test_people_may_work(people: asyncpg.Connection) -> None:
    """A person may make, change and delete what is their own."""
    await _as(people, "ann", by="claim")

    await people.execute("INSERT INTO projects (id, name, owner_id) VALUES ('new', 'new', 'ann')")
    await people.execute("INSERT INTO projects (name, owner_id, parent_project_id) VALUES ('below', 'ann', 'new')")
    await people.execute("INSERT INTO categories (id, name, user_id) VALUES ('kind', 'kind', 'ann')")
    await people.execute("INSERT INTO categories (name, user_id, parent_id) VALUES ('below', 'ann', 'kind')")
    await people.execute("INSERT INTO audio_transcriptions (user_id, project_id) VALUES ('ann', 'new')")
    await people.execute("INSERT INTO conversations (id, user_id, project_id) VALUES ('talk', 'ann', 'new')")
    await people.execute(
        "INSERT INTO messages (conversation_id, user_id, role, content) VALUES ('talk', 'ann', 'user', 'x')"
    )
    assert await people.execute("UPDATE conversations SET is_pinned = true WHERE id = 'talk'") == "UPDATE 1"
    assert await people.execute("DELETE FROM conversations WHERE id = 'talk'") == "DELETE 1"


@pytest.mark.parametrize("table", SERVICE_ALONE)
async def test_tables_for_the_service_alone(people: asyncpg.Connection, table: str) -> None:
    """What is for the service alone shows nothing to people, and lets nothing in."""
    await _as(people, "ann", by="claim")

    try:
        assert await people.fetchval(f"SELECT count(*) FROM {table}") == 0
    except asyncpg.InsufficientPrivilegeError as error:
        assert "permission denied" in str(error)


async def test_anonymous_callers(hosted_migrated_database: str) -> None:
    """The role anon may do nothing with any table, view or function of the schema."""
    connection = await asyncpg.connect(hosted_migrated_database)
    may = await connection.fetch(
        """
        SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
          AND has_table_privilege('anon', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        UNION ALL
        SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('anon', p.oid, 'EXECUTE')
        """
    )
    assert [row[0] for row in may] == []
    await connection.close()


async def test_no_one_empties_a_table(hosted_migrated_database: str) -> None:
    """People have no TRUNCATE, which no policy would stop, nor REFERENCES or TRIGGER."""
    connection = await asyncpg.connect(hosted_migrated_database)
    may = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'p') "
        "AND has_table_privilege('authenticated', oid, 'TRUNCATE, REFERENCES, TRIGGER')"
    )
    assert [row[0] for row in may] == []
    await connection.close()


async def test_tokens_stay_secret(hosted_migrated_database: str) -> None:
    """A person sees that they are connected and may disconnect, and cannot read the token itself."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute(
        "INSERT INTO users (id) VALUES ('ann'); INSERT INTO user_tokens (user_id, access_token) VALUES ('ann', 'x')"
    )
    await connection.execute('SET ROLE authenticated; SET request.jwt.claims = \'{"sub": "ann"}\'')

    assert await connection.fetchval("SELECT count(*) FROM user_connections") == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT access_token FROM user_tokens")
    assert await connection.execute("DELETE FROM user_tokens") == "DELETE 1"
    await connection.close()


async def test_every_table_is_guarded(migrated_database: str) -> None:
    """Row level security is on for every table, no policy is always true, and every foreign key has its index."""
    connection = await asyncpg.connect(migrated_database)
    off = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity"
    )
    assert [row[0] for row in off] == []
    open_ones = await connection.fetch(
        "SELECT policyname FROM pg_policies WHERE schemaname = 'public' AND 'true' IN (qual, with_check)"
    )
    assert [row[0] for row in open_ones] == []
    without = await connection.fetch(
        """
        SELECT k.conname FROM pg_constraint AS k
        WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
              AND (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)
        """
    )
    assert [row[0] for row in without] == []
    vectors = await connection.fetch(
        """
        SELECT c.relname, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'vector'::regtype AND NOT EXISTS (
            SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am AS m ON m.oid = x.relam
            WHERE i.indrelid = c.oid AND m.amname = 'hnsw' AND i.indkey[0] = a.attnum AND i.indisvalid)
        """
    )
    assert [tuple(row) for row in vectors] == []
    await connection.close()


async def test_nobody_borrows_the_rights_of_the_owner(hosted_migrated_database: str) -> None:
    """People cannot call what runs by its owner's rights, nor set it on a table of their own, nor put one of their own in its way."""
    connection = await asyncpg.connect(hosted_migrated_database)
    await connection.execute("INSERT INTO users (id) VALUES ('ann'); SET tests.people = 'authenticated'")
    functions = await connection.fetch(
        "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    await _as(connection, "ann", by="claim")
    await connection.execute(
        "CREATE TEMPORARY TABLE projects (id text); INSERT INTO pg_temp.projects VALUES ('general')"
    )

    assert len(functions) == 8
    for (name,) in functions:
        for way in (
            f"SELECT {name}()",
            f"CREATE TRIGGER borrowed AFTER INSERT ON pg_temp.projects FOR EACH ROW EXECUTE FUNCTION {name}()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"permission denied for function {name}"):
                await connection.execute(way)
    project = "INSERT INTO public.conversations (user_id, project_id) VALUES ('ann', 'general') RETURNING project_id"
    assert await connection.fetchval(project) is None
    await connection.close()
