-- The faults of the database around a schema: [check, object, reason, cure] for each finding, and whether the database
-- has the roles of an API.
WITH api (oid, name) AS (
    SELECT 0::oid, 'PUBLIC'
    UNION ALL
    SELECT r.oid, pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r WHERE r.rolname IN ('anon', 'authenticated')
),
finding (name, object, reason, cure) AS (
    SELECT 'default privileges', pg_catalog.format('%s that %s makes', kind.name, pg_catalog.pg_get_userbyid(d.defaclrole)),
           pg_catalog.format('%s may %s what is made next', string_agg(DISTINCT api.name, ', '), lower(string_agg(DISTINCT acl.privilege_type, ', '))),
           pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s', pg_catalog.pg_get_userbyid(d.defaclrole),
                             ' IN SCHEMA ' || quote_ident(n.nspname), upper(kind.name), string_agg(DISTINCT api.name, ', '))
    FROM pg_catalog.pg_default_acl AS d
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS acl
    JOIN api ON api.oid = acl.grantee
    JOIN (VALUES ('r'::"char", 'tables'), ('S', 'sequences'), ('f', 'functions'), ('T', 'types')) AS kind (code, name) ON kind.code = d.defaclobjtype
    WHERE d.defaclnamespace = 0 OR n.nspname = {schema}
    GROUP BY d.defaclrole, n.nspname, kind.name
    UNION ALL
    SELECT 'CREATE on the schema', pg_catalog.quote_ident(n.nspname), pg_catalog.format('%s may create in it, and so plant functions', string_agg(DISTINCT api.name, ', ')),
           pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM %s', n.nspname, string_agg(DISTINCT api.name, ', '))
    FROM pg_catalog.pg_namespace AS n
    CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS acl
    JOIN api ON api.oid = acl.grantee
    WHERE n.nspname = {schema} AND acl.privilege_type = 'CREATE'
    GROUP BY n.nspname
    UNION ALL
    SELECT 'extensions in public', quote_ident(e.extname), 'its functions stand in the schema public',
           pg_catalog.format('CREATE SCHEMA extensions; ALTER EXTENSION %I SET SCHEMA extensions', e.extname)
    FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace AND n.nspname = 'public'
    UNION ALL
    SELECT 'outdated extensions', quote_ident(e.extname), pg_catalog.format('%s is installed, and the server has %s', e.extversion, a.default_version),
           pg_catalog.format('ALTER EXTENSION %I UPDATE', e.extname)
    FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_available_extensions AS a ON a.name = e.extname
    WHERE a.default_version <> e.extversion
)
SELECT jsonb_build_object(
    'has_api_roles', EXISTS (SELECT FROM api WHERE oid <> 0),
    'findings', (SELECT coalesce(jsonb_agg(jsonb_build_array(name, object, reason, cure) ORDER BY name, object, reason), '[]') FROM finding))
