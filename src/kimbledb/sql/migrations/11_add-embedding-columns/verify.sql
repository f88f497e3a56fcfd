-- name: columns_have_1536_dimensions
-- The dimensions of the model that the application uses.
SELECT coalesce(bool_and(there.type = 'vector(1536)'), false)
           AND count(there.type) = count(*) AS passed,
       string_agg(format('%s.embedding vector(1536)', wanted.tab), ', ' ORDER BY wanted.tab) AS expected,
       string_agg(format('%s.embedding %s', wanted.tab, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab) AS found
FROM (VALUES ('audio_transcriptions'), ('conversations'), ('files'), ('projects')) AS wanted (tab)
LEFT JOIN LATERAL (
    SELECT -- Without the schema of the extension, wherever that is.
           (SELECT typ.typname FROM pg_catalog.pg_type AS typ WHERE typ.oid = col.atttypid)
               || CASE WHEN col.atttypmod > 0 THEN format('(%s)', col.atttypmod) ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
      AND col.attname = 'embedding' AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: indexes_are_hnsw_by_cosine
-- The document asks for "GIN indexes for vector similarity search". GIN has no
-- operator class for vectors, so no such index can exist: these are HNSW
-- indexes with the cosine operator class, and they serve that search.
SELECT coalesce(bool_and(there.method = 'hnsw' AND there.opclass = 'vector_cosine_ops'
                         AND there.indisvalid AND there.indisready), false)
           AND count(there.method) = count(*) AS passed,
       string_agg(format('%s: hnsw (vector_cosine_ops)', wanted.name), ', ' ORDER BY wanted.name) AS expected,
       string_agg(format('%s: %s', wanted.name,
                         CASE WHEN there.method IS NULL THEN 'missing'
                              ELSE format('%s (%s)%s', there.method, there.opclass,
                                          CASE WHEN there.indisvalid AND there.indisready THEN '' ELSE ' invalid' END)
                         END), ', ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('audio_transcriptions', 'idx_audio_transcriptions_embedding'),
    ('conversations', 'idx_conversations_embedding'),
    ('files', 'idx_files_embedding'),
    ('projects', 'idx_projects_embedding')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT (SELECT am.amname FROM pg_catalog.pg_am AS am WHERE am.oid = idx.relam) AS method,
           (SELECT opc.opcname FROM pg_catalog.pg_opclass AS opc WHERE opc.oid = ind.indclass[0]) AS opclass,
           ind.indisvalid, ind.indisready
    FROM pg_catalog.pg_index AS ind
    JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: nearest_neighbours_can_be_asked_for
-- One search in each table; an empty table gives no row, which is an answer too.
SELECT count(*) BETWEEN 0 AND 4 AS passed, '0 to 4 rows' AS expected, format('%s rows', count(*)) AS found
FROM (
    (SELECT embedding <=> array_fill(1::real, ARRAY[1536])::vector AS distance FROM conversations ORDER BY 1 LIMIT 1)
    UNION ALL
    (SELECT embedding <=> array_fill(1::real, ARRAY[1536])::vector FROM projects ORDER BY 1 LIMIT 1)
    UNION ALL
    (SELECT embedding <=> array_fill(1::real, ARRAY[1536])::vector FROM files ORDER BY 1 LIMIT 1)
    UNION ALL
    (SELECT embedding <=> array_fill(1::real, ARRAY[1536])::vector FROM audio_transcriptions ORDER BY 1 LIMIT 1)
) AS nearest;

-- name: columns_are_described
-- A comment says what each vector is made from.
SELECT count(*) = 4 AS passed, '4 comments' AS expected, format('%s comments', count(*)) AS found
FROM pg_catalog.pg_class AS tab
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
  AND tab.relname IN ('audio_transcriptions', 'conversations', 'files', 'projects')
  AND col.attname = 'embedding' AND NOT col.attisdropped
  AND col_description(tab.oid, col.attnum) IS NOT NULL;
