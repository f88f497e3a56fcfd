-- After a script: is it still the transaction that began, and did it stay in the
-- target schema? What it did elsewhere shows as locks that only changes of a definition
-- take, and as rows of the catalogs that this transaction wrote. Most scripts did
-- nothing there, which takes less to see than to tell what one did.
DECLARE
    others oid[];
    span integer;
BEGIN
    IF current_setting('kimbledb.transaction', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        RAISE EXCEPTION USING ERRCODE = 'KD003',
            MESSAGE = 'the script ended the transaction that it was given',
            HINT = 'take COMMIT, ROLLBACK and procedures that commit out of it';
    END IF;
    SELECT array_agg(oid), age(pg_current_xact_id()::xid) INTO others, span
    FROM pg_namespace WHERE nspname <> {schema_literal} AND nspname <> 'information_schema' AND nspname !~ '^pg_';
    -- 1259 is pg_class, 1255 is pg_proc, 1247 is pg_type. Rows as young as this transaction may be its own.
    IF others IS NOT NULL AND (
        EXISTS (SELECT FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation
                WHERE l.pid = pg_backend_pid() AND l.mode ~ '^(Share[UR]|ShareLock|Exclusive|AccessEx)'
                  AND ((l.locktype = 'relation' AND l.relation >= 16384 AND (c.oid IS NULL OR c.relnamespace = ANY (others)))
                       OR (l.locktype = 'object' AND l.classid IN (1255, 1247) AND l.mode ~ '^(Exclusive|AccessEx)')))
        OR EXISTS (SELECT FROM pg_class WHERE age(xmin) <= span AND relnamespace = ANY (others))
        OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384 AND age(xmin) <= span AND pronamespace = ANY (others))
        OR EXISTS (SELECT FROM pg_namespace WHERE oid = ANY (others) AND age(xmin) <= span)
        OR pg_stat_get_xact_tuples_updated(1247) > current_setting('kimbledb.types_altered')::bigint
        OR pg_stat_get_xact_tuples_inserted(1247) > current_setting('kimbledb.types_made')::bigint + (
            SELECT count(*) FROM pg_type
            WHERE oid > current_setting('kimbledb.newest_type')::oid AND age(xmin) <= span AND NOT (typnamespace = ANY (others)))
        OR NOT current_setting('track_counts')::boolean
    ) THEN
        PERFORM set_config('kimbledb.others', others::text, true);
        -- Text, so that the server does not read it where it is not wanted.
        EXECUTE {elsewhere};
    END IF;
END
