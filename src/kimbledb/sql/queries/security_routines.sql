-- The faults of the functions of a schema: [check, object, reason, cure] for each finding.
WITH api (oid, name) AS (
    SELECT 0::oid, 'PUBLIC'
    UNION ALL
    SELECT DISTINCT r.oid, pg_catalog.quote_ident(r.rolname)
    FROM pg_catalog.pg_roles AS r
    JOIN pg_catalog.pg_roles AS person ON person.rolname IN ('anon', 'authenticated')
    WHERE pg_catalog.pg_has_role(person.oid, r.oid, 'USAGE') AND NOT person.rolsuper
),
routine AS (
    SELECT p.proowner, p.prolang, p.prosecdef, p.proconfig, p.proacl, p.prosqlbody, p.oid::regprocedure::text AS full_name
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = {schema}) AND p.prokind <> 'a'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
),
granted AS (
    SELECT r.full_name, r.prosecdef, r.proacl, api.oid AS role, api.name AS who
    FROM routine AS r
    CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(r.proacl, pg_catalog.acldefault('f', r.proowner))) AS acl
    JOIN api ON api.oid = acl.grantee
    WHERE acl.grantee <> r.proowner
),
finding (name, object, reason, cure) AS (
    SELECT 'functions without a search_path', r.full_name, 'it finds what its caller''s search_path says, which may be planted',
           pg_catalog.format('ALTER ROUTINE %s SET search_path FROM CURRENT', r.full_name)
    FROM routine AS r
    JOIN pg_catalog.pg_language AS l ON l.oid = r.prolang
    -- A body that is parsed has its names bound; C has none.
    WHERE l.lanname NOT IN ('c', 'internal') AND r.prosqlbody IS NULL
      AND NOT EXISTS (SELECT FROM unnest(r.proconfig) AS s WHERE s LIKE 'search\_path=%')
    UNION ALL
    SELECT 'functions with their owner''s rights', full_name, pg_catalog.format('%s may call it, and it is SECURITY DEFINER', string_agg(DISTINCT who, ', ')),
           pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM %s', full_name, string_agg(DISTINCT who, ', '))
    FROM granted WHERE prosecdef GROUP BY full_name
    UNION ALL
    SELECT 'functions that PUBLIC may call', full_name,
           'PUBLIC may call it' || CASE WHEN proacl IS NULL THEN ', because nobody said otherwise' ELSE '' END,
           pg_catalog.format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', full_name)
    FROM granted WHERE role = 0
)
SELECT coalesce(jsonb_agg(jsonb_build_array(name, object, reason, cure) ORDER BY name, object, reason), '[]') FROM finding
