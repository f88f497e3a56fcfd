-- name: documented_query runs
SELECT table_name FROM information_schema.tables
WHERE table_schema = current_schema()
ORDER BY table_name;

-- name: uuid_ossp_answers
SELECT uuid_generate_v4() IS NOT NULL AS passed;

-- name: nobody_is_nobody
-- Without a claim and without the setting, nobody asks.
SELECT requesting_user_id() IS NOT DISTINCT FROM coalesce(
           nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
           nullif(current_setting('kimbledb.user_id', true), '')) AS passed;
