-- The roles that own objects in some schemas or have privileges on them, without superusers and the server's own roles.
SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]')
FROM pg_roles AS r
WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname <> session_user AND r.oid IN (
    SELECT unnest(array_append((SELECT array_agg(acl.grantee) FROM aclexplode(own.acl) AS acl), own.owner))
    FROM (
        SELECT c.relowner AS owner, c.relacl AS acl, c.relnamespace AS home FROM pg_class AS c
        UNION ALL SELECT c.relowner, a.attacl, c.relnamespace FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL
        UNION ALL SELECT p.proowner, p.proacl, p.pronamespace FROM pg_proc AS p
    ) AS own
    JOIN pg_namespace AS n ON n.oid = own.home
    WHERE n.nspname = ANY ({schemas}))
