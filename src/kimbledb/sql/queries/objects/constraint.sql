-- Constraints of tables but NOT NULL, which is a fact of the column. Those of domains are facts of the type.
SELECT 'constraint', held.relation_name || '.' || {quoted:held.conname},
       CASE WHEN held.contype = 'c' THEN json_strip_nulls(json_build_object(
           'no_inherit', nullif(held.connoinherit, false),
           'not_valid', CASE WHEN NOT held.convalidated AND held.conenforced THEN true END,
           'not_enforced', CASE WHEN NOT held.conenforced THEN true END,
           'inherited', CASE WHEN held.coninhcount > 0 AND NOT held.conislocal THEN true END))
       ELSE json_strip_nulls(json_build_object(
           'key', CASE WHEN held.contype <> 'x' THEN printed.definition END,
           'options', CASE WHEN held.contype IN ('p', 'u') THEN (
               SELECT c.reloptions FROM pg_catalog.pg_class AS c WHERE c.oid = held.conindid) END,
           -- there: tablespace
           'tablespace', CASE WHEN held.contype IN ('p', 'u', 'x') THEN (
               SELECT s.spcname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
               WHERE c.oid = held.conindid) END,
           -- end
           'not_valid', CASE WHEN NOT held.convalidated AND held.conenforced THEN true END,
           'not_enforced', CASE WHEN NOT held.conenforced THEN true END,
           -- there: inheritance
           -- That of a partitioned table is valid once each partition has its part.
           'invalid', CASE WHEN held.contype IN ('p', 'u', 'x') THEN (
               SELECT true FROM pg_catalog.pg_index AS i WHERE i.indexrelid = held.conindid AND NOT i.indisvalid) END,
           -- end
           'inherited', CASE WHEN held.coninhcount > 0 AND NOT held.conislocal THEN true END)) END,
       {form:constraint},
       held.class, held.oid, 0, held.relowner, NULL
FROM bound AS held
CROSS JOIN LATERAL {printing:constraint}
WHERE held.contype <> 'n'
