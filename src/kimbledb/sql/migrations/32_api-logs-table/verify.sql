-- name: columns_have_their_types
-- NOT NULL is asked for where a default fills in rows from before.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                              AND there.type IS DISTINCT FROM wanted.type || ' not null') = 0 AS passed,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col, wanted.type), ', ' ORDER BY wanted.tab, wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                                  AND there.type IS DISTINCT FROM wanted.type || ' not null'),
                format('%s columns', count(*))) AS expected,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab, wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                                  AND there.type IS DISTINCT FROM wanted.type || ' not null'),
                format('%s columns', count(*))) AS found
FROM (VALUES
    ('api_logs', 'id', 'uuid not null'),
    ('api_logs', 'endpoint', 'text'),
    ('api_logs', 'method', 'text'),
    ('api_logs', 'status_code', 'integer'),
    ('api_logs', 'response_time_ms', 'integer'),
    ('api_logs', 'user_id', 'text'),
    ('api_logs', 'ip_address', 'text'),
    ('api_logs', 'user_agent', 'text'),
    ('api_logs', 'error_message', 'text'),
    ('api_logs', 'created_at', 'timestamp with time zone not null')
) AS wanted (tab, col, type)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) || CASE WHEN col.attnotnull THEN ' not null' ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: constraints_are_validated
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s constraints', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'not validated' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s constraints', count(*))) AS found
FROM (VALUES
    ('api_logs', 'api_logs_pkey'),
    ('api_logs', 'api_logs_method_check'),
    ('api_logs', 'api_logs_status_code_check'),
    ('api_logs', 'api_logs_response_time_ms_check')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname AS name, con.convalidated AS right
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: foreign_keys_are_validated
-- Between columns of two types (a database from before) a key waits for the repairs.
SELECT count(*) FILTER (WHERE key.oid IS NULL AND child.atttypid = parent.atttypid) = 0
           AND count(child.attnum) = count(*) AND count(parent.attnum) = count(*) AS passed,
       format('%s keys', count(*)) AS expected,
       coalesce('missing, not validated or with another ON DELETE: '
                    || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE key.oid IS NULL),
                format('%s keys', count(*))) AS found
FROM (VALUES
    ('api_logs', 'api_logs_user_id_fkey', 'user_id', 'users', 'id', 'n')
) AS wanted (tab, name, col, parent_tab, parent_col, on_delete)
LEFT JOIN LATERAL (
    SELECT col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS child ON true
LEFT JOIN LATERAL (
    SELECT col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent_tab) AND col.attname = wanted.parent_col
    LIMIT 1
) AS parent ON true
LEFT JOIN LATERAL (
    SELECT con.oid FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name AND con.contype = 'f'
      AND con.convalidated AND con.confdeltype::text = wanted.on_delete
      AND con.confrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent_tab)
    LIMIT 1
) AS key ON true;

-- name: indexes_are_valid
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s indexes', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s indexes', count(*))) AS found
FROM (VALUES
    ('api_logs', 'idx_api_logs_created_at'),
    ('api_logs', 'idx_api_logs_endpoint_created_at'),
    ('api_logs', 'idx_api_logs_user_id_created_at'),
    ('api_logs', 'idx_api_logs_errors'),
    ('api_logs', 'idx_api_logs_slow')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS right
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: the_service_alone_reaches_the_rows
SELECT bool_and(tab.relrowsecurity IS TRUE AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid)) AS passed,
       'row level security and no policy' AS expected,
       string_agg(format('%s: row level security %s, %s policies', wanted.name, CASE WHEN tab.relrowsecurity THEN 'on' ELSE 'off' END,
                         (SELECT count(*) FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid)), ', ' ORDER BY wanted.name) AS found
FROM (VALUES ('api_logs')) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.name;

-- name: roles_have_what_they_need_and_no_more
-- On a server without the hosted roles only PUBLIC is looked at.
SELECT count(wrong.what) = 0 AS passed, 'nothing too much, nothing missing' AS expected,
       coalesce(string_agg(wrong.what, ', ' ORDER BY wrong.what), 'nothing too much, nothing missing') AS found
FROM (VALUES
    ('api_logs', '{}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[])
) AS wanted (name, people, service)
LEFT JOIN pg_catalog.pg_class AS rel ON rel.relnamespace = quote_ident(current_schema())::regnamespace AND rel.relname = wanted.name
LEFT JOIN LATERAL (
    SELECT wanted.name || ' is missing' AS what WHERE rel.oid IS NULL
    UNION ALL
    SELECT format('%s has %s on %s', CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE grantee.rolname END, acl.privilege_type, wanted.name)
    FROM aclexplode(rel.relacl) AS acl
    CROSS JOIN pg_get_userbyid(acl.grantee) AS grantee (rolname)
    WHERE acl.grantee = 0 OR grantee.rolname = 'anon'
       OR (grantee.rolname = 'authenticated' AND acl.privilege_type <> ALL (wanted.people))
       OR (grantee.rolname = 'service_role' AND acl.privilege_type <> ALL (wanted.service))
    UNION ALL
    SELECT format('%s lacks %s on %s', api_role.rolname, needed.privilege, wanted.name)
    FROM unnest(ARRAY['authenticated', 'service_role']) AS api_role (rolname)
    CROSS JOIN LATERAL unnest(CASE api_role.rolname WHEN 'authenticated' THEN wanted.people ELSE wanted.service END) AS needed (privilege)
    WHERE NOT has_table_privilege(to_regrole(api_role.rolname), rel.oid, needed.privilege)
) AS wrong ON true;
