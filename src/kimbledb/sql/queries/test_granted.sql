-- The privileges of a role on the objects of a schema: [object, privilege].
SELECT coalesce(jsonb_agg(jsonb_build_array(thing, may) ORDER BY thing, may), '[]')
FROM (
    SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' ELSE 'table ' END || c.relname, wanted.may
    FROM pg_class AS c
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS wanted (may)
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND CASE WHEN wanted.may IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege({role}, c.oid, wanted.may)
               ELSE has_any_column_privilege({role}, c.oid, wanted.may) END
    UNION ALL
    SELECT 'sequence ' || c.relname, wanted.may
    FROM pg_class AS c CROSS JOIN unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS wanted (may)
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema}) AND c.relkind = 'S'
      AND has_sequence_privilege({role}, c.oid, wanted.may)
    UNION ALL
    SELECT 'function ' || p.oid::regprocedure, 'EXECUTE'
    FROM pg_proc AS p
    WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
      AND has_function_privilege({role}, p.oid, 'EXECUTE')
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
) AS granted (thing, may)
