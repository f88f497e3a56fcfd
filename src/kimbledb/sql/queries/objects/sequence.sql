-- Sequences. That of an identity column is a fact of the column.
SELECT 'sequence', sequence.name,
       json_strip_nulls(json_build_object(
           'type', CASE WHEN s.seqtypid <> 20 THEN format_type(s.seqtypid, NULL) END,
           'start', nullif(s.seqstart, CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END),
           'increment', nullif(s.seqincrement, 1),
           'minimum', nullif(s.seqmin, CASE WHEN s.seqincrement > 0 THEN 1 ELSE
               CASE s.seqtypid WHEN 21 THEN -32768 WHEN 23 THEN -2147483648 ELSE -9223372036854775808 END END),
           'maximum', nullif(s.seqmax, CASE WHEN s.seqincrement < 0 THEN -1 ELSE
               CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END END),
           'cache', nullif(s.seqcache, 1),
           'cycle', nullif(s.seqcycle, false),
           'unlogged', CASE WHEN sequence.relpersistence = 'u' THEN true END,
           'owned_by', CASE WHEN sequence.owned = 'a' THEN (
               SELECT {relation:a.attrelid} || '.' || {quoted:a.attname} FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid = sequence.owner_table AND a.attnum = sequence.owner_column) END)),
       NULL::jsonb, sequence.class, sequence.oid, 0, sequence.relowner, NULL
FROM sequence
JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = sequence.oid
WHERE sequence.owned IS DISTINCT FROM 'i'
