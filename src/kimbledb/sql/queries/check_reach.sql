-- After a script: is it still the transaction that began, and did it stay in the
-- target schema? What it did elsewhere shows as rows of the system catalogs that
-- this transaction wrote, and as locks that only changes of a definition take.
DECLARE
    top constant xid8 := pg_current_xact_id();
    -- The epoch of the transaction counter, to read a row's 32-bit xmin.
    epoch constant numeric := floor(top::text::numeric / 4294967296) * 4294967296;
    target constant oid := (SELECT oid FROM pg_namespace WHERE nspname = {schema_literal});
    reached text;
BEGIN
    IF current_setting('kimbledb.transaction', true) IS DISTINCT FROM top::text THEN
        RAISE EXCEPTION USING ERRCODE = 'KD003',
            MESSAGE = 'the script ended the transaction that it was given',
            HINT = 'take COMMIT, ROLLBACK and procedures that commit out of it';
    END IF;
    SELECT string_agg(DISTINCT what, ', ') INTO reached
    FROM (
        SELECT format('%I.%I was altered', n.nspname, c.relname)
        FROM pg_locks AS l
        JOIN pg_class AS c ON c.oid = l.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
          AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
          AND c.relnamespace <> target AND c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f')
          AND n.nspname !~ '^pg_'
          -- A foreign key may point to another schema's table; it locks that one, too.
          AND NOT (l.mode = 'ShareRowExclusiveLock' AND EXISTS (
              SELECT FROM pg_constraint AS k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.connamespace = target))
        UNION ALL
        SELECT format('relation %s of another schema was dropped', l.relation)
        FROM pg_locks AS l
        WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
          AND l.relation::text = ANY (string_to_array(current_setting('kimbledb.outside'), ','))
          AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = l.relation)
        UNION ALL
        SELECT format('%s %I.%I was made or replaced', w.kind, n.nspname, w.name)
        FROM (
            SELECT 'function', p.proname, p.pronamespace, p.xmin FROM pg_proc AS p WHERE age(p.xmin) <= age(top::xid)
            UNION ALL
            SELECT 'relation', c.relname, c.relnamespace, c.xmin FROM pg_class AS c WHERE age(c.xmin) <= age(top::xid)
            UNION ALL
            SELECT 'type', t.typname, t.typnamespace, t.xmin FROM pg_type AS t WHERE age(t.xmin) <= age(top::xid)
            UNION ALL
            SELECT 'schema', s.nspname, s.oid, s.xmin FROM pg_namespace AS s WHERE age(s.xmin) <= age(top::xid)
        ) AS w (kind, name, namespace, writer)
        JOIN pg_namespace AS n ON n.oid = w.namespace
        WHERE w.namespace <> target AND n.nspname !~ '^pg_'
          -- Visible and yet in progress: it is this transaction, or a part of it.
          AND pg_xact_status((epoch + w.writer::text::numeric)::text::xid8) = 'in progress'
          AND NOT (w.kind = 'relation' AND EXISTS (
              SELECT FROM pg_constraint AS k
              JOIN pg_class AS r ON r.oid = k.confrelid
              WHERE k.contype = 'f' AND k.connamespace = target AND r.relname = w.name AND r.relnamespace = w.namespace))
    ) AS outside (what);
    IF reached IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'KD004',
            MESSAGE = 'the script reached outside of the target schema: ' || reached,
            HINT = 'name only objects of the target schema; extensions are declared under `extensions` in migration.toml';
    END IF;
END
