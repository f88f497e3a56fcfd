-- For each parameter of a prepared statement a value of its type, as a literal.
SELECT coalesce(jsonb_agg(CASE
           WHEN base.typtype = 'e' THEN (SELECT quote_literal(e.enumlabel) FROM pg_enum AS e WHERE e.enumtypid = base.oid ORDER BY e.enumsortorder LIMIT 1)
           WHEN base.typname IN ('time', 'timetz') THEN '''00:00'''
           WHEN base.typname = 'uuid' THEN '''00000000-0000-0000-0000-000000000001'''
           WHEN base.typname IN ('json', 'jsonb') THEN '''{}'''
           WHEN base.typname = 'bytea' THEN '''\x00'''
           ELSE CASE base.typcategory
               WHEN 'N' THEN '''1''' WHEN 'S' THEN '''x''' WHEN 'B' THEN '''true''' WHEN 'D' THEN '''2000-01-01''' WHEN 'T' THEN '''1 day'''
               WHEN 'A' THEN '''{}''' WHEN 'R' THEN '''empty''' WHEN 'I' THEN '''127.0.0.1''' ELSE 'NULL' END END ORDER BY given.place), '[]')
FROM pg_prepared_statements AS p
CROSS JOIN LATERAL unnest(p.parameter_types) WITH ORDINALITY AS given (type, place)
JOIN pg_type AS own ON own.oid = given.type
JOIN pg_type AS base ON base.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END
WHERE p.name = {name}
