-- The type of each parameter of a prepared statement: the name, the category, and the labels of an enum.
SELECT coalesce(jsonb_agg(jsonb_build_array(base.typname, base.typcategory,
           (SELECT coalesce(jsonb_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_enum AS e WHERE e.enumtypid = base.oid)) ORDER BY given.place), '[]')
FROM pg_prepared_statements AS p
CROSS JOIN LATERAL unnest(p.parameter_types) WITH ORDINALITY AS given (type, place)
JOIN pg_type AS own ON own.oid = given.type
JOIN pg_type AS base ON base.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END
WHERE p.name = {name}
