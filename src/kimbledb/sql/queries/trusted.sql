-- The roles whose code may be called (docs/security.md): superusers, this role and those of which it is a member, the
-- owner of the database, and the owners of schemas that migrations declare in `reaches`. The roles of an API are not
-- among them, though a platform makes its administrator a member of them. For a role that may only read, its report
-- relies on the role that owns history.
WITH RECURSIVE own (oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname IN ({who})
    UNION
    SELECT m.roleid
    FROM own
    JOIN pg_catalog.pg_auth_members AS m ON m.member = own.oid
    -- Since version 16 the creator of a role may administer it, which is no membership.
    WHERE coalesce((to_jsonb(m)->>'inherit_option')::boolean OR (to_jsonb(m)->>'set_option')::boolean, true)
)
SELECT array_agg(r.oid)
FROM pg_catalog.pg_roles AS r
WHERE (r.rolsuper OR r.rolname = 'pg_database_owner' OR r.oid IN (SELECT oid FROM own)
       OR r.oid = (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
       OR r.oid IN (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ANY ({reached})))
  AND r.rolname NOT IN ('anon', 'authenticated')
