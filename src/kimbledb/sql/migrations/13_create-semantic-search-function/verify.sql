-- name: function_has_the_documented_arguments
SELECT count(*) = 1 AS passed,
       'query_embedding vector, match_threshold double precision DEFAULT 0.5, match_count integer DEFAULT 10' AS expected,
       coalesce((SELECT string_agg(pg_get_function_arguments(pro.oid), '; ')
                 FROM pg_catalog.pg_proc AS pro
                 WHERE pro.pronamespace = quote_ident(current_schema())::regnamespace AND pro.proname = 'search_knowledge_base'), 'no such function') AS found
FROM pg_catalog.pg_proc AS pro
WHERE pro.pronamespace = quote_ident(current_schema())::regnamespace AND pro.proname = 'search_knowledge_base'
  AND pro.proargnames[1:3] = ARRAY['query_embedding', 'match_threshold', 'match_count']
  AND pro.pronargs = 3 AND pro.pronargdefaults = 2
  AND pro.proargtypes[1] = 'double precision'::regtype AND pro.proargtypes[2] = 'integer'::regtype
  AND (SELECT typ.typname FROM pg_catalog.pg_type AS typ WHERE typ.oid = pro.proargtypes[0]) = 'vector';

-- name: function_runs_with_the_rights_of_its_caller
-- So row level security decides what it finds. Its search_path is pinned, and
-- neither PUBLIC nor anon may call it.
SELECT count(*) = 1 AND bool_and(fun.found = 'search_path pinned, rights of the caller, closed') AS passed,
       'search_path pinned, rights of the caller, closed' AS expected,
       coalesce(string_agg(fun.found, '; '), 'no such function') AS found
FROM (
    SELECT format('search_path %s, rights of the %s, %s',
                  CASE WHEN EXISTS (SELECT FROM unnest(pro.proconfig) AS setting WHERE setting LIKE 'search_path=%') THEN 'pinned' ELSE 'not pinned' END,
                  CASE WHEN pro.prosecdef THEN 'owner' ELSE 'caller' END,
                  CASE WHEN EXISTS (
                      SELECT FROM aclexplode(coalesce(pro.proacl, acldefault('f', pro.proowner))) AS acl
                      LEFT JOIN pg_catalog.pg_roles AS grantee ON grantee.oid = acl.grantee
                      WHERE acl.grantee = 0 OR grantee.rolname = 'anon') THEN 'open' ELSE 'closed' END) AS found
    FROM pg_catalog.pg_proc AS pro
    WHERE pro.pronamespace = quote_ident(current_schema())::regnamespace AND pro.proname = 'search_knowledge_base'
) AS fun;

-- name: index_it_searches_is_valid
SELECT count(*) > 0 AS passed,
       'a valid HNSW index on knowledge_base (embedding vector_cosine_ops)' AS expected,
       coalesce(string_agg(idx.relname, ', ' ORDER BY idx.relname), 'none') AS found
FROM pg_catalog.pg_index AS ind
JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
JOIN pg_catalog.pg_am AS am ON am.oid = idx.relam
JOIN pg_catalog.pg_opclass AS opc ON opc.oid = ind.indclass[0]
JOIN pg_catalog.pg_class AS tab ON tab.oid = ind.indrelid
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attnum = ind.indkey[0]
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'knowledge_base' AND col.attname = 'embedding'
  AND am.amname = 'hnsw' AND opc.opcname = 'vector_cosine_ops' AND ind.indisvalid AND ind.indisready;

-- name: search_can_be_called_and_is_ranked
-- With the least threshold; of an empty table it finds nothing, which is an answer too.
SELECT count(*) <= 5
           AND coalesce(bool_and(hit.rank = hit.place AND hit.similarity BETWEEN -1 AND 1 AND hit.similarity <= hit.better), true) AS passed,
       'up to 5 rows, ranked from 1, each with a similarity not above that of the one before' AS expected,
       coalesce(string_agg(format('%s: %s', hit.rank, hit.similarity), ', ' ORDER BY hit.rank), 'no rows') AS found
FROM (
    SELECT found.rank, found.similarity,
           row_number() OVER (ORDER BY found.rank) AS place,
           coalesce(lag(found.similarity) OVER (ORDER BY found.rank), 1) AS better
    FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector, -1, 5) AS found
) AS hit;

-- name: search_uses_its_defaults
SELECT count(*) <= 10 AND coalesce(bool_and(found.similarity >= 0.5), true) AS passed,
       'up to 10 rows of similarity 0.5 and more' AS expected,
       format('%s rows', count(*)) AS found
FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector) AS found;

-- name: search_leaves_the_settings_as_they_were
-- The parameters of vector are known once its library is loaded, so the search
-- comes first; then none may differ from what the session began with.
SELECT later.differ IS NULL AS passed, 'no setting changed' AS expected, coalesce(later.differ, 'no setting changed') AS found
FROM (
    SELECT (SELECT string_agg(format('%s = %s', now.name, now.setting), ', ' ORDER BY now.name)
            FROM pg_catalog.pg_settings AS now
            WHERE now.name IN ('hnsw.ef_search', 'hnsw.iterative_scan')
              AND now.setting <> now.reset_val AND search.hits >= 0) AS differ
    FROM (SELECT count(*) AS hits FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector, -1, 100)) AS search
) AS later;

-- name: documented_query runs
-- In psql: \df search_knowledge_base
SELECT nsp.nspname AS "Schema", pro.proname AS "Name",
       pg_get_function_result(pro.oid) AS "Result data type",
       pg_get_function_arguments(pro.oid) AS "Argument data types",
       'func' AS "Type"
FROM pg_catalog.pg_proc AS pro
JOIN pg_catalog.pg_namespace AS nsp ON nsp.oid = pro.pronamespace
WHERE pro.proname = 'search_knowledge_base' AND nsp.nspname = current_schema();
