-- The speed of this server: the time of a hash, and for some tables the size, the attached objects, and the time to
-- read their pages. It writes nothing. It reads chunks of pages spread over a table, for {budget} seconds in all and no
-- more than 64 MB of each table: so pages in memory and others have their shares.
DECLARE
    chunk constant bigint := 16;
    most constant bigint := 8192;
    begun constant timestamptz := clock_timestamp();
    given record;
    facts jsonb;
    found jsonb := '[]';
    started timestamptz;
    unit double precision;
    left_over integer := cardinality({tables}::text[]);
    -- When the next table has its turn.
    until timestamptz;
    pages bigint;
    place bigint;
    number integer;
    seen bigint;
    read_pages bigint;
    read_rows bigint;
    seconds double precision;
    reason text;
BEGIN
    FOR turn IN 1 .. 3 LOOP
        started := clock_timestamp();
        PERFORM sum(hashtextextended(i::text, i) % 7) FROM (SELECT generate_series(1, 100000) AS i OFFSET 0) AS numbers;
        unit := least(unit, extract(epoch FROM clock_timestamp() - started) / 100000);
    END LOOP;
    FOR given IN
        SELECT c.oid, n.nspname, c.relname, c.reltuples, c.reltoastrelid, c.relkind,
               c.relowner IN (SELECT unnest(t.roles) FROM ({trusted}) AS t (roles)) AS is_trusted
        FROM unnest({schemas}::text[], {tables}::text[]) AS named (schema, name)
        JOIN pg_namespace AS n ON n.nspname = named.schema
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = named.name AND c.relkind IN ('r', 'm', 'f')
        ORDER BY c.relpages DESC
    LOOP
        until := clock_timestamp() + greatest(begun + make_interval(secs => {budget}) - clock_timestamp(), interval '0') / greatest(left_over, 1);
        left_over := left_over - 1;
        pages := NULL;
        facts := NULL;
        number := 0;
        read_pages := 0;
        read_rows := 0;
        seconds := 0;
        reason := NULL;
        BEGIN
            IF given.relkind = 'f' THEN
                reason := 'it is a foreign table';
            ELSIF NOT given.is_trusted THEN
                reason := 'a stranger owns it, and to read it calls what hangs on it';
            END IF;
            -- A size would wait for a lock on the table.
            PERFORM set_config('lock_timeout', '100ms', true);
            pages := pg_relation_size(given.oid) / current_setting('block_size')::bigint;
            facts := jsonb_build_object(
                'apart', CASE WHEN given.reltoastrelid <> 0 THEN pg_relation_size(given.reltoastrelid) / current_setting('block_size')::bigint ELSE 0 END,
                'indexes', (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = given.oid),
                'index_pages', pg_indexes_size(given.oid) / current_setting('block_size')::bigint,
                'is_odd', EXISTS (
                    SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am AS m ON m.oid = x.relam
                    WHERE i.indrelid = given.oid AND (m.amname NOT IN ('btree', 'hash') OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)),
                'fires', EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = given.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D')
                    OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.confrelid = given.oid AND k.contype = 'f')
                    OR EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = given.oid AND r.ev_type <> '1'));
            -- At least one chunk of each table, and the whole of a small one.
            WHILE reason IS NULL AND pages >= 128 AND read_pages < least(pages, most) AND (number = 0 OR clock_timestamp() < until) LOOP
                -- Multiples of the golden ratio spread evenly, however many they are.
                place := floor(mod(number * 0.6180339887498949, 1) * greatest(pages - chunk, 0));
                started := clock_timestamp();
                EXECUTE format('SELECT count(*) FROM ONLY %I.%I WHERE ctid >= %L::tid AND ctid < %L::tid',
                               given.nspname, given.relname, format('(%s,0)', place), format('(%s,0)', place + chunk)) INTO seen;
                seconds := seconds + extract(epoch FROM clock_timestamp() - started);
                read_pages := read_pages + least(chunk, pages);
                read_rows := read_rows + seen;
                number := number + 1;
            END LOOP;
        EXCEPTION
            WHEN insufficient_privilege THEN reason := 'this role may not read it';
            WHEN lock_not_available THEN reason := 'it is locked';
        END;
        found := found || jsonb_build_array(jsonb_build_array(
            given.nspname, given.relname, nullif(given.reltuples, -1), pages, facts, read_pages, read_rows, seconds, reason));
    END LOOP;
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = jsonb_build_object('unit', unit, 'tables', found)::text;
END
