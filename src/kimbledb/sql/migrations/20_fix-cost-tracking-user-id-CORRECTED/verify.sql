-- name: ids_of_people_are_text
-- As in users.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)) = 0 AS passed,
       'text, each of them' AS expected,
       coalesce(string_agg(wanted.col || ' ' || coalesce(there.type, 'missing'), ', ' ORDER BY wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)),
                'text, each of them') AS found
FROM (VALUES
    ('api_cost_tracking.user_id', true), ('budget_config.user_id', true), ('budget_alerts.user_id', true),
    ('budget_alerts.acknowledged_by', true), ('users.id', true)
) AS wanted (col, needed)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) AS type
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col
      ON col.attrelid = tab.oid AND col.attname = split_part(wanted.col, '.', 2) AND col.attnum > 0 AND NOT col.attisdropped
    WHERE tab.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.col, '.', 1)) AND tab.relkind IN ('r', 'p')
    LIMIT 1
) AS there ON true;

-- name: keys_are_there_and_validated
-- Each between columns that are there: what a migration that was not applied would add is not asked for.
SELECT count(*) FILTER (WHERE there.convalidated IS NOT TRUE) = 0 AS passed,
       'every key, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE there.convalidated IS NOT TRUE),
                'every key, validated') AS found
FROM (VALUES
    ('api_cost_tracking', 'api_cost_tracking_user_id_fkey', 'user_id', 'users'),
    ('budget_config', 'budget_config_user_id_fkey', 'user_id', 'users'),
    ('budget_alerts', 'budget_alerts_user_id_fkey', 'user_id', 'users')
) AS wanted (child, name, child_column, parent)
CROSS JOIN LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AS id) AS parent
JOIN LATERAL (
    SELECT child.attrelid, child.attnum FROM pg_catalog.pg_attribute AS child
    WHERE child.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.child)
      AND child.attname = wanted.child_column AND NOT child.attisdropped
    LIMIT 1
) AS col ON parent.id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = col.attrelid AND con.contype = 'f' AND con.conname = wanted.name
      AND con.confrelid = parent.id AND con.conkey = ARRAY[col.attnum]
    LIMIT 1
) AS there ON true;

-- name: every_key_to_them_is_text
-- Whoever refers to them, tables of somebody's own included.
SELECT count(*) FILTER (WHERE NOT there.fits) = 0 AS passed,
       'text at both ends' AS expected,
       coalesce(string_agg(there.name, ', ' ORDER BY there.name) FILTER (WHERE NOT there.fits), 'text at both ends') AS found
FROM (
    SELECT format('%s on %s', con.conname, con.conrelid::regclass) AS name,
           parent.atttypid = 'text'::regtype
               AND (SELECT child.atttypid FROM pg_catalog.pg_attribute AS child
                    WHERE child.attrelid = con.conrelid AND child.attnum = pair.child_column) = 'text'::regtype AS fits
    FROM unnest(ARRAY['users.id']) AS wanted (name)
    JOIN LATERAL (
        SELECT col.attrelid, col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
        WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.name, '.', 1))
          AND col.attname = split_part(wanted.name, '.', 2)
        LIMIT 1
    ) AS parent ON true
    JOIN pg_catalog.pg_constraint AS con ON con.contype = 'f' AND con.confrelid = parent.attrelid
    CROSS JOIN unnest(con.conkey, con.confkey) AS pair (child_column, parent_column)
    WHERE pair.parent_column = parent.attnum
) AS there;

-- name: no_index_is_invalid
SELECT count(*) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('invalid: ' || string_agg(ind.relname, ', ' ORDER BY ind.relname) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)),
                'every index, valid') AS found
FROM pg_catalog.pg_index AS idx
JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p')
  AND tab.relname IN ('api_cost_tracking', 'budget_config', 'budget_alerts', 'users');

-- name: policies_that_may_have_waited_are_there
-- On each of these tables that is there, with its row level security on; but not
-- where a column that the policy compares is not text, or not there: it still waits.
SELECT count(*) FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity) = 0 AS passed,
       'every policy' AS expected,
       coalesce('missing: ' || string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name)
                    FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity), 'every policy') AS found
FROM (VALUES
    ('api_cost_tracking', 'api_cost_tracking_owner_read', ARRAY['api_cost_tracking.user_id']),
    ('budget_config', 'budget_config_owner', ARRAY['budget_config.user_id']),
    ('budget_alerts', 'budget_alerts_owner_read', ARRAY['budget_alerts.user_id']),
    ('budget_alerts', 'budget_alerts_owner_acknowledge', ARRAY['budget_alerts.user_id'])
) AS wanted (tab, name, compares)
JOIN pg_catalog.pg_class AS tab
  ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p') AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_policy AS pol ON pol.polrelid = tab.oid AND pol.polname = wanted.name
WHERE cardinality(wanted.compares) = (
    SELECT count(*)
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid
           FROM pg_catalog.pg_class AS typed
           JOIN pg_catalog.pg_attribute AS col ON col.attrelid = typed.oid AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped
           WHERE typed.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND typed.relkind IN ('r', 'p')) = 'text'::regtype);
