-- create-semantic-search-function.sql
--
-- search_knowledge_base(query_embedding, match_threshold, match_count): the
-- entries of knowledge_base nearest to an embedding by cosine similarity,
-- ranked, with scores. It also takes what the application names in its calls.
-- search_all_content() searches messages, conversations, files, transcriptions
-- and knowledge at once.
--
-- Both find what row level security lets the caller see. The service sees all:
-- where a person is named, nothing but what is theirs is found.

-- Columns that other migrations add are looked for: a search works without them.
CREATE FUNCTION project_of_content(kind text) RETURNS text
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $function$
    SELECT CASE
        WHEN kind = 'message' AND has_column('conversations', 'project_id')
            THEN 'coalesce(entry.project_id, (SELECT c.project_id FROM conversations AS c WHERE c.id = entry.conversation_id))'
        WHEN kind = 'conversation' AND NOT has_column('conversations', 'project_id')
            OR kind = 'transcription' AND NOT has_column('audio_transcriptions', 'project_id')
            THEN 'NULL::text'
        ELSE 'entry.project_id' END
$function$;
COMMENT ON FUNCTION project_of_content(text) IS
    'The expression for the project of an entry of one kind of content: of a message that names none, its conversation''s.';

-- The ids of the nearest rows of one table.
--
-- An HNSW index gives its nearest hnsw.ef_search rows (40), and row level
-- security and conditions filter afterwards: of a person who owns 1 % of the
-- rows nothing may be left. Two things mend that:
--   1. vector 0.8 and later can scan the index on until enough rows passed
--      (hnsw.iterative_scan). The parameter exists only once the library is
--      loaded and not at all before 0.8, and CREATE FUNCTION ... SET would need
--      a privilege for it in a session that has not loaded the library yet; so
--      the body sets it, for its own duration.
--   2. Where the index still gave fewer rows than asked for (vector before 0.8,
--      or hnsw.max_scan_tuples reached), the rows are sorted without it. Then
--      they are few against the whole table, and the index on user_id finds them.
--
-- The conditions are put together for each call, so that the server plans for
-- what is asked.
CREATE FUNCTION nearest_content(
    kind text,
    query_embedding vector,
    match_threshold double precision,
    match_count integer,
    person text,
    project text)
RETURNS TABLE (id text, distance double precision)
LANGUAGE plpgsql
STABLE
SECURITY INVOKER
ROWS 10
SET search_path FROM CURRENT
AS $function$
DECLARE
    max_count CONSTANT integer := 1000;  -- the most that hnsw.ef_search can be
    searched text := CASE kind
        WHEN 'message' THEN 'messages'
        WHEN 'conversation' THEN 'conversations'
        WHEN 'file' THEN 'files'
        WHEN 'transcription' THEN 'audio_transcriptions'
        WHEN 'knowledge' THEN 'knowledge_base' END;
    condition text := 'entry.embedding IS NOT NULL';
    tag text;
    query text;
    former_iterative_scan text;
    former_ef_search text;
    ids text[];
    distances double precision[];
BEGIN
    IF searched IS NULL THEN
        RAISE EXCEPTION 'kind must be conversation, file, knowledge, message or transcription'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF query_embedding IS NULL THEN
        RAISE EXCEPTION 'query_embedding is null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Pass the embedding of the text that is searched for.';
    END IF;
    -- From here on the library is loaded: this is the first call into it.
    IF vector_dims(query_embedding) <> 1536 THEN
        RAISE EXCEPTION 'query_embedding has % dimensions, the stored embeddings have 1536', vector_dims(query_embedding)
            USING ERRCODE = 'data_exception',
                  HINT = 'Use the model that made the stored embeddings.';
    END IF;
    IF vector_norm(query_embedding) = 0 THEN
        RAISE EXCEPTION 'query_embedding is all zeros: it has no direction to compare'
            USING ERRCODE = 'data_exception';
    END IF;
    IF match_threshold IS NULL OR match_threshold NOT BETWEEN -1 AND 1 THEN
        RAISE EXCEPTION 'match_threshold must be between -1 and 1, not %', match_threshold
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF match_count IS NULL OR match_count NOT BETWEEN 1 AND max_count THEN
        RAISE EXCEPTION 'match_count must be between 1 and %, not %', max_count, match_count
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF kind IN ('knowledge', 'transcription') THEN
        condition := condition || ' AND entry.is_active IS NOT FALSE';
    END IF;
    IF person IS NOT NULL THEN
        -- A message belongs to whoever owns its conversation.
        condition := condition || CASE kind
            WHEN 'message' THEN ' AND entry.conversation_id = ANY (ARRAY(SELECT c.id FROM conversations AS c WHERE c.user_id = $3))'
            ELSE ' AND entry.user_id = $3' END;
    END IF;
    IF project IS NOT NULL THEN
        tag := CASE WHEN kind = 'transcription' AND has_column('audio_transcriptions', 'project_tag')
                    THEN 'entry.project_tag' ELSE 'NULL::text' END;
        -- 'general' is what is in no project, unless a project has that id.
        condition := condition || format(
            CASE WHEN project = 'general' AND NOT EXISTS (SELECT FROM projects AS p WHERE p.id = project)
                 THEN ' AND coalesce(%s, %s, $4) = $4'
                 ELSE ' AND coalesce(%s, %s) = $4' END,
            project_of_content(kind), tag);
    END IF;

    former_iterative_scan := current_setting('hnsw.iterative_scan', true);
    former_ef_search := current_setting('hnsw.ef_search', true);
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
    END IF;
    IF former_ef_search::integer < match_count THEN
        PERFORM set_config('hnsw.ef_search', match_count::text, true);
    END IF;

    -- The threshold is not in the inner query: there it would make the index go
    -- on looking for rows that cannot come any more.
    query := 'SELECT array_agg(near.id), array_agg(near.distance) FROM ('
        'SELECT entry.id::text AS id, entry.embedding <=> $1 AS distance FROM %I AS entry WHERE %s '
        'ORDER BY (entry.embedding <=> $1)%s LIMIT $2) AS near';
    EXECUTE format(query, searched, condition, '')
        INTO ids, distances USING query_embedding, match_count, person, project;
    -- Too few, and the farthest would still pass: there may be more. "+ 0" is an
    -- order that the vector index cannot give.
    IF coalesce(cardinality(ids), 0) < match_count
        AND coalesce((SELECT max(d) FROM unnest(distances) AS d), 0) <= 1 - match_threshold
    THEN
        EXECUTE format(query, searched, condition, ' + 0')
            INTO ids, distances USING query_embedding, match_count, person, project;
    END IF;

    -- An error before this line undoes these by itself, with its transaction.
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', former_iterative_scan, true);
    END IF;
    IF former_ef_search::integer < match_count THEN
        PERFORM set_config('hnsw.ef_search', former_ef_search, true);
    END IF;

    -- By distance: 1 - 0.9 is less than 0.1. The distance of an embedding that is all zeros is NaN, and passes never.
    RETURN QUERY
        SELECT near.id, near.distance
        FROM unnest(ids, distances) AS near (id, distance)
        WHERE near.distance <= 1 - match_threshold;
END
$function$;
COMMENT ON FUNCTION nearest_content(text, vector, double precision, integer, text, text) IS
    'The rows of one kind of content nearest to query_embedding that the caller may see, of a person and a project '
    'where these are named: at most match_count, of at least match_threshold.';

CREATE FUNCTION search_knowledge_base(
    query_embedding vector,
    match_threshold double precision DEFAULT NULL,
    match_count integer DEFAULT NULL,
    query_text text DEFAULT NULL,
    user_id_param text DEFAULT NULL,
    project_id_param text DEFAULT NULL,
    similarity_threshold double precision DEFAULT NULL,
    p_user_id text DEFAULT NULL)
RETURNS TABLE (
    id uuid,
    user_id text,
    project_id text,
    source_type text,
    source_id text,
    file_id text,
    category text,
    title text,
    content text,
    tags text[],
    importance double precision,
    metadata jsonb,
    created_at timestamptz,
    similarity double precision,
    rank integer)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
ROWS 10
SET search_path FROM CURRENT
AS $function$
DECLARE
    started CONSTANT timestamptz := clock_timestamp();
    person CONSTANT text := coalesce(user_id_param, p_user_id);
    -- The application's call with p_user_id names no threshold, and counts on the lower one.
    lowest CONSTANT double precision := coalesce(
        match_threshold, similarity_threshold, CASE WHEN p_user_id IS NULL THEN 0.5 ELSE 0.3 END);
    wanted CONSTANT integer := coalesce(match_count, 10);
    ids uuid[];
    distances double precision[];
BEGIN
    IF user_id_param <> p_user_id OR match_threshold <> similarity_threshold THEN
        RAISE EXCEPTION 'user_id_param and p_user_id, and match_threshold and similarity_threshold, are one thing each and were given different values'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT array_agg(near.id ORDER BY near.distance, near.id), array_agg(near.distance ORDER BY near.distance, near.id)
    INTO ids, distances
    FROM nearest_content('knowledge', query_embedding, lowest, wanted, person, project_id_param) AS near;
    PERFORM log_semantic_search(
        'knowledge_base', person, query_text, lowest, wanted, coalesce(cardinality(ids), 0), 1 - distances[1], started,
        jsonb_strip_nulls(jsonb_build_object('project_id', project_id_param)));
    RETURN QUERY EXECUTE format(
        'SELECT entry.id, entry.user_id, entry.project_id, entry.source_type, entry.source_id, %s, entry.category, '
        'entry.title, entry.content, entry.tags, entry.importance, entry.metadata, entry.created_at, '
        '1 - near.distance, near.rank::integer '
        'FROM unnest($1, $2) WITH ORDINALITY AS near (id, distance, rank) '
        'JOIN knowledge_base AS entry ON entry.id = near.id ORDER BY near.rank',
        CASE WHEN has_column('knowledge_base', 'file_id') THEN 'entry.file_id::text' ELSE 'NULL::text' END)
        USING ids, distances;
END
$function$;
COMMENT ON FUNCTION search_knowledge_base(
    vector, double precision, integer, text, text, text, double precision, text) IS
    'The active entries of knowledge_base nearest to query_embedding that the caller may see: similarity is the cosine '
    'similarity (1 is the same direction), at least match_threshold (0.5); rank counts from 1; at most match_count rows '
    '(10; 1 to 1000). user_id_param or p_user_id finds the entries of one person alone, project_id_param those of one '
    'project; similarity_threshold is match_threshold; query_text is for the log.';

CREATE FUNCTION search_all_content(
    query_embedding vector,
    p_user_id text,
    match_threshold double precision DEFAULT 0.7,
    match_count integer DEFAULT 20,
    p_project_id text DEFAULT NULL,
    p_content_types text[] DEFAULT NULL)
RETURNS TABLE (
    id text,
    kind text,
    content_type text,
    title text,
    content text,
    source_id text,
    project_id text,
    created_at timestamptz,
    metadata jsonb,
    similarity double precision,
    rank integer)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
ROWS 20
SET search_path FROM CURRENT
AS $function$
DECLARE
    started CONSTANT timestamptz := clock_timestamp();
    lowest CONSTANT double precision := coalesce(match_threshold, 0.7);
    wanted CONSTANT integer := coalesce(match_count, 20);
    kinds text[];
    ids text[];
    distances double precision[];
BEGIN
    SELECT array_agg(best.kind ORDER BY best.distance, best.kind, best.id),
           array_agg(best.id ORDER BY best.distance, best.kind, best.id),
           array_agg(best.distance ORDER BY best.distance, best.kind, best.id)
    INTO kinds, ids, distances
    FROM (
        SELECT known.kind, near.id, near.distance
        FROM (VALUES
            ('conversation', '{conversation,conversations}'::text[]),
            ('file', '{file,files}'),
            ('knowledge', '{knowledge,knowledge_base}'),
            ('message', '{message,messages}'),
            ('transcription', '{transcription,transcriptions,transcript,transcripts,audio,audio_transcriptions}')
        ) AS known (kind, names)
        CROSS JOIN LATERAL nearest_content(
            known.kind, query_embedding, lowest, wanted, p_user_id, p_project_id) AS near
        WHERE p_content_types IS NULL OR known.names && p_content_types
        ORDER BY near.distance, known.kind, near.id
        LIMIT wanted
    ) AS best;
    PERFORM log_semantic_search(
        'all', p_user_id, NULL, lowest, wanted, coalesce(cardinality(ids), 0), 1 - distances[1], started,
        jsonb_strip_nulls(jsonb_build_object('project_id', p_project_id, 'content_types', to_jsonb(p_content_types))));
    RETURN QUERY EXECUTE format(
        'SELECT near.id, near.kind, near.kind, entry.title, entry.content, entry.source_id, entry.project_id, '
        'entry.created_at, entry.metadata, 1 - near.distance, near.rank::integer '
        'FROM unnest($1, $2, $3) WITH ORDINALITY AS near (kind, id, distance, rank) '
        'CROSS JOIN LATERAL ('
        'SELECT c.title, entry.content, entry.conversation_id AS source_id, %s AS project_id, entry.created_at, entry.metadata '
        'FROM messages AS entry LEFT JOIN conversations AS c ON c.id = entry.conversation_id '
        'WHERE near.kind = ''message'' AND entry.id = near.id UNION ALL '
        'SELECT entry.title, entry.summary, entry.id, %s, entry.created_at, entry.metadata '
        'FROM conversations AS entry WHERE near.kind = ''conversation'' AND entry.id = near.id UNION ALL '
        'SELECT entry.filename, entry.processed_content, entry.id, entry.project_id, entry.created_at, entry.metadata '
        'FROM files AS entry WHERE near.kind = ''file'' AND entry.id = near.id UNION ALL '
        'SELECT entry.filename, coalesce(entry.text, entry.content), entry.file_id, %s, entry.created_at, entry.metadata '
        'FROM audio_transcriptions AS entry '
        'WHERE entry.id = CASE near.kind WHEN ''transcription'' THEN near.id::uuid END UNION ALL '
        'SELECT entry.title, entry.content, entry.source_id, entry.project_id, entry.created_at, entry.metadata '
        'FROM knowledge_base AS entry WHERE entry.id = CASE near.kind WHEN ''knowledge'' THEN near.id::uuid END'
        ') AS entry ORDER BY near.rank',
        project_of_content('message'), project_of_content('conversation'), project_of_content('transcription'))
        USING kinds, ids, distances;
END
$function$;
COMMENT ON FUNCTION search_all_content(vector, text, double precision, integer, text, text[]) IS
    'The messages, conversations, files, transcriptions and entries of knowledge_base nearest to query_embedding that '
    'the caller may see, ranked together by cosine similarity: at most match_count rows (1 to 1000) of at least '
    'match_threshold. p_user_id finds what is one person''s, p_project_id what is of one project, or transcriptions of '
    'one tag; p_content_types leaves out other kinds. kind is message, conversation, file, transcription or knowledge, '
    'and content_type the same under the application''s name.';
