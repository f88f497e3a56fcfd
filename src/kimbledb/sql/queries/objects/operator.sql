-- Operators, their families and their classes.
SELECT 'operator', home.prefix || o.oprname || '(' || CASE o.oprleft WHEN 0 THEN '-' ELSE format_type(o.oprleft, NULL) END
                   || ',' || CASE o.oprright WHEN 0 THEN '-' ELSE format_type(o.oprright, NULL) END || ')',
       json_strip_nulls(json_build_object(
           'function', {routine:o.oprcode},
           'commutator', {signature:o.oprcom},
           'negator', {signature:o.oprnegate},
           'restrict', {routine:o.oprrest},
           'join', {routine:o.oprjoin},
           'hashes', nullif(o.oprcanhash, false),
           'merges', nullif(o.oprcanmerge, false))),
       NULL::jsonb, o.tableoid, o.oid, 0, o.oprowner, NULL
FROM pg_catalog.pg_operator AS o
JOIN home ON home.oid = o.oprnamespace
-- An operator that exists only by name, for another one, has no function.
WHERE {named:o.oprname} AND o.oprcode <> 0
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
