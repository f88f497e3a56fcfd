-- name: documented_query runs
SELECT * FROM user_tokens LIMIT 1;

-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM unnest(ARRAY['id', 'user_id', 'email', 'provider', 'access_token', 'refresh_token', 'id_token', 'token_type', 'scope',
                  'expires_at', 'created_at', 'updated_at']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.user_tokens') AND col.attname = wanted.name AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: one_row_a_person
SELECT count(*) >= 1 AS passed, 'a unique index on user_id alone' AS expected, count(*) || ' of them' AS found
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'user_id'
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens'
  AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indkey::text = a.attnum::text;

-- name: goes_with_its_person
-- Where both columns have one type; on a database from before the key waits for the repairs.
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE OR k.confdeltype <> 'c') = 0 AS passed,
       'a validated key to users, ON DELETE CASCADE' AS expected,
       coalesce(string_agg(pg_get_constraintdef(k.oid), '; '), 'no key, or columns of two types') AS found
FROM pg_catalog.pg_class AS child
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = child.oid AND a.attname = 'user_id'
JOIN pg_catalog.pg_class AS parent ON parent.relnamespace = child.relnamespace AND parent.relname = 'users'
JOIN pg_catalog.pg_attribute AS b ON b.attrelid = parent.oid AND b.attname = 'id' AND b.atttypid = a.atttypid
LEFT JOIN pg_catalog.pg_constraint AS k ON k.conrelid = child.oid AND k.conname = 'user_tokens_user_id_fkey'
WHERE child.relnamespace = quote_ident(current_schema())::regnamespace AND child.relname = 'user_tokens';

-- name: row_level_security
SELECT coalesce(bool_and(c.relrowsecurity), false) AS passed, 'on' AS expected,
       CASE WHEN bool_and(c.relrowsecurity) THEN 'on' ELSE 'off' END AS found
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens';

-- name: policy
SELECT count(p.polname) = count(*) FILTER (WHERE a.atttypid = 'text'::regtype) AS passed,
       'user_tokens_owner, where user_id is text' AS expected, coalesce(string_agg(p.polname, ', '), 'none') AS found
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'user_id'
LEFT JOIN pg_catalog.pg_policy AS p
    ON p.polname = 'user_tokens_owner'
       AND (SELECT tab.relnamespace FROM pg_catalog.pg_class AS tab WHERE tab.oid = p.polrelid) = quote_ident(current_schema())::regnamespace
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens';

-- name: people_cannot_read_tokens
SELECT count(*) FILTER (WHERE has_column_privilege(r.oid, c.oid, secret.name, 'SELECT')) = 0 AS passed,
       'no privilege on the tokens' AS expected,
       coalesce(string_agg(r.rolname || ' reads ' || secret.name, ', ')
                FILTER (WHERE has_column_privilege(r.oid, c.oid, secret.name, 'SELECT')), 'no privilege on the tokens') AS found
FROM pg_catalog.pg_class AS c
CROSS JOIN unnest(ARRAY['access_token', 'refresh_token', 'id_token']) AS secret (name)
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname IN ('anon', 'authenticated')
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens';
