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
    WHERE col.attrelid = to_regclass(format('%I.%I', current_schema(), wanted.tab)) AND col.attname = wanted.col::name
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1 -- one look by the index for each, and no look at all columns
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
LEFT JOIN (
    SELECT tab.relname, trg.tgname, trg.tgenabled
    FROM pg_catalog.pg_trigger AS trg
    JOIN pg_catalog.pg_class AS tab ON tab.oid = trg.tgrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT trg.tgisinternal
) AS there ON (there.relname, there.tgname) = (wanted.tab, wanted.name);

-- name: pinned_by_is_a_key_to_users
-- Between uuid and text, on a database from before, no key is possible: then it waits for the repairs.
SELECT bool_and(there.convalidated IS TRUE) OR (
           SELECT count(DISTINCT col.atttypid) > 1
           FROM pg_catalog.pg_attribute AS col
           JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
           WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
             AND (tab.relname, col.attname) IN (('conversations', 'pinned_by'), ('users', 'id'))) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.conname IS NULL THEN 'missing' ELSE 'not validated' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.convalidated IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'conversations_pinned_by_fkey')
) AS wanted (tab, name)
LEFT JOIN (
    SELECT tab.relname, con.conname, con.convalidated
    FROM pg_catalog.pg_constraint AS con
    JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
) AS there ON (there.relname, there.conname) = (wanted.tab, wanted.name);

-- name: indexes_are_valid
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'idx_conversations_user_id_pinned_at'),
    ('conversations', 'idx_conversations_pinned_by')
) AS wanted (tab, name)
LEFT JOIN (
    SELECT tab.relname AS tab, idx.relname AS name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
    JOIN pg_catalog.pg_class AS tab ON tab.oid = ind.indrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
) AS there ON (there.tab, there.name) = (wanted.tab, wanted.name);
