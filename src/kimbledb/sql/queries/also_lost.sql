-- The losses of the statements outside of this transaction, beside those of hosted.sql in it. What those statements
-- made is unknown.
SELECT pg_catalog.set_config('kimbledb.lost', (coalesce(nullif(pg_catalog.current_setting('kimbledb.lost', true), ''), '[]')::pg_catalog.jsonb
                                               OPERATOR(pg_catalog.||) {losses}::pg_catalog.jsonb)::text, true),
       pg_catalog.set_config('kimbledb.made', '', true);
