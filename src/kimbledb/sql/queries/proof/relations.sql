-- Tables, views and sequences.
SELECT CASE WHEN relation.relkind IN ('v', 'm') THEN 'view ' WHEN relation.relkind = 'S' THEN 'sequence ' ELSE 'table ' END
       || names[array_position(relations, relation.oid)],
       CASE WHEN relation.relowner <> own_role THEN 'owner' END, relation.relowner::text,
       {printed:names[array_position(relations, relation.oid)]}
FROM pg_class AS relation
WHERE relation.oid = ANY (relations) AND relation.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
