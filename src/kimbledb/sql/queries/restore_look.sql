-- The objects of a database beside those of the server and of extensions.
WITH of_extension AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
),
held (classid, objid, namespace) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, oid, relnamespace FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type WHERE typrelid = 0 AND typelem = 0
)
SELECT jsonb_build_object(
    'objects', (
        SELECT coalesce(jsonb_agg(name ORDER BY name), '[]')
        FROM (
            SELECT pg_catalog.pg_describe_object(h.classid, h.objid, 0)
            FROM held AS h
            JOIN pg_catalog.pg_namespace AS n ON n.oid = h.namespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND (h.classid, h.objid) NOT IN (SELECT classid, objid FROM of_extension)
              -- An object that comes with another one is listed with that.
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = h.classid AND d.objid = h.objid AND d.deptype = 'i')
        ) AS named (name)),
    'schemas', (SELECT jsonb_agg(nspname) FROM pg_catalog.pg_namespace),
    'roles', (SELECT jsonb_agg(rolname) FROM pg_catalog.pg_roles),
    'extensions', (SELECT coalesce(jsonb_agg(extname), '[]') FROM pg_catalog.pg_extension))
