-- After a script: CREATE INDEX IF NOT EXISTS passes over an invalid index that an interrupted build has left, which
-- enforces no uniqueness. CREATE INDEX locks its table in this mode even if an index of that name exists. An index on a
-- partitioned table is invalid until each partition has its own.
DECLARE
    names jsonb;
    shown text;
    cures text;
BEGIN
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = ANY (indexed) AND NOT indisvalid) THEN
        SELECT jsonb_agg(c.relname), string_agg(format('%I on %s', c.relname, i.indrelid::regclass), ', '),
               string_agg(format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname), '; ')
        INTO names, shown, cures
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE NOT i.indisvalid AND c.relname <> ALL ({known})
          AND i.indrelid = ANY (indexed);
    END IF;
    IF names IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'KD012', DETAIL = names::text,
            MESSAGE = format('the script passed over an index that is not valid: %s', shown),
            HINT = format('%s makes it valid; after DROP INDEX the script builds it anew', cures);
    END IF;
END;
