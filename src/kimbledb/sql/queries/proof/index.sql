SELECT 'index ' || names[array_position(relations, i.indexrelid)],
       CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'invalid' END, NULL,
       {printed:names[array_position(relations, i.indexrelid)]}
FROM pg_index AS i
WHERE i.indexrelid = ANY (relations)
