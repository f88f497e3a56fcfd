-- The privileges of roles on future objects of an owner in the schema. The role that migrates is "current_user",
-- independent of the reader: the owner of history, or the present role if there is none.
SELECT 'default privilege',
       CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' ELSE 'types' END
       || ' of ' || CASE d.defaclrole WHEN coalesce(
                                              (SELECT c.relowner FROM pg_catalog.pg_class AS c JOIN home ON home.oid = c.relnamespace
                                               WHERE home.prefix = '' AND c.relname = 'migration_history'),
                                              (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user))
                                      THEN 'current_user' ELSE {quoted:creator.name} END
       || ' to ' || grantee.name || CASE home.prefix WHEN '' THEN '' ELSE ' in ' || rtrim(home.prefix, '.') END,
       json_build_object('may', json_agg(DISTINCT {may:acl})),
       NULL::jsonb, d.tableoid, d.oid, acl.grantee::bigint::integer, d.defaclrole, NULL
FROM pg_catalog.pg_default_acl AS d
JOIN home ON home.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl
CROSS JOIN LATERAL (SELECT pg_get_userbyid(d.defaclrole)) AS creator (name)
CROSS JOIN LATERAL (SELECT pg_get_userbyid(acl.grantee)) AS role (name)
CROSS JOIN LATERAL (SELECT CASE acl.grantee WHEN 0 THEN 'public' ELSE {quoted:role.name} END) AS grantee (name)
GROUP BY d.tableoid, d.oid, d.defaclobjtype, d.defaclrole, creator.name, grantee.name, acl.grantee, home.prefix
