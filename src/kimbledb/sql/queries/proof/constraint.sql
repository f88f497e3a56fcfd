-- The index behind a key must be valid, too.
SELECT 'constraint ' || names[array_position(relations, held.conrelid)] || '.' || {quoted:held.conname},
       CASE WHEN NOT held.convalidated THEN 'not valid'
            WHEN held.contype IN ('p', 'u', 'x') AND NOT (
                SELECT i.indisvalid AND i.indisready FROM pg_index AS i WHERE i.indexrelid = held.conindid) THEN 'invalid' END, NULL, {printed:held.conname}
FROM pg_constraint AS held
WHERE held.conrelid = ANY (relations) AND held.conname::text = ANY ({own})
