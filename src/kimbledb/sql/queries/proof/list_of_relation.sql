SELECT 'privilege ' || CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' WHEN c.relkind = 'S' THEN 'sequence ' ELSE 'table ' END
       || names[array_position(relations, c.oid)], c.relacl
FROM pg_class AS c WHERE c.oid = ANY (relations)
