-- Whoever may do all eight things with a table got ALL, which is seven before version 17: MAINTAIN is left out.
CASE WHEN count(DISTINCT acl.privilege_type) FILTER (WHERE {x}) = 8
     THEN jsonb_agg(DISTINCT lower(acl.privilege_type) || CASE WHEN acl.is_grantable THEN ' with grant option' ELSE '' END)
              FILTER (WHERE {x} AND acl.privilege_type <> 'MAINTAIN')
     ELSE jsonb_agg(DISTINCT lower(acl.privilege_type) || CASE WHEN acl.is_grantable THEN ' with grant option' ELSE '' END)
              FILTER (WHERE {x}) END
