-- What the statements outside of this transaction lost, beside what hosted.sql did in it. What they made is not known.
SELECT pg_catalog.set_config('kimbledb.lost', (coalesce(nullif(pg_catalog.current_setting('kimbledb.lost', true), ''), '[]')::pg_catalog.jsonb
                                               OPERATOR(pg_catalog.||) {losses}::pg_catalog.jsonb)::text, true),
       pg_catalog.set_config('kimbledb.made', '', true);
