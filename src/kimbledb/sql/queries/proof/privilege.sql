-- The privileges of roles, by their entries in access lists.
SELECT listed.key, CASE WHEN NOT listed.may @> (granted->listed.key) THEN 'lacks' END,
       (SELECT string_agg(each, ', ') FROM jsonb_array_elements_text(granted->listed.key) AS each WHERE NOT listed.may ? each), NULL::jsonb
FROM (
    SELECT controlled.name || ' to ' || grantee.name,
           jsonb_agg(lower(entry.privilege_type) || CASE WHEN entry.is_grantable THEN ' with grant option' ELSE '' END)
    FROM (
{lists}
    ) AS controlled (name, list)
    CROSS JOIN LATERAL aclexplode(controlled.list) AS entry
    CROSS JOIN LATERAL (SELECT pg_get_userbyid(entry.grantee)) AS role (name)
    CROSS JOIN LATERAL (SELECT CASE entry.grantee WHEN 0 THEN 'public' ELSE {quoted:role.name} END) AS grantee (name)
    GROUP BY controlled.name, grantee.name
) AS listed (key, may)
