-- After a script: is it still the transaction that began, and did it stay in the
-- target schema? What it did elsewhere shows as rows of the system catalogs that
-- this transaction wrote, and as locks that only changes of a definition take.
DECLARE
    top constant xid8 := pg_current_xact_id();
    target constant oid := quote_ident({schema_literal})::regnamespace;
    toast constant oid := 'pg_toast'::regnamespace;
    -- The epoch of the transaction counter, to read a row's 32-bit xmin.
    epoch numeric;
    -- Where it may be at work, and what belongs to the server, temporary objects included.
    inside oid[];
    -- Locks that only changes of a definition take.
    strong constant text[] := '{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}';
    reached text;
BEGIN
    IF current_setting('kimbledb.transaction', true) IS DISTINCT FROM top::text THEN
        RAISE EXCEPTION USING ERRCODE = 'KD003',
            MESSAGE = 'the script ended the transaction that it was given',
            HINT = 'take COMMIT, ROLLBACK and procedures that commit out of it';
    END IF;
    -- Most scripts stay inside; to see that takes less than to tell where one went.
    -- What is in other schemas is found by its dependence on them, so that it takes no
    -- longer the more there is in the target schema.
    IF NOT (
        EXISTS (
            SELECT FROM pg_namespace AS n
            JOIN pg_depend AS d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
            WHERE n.oid <> target AND n.nspname !~ '^pg_'
              AND age(CASE d.classid
                  WHEN 'pg_class'::regclass THEN (SELECT c.xmin FROM pg_class AS c WHERE c.oid = d.objid)
                  WHEN 'pg_proc'::regclass THEN (SELECT p.xmin FROM pg_proc AS p WHERE p.oid = d.objid)
                  WHEN 'pg_type'::regclass THEN (SELECT t.xmin FROM pg_type AS t WHERE t.oid = d.objid)
              END) <= age(top::xid))
        OR EXISTS (SELECT FROM pg_namespace WHERE oid <> target AND age(xmin) <= age(top::xid))
        OR EXISTS (
            SELECT FROM pg_locks AS l
            WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = ANY (strong) AND l.relation >= 16384
              AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = l.relation AND c.relnamespace IN (target, toast)))
    ) THEN
        RETURN;
    END IF;
    epoch := floor(top::text::numeric / 4294967296) * 4294967296;
    SELECT array_agg(oid) INTO inside FROM pg_namespace WHERE nspname = {schema_literal} OR nspname ~ '^pg_';
    WITH held AS MATERIALIZED (
        SELECT relation, mode
        FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
          AND mode = ANY (strong)
    ), written AS (
        SELECT 'function' AS kind, proname AS name, pronamespace AS namespace, xmin AS writer FROM pg_proc
        WHERE pronamespace <> ALL (inside) AND age(xmin) <= age(top::xid)
        UNION ALL
        SELECT 'relation', relname, relnamespace, xmin FROM pg_class
        WHERE relnamespace <> ALL (inside) AND age(xmin) <= age(top::xid)
        UNION ALL
        SELECT 'type', typname, typnamespace, xmin FROM pg_type
        WHERE typnamespace <> ALL (inside) AND age(xmin) <= age(top::xid)
        UNION ALL
        SELECT 'schema', nspname, oid, xmin FROM pg_namespace
        WHERE oid <> ALL (inside) AND age(xmin) <= age(top::xid)
    )
    SELECT string_agg(DISTINCT what, ', ') INTO reached
    FROM (
        SELECT format('%I.%I was altered', n.nspname, c.relname)
        FROM held
        JOIN pg_class AS c ON c.oid = held.relation
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relnamespace <> ALL (inside) AND c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f')
          -- A foreign key may point to another schema's table; it locks that one, too.
          AND NOT (held.mode = 'ShareRowExclusiveLock' AND EXISTS (
              SELECT FROM pg_constraint AS k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.connamespace = target))
        UNION ALL
        SELECT format('relation %s of another schema was dropped', held.relation)
        FROM held
        WHERE held.mode = 'AccessExclusiveLock'
          AND held.relation::text = ANY (string_to_array(current_setting('kimbledb.outside'), ','))
          AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = held.relation)
        UNION ALL
        SELECT format('%s %I.%I was made or replaced', w.kind, n.nspname, w.name)
        FROM written AS w
        JOIN pg_namespace AS n ON n.oid = w.namespace
        -- Visible and yet in progress: it is this transaction, or a part of it.
        WHERE pg_xact_status((epoch + w.writer::text::numeric)::text::xid8) = 'in progress'
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
