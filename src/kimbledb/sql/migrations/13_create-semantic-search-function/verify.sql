-- name: search_can_be_called_and_is_ranked
-- With the least threshold; of an empty table it finds nothing, which is an answer too.
SELECT count(*) <= 5
           AND coalesce(bool_and(hit.rank = hit.place AND hit.similarity BETWEEN -1 AND 1
                                 AND hit.similarity <= hit.better), true) AS passed,
       'up to 5 rows, ranked from 1, each with a similarity not above that of the one before' AS expected,
       coalesce(string_agg(format('%s: %s', hit.rank, hit.similarity), ', ' ORDER BY hit.rank), 'no rows') AS found
FROM (
    SELECT found.rank, found.similarity,
           row_number() OVER (ORDER BY found.rank) AS place,
           coalesce(lag(found.similarity) OVER (ORDER BY found.rank), 1) AS better
    FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector, -1, 5) AS found
) AS hit;

-- name: all_content_can_be_searched_and_is_ranked
SELECT count(*) <= 5
           AND coalesce(bool_and(hit.rank = hit.place AND hit.similarity <= hit.better AND hit.kind = hit.content_type), true)
           AS passed,
       'up to 5 rows, ranked from 1, each with a similarity not above that of the one before' AS expected,
       coalesce(string_agg(format('%s: %s', hit.rank, hit.similarity), ', ' ORDER BY hit.rank), 'no rows') AS found
FROM (
    SELECT found.rank, found.similarity, found.kind, found.content_type,
           row_number() OVER (ORDER BY found.rank) AS place,
           coalesce(lag(found.similarity) OVER (ORDER BY found.rank), 1) AS better
    FROM search_all_content(array_fill(1::real, ARRAY[1536])::vector, NULL, -1, 5) AS found
) AS hit;

-- name: search_uses_its_defaults
SELECT count(*) <= 10 AND coalesce(bool_and(found.similarity >= 0.5), true) AS passed,
       'up to 10 rows of similarity 0.5 and more' AS expected,
       format('%s rows', count(*)) AS found
FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector) AS found;

-- name: search_leaves_the_settings_as_they_were
-- The parameters of vector are known once its library is loaded, so the search
-- comes first; then none may differ from what the session began with.
SELECT later.differ IS NULL AS passed, 'no setting changed' AS expected,
       coalesce(later.differ, 'no setting changed') AS found
FROM (
    SELECT (SELECT string_agg(format('%s = %s', now.name, now.setting), ', ' ORDER BY now.name)
            FROM pg_catalog.pg_settings AS now
            WHERE now.name IN ('hnsw.ef_search', 'hnsw.iterative_scan')
              AND now.setting <> now.reset_val AND search.hits >= 0) AS differ
    FROM (SELECT count(*) AS hits
          FROM search_knowledge_base(array_fill(1::real, ARRAY[1536])::vector, -1, 100)) AS search
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
