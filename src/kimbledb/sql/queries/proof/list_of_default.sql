-- "current_user" is the owner of history.
SELECT 'default privilege '
       || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' ELSE 'types' END || ' of '
       || CASE d.defaclrole WHEN (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass({history})) THEN 'current_user'
          ELSE {quoted:creator.name} END, d.defaclacl
FROM pg_default_acl AS d CROSS JOIN LATERAL (SELECT pg_get_userbyid(d.defaclrole)) AS creator (name)
WHERE d.defaclnamespace = ANY (homes)
