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
