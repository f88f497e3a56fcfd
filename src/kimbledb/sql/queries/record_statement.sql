-- A statement outside of a transaction: that it is about to run, that it is done, or that its effects were undone.
-- Before it runs, the entry keeps the unfinished objects that exist already, the tables that the statement names, and
-- the partitions that it could detach: by these the next run, or this one after a failure, recognises the leftovers of
-- the statement. After it, the entry keeps the constraints that it added and that are not validated.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    words constant text[] := ARRAY(SELECT jsonb_array_elements_text(step->'words'));
    open constant jsonb := step->'open';
    -- The transaction, and its epoch, to read a row's 32-bit xmin.
    top constant xid8 := pg_current_xact_id();
    epoch constant numeric := top::text::numeric - top::xid::text::numeric;
    -- Left out where there is none.
    facts jsonb := '{}';
BEGIN
    IF step->'detail'->>'state' = 'begun' THEN
        facts := jsonb_build_object(
            'invalid', (SELECT jsonb_agg(indexrelid::bigint) FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)),
            'tables', (SELECT jsonb_agg(DISTINCT coalesce(i.indrelid, c.oid)::bigint)
                       FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
                       WHERE c.relname = ANY (words) AND c.relkind IN ('r', 'p', 'm', 'i', 'I')),
            'partitions', CASE step->'detail'->>'kind' WHEN 'detach' THEN (
                SELECT jsonb_agg(jsonb_build_array(p.oid::bigint, c.oid::bigint))
                FROM pg_inherits AS h JOIN pg_class AS p ON p.oid = h.inhparent JOIN pg_class AS c ON c.oid = h.inhrelid
                WHERE p.relname = ANY (words) AND c.relname = ANY (words) AND c.relispartition) END);
    ELSIF open IS NOT NULL THEN
        facts := jsonb_build_object('unvalidated', (
            SELECT jsonb_agg(oid::bigint) FROM pg_constraint
            WHERE NOT convalidated AND conparentid = 0 AND NOT open @> to_jsonb(oid::bigint)
              -- A visible row whose transaction is in progress is of this transaction, or of a savepoint of it.
              AND CASE WHEN age(xmin) <= age(top::xid) THEN pg_xact_status((epoch + xmin::text::numeric)::text::xid8) = 'in progress' END));
    END IF;
    INSERT INTO {schema}.migration_log (event, migration_name, checksum, kimbledb_version, detail)
    VALUES ('statement', step->>'name', step->>'checksum', step->>'version', step->'detail' || jsonb_strip_nulls(facts));
    RAISE INFO USING ERRCODE = 'KD100',
        MESSAGE = jsonb_build_object(
            'open', (SELECT coalesce(jsonb_agg(oid::bigint), '[]') FROM pg_constraint WHERE NOT convalidated),
            'added', (SELECT coalesce(jsonb_object_agg(oid::bigint, format('%I on %s', conname, coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text))), '{}')
                      FROM pg_constraint WHERE facts->'unvalidated' @> to_jsonb(oid::bigint)))::text;
END
