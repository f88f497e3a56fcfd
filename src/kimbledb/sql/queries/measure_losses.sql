-- The lost and updated rows, values and objects, after measure_after.sql has seen signs of them. Losses are [kind,
-- name, count, bound]. A possible loss that the server's counters cannot decide is a suspect: the script runs again,
-- and keep_values.sql and compare_values.sql count it. Objects are identified by oid, storage and the position of a
-- column, not by name.
DECLARE
    before constant jsonb := current_setting('kimbledb.before');
    known constant oid[] := ARRAY(SELECT s->>'oid' FROM jsonb_array_elements(current_setting('kimbledb.suspects')::jsonb) AS s);
    target constant oid := (SELECT oid FROM pg_namespace WHERE nspname = {schema_literal});
    span constant integer := age(pg_current_xact_id()::xid);
    converted constant jsonb := current_setting('kimbledb.converted');
    lost jsonb := current_setting('kimbledb.lost')::jsonb;
    updated jsonb := '[]';
    suspects jsonb := '[]';
    one record;
    -- Locks that last as long as the transaction: for writes, and for changes of a table.
    written constant oid[] := current_setting('kimbledb.written');
    changed constant oid[] := current_setting('kimbledb.changed');
    due numeric;
    reached numeric;
    shaped constant oid[] := current_setting('kimbledb.shaped');
    giving_back jsonb := '[]';
BEGIN
    IF NOT ((before->>'counting')::boolean AND current_setting('track_counts')::boolean) THEN
        lost := lost || jsonb_build_array(jsonb_build_array('rows', {schema_literal} || ' (track_counts is off)', 0, 'unknown'));
    END IF;

    -- Tables and materialised views that were dropped, emptied or rewritten, or lost a column.
    IF changed <> '{}' THEN
        FOR one IN
            SELECT k.*, c.oid IS NULL AS gone, c.relfilenode IS DISTINCT FROM k.file AS moved,
                   pg_relation_size(c.oid) > 0 AS filled, touched.columns, touched.fresh,
                   pg_stat_get_xact_tuples_deleted(c.oid) > coalesce((before->'counts'->k.oid::text->>0)::bigint, 0) AS deleted,
                   pg_stat_get_xact_tuples_inserted(c.oid) > coalesce((before->'counts'->k.oid::text->>2)::bigint, 0) AS inserted,
                   again.oid AS successor
            FROM (
                SELECT key::oid, value->>0, value->>1, (value->>2)::oid, (value->>3)::integer, (value->>4)::boolean, (value->>5)::oid
                FROM jsonb_each(before->'relations')
            ) AS k (oid, name, kind, file, width, empty, namespace)
            LEFT JOIN pg_class AS c ON c.oid = k.oid
            LEFT JOIN pg_class AS again ON c.oid IS NULL AND again.relnamespace = k.namespace AND again.relname = k.name
            CROSS JOIN LATERAL (
                -- Columns whose rows in the catalog are as young as this transaction, but for those that a rule converted; and
                -- whether some are new.
                SELECT coalesce(array_agg(a.attnum) FILTER (WHERE a.attnum <= k.width AND (a.attisdropped OR c.relfilenode <> k.file)
                           AND NOT (c.relnamespace = target AND converted @> jsonb_build_array(jsonb_build_array(c.relname, a.attname)))), '{}'),
                       coalesce(bool_or(a.attnum > k.width), false)
                FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND age(a.xmin) <= span
            ) AS touched (columns, fresh)
            WHERE k.kind <> 'S' AND k.oid = ANY (changed) AND k.oid <> ALL (known)
        LOOP
            CONTINUE WHEN one.kind = 'm' AND one.empty;
            -- The file that it had before held no row if it has no page.
            CONTINUE WHEN one.kind = 'r' AND NOT (one.gone OR one.moved OR one.filled);
            -- A new column may rewrite all rows. If rows exist and none were inserted, they are the old ones.
            CONTINUE WHEN NOT (one.gone OR (one.columns <> '{}' AND (one.filled OR NOT one.empty)) OR (one.moved AND CASE WHEN one.empty THEN NOT one.fresh ELSE one.inserted OR NOT one.filled END));
            suspects := suspects || jsonb_build_object(
                'oid', one.oid::bigint, 'strong', true, 'gone', one.gone, 'columns', to_jsonb(one.columns),
                'rows', one.gone OR one.kind = 'm' OR one.deleted OR (one.moved AND (one.inserted OR NOT one.filled)),
                'compare', CASE WHEN one.gone THEN one.successor IS NOT NULL ELSE one.filled AND (one.moved OR one.fresh) END,
                -- The types now, of columns by place, and of columns made anew by name.
                'types', (
                    SELECT coalesce(jsonb_object_agg(
                               CASE WHEN one.gone OR a.attnum > one.width THEN a.attname::text ELSE '#' || a.attnum END, format_type(a.atttypid, a.atttypmod)), '{}')
                    FROM pg_attribute AS a
                    WHERE a.attrelid = coalesce(one.successor, one.oid) AND a.attnum > 0 AND NOT a.attisdropped
                      AND (one.gone OR a.attnum > one.width OR a.attnum = ANY (one.columns))));
        END LOOP;
    END IF;

    -- Deleted or updated rows in tables of any schema that existed before.
    IF current_setting('kimbledb.counted')::boolean THEN
        FOR one IN
            SELECT c.oid, c.relkind AS kind, CASE WHEN c.relnamespace <> target THEN n.nspname || '.' ELSE '' END || c.relname AS shown,
                   pg_stat_get_xact_tuples_deleted(c.oid) - coalesce((was.counts->>0)::bigint, 0) AS deleted,
                   pg_stat_get_xact_tuples_updated(c.oid) - coalesce((was.counts->>1)::bigint, 0) AS updated,
                   pg_stat_get_xact_tuples_inserted(c.oid) > coalesce((was.counts->>2)::bigint, 0) AS inserted,
                   CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END AS root
            FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL (SELECT before->'counts'->c.oid::text) AS was (counts)
            WHERE c.oid = ANY (written) AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
              AND (c.oid >= 16384 OR c.oid = 'pg_largeobject_metadata'::regclass)
              AND CASE WHEN n.nspname = ANY ({schemas}) THEN before->'relations' ? c.oid::text ELSE NOT (c.oid::bigint > (before->>'newest')::bigint AND age(c.xmin) <= span) END
            ORDER BY shown
        LOOP
            IF one.updated > 0 THEN
                IF {back} THEN
                    lost := lost || jsonb_build_array(jsonb_build_array('updated rows', one.shown, one.updated, CASE WHEN one.inserted OR {undoing} THEN 'most' END));
                ELSE
                    updated := updated || jsonb_build_array(jsonb_build_array('updated rows', one.shown, one.updated, CASE WHEN one.inserted OR {undoing} THEN 'most' END));
                END IF;
            END IF;
            CONTINUE WHEN one.deleted <= 0 OR one.oid = ANY (known) OR one.root = ANY (known)
                OR suspects @> jsonb_build_array(jsonb_build_object('oid', one.oid::bigint)) OR suspects @> jsonb_build_array(jsonb_build_object('oid', one.root::bigint));
            -- A row moves to another partition by a delete and an insert.
            IF one.root IS NOT NULL AND EXISTS (
                SELECT FROM pg_partition_tree(one.root) AS part
                WHERE part.relid <> one.oid AND part.isleaf
                  AND pg_stat_get_xact_tuples_inserted(part.relid) > coalesce((before->'counts'->part.relid::oid::text->>2)::bigint, 0)
            ) THEN
                suspects := suspects || jsonb_build_object('oid', one.root::bigint, 'strong', false, 'gone', false, 'columns', '[]'::jsonb, 'rows', true, 'compare', true, 'types', '{}'::jsonb);
            ELSIF {allowed} AND one.kind = 'r' THEN
                lost := lost || jsonb_build_array(jsonb_build_array('rows', one.shown, one.deleted, CASE WHEN one.inserted OR {undoing} THEN 'most' END));
            ELSE
                suspects := suspects || jsonb_build_object('oid', one.oid::bigint, 'strong', false, 'gone', false, 'columns', '[]'::jsonb, 'rows', true, 'compare', one.inserted AND one.kind = 'r', 'types', '{}'::jsonb);
            END IF;
        END LOOP;
    END IF;

    -- The server does not count the rows of a foreign table.
    IF EXISTS (SELECT FROM pg_class WHERE oid = ANY (written) AND relkind = 'f') THEN
        FOR one IN
            SELECT CASE WHEN c.relnamespace <> target THEN n.nspname || '.' ELSE '' END || c.relname AS shown
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.oid = ANY (written) AND c.relkind = 'f'
        LOOP
            lost := lost || jsonb_build_array(jsonb_build_array('rows', one.shown, 0, 'unknown'));
        END LOOP;
    END IF;

    -- Restarted or dropped sequences whose position was not read before.
    IF shaped <> '{}' AND NOT (before->>'reads')::boolean THEN
        SELECT suspects || coalesce(jsonb_agg(jsonb_build_object('oid', oid::bigint)), '[]') INTO suspects
        FROM unnest(shaped) AS oid
        WHERE before->'relations'->oid::text->>1 = 'S' AND oid <> ALL (known);
    END IF;

    -- Sequences that give values again which they gave before.
    IF before->'sequences' <> '{}' THEN
        FOR one IN
            SELECT k.*, c.oid IS NULL AS gone, again.name AS now, again.increment AS step
            FROM (
                SELECT key::oid, value->>0, (value->>1)::bigint, (value->>2)::bigint, (value->>3)::bigint, (value->>4)::boolean,
                       (value->>5)::oid, (value->>6)::int2, (value->>7)::oid
                FROM jsonb_each(before->'sequences')
            ) AS k (oid, name, start, increment, last, called, owner, place, namespace)
            LEFT JOIN pg_class AS c ON c.oid = k.oid
            -- A dropped one may have been made anew, for the same column or with the same name.
            LEFT JOIN LATERAL (
                SELECT s.oid::regclass::text, q.seqincrement
                FROM pg_class AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid
                WHERE s.oid = k.oid OR (c.oid IS NULL AND (
                    (s.relnamespace = k.namespace AND s.relname = k.name)
                    OR EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
                               AND d.refobjid = k.owner AND d.refobjsubid = k.place AND d.deptype IN ('a', 'i'))))
                LIMIT 1
            ) AS again (name, increment) ON true
            WHERE k.oid = ANY (written)
              -- A column's own goes with it, or when the column counts no more.
              AND NOT (c.oid IS NULL AND k.owner IS NOT NULL AND NOT EXISTS (
                  SELECT FROM pg_attribute AS a WHERE a.attrelid = k.owner AND a.attnum = k.place AND NOT a.attisdropped
                  AND a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)))
        LOOP
            -- The next value, before and now.
            due := one.last + CASE WHEN one.called THEN one.increment ELSE 0 END;
            reached := one.start;
            IF one.now IS NOT NULL THEN
                EXECUTE format('SELECT last_value + CASE WHEN is_called THEN %s ELSE 0 END FROM %s', one.step, one.now) INTO reached;
            END IF;
            CONTINUE WHEN (reached - due) * sign(one.increment) >= 0;
            IF NOT one.gone AND has_sequence_privilege(one.oid, 'UPDATE') THEN
                giving_back := giving_back || jsonb_build_array(jsonb_build_array(one.oid::bigint, one.last, one.called));
            END IF;
            lost := lost || jsonb_build_array(jsonb_build_array(
                'sequence',
                CASE WHEN one.namespace <> target THEN (SELECT nspname || '.' FROM pg_namespace WHERE oid = one.namespace) ELSE '' END || one.name,
                trunc((due - reached) / one.increment)::bigint, NULL));
        END LOOP;
    END IF;

    IF giving_back <> '[]' AND ({reporting} OR suspects <> '[]' OR (lost <> '[]' AND NOT {allowed})) THEN
        -- The effect of setval() outlives the transaction, unless the sequence has a storage of this transaction.
        PERFORM setval((s->>0)::bigint::regclass, (s->>1)::bigint, (s->>2)::boolean) FROM jsonb_array_elements(giving_back) AS s;
    END IF;
    IF NOT {reporting} AND (suspects <> '[]' OR (lost <> '[]' AND NOT {allowed})) THEN
        RAISE EXCEPTION USING ERRCODE = 'KD006', MESSAGE = 'data would be lost',
            DETAIL = jsonb_build_object('lost', lost, 'updated', updated, 'suspects', suspects)::text;
    END IF;
    -- For the log.
    PERFORM set_config('kimbledb.lost', lost::text, true);
    RAISE INFO USING ERRCODE = 'KD106', MESSAGE = jsonb_build_object('lost', lost, 'updated', updated, 'suspects', suspects)::text;
END
