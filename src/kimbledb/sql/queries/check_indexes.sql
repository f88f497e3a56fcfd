-- After a script: CREATE INDEX IF NOT EXISTS passes over an index that is not valid, which an
-- interrupted build has left, and keeps nothing unique by it. Who makes an index locks its table
-- in this mode, also where there is one of that name. An index on a partitioned table is not
-- valid until each partition has its own.
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
