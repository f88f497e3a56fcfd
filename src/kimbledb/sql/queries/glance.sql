-- History alone, for a start with nothing to do. It is one statement outside of a transaction, so that no setting is
-- pinned: every name and operator is qualified. The planning of a query of a table can call code that is attached to
-- the table. So the query of history is a text, which runs only if history is a table of a trusted role and no policy
-- but ours could hide its rows; else there is no answer. A server runs a text within a statement only by its XML
-- functions. The parts that few starts need are texts, too: their planning takes a new session 1 ms.
SELECT pg_catalog.jsonb_build_object(
    'hosted', pg_catalog.to_regnamespace('auth') IS NOT NULL AND pg_catalog.to_regrole('anon') IS NOT NULL
        AND pg_catalog.to_regrole('authenticated') IS NOT NULL AND pg_catalog.to_regrole('service_role') IS NOT NULL,
    'owner', CASE WHEN NOT (pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))
                  THEN pg_catalog.pg_get_userbyid(c.relowner) END,
    'history', pg_catalog.query_to_xml({rows}, false, true, ''))::pg_catalog.text
FROM pg_catalog.pg_class AS c
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({table}) AND c.relkind OPERATOR(pg_catalog.=) 'r'
  AND pg_catalog.pg_get_userbyid(c.relowner) OPERATOR(pg_catalog.<>) 'anon'
  AND pg_catalog.pg_get_userbyid(c.relowner) OPERATOR(pg_catalog.<>) 'authenticated'
  AND CASE WHEN pg_catalog.pg_get_userbyid(c.relowner) OPERATOR(pg_catalog.=) current_user THEN true
      ELSE pg_catalog.query_to_xml(pg_catalog.format('
          SELECT 1 AS trusted FROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) %s
            AND (r.rolsuper
                 OR r.oid OPERATOR(pg_catalog.=) (SELECT d.datdba FROM pg_catalog.pg_database AS d
                                                  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
                 -- A superuser passes for a member of every role.
                 OR (NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles AS me WHERE me.rolname OPERATOR(pg_catalog.=) current_user)
                     AND pg_catalog.pg_has_role(r.oid, ''USAGE'')))', c.relowner), false, true, '')
          ::pg_catalog.text OPERATOR(pg_catalog.<>) '' END
  AND CASE WHEN pg_catalog.row_security_active(c.oid) THEN
          current_user OPERATOR(pg_catalog.<>) 'anon' AND current_user OPERATOR(pg_catalog.<>) 'authenticated'
          AND pg_catalog.query_to_xml(pg_catalog.format('
              SELECT 1 AS ours FROM pg_catalog.pg_policy AS p WHERE p.polrelid OPERATOR(pg_catalog.=) %s
              HAVING pg_catalog.bool_and(p.polname OPERATOR(pg_catalog.=) ''migration_history_is_read_as_granted'')', c.oid::pg_catalog.oid), false, true, '')
              ::pg_catalog.text OPERATOR(pg_catalog.<>) ''
      ELSE true END
