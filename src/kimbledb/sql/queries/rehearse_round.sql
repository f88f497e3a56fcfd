-- Executes queries, each with the same rows before it, and answers with the rows that each returns and leaves, the
-- relations that it reads, and its error.
DECLARE
    given CONSTANT jsonb := {given};
    reader CONSTANT text := session_user;
    tables oid[];
    counts bigint[];
    writes bigint[];
    counts_now bigint[];
    writes_now bigint[];
    refused jsonb := '[]';
    answers jsonb[] := '{}';
    one jsonb;
    held jsonb;
    given_columns text;
    returned record;
    rows text[];
    parameters text[];
    written oid[];
    top oid;
    contents jsonb;
    after jsonb;
    changed jsonb;
    touched jsonb;
    done boolean;
    assumed boolean;
    deleted bigint;
    state text;
    message text;
BEGIN
    PERFORM pg_catalog.set_config(name, 'off', true)
    FROM unnest(ARRAY['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan']) AS name;
    BEGIN
        PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    FOR held IN SELECT value FROM jsonb_array_elements(given->'held') LOOP
        -- A table that was put in the place of another has the same name.
        top := coalesce((SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = (held->>0)::oid AND c.relkind IN ('r', 'p')),
                        (SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass(quote_ident(held->>1)) AND c.relkind IN ('r', 'p')));
        CONTINUE WHEN top IS NULL;
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), jsonb_object_agg(a.attname, own.key) INTO given_columns, changed
        FROM pg_catalog.pg_attribute AS a
        JOIN jsonb_each_text(held->2) AS own
            ON CASE WHEN top = (held->>0)::oid THEN own.value = a.attnum::text ELSE own.key = a.attname END
        WHERE a.attrelid = top AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
        CONTINUE WHEN given_columns IS NULL;
        -- All at once, or one by one where the table does not take all.
        rows := NULL;
        FOR one IN SELECT held->4 UNION ALL SELECT jsonb_build_array(value) FROM jsonb_array_elements(held->4) LOOP
            BEGIN
                EXECUTE format(
                    'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM pg_catalog.jsonb_populate_recordset(NULL::%1$s, $1)',
                    top::regclass, given_columns)
                USING (SELECT jsonb_agg((SELECT jsonb_object_agg(now.key, own->(now.value)) FROM jsonb_each_text(changed) AS now))
                       FROM jsonb_array_elements(one) AS own);
                EXIT WHEN rows IS NULL;
            EXCEPTION WHEN OTHERS THEN
                refused := refused || pg_catalog.to_jsonb(top::bigint);
            END;
            rows := '{}';
        END LOOP;
    END LOOP;
    -- A new key is not checked when rows are inserted without triggers, and is when a row of this transaction is updated.
    LOOP
        done := true;
        FOR returned IN
            SELECT k.conrelid AS child, k.confrelid AS parent,
                   string_agg(format('child.%I IS NOT NULL', own.attname), ' AND ') AS filled,
                   string_agg(format('parent.%I = child.%I', other.attname, own.attname), ' AND ') AS matches
            FROM pg_catalog.pg_constraint AS k
            CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS key (own, other)
            JOIN pg_catalog.pg_attribute AS own ON own.attrelid = k.conrelid AND own.attnum = key.own
            JOIN pg_catalog.pg_attribute AS other ON other.attrelid = k.confrelid AND other.attnum = key.other
            WHERE k.contype = 'f' AND k.conparentid = 0 AND given->'held' <> '[]'
            GROUP BY k.oid, k.conrelid, k.confrelid
        LOOP
            EXECUTE format('DELETE FROM %s AS child WHERE %s AND NOT EXISTS (SELECT FROM %s AS parent WHERE %s)',
                           returned.child::regclass, returned.filled, returned.parent::regclass, returned.matches);
            GET DIAGNOSTICS deleted = ROW_COUNT;
            IF deleted > 0 THEN
                refused := refused || pg_catalog.to_jsonb(returned.child::bigint);
                done := false;
            END IF;
        END LOOP;
        EXIT WHEN done;
    END LOOP;
    BEGIN
        PERFORM pg_catalog.set_config('session_replication_role', 'origin', true);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;

    SELECT array_agg(c.oid ORDER BY c.oid) INTO tables
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname <> ALL ({without});
    FOR one IN SELECT value FROM jsonb_array_elements(given->'tries') LOOP
        IF counts IS NULL THEN
            SELECT array_agg(pg_catalog.pg_stat_get_xact_numscans(own.oid) + pg_catalog.pg_stat_get_xact_tuples_fetched(own.oid) ORDER BY place), array_agg(pg_catalog.pg_stat_get_xact_tuples_inserted(own.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(own.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(own.oid) ORDER BY place) INTO counts, writes
            FROM unnest(tables) WITH ORDINALITY AS own (oid, place);
        END IF;
        rows := '{}';
        parameters := NULL;
        after := '{}';
        written := '{}';
        touched := '[]';
        done := false;
        assumed := one->>'role' IS NULL;
        state := NULL;
        message := NULL;
        BEGIN
            IF one->>'role' IS NOT NULL THEN
                PERFORM pg_catalog.set_config('session_authorization', one->>'role', true);
                assumed := true;
            END IF;
            PERFORM pg_catalog.setseed({seed});
            IF one->>'prepare' IS NOT NULL THEN
                EXECUTE one->>'prepare';
                parameters := (
                    SELECT array_agg(base.typcategory::text || ' ' || base.typname ORDER BY own.place)
                    FROM pg_catalog.pg_prepared_statements AS p
                    CROSS JOIN LATERAL unnest(p.parameter_types) WITH ORDINALITY AS own (type, place)
                    JOIN pg_catalog.pg_type AS t ON t.oid = own.type
                    JOIN pg_catalog.pg_type AS base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
                    WHERE p.name = {name});
            END IF;
            IF (one->>'returns')::boolean THEN
                FOR returned IN EXECUTE one->>'execute' LOOP
                    rows := rows || pg_catalog.row_to_json(returned)::text;
                    EXIT WHEN cardinality(rows) >= {most};
                END LOOP;
            ELSE
                EXECUTE one->>'execute';
            END IF;
            EXECUTE 'SET CONSTRAINTS ALL IMMEDIATE';
            IF one->>'role' IS NOT NULL THEN
                PERFORM pg_catalog.set_config('session_authorization', reader, true);
            END IF;
            SELECT array_agg(pg_catalog.pg_stat_get_xact_numscans(own.oid) + pg_catalog.pg_stat_get_xact_tuples_fetched(own.oid) ORDER BY place), array_agg(pg_catalog.pg_stat_get_xact_tuples_inserted(own.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(own.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(own.oid) ORDER BY place) INTO counts_now, writes_now
            FROM unnest(tables) WITH ORDINALITY AS own (oid, place);
            IF counts_now <> counts OR writes_now <> writes THEN
                SELECT coalesce(jsonb_agg(coalesce(pg_catalog.pg_partition_root(tables[place]), tables[place])::oid::bigint), '[]'),
                       array_agg(DISTINCT coalesce(pg_catalog.pg_partition_root(tables[place]), tables[place])::oid)
                           FILTER (WHERE writes_now[place] <> writes[place])
                INTO touched, written
                FROM generate_subscripts(tables, 1) AS place
                WHERE counts_now[place] <> counts[place] OR writes_now[place] <> writes[place];
            END IF;
            FOREACH top IN ARRAY coalesce(written, '{}') LOOP
                EXECUTE format('SELECT coalesce(jsonb_agg(pg_catalog.to_jsonb(own)), ''[]'') FROM %s AS own', top::regclass) INTO contents;
                after := after || jsonb_build_object(top::bigint::text, contents);
            END LOOP;
            done := true;
            RAISE EXCEPTION 'undone' USING ERRCODE = 'KX001';
        -- A timeout is not caught: it is that of the whole round, and no other would follow it.
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
        END;
        EXECUTE 'DEALLOCATE ALL';
        changed := '{}';
        FOREACH top IN ARRAY coalesce(CASE WHEN done THEN written END, '{}') LOOP
            EXECUTE format('SELECT coalesce(jsonb_agg(pg_catalog.to_jsonb(own)), ''[]'') FROM %s AS own', top::regclass) INTO contents;
            changed := changed || jsonb_build_object(top::bigint::text, jsonb_build_array(
                (SELECT coalesce(jsonb_agg(r), '[]') FROM (SELECT jsonb_array_elements(after->(top::bigint::text)) AS r EXCEPT ALL SELECT jsonb_array_elements(contents)) AS new),
                (SELECT coalesce(jsonb_agg(r), '[]') FROM (SELECT jsonb_array_elements(contents) AS r EXCEPT ALL SELECT jsonb_array_elements(after->(top::bigint::text))) AS old)));
        END LOOP;
        IF done AND coalesce(cardinality(written), 0) = 0 THEN
            counts := counts_now;
            writes := writes_now;
        ELSE
            counts := NULL;
        END IF;
        answers := array_append(answers, jsonb_build_object(
            'error', CASE WHEN NOT done THEN jsonb_build_array(state, message) END, 'rows', rows, 'parameters', parameters,
            'left', changed, 'touched', touched, 'assumed', assumed));
    END LOOP;
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = jsonb_build_object('answers', pg_catalog.to_jsonb(answers), 'refused', refused, 'tables', (
        SELECT coalesce(jsonb_object_agg(c.oid::bigint, jsonb_build_array(c.relname, (
            SELECT coalesce(jsonb_object_agg(a.attname, a.attnum), '{}') FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))), '{}')
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname <> ALL ({without})))::text;
END
