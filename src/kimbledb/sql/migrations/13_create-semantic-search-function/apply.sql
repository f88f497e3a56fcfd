-- create-semantic-search-function.sql
--
-- search_knowledge_base(query_embedding, match_threshold, match_count): the
-- entries of knowledge_base nearest to an embedding by cosine similarity,
-- ranked, with scores, as far as row level security lets the caller see them.
--
-- An HNSW index gives its nearest hnsw.ef_search rows (40) and row level
-- security filters afterwards: of a person who owns 1 % of the rows nothing may
-- be left. Two things mend that:
--   1. vector 0.8 and later can scan the index on until enough rows passed
--      (hnsw.iterative_scan). The parameter exists only once the library is
--      loaded and not at all before 0.8, and CREATE FUNCTION ... SET would need
--      a privilege for it in a session that has not loaded the library yet; so
--      the body sets it, for its own duration.
--   2. Where the index still gave fewer rows than asked for (vector before 0.8,
--      or hnsw.max_scan_tuples reached), the caller's rows are sorted without
--      it. Then they are few against the whole table, and the index on user_id
--      finds them.
CREATE FUNCTION search_knowledge_base(
    query_embedding vector,
    match_threshold double precision DEFAULT 0.5,
    match_count integer DEFAULT 10)
RETURNS TABLE (
    id uuid,
    user_id text,
    source_type text,
    source_id text,
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
STABLE
SECURITY INVOKER
ROWS 10
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
AS $function$
DECLARE
    max_count CONSTANT integer := 1000;  -- the most that hnsw.ef_search can be
    lowest double precision := coalesce(match_threshold, 0.5);
    wanted integer := coalesce(match_count, 10);
    former_iterative_scan text;
    former_ef_search text;
    found_ids uuid[];
    found_distances double precision[];
    farthest double precision;
BEGIN
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
    IF lowest NOT BETWEEN -1 AND 1 THEN
        RAISE EXCEPTION 'match_threshold must be between -1 and 1, not %', lowest
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF wanted NOT BETWEEN 1 AND max_count THEN
        RAISE EXCEPTION 'match_count must be between 1 and %, not %', max_count, wanted
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    former_iterative_scan := current_setting('hnsw.iterative_scan', true);
    former_ef_search := current_setting('hnsw.ef_search', true);
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
    END IF;
    IF former_ef_search::integer < wanted THEN
        PERFORM set_config('hnsw.ef_search', wanted::text, true);
    END IF;

    -- The threshold is not in the inner query: there it would make the index go
    -- on looking for rows that cannot come any more.
    SELECT array_agg(near.id), array_agg(near.distance), max(near.distance)
    INTO found_ids, found_distances, farthest
    FROM (
        SELECT entry.id, entry.embedding <=> query_embedding AS distance
        FROM knowledge_base AS entry
        WHERE entry.embedding IS NOT NULL AND entry.is_active IS NOT FALSE
        ORDER BY entry.embedding <=> query_embedding
        LIMIT wanted
    ) AS near;

    -- Too few, and the farthest would still pass: there may be more. "+ 0" is an
    -- order that the vector index cannot give.
    IF coalesce(cardinality(found_ids), 0) < wanted AND 1 - coalesce(farthest, 0) >= lowest THEN
        SELECT array_agg(near.id), array_agg(near.distance)
        INTO found_ids, found_distances
        FROM (
            SELECT entry.id, entry.embedding <=> query_embedding AS distance
            FROM knowledge_base AS entry
            WHERE entry.embedding IS NOT NULL AND entry.is_active IS NOT FALSE
            ORDER BY (entry.embedding <=> query_embedding) + 0
            LIMIT wanted
        ) AS near;
    END IF;

    -- An error before this line undoes these by itself, with its transaction.
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', former_iterative_scan, true);
    END IF;
    IF former_ef_search::integer < wanted THEN
        PERFORM set_config('hnsw.ef_search', former_ef_search, true);
    END IF;

    RETURN QUERY
        SELECT entry.id, entry.user_id, entry.source_type, entry.source_id, entry.category,
               entry.title, entry.content, entry.tags, entry.importance, entry.metadata, entry.created_at,
               1 - near.distance,
               (row_number() OVER (ORDER BY near.distance, entry.id))::integer
        FROM unnest(found_ids, found_distances) AS near (id, distance)
        JOIN knowledge_base AS entry ON entry.id = near.id
        WHERE 1 - near.distance BETWEEN lowest AND 1  -- which NaN, the distance of an embedding that is all zeros, is not
        ORDER BY near.distance, entry.id;
END
$function$;
COMMENT ON FUNCTION search_knowledge_base(vector, double precision, integer) IS
    'The active entries of knowledge_base nearest to query_embedding that the caller may see: similarity is the cosine '
    'similarity (1 is the same direction), at least match_threshold; rank counts from 1; at most match_count rows '
    '(1 to 1000).';
