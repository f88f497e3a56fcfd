-- Policies.
SELECT 'policy', relation.name || '.' || {quoted:p.polname},
       json_strip_nulls(json_build_object(
           'restrictive', CASE WHEN NOT p.polpermissive THEN true END,
           'for', CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' END,
           'to', CASE WHEN p.polroles <> ARRAY[0::oid] THEN (
               SELECT json_agg(role.name ORDER BY role.name)
               FROM unnest(p.polroles) AS each
               CROSS JOIN LATERAL (SELECT pg_get_userbyid(each)) AS role_name (plain)
               CROSS JOIN LATERAL (SELECT CASE each WHEN 0 THEN 'public' ELSE {quoted:role_name.plain} END) AS role (name)) END)),
       {form:policy},
       p.tableoid, p.oid, 0, relation.relowner, NULL
FROM relation
JOIN pg_catalog.pg_policy AS p ON p.polrelid = relation.oid
