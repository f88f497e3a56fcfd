-- After a script: history records the applied migrations, and only kimbledb writes it. A write to a table takes a lock
-- that lasts as long as the transaction. TRUNCATE, ALTER, RENAME and DROP take a lock that LOCK takes as well, and
-- leave catalog rows as young as the transaction. A script that locked neither table of history, and not the catalog of
-- triggers, did none of these.
DECLARE
    meddled text;
    span constant integer := age(pg_current_xact_id()::xid);
    history constant jsonb := nullif(current_setting('kimbledb.history', true), '');
BEGIN
    IF touched && ARRAY[(history->>'migration_history')::oid, (history->>'migration_log')::oid, 'pg_trigger'::regclass::oid] THEN
        SELECT string_agg(kept.name, ', ' ORDER BY kept.name)
        INTO meddled
        FROM jsonb_each_text(history) AS each (name, id)
        CROSS JOIN LATERAL (SELECT each.name, each.id::oid) AS kept (name, oid)
        LEFT JOIN pg_class AS c ON c.oid = kept.oid
        WHERE EXISTS (SELECT FROM pg_locks AS l
                      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation = kept.oid
                        AND (l.mode = 'RowExclusiveLock'
                             OR l.mode = 'AccessExclusiveLock'
                                AND (c.oid IS NULL OR age(c.xmin) <= span
                                     OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = kept.oid AND age(a.xmin) <= span))))
           OR (kept.name = 'migration_log' AND NOT EXISTS (
                   SELECT FROM pg_trigger AS t
                   WHERE t.tgrelid = kept.oid AND t.tgname = 'migration_log_is_append_only' AND t.tgenabled IN ('O', 'A')));
        IF meddled IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'KD011',
                MESSAGE = format('the script changed what says which migrations are applied: %s', meddled),
                HINT = 'take the statement out of it: kimbledb alone writes migration_history and migration_log';
        END IF;
    END IF;
END;
