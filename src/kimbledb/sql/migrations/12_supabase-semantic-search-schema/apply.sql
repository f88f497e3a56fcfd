-- supabase-semantic-search-schema.sql
--
-- What embeddings were made from (semantic_search_metadata), what searches cost
-- and found (semantic_search_log), and views and functions that turn these and
-- the server's own statistics into answers: what is slow, what is not embedded
-- yet, what state the vector indexes are in, which hnsw.ef_search is right.
--
-- Triggers keep semantic_search_metadata in step with the six tables that have an
-- embedding here, for whoever writes these; a job that makes embeddings finds there
-- what is left to do. The functions that search write semantic_search_log. People
-- read their own rows of both.

CREATE TABLE semantic_search_metadata (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    source_table text NOT NULL DEFAULT 'knowledge_base',
    source_id text NOT NULL,
    embedding_model text,
    embedding_dimensions integer NOT NULL DEFAULT 1536,
    content_hash text,
    content_length integer,
    token_count integer,
    status text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    error_message text,
    embedded_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT semantic_search_metadata_pkey PRIMARY KEY (id),
    CONSTRAINT semantic_search_metadata_source_table_source_id_key UNIQUE (source_table, source_id),
    CONSTRAINT semantic_search_metadata_source_table_check CHECK (source_table IN (
        'messages', 'knowledge_base', 'conversations', 'projects', 'files', 'audio_transcriptions',
        'chatgpt_conversations', 'chatgpt_messages')),
    CONSTRAINT semantic_search_metadata_embedding_dimensions_check CHECK (embedding_dimensions > 0),
    CONSTRAINT semantic_search_metadata_content_length_check CHECK (content_length >= 0),
    CONSTRAINT semantic_search_metadata_token_count_check CHECK (token_count >= 0),
    CONSTRAINT semantic_search_metadata_status_check CHECK (status IN ('pending', 'stale', 'done', 'failed')),
    CONSTRAINT semantic_search_metadata_attempts_check CHECK (attempts >= 0)
);

-- What there is to embed. Of a message it belongs to whoever owns its conversation.
CREATE VIEW embedding_sources WITH (security_invoker = true) AS
SELECT 'messages' AS source_table, m.id AS source_id, c.user_id,
       m.embedding IS NOT NULL AS is_embedded, m.content AS content
FROM messages AS m
LEFT JOIN conversations AS c ON c.id = m.conversation_id
UNION ALL
SELECT 'knowledge_base', k.id::text, k.user_id, k.embedding IS NOT NULL, concat_ws(E'\n', k.title, k.content)
FROM knowledge_base AS k
UNION ALL
SELECT 'conversations', c.id, c.user_id, c.embedding IS NOT NULL, concat_ws(E'\n', c.title, c.summary)
FROM conversations AS c
UNION ALL
SELECT 'projects', p.id, p.owner_id, p.embedding IS NOT NULL, concat_ws(E'\n', p.name, p.description)
FROM projects AS p
UNION ALL
SELECT 'files', f.id, f.user_id, f.embedding IS NOT NULL, concat_ws(E'\n', f.processed_content)
FROM files AS f
UNION ALL
SELECT 'audio_transcriptions', a.id::text, a.user_id, a.embedding IS NOT NULL, concat_ws(E'\n', a.text, a.content)
FROM audio_transcriptions AS a;
COMMENT ON VIEW embedding_sources IS
    'The rows of the tables that have an embedding: whose they are, and the text that is to be embedded.';

-- What was there before. The triggers below keep others from writing the six tables until the end of the transaction,
-- and the key keeps them from users: so this comes before them, and what changed meanwhile is put right under them.
INSERT INTO semantic_search_metadata (source_table, source_id, user_id, status)
SELECT source.source_table, source.source_id, source.user_id, CASE WHEN source.is_embedded THEN 'done' ELSE 'pending' END
FROM embedding_sources AS source
WHERE source.is_embedded OR source.content <> '';
-- Without it the planner joins by loops under the triggers, and others wait for that.
ANALYZE semantic_search_metadata;

CREATE FUNCTION note_embedding(
    of_table text,
    of_id text,
    owner text,
    former text,
    latest text,
    former_embedding vector,
    embedding vector)
RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    state text;
    hash text;
BEGIN
    latest := coalesce(latest, '');
    former := coalesce(former, '');
    IF embedding IS NULL AND latest = '' THEN
        DELETE FROM semantic_search_metadata AS known WHERE known.source_table = of_table AND known.source_id = of_id;
        RETURN;
    END IF;

    IF embedding IS DISTINCT FROM former_embedding THEN
        state := CASE WHEN embedding IS NULL THEN 'pending' ELSE 'done' END;
    ELSIF latest <> former THEN
        state := CASE WHEN former = '' AND embedding IS NULL THEN 'pending' ELSE 'stale' END;
    END IF;
    IF state IN ('done', 'stale') THEN
        hash := encode(sha256(convert_to(latest, 'UTF8')), 'hex');
    END IF;
    -- A text that is again what was embedded has its embedding.
    IF state = 'stale' AND embedding IS NOT NULL AND EXISTS (
        SELECT FROM semantic_search_metadata AS known
        WHERE known.source_table = of_table AND known.source_id = of_id AND known.content_hash = hash)
    THEN
        state := 'done';
    END IF;

    IF state IS NULL THEN
        UPDATE semantic_search_metadata AS known SET user_id = owner
        WHERE known.source_table = of_table AND known.source_id = of_id AND known.user_id IS DISTINCT FROM owner;
    ELSE
        INSERT INTO semantic_search_metadata AS known
            (source_table, source_id, user_id, status, content_hash, content_length, embedding_dimensions, embedded_at)
        VALUES (of_table, of_id, owner, state,
                CASE state WHEN 'done' THEN hash END,
                CASE state WHEN 'done' THEN length(latest) END,
                coalesce(vector_dims(embedding), 1536),
                CASE state WHEN 'done' THEN now() END)
        ON CONFLICT (source_table, source_id) DO UPDATE SET
            user_id = excluded.user_id,
            status = excluded.status,
            -- Of a stale row they are those of the text that is embedded.
            content_hash = CASE state WHEN 'stale' THEN known.content_hash ELSE excluded.content_hash END,
            content_length = CASE state WHEN 'stale' THEN known.content_length ELSE excluded.content_length END,
            embedding_dimensions = excluded.embedding_dimensions,
            embedded_at = CASE WHEN state = 'stale' OR embedding IS NOT DISTINCT FROM former_embedding
                               THEN known.embedded_at ELSE excluded.embedded_at END,
            attempts = CASE state WHEN 'done' THEN known.attempts ELSE 0 END,
            error_message = NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION note_embedding(text, text, text, text, text, vector, vector) IS
    'Keeps the row of semantic_search_metadata for a row that was inserted or changed. A text that comes is pending, one '
    'that changes stale, an embedding that is written done; what has neither text nor embedding has no row.';

-- With the rights of its owner, since people write these tables, and only read their own rows of the metadata.
CREATE FUNCTION track_embedding() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    former text;
    latest text;
    owner text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM semantic_search_metadata AS known WHERE known.source_table = TG_TABLE_NAME;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM semantic_search_metadata AS known
        WHERE known.source_table = TG_TABLE_NAME AND known.source_id = OLD.id::text;
        RETURN NULL;
    END IF;
    -- As embedding_sources has it. Of an INSERT, OLD has nothing but NULL.
    IF TG_TABLE_NAME = 'messages' THEN
        latest := NEW.content;
        former := OLD.content;
        owner := (SELECT c.user_id FROM conversations AS c WHERE c.id = NEW.conversation_id);
    ELSIF TG_TABLE_NAME = 'conversations' THEN
        latest := concat_ws(E'\n', NEW.title, NEW.summary);
        former := concat_ws(E'\n', OLD.title, OLD.summary);
        owner := NEW.user_id;
        IF TG_OP = 'UPDATE' AND NEW.user_id IS DISTINCT FROM OLD.user_id THEN
            UPDATE semantic_search_metadata AS known SET user_id = NEW.user_id
            FROM messages AS m
            WHERE m.conversation_id = NEW.id AND known.source_table = 'messages' AND known.source_id = m.id;
        END IF;
    ELSIF TG_TABLE_NAME = 'projects' THEN
        latest := concat_ws(E'\n', NEW.name, NEW.description);
        former := concat_ws(E'\n', OLD.name, OLD.description);
        owner := NEW.owner_id;
    ELSIF TG_TABLE_NAME = 'files' THEN
        latest := NEW.processed_content;
        former := OLD.processed_content;
        owner := NEW.user_id;
    ELSIF TG_TABLE_NAME = 'audio_transcriptions' THEN
        latest := concat_ws(E'\n', NEW.text, NEW.content);
        former := concat_ws(E'\n', OLD.text, OLD.content);
        owner := NEW.user_id;
    ELSE
        latest := concat_ws(E'\n', NEW.title, NEW.content);
        former := concat_ws(E'\n', OLD.title, OLD.content);
        owner := NEW.user_id;
    END IF;
    PERFORM note_embedding(TG_TABLE_NAME, NEW.id::text, owner, former, latest, OLD.embedding, NEW.embedding);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION track_embedding() IS
    'Trigger: keeps semantic_search_metadata by note_embedding(); what is deleted has no row.';

CREATE TRIGGER messages_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF conversation_id, content, embedding ON messages
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER messages_track_embedding_truncate AFTER TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER knowledge_base_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, content, embedding ON knowledge_base
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER knowledge_base_track_embedding_truncate AFTER TRUNCATE ON knowledge_base
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER conversations_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, summary, embedding ON conversations
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER conversations_track_embedding_truncate AFTER TRUNCATE ON conversations
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER projects_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF owner_id, user_id, name, description, embedding ON projects
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER projects_track_embedding_truncate AFTER TRUNCATE ON projects
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER files_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, processed_content, embedding ON files
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER files_track_embedding_truncate AFTER TRUNCATE ON files
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER audio_transcriptions_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, text, content, embedding ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER audio_transcriptions_track_embedding_truncate AFTER TRUNCATE ON audio_transcriptions
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();

DELETE FROM semantic_search_metadata AS known
WHERE NOT EXISTS (
    SELECT FROM embedding_sources AS source
    WHERE source.source_table = known.source_table AND source.source_id = known.source_id
      AND source.is_embedded = (known.status = 'done'));
INSERT INTO semantic_search_metadata (source_table, source_id, user_id, status)
SELECT source.source_table, source.source_id, source.user_id, CASE WHEN source.is_embedded THEN 'done' ELSE 'pending' END
FROM embedding_sources AS source
WHERE (source.is_embedded OR source.content <> '')
  AND NOT EXISTS (
      SELECT FROM semantic_search_metadata AS known
      WHERE known.source_table = source.source_table AND known.source_id = source.source_id);

ALTER TABLE semantic_search_metadata ADD CONSTRAINT semantic_search_metadata_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

CREATE TABLE semantic_search_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    source_table text NOT NULL DEFAULT 'knowledge_base',
    query_text text,
    embedding_model text,
    match_threshold double precision,
    match_count integer,
    result_count integer,
    top_similarity double precision,
    ef_search integer,
    embedding_ms double precision,
    duration_ms double precision,
    error_message text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT semantic_search_log_pkey PRIMARY KEY (id),
    CONSTRAINT semantic_search_log_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT semantic_search_log_match_threshold_check CHECK (match_threshold BETWEEN -1 AND 1),
    CONSTRAINT semantic_search_log_match_count_check CHECK (match_count >= 0),
    CONSTRAINT semantic_search_log_result_count_check CHECK (result_count >= 0),
    CONSTRAINT semantic_search_log_top_similarity_check CHECK (top_similarity BETWEEN -1 AND 1),
    CONSTRAINT semantic_search_log_ef_search_check CHECK (ef_search > 0),
    CONSTRAINT semantic_search_log_embedding_ms_check CHECK (embedding_ms >= 0),
    CONSTRAINT semantic_search_log_duration_ms_check CHECK (duration_ms >= 0)
);

CREATE INDEX idx_semantic_search_metadata_user_id_source_table ON semantic_search_metadata (user_id, source_table);
-- The work that is left: few rows of many.
CREATE INDEX idx_semantic_search_metadata_status_updated_at ON semantic_search_metadata (status, updated_at)
    WHERE status <> 'done';
CREATE INDEX idx_semantic_search_log_user_id_created_at ON semantic_search_log (user_id, created_at DESC);
CREATE INDEX idx_semantic_search_log_created_at ON semantic_search_log (created_at DESC);

CREATE TRIGGER semantic_search_metadata_set_updated_at
    BEFORE UPDATE ON semantic_search_metadata
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE semantic_search_metadata IS
    'What each embedding was made from and whether it is still right: one row for each row that has, or shall have, '
    'an embedding. Triggers keep it for all tables but those of the ChatGPT import, for which the service writes it.';
COMMENT ON COLUMN semantic_search_metadata.user_id IS 'The owner of the embedded row.';
COMMENT ON COLUMN semantic_search_metadata.source_table IS 'The table of the embedded row.';
COMMENT ON COLUMN semantic_search_metadata.source_id IS 'The id of the embedded row, as text.';
COMMENT ON COLUMN semantic_search_metadata.embedding_model IS
    'The model that made the embedding; vectors of different models do not compare.';
COMMENT ON COLUMN semantic_search_metadata.content_hash IS
    'SHA-256 of the text that was embedded: another text now means that the embedding is stale. NULL where it is not '
    'known: for what was embedded before this table, or is not embedded.';
COMMENT ON COLUMN semantic_search_metadata.content_length IS 'Characters of the text that was embedded.';
COMMENT ON COLUMN semantic_search_metadata.token_count IS 'Tokens that the model counted.';
COMMENT ON COLUMN semantic_search_metadata.status IS
    'pending: to be made; stale: the text has changed since it came or was embedded; done: made of the present text; '
    'failed: the job that makes embeddings gave up, see error_message.';
COMMENT ON COLUMN semantic_search_metadata.attempts IS
    'How often making the embedding of the present text was tried, as the job that makes embeddings counts.';
COMMENT ON TABLE semantic_search_log IS
    'Search performance: one row for each search, written by the function that searches. It goes with the person, '
    'because query_text is personal.';
COMMENT ON COLUMN semantic_search_log.user_id IS 'The person who searched.';
COMMENT ON COLUMN semantic_search_log.source_table IS 'The table that was searched, or all.';
COMMENT ON COLUMN semantic_search_log.match_threshold IS 'The least cosine similarity that was asked for.';
COMMENT ON COLUMN semantic_search_log.match_count IS 'The most rows that were asked for.';
COMMENT ON COLUMN semantic_search_log.result_count IS 'The rows that were found; NULL where the search failed.';
COMMENT ON COLUMN semantic_search_log.top_similarity IS 'The cosine similarity of the best row.';
COMMENT ON COLUMN semantic_search_log.ef_search IS 'hnsw.ef_search while the search ran.';
COMMENT ON COLUMN semantic_search_log.embedding_ms IS 'Milliseconds until the embedding of the query was there.';
COMMENT ON COLUMN semantic_search_log.duration_ms IS
    'Milliseconds of the search in the database, without embedding_ms.';

ALTER TABLE semantic_search_metadata ENABLE ROW LEVEL SECURITY;
ALTER TABLE semantic_search_log ENABLE ROW LEVEL SECURITY;

CREATE POLICY semantic_search_metadata_owner_read ON semantic_search_metadata FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY semantic_search_log_owner_read ON semantic_search_log FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY semantic_search_log_owner_insert ON semantic_search_log FOR INSERT
    WITH CHECK (user_id = (SELECT requesting_user_id()));

CREATE VIEW semantic_search_performance WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.source_table,
       count(*) AS searches,
       count(*) FILTER (WHERE log.error_message IS NOT NULL) AS failed,
       count(*) FILTER (WHERE log.result_count = 0) AS empty,
       avg(log.result_count)::double precision AS average_results,
       avg(log.top_similarity) AS average_top_similarity,
       avg(log.embedding_ms) AS average_embedding_ms,
       avg(log.duration_ms) AS average_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY log.duration_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY log.duration_ms) AS p95_ms,
       max(log.duration_ms) AS max_ms
FROM semantic_search_log AS log
GROUP BY 1, 2;
COMMENT ON VIEW semantic_search_performance IS
    'For each day (UTC) and table: how many searches, how many found nothing or failed, and how long they took.';

CREATE VIEW embedding_coverage WITH (security_invoker = true) AS
SELECT tab.source_table,
       count(source.source_id) AS total_rows,
       count(*) FILTER (WHERE source.is_embedded) AS embedded_rows,
       count(*) FILTER (WHERE NOT source.is_embedded) AS missing_rows,
       count(*) FILTER (WHERE source.is_embedded AND meta.status = 'stale') AS stale_rows,
       count(*) FILTER (WHERE meta.status = 'failed') AS failed_rows
FROM (VALUES ('messages'), ('knowledge_base'), ('conversations'), ('projects'), ('files'), ('audio_transcriptions'))
    AS tab (source_table)
LEFT JOIN embedding_sources AS source ON source.source_table = tab.source_table
LEFT JOIN semantic_search_metadata AS meta
    ON meta.source_table = source.source_table AND meta.source_id = source.source_id AND meta.status <> 'done'
GROUP BY tab.source_table;
COMMENT ON VIEW embedding_coverage IS
    'For each table that is searched by meaning: how many of its rows have an embedding, how many of those are stale, '
    'and how many rows have failed. Reads the tables whole.';

CREATE FUNCTION log_semantic_search(
    searched text,
    person text,
    searched_for text,
    least_similarity double precision,
    most_rows integer,
    found_rows integer,
    best_similarity double precision,
    started timestamptz,
    more jsonb DEFAULT '{}')
RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    who text := (SELECT u.id FROM users AS u WHERE u.id = coalesce(requesting_user_id(), person));
BEGIN
    -- A search is answered where nothing can be written, too: on a standby, and for a role that may only read.
    IF current_setting('transaction_read_only')::boolean
        OR NOT has_table_privilege('semantic_search_log', 'INSERT')
        OR (who IS NULL AND row_security_active('semantic_search_log'))
    THEN
        RETURN;
    END IF;
    INSERT INTO semantic_search_log (user_id, source_table, query_text, match_threshold, match_count, result_count,
                                     top_similarity, ef_search, duration_ms, metadata)
    VALUES (who, searched, searched_for, least_similarity, most_rows, found_rows, best_similarity,
            greatest(nullif(current_setting('hnsw.ef_search', true), '')::integer, most_rows),
            1000 * extract(epoch FROM clock_timestamp() - started), more);
END
$$;
COMMENT ON FUNCTION log_semantic_search(
    text, text, text, double precision, integer, integer, double precision, timestamptz, jsonb) IS
    'Writes a search to semantic_search_log, for the caller or else for the person that is named, if they are known.';

CREATE FUNCTION slow_semantic_searches(
    minimum_ms double precision DEFAULT 200,
    since interval DEFAULT '7 days',
    max_rows integer DEFAULT 50)
RETURNS TABLE (
    source_table text,
    match_count integer,
    ef_search integer,
    searches bigint,
    slow_searches bigint,
    slow_share double precision,
    median_ms double precision,
    p95_ms double precision,
    max_ms double precision,
    average_results double precision,
    slowest_query text,
    last_slow_at timestamptz)
LANGUAGE sql
STABLE
PARALLEL SAFE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
    SELECT log.source_table,
           log.match_count,
           log.ef_search,
           count(*),
           count(*) FILTER (WHERE log.duration_ms >= minimum_ms),
           (count(*) FILTER (WHERE log.duration_ms >= minimum_ms))::double precision / count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY log.duration_ms),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY log.duration_ms),
           max(log.duration_ms),
           avg(log.result_count)::double precision,
           (array_agg(log.query_text ORDER BY log.duration_ms DESC NULLS LAST))[1],
           max(log.created_at) FILTER (WHERE log.duration_ms >= minimum_ms)
    FROM semantic_search_log AS log
    WHERE log.created_at >= now() - since
    GROUP BY log.source_table, log.match_count, log.ef_search
    HAVING count(*) FILTER (WHERE log.duration_ms >= minimum_ms) > 0
    ORDER BY count(*) FILTER (WHERE log.duration_ms >= minimum_ms) DESC, max(log.duration_ms) DESC
    LIMIT max_rows
$function$;
COMMENT ON FUNCTION slow_semantic_searches(double precision, interval, integer) IS
    'The kinds of search (table, match_count, ef_search) of which some took minimum_ms or longer since then, the '
    'worst first; people see their own.';

CREATE FUNCTION vector_index_health()
RETURNS TABLE (
    table_name text,
    index_name text,
    method text,
    valid boolean,
    size_bytes bigint,
    scans bigint,
    live_rows bigint,
    dead_rows bigint,
    advice text)
LANGUAGE sql
STABLE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
    SELECT tab.relname::text,
           idx.relname::text,
           am.amname::text,
           ind.indisvalid AND ind.indisready,
           pg_relation_size(idx.oid),
           pg_stat_get_numscans(idx.oid),
           rows.live,
           rows.dead,
           CASE
               WHEN NOT (ind.indisvalid AND ind.indisready)
                   THEN format('not valid, so not used: REINDEX INDEX CONCURRENTLY %I', idx.relname)
               WHEN rows.dead > 1000 AND rows.dead > rows.live / 5
                   THEN format('many dead rows, which every search wades through: VACUUM %I', tab.relname)
               WHEN rows.live > 1000
                       AND coalesce(pg_stat_get_last_analyze_time(tab.oid), pg_stat_get_last_autoanalyze_time(tab.oid)) IS NULL
                   THEN format('the planner has no statistics: ANALYZE %I', tab.relname)
               WHEN pg_relation_size(idx.oid) > pg_size_bytes(current_setting('shared_buffers'))
                   THEN 'larger than shared_buffers: searches read from disk'
               WHEN pg_stat_get_numscans(idx.oid) = 0 AND rows.live > 10000
                   THEN 'not used since the statistics were reset: look at the queries with EXPLAIN'
               ELSE 'none'
           END
    FROM pg_catalog.pg_index AS ind
    JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
    JOIN pg_catalog.pg_class AS tab ON tab.oid = ind.indrelid
    JOIN pg_catalog.pg_am AS am ON am.oid = idx.relam
    CROSS JOIN LATERAL (SELECT pg_stat_get_live_tuples(tab.oid), pg_stat_get_dead_tuples(tab.oid)) AS rows (live, dead)
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND am.amname IN ('hnsw', 'ivfflat')
    ORDER BY pg_relation_size(idx.oid) DESC, idx.relname
$function$;
COMMENT ON FUNCTION vector_index_health() IS
    'Every vector index of this schema: its size, its use, the dead rows of its table, and what to do about it, if '
    'anything.';

-- Measures, on rows of knowledge_base taken at random, how many of the true
-- nearest neighbours (found by an exact scan) the index finds with each
-- hnsw.ef_search. The parameters of vector can be set only once the library is
-- loaded, so the body does that; those of the planner stand in the header, so
-- that the server undoes what the body changes in them.
CREATE FUNCTION recommend_ef_search(
    target_recall double precision DEFAULT 0.95,
    match_count integer DEFAULT 10,
    sample_size integer DEFAULT 20)
RETURNS TABLE (
    ef_search integer,
    recall double precision,
    average_ms double precision,
    recommended boolean)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = on
SET enable_bitmapscan = on
AS $function$
DECLARE
    candidates integer[] := ARRAY[40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000];
    hits bigint[];
    wanted bigint := 0;
    spent double precision[];
    sample record;
    farthest double precision;
    neighbours bigint;
    hit bigint;
    sampled integer := 0;
    started timestamptz;
    former_iterative_scan text;
    former_ef_search text;
BEGIN
    IF target_recall IS NULL OR target_recall NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'target_recall must be between 0 and 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF match_count IS NULL OR match_count NOT BETWEEN 1 AND 500 THEN
        RAISE EXCEPTION 'match_count must be between 1 and 500' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF sample_size IS NULL OR sample_size NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'sample_size must be between 1 and 1000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- An index scan gives ef_search rows at most.
    candidates := ARRAY(SELECT c FROM unnest(candidates) AS c WHERE c > match_count ORDER BY c);
    hits := array_fill(0::bigint, ARRAY[cardinality(candidates)]);
    spent := array_fill(0::double precision, ARRAY[cardinality(candidates)]);

    PERFORM vector_dims('[1]'::vector);  -- loads the library
    former_iterative_scan := current_setting('hnsw.iterative_scan', true);
    former_ef_search := current_setting('hnsw.ef_search', true);
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', 'off', true);
    END IF;

    FOR sample IN
        SELECT entry.id, entry.embedding
        FROM knowledge_base AS entry
        WHERE entry.id IN (SELECT pick.id FROM knowledge_base AS pick WHERE pick.embedding IS NOT NULL ORDER BY random() LIMIT sample_size)
    LOOP
        -- The row is its own nearest neighbour, which proves nothing: one more is
        -- asked for, and it is left out. "+ 0" is an order that the index cannot give.
        PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
        SELECT count(*), max(near.distance)
        INTO neighbours, farthest
        FROM (
            SELECT entry.id, entry.embedding <=> sample.embedding AS distance
            FROM knowledge_base AS entry
            WHERE entry.embedding IS NOT NULL
            ORDER BY (entry.embedding <=> sample.embedding) + 0
            LIMIT match_count + 1
        ) AS near
        WHERE near.id <> sample.id;
        sampled := sampled + 1;
        wanted := wanted + neighbours;

        PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
        FOR i IN 1 .. cardinality(candidates) LOOP
            PERFORM set_config('hnsw.ef_search', candidates[i]::text, true);
            started := clock_timestamp();
            -- By distance, not by id: rows with one distance are equally right.
            SELECT count(*) FILTER (WHERE near.distance <= farthest)
            INTO hit
            FROM (
                SELECT entry.id, entry.embedding <=> sample.embedding AS distance
                FROM knowledge_base AS entry
                WHERE entry.embedding IS NOT NULL
                ORDER BY entry.embedding <=> sample.embedding
                LIMIT match_count + 1
            ) AS near
            WHERE near.id <> sample.id;
            spent[i] := spent[i] + 1000 * extract(epoch FROM clock_timestamp() - started);
            hits[i] := hits[i] + least(hit, neighbours);
        END LOOP;
    END LOOP;

    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', former_iterative_scan, true);
    END IF;
    PERFORM set_config('hnsw.ef_search', former_ef_search, true);

    RETURN QUERY
        SELECT measured.ef, measured.share, measured.ms,
               measured.share >= target_recall
                   AND measured.ef = min(measured.ef) FILTER (WHERE measured.share >= target_recall) OVER ()
        FROM (
            SELECT each.ef, each.hits::double precision / nullif(wanted, 0) AS share, each.ms / nullif(sampled, 0) AS ms
            FROM unnest(candidates, hits, spent) AS each (ef, hits, ms)
        ) AS measured
        ORDER BY measured.ef;
END
$function$;
COMMENT ON FUNCTION recommend_ef_search(double precision, integer, integer) IS
    'Measures the recall of the index on knowledge_base.embedding for several values of hnsw.ef_search and marks the '
    'least that reaches target_recall. recall is NULL where there is nothing to measure. It scans knowledge_base '
    'once for each of sample_size rows: for an operator, not for every request.';
