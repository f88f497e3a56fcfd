-- name: columns_have_their_types
-- A person's id from before may still be a uuid: COMPREHENSIVE_TYPE_FIX.sql converts it.
SELECT bool_and(there.type IS NOT DISTINCT FROM wanted.type
                OR (wanted.type = 'text' AND there.type ~ '^(uuid|character varying.*)$')) AS passed,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, wanted.type), ', ' ORDER BY wanted.tab, wanted.col) AS expected,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab, wanted.col) AS found
FROM (VALUES
    ('conversations', 'is_pinned', 'boolean not null'),
    ('conversations', 'pinned', 'boolean'),
    ('conversations', 'pinned_at', 'timestamp with time zone'),
    ('conversations', 'pinned_by', 'text')
) AS wanted (tab, col, type)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) || CASE WHEN col.attnotnull THEN ' not null' ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: neither_name_has_a_default
-- The trigger fills it in: with a default on one column an INSERT that names the
-- other could not be told from one that names both.
SELECT count(*) = 0 AS passed, 'none' AS expected, coalesce(string_agg(col.attname, ', ' ORDER BY col.attname), 'none') AS found
FROM pg_catalog.pg_attribute AS col
JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'conversations'
  AND col.attname IN ('is_pinned', 'pinned') AND col.atthasdef;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM conversations
WHERE pinned IS DISTINCT FROM is_pinned;

-- name: triggers_are_enabled
SELECT bool_and(there.tgenabled IN ('O', 'A')) IS TRUE AND count(there.tgenabled) = count(*) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.tgenabled IN ('O', 'A')), 'none') AS found
FROM (VALUES
    ('conversations', 'conversations_sync_is_pinned'),
    ('conversations', 'conversations_track_pinning')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT trg.tgenabled
    FROM pg_catalog.pg_trigger AS trg
    WHERE trg.tgrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND trg.tgname = wanted.name AND NOT trg.tgisinternal
    LIMIT 1
) AS there ON true;

-- name: pinned_by_is_a_key_to_users
-- Between uuid and text, on a database from before, no key is possible: then it waits for the repairs.
SELECT bool_and(there.convalidated IS TRUE) OR (
           SELECT count(DISTINCT (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
                                   WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
                                     AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped)) > 1
           FROM unnest(ARRAY['conversations.pinned_by', 'users.id']) AS compared (name)) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.conname IS NULL THEN 'missing' ELSE 'not validated' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.convalidated IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'conversations_pinned_by_fkey')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname, con.convalidated
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: indexes_are_valid
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'idx_conversations_user_id_pinned_at'),
    ('conversations', 'idx_conversations_pinned_by')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;
