-- History alone, for a start at which there is nothing to do. One statement outside of
-- a transaction, so that nothing is pinned: every name and operator is qualified. To plan
-- a query of a table can call what hangs on it. So the query of history is a text, which is
-- read only where history is a table of somebody whom we trust, and no policy but ours could
-- hide its rows; else there is no answer. XML is the one form in which a server answers a text.
SELECT pg_catalog.jsonb_build_object(
    'hosted', pg_catalog.to_regnamespace('auth') IS NOT NULL AND pg_catalog.to_regrole('anon') IS NOT NULL
        AND pg_catalog.to_regrole('authenticated') IS NOT NULL AND pg_catalog.to_regrole('service_role') IS NOT NULL,
    'owner', CASE WHEN NOT (pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))
                  THEN r.rolname END,
    'history', pg_catalog.query_to_xml({rows}, false, true, ''))::pg_catalog.text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) c.relowner
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({table}) AND c.relkind OPERATOR(pg_catalog.=) 'r'
  AND r.rolname OPERATOR(pg_catalog.<>) 'anon' AND r.rolname OPERATOR(pg_catalog.<>) 'authenticated'
  AND (r.rolsuper
       OR r.oid OPERATOR(pg_catalog.=) (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
       -- A superuser passes for a member of every role.
       OR (NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles AS me WHERE me.rolname OPERATOR(pg_catalog.=) current_user)
           AND pg_catalog.pg_has_role(r.oid, 'USAGE')))
  AND CASE WHEN pg_catalog.row_security_active(c.oid) THEN (
          SELECT pg_catalog.bool_and(p.polname OPERATOR(pg_catalog.=) 'migration_history_is_read_as_granted')
          FROM pg_catalog.pg_policy AS p WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid)
          AND current_user OPERATOR(pg_catalog.<>) 'anon' AND current_user OPERATOR(pg_catalog.<>) 'authenticated'
      ELSE true END
