-- What makes it unsafe to look names up in schemas, each with its cure: functions
-- that would be called in place of pg_catalog's (a length(varchar) fits a varchar
-- better than length(text) does), and strangers who may plant such functions.
SELECT coalesce(jsonb_agg(jsonb_build_array(gap, cure) ORDER BY gap), '[]')
FROM (
    SELECT format('the function %s would be called in place of pg_catalog''s', p.oid::regprocedure),
           format('drop or rename it: ALTER FUNCTION %s RENAME TO ...', p.oid::regprocedure)
    FROM pg_proc AS p
    WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY ({schemas}))
      AND EXISTS (SELECT FROM pg_proc AS c WHERE c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace)
      -- With the same arguments pg_catalog's is found first.
      AND NOT EXISTS (SELECT FROM pg_proc AS c WHERE c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace
                      AND c.proargtypes = p.proargtypes)
      -- An extension's are for its own types.
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT format('%s may create in the schema %I, and so plant functions there', who.name, n.nspname),
           format('REVOKE CREATE ON SCHEMA %I FROM %s', n.nspname, who.name)
    FROM pg_namespace AS n
    CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl
    LEFT JOIN pg_roles AS r ON r.oid = acl.grantee
    CROSS JOIN LATERAL (SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE r.rolname END) AS who (name)
    WHERE n.nspname = ANY ({schemas}) AND acl.privilege_type = 'CREATE'
      AND who.name IN ('PUBLIC', 'anon', 'authenticated')
) AS danger (gap, cure)
