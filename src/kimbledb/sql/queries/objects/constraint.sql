-- Constraints of tables. Those of domains are facts of the type.
SELECT 'constraint', held.name,
       jsonb_strip_nulls(jsonb_build_object(
           'key', CASE WHEN held.contype IN ('p', 'u', 'f') THEN printed.definition END,
           'options', CASE WHEN held.contype IN ('p', 'u') THEN (
               SELECT jsonb_agg(each ORDER BY each) FROM pg_catalog.pg_class AS c, unnest(c.reloptions) AS each WHERE c.oid = held.conindid) END,
           'tablespace', CASE WHEN held.contype IN ('p', 'u', 'x') THEN (
               SELECT {quoted:s.spcname} FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
               WHERE c.oid = held.conindid) END,
           'no_inherit', CASE WHEN held.contype = 'c' AND held.connoinherit THEN true END,
           'not_valid', CASE WHEN NOT held.convalidated AND held.conenforced THEN true END,
           'not_enforced', CASE WHEN NOT held.conenforced THEN true END,
           'inherited', CASE WHEN held.coninhcount > 0 AND NOT held.conislocal THEN true END)),
       {form:constraint},
       held.class, held.oid, 0, held.relowner, NULL
FROM held
CROSS JOIN LATERAL {printing:constraint}
