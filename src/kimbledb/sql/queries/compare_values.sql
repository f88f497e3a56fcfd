-- After the script: the losses against the counts of keep_values.sql, as [kind, name, count, bound]. A dropped table
-- may have been made anew under its name with the same rows, and so may a column.
DECLARE
    before constant jsonb := current_setting('kimbledb.before');
    one record;
    field record;
    form record;
    present record;
    counted bigint;
    gone bigint;
    most bigint;
    fewest bigint;
    missing bigint;
    bound text;
    lefts text;
    rights text;
    shown text;
    lost jsonb := '[]';
    lifted text[] := '{}';
    source text;
BEGIN
    FOR one IN
        SELECT key::oid AS oid, k.was->>'name' AS name, k.was->>'namespace' AS namespace, k.was->>'kind' AS kind, (k.was->>'count')::bigint AS count,
               (k.was->>'rows')::boolean AS rows, k.was->'fields' AS fields, k.was->'counts' AS counts, k.was->'keys' AS keys, (k.was->>'compared')::boolean AS compared, (k.was->>'strong')::boolean AS strong
        FROM jsonb_each(current_setting('kimbledb.kept')::jsonb) AS k (key, was)
        ORDER BY 1
    LOOP
        shown := CASE WHEN one.namespace <> {schema_literal} THEN one.namespace || '.' ELSE '' END || one.name;
        IF one.count IS NULL THEN
            -- The counter of the server has the deleted rows. The others are unknown.
            SELECT pg_stat_get_xact_tuples_deleted(c.oid) - coalesce((before->'counts'->c.oid::text->>0)::bigint, 0) INTO most
            FROM pg_class AS c WHERE c.oid = one.oid AND NOT one.strong;
            IF most IS DISTINCT FROM 0 THEN
                lost := lost || jsonb_build_array(jsonb_build_array('rows', shown, coalesce(most, 0), CASE WHEN most IS NULL THEN 'unknown' ELSE 'most' END));
            END IF;
        END IF;
        CONTINUE WHEN coalesce(one.count, 0) = 0;
        SELECT c.oid, format('%s%I.%I', CASE WHEN c.relkind = 'r' THEN 'ONLY ' END, n.nspname, c.relname) AS source,
               c.relkind <> 'm' OR c.relispopulated AS filled,
               c.relfilenode::bigint IS NOT DISTINCT FROM (before->'relations'->one.oid::text->>2)::bigint AS same_file,
               n.nspname = {schema_literal} AND c.relforcerowsecurity AND row_security_active(c.oid) AS forced,
               coalesce((before->'counts'->one.oid::text->>0)::bigint, 0) AS deleted_before,
               pg_stat_get_xact_tuples_updated(c.oid) > coalesce((before->'counts'->one.oid::text->>1)::bigint, 0) AS updated
        INTO present
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm')
          AND (c.oid = one.oid OR (c.relname = one.name AND n.nspname = one.namespace AND NOT EXISTS (SELECT FROM pg_class AS same WHERE same.oid = one.oid)));
        IF present.oid IS NULL THEN
            lost := lost || jsonb_build_array(jsonb_build_array(CASE one.kind WHEN 'm' THEN 'materialized view' ELSE 'table' END, shown, one.count, NULL));
            CONTINUE;
        END IF;
        IF present.forced THEN
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', present.source);
            lifted := lifted || present.source;
        END IF;
        counted := 0;
        IF present.filled THEN
            EXECUTE 'SELECT count(*) FROM ' || present.source INTO counted;
        END IF;
        gone := CASE WHEN one.rows THEN greatest(one.count - counted, 0) ELSE 0 END;
        bound := NULL;
        IF one.rows AND one.compared AND counted > 0 THEN
            SELECT string_agg(format('c%s_1', f->>'place'), ', ' ORDER BY f->>'place'),
                   string_agg(format('pg_catalog.hashtextextended((%s)::pg_catalog.text COLLATE pg_catalog."C", 0)', replace(f->'forms'->0->>1, '<new>', format('%I', a.attname))), ', ' ORDER BY f->>'place')
            INTO lefts, rights
            FROM jsonb_array_elements(one.fields) AS f
            JOIN pg_attribute AS a ON a.attrelid = present.oid AND a.attnum > 0 AND NOT a.attisdropped
                                   AND CASE WHEN present.oid = one.oid THEN a.attnum = (f->>'place')::int2 ELSE a.attname = f->>'name' END
            WHERE one.keys @> (f->'place');
            BEGIN
                EXECUTE format('SELECT count(*) FROM (SELECT %s FROM kimbledb_kept_%s EXCEPT ALL SELECT %s FROM %s) AS gone', lefts, one.oid, rights, present.source) INTO gone;
            EXCEPTION WHEN data_exception OR cannot_coerce OR undefined_function OR null_value_not_allowed THEN
                gone := one.count;
                bound := 'most';
            END;
            -- An updated row without a key looks like a deleted one.
            IF present.same_file THEN
                SELECT sum(pg_stat_get_xact_tuples_deleted(oid)) - present.deleted_before INTO most FROM pg_class WHERE oid = one.oid;
                IF gone > most THEN
                    gone := most;
                    bound := 'most';
                END IF;
            END IF;
        END IF;
        -- If other sessions may write in the meantime, the counter is more exact than the difference of two counts.
        IF one.kind = 'r' AND present.same_file AND one.namespace <> {schema_literal} THEN
            most := pg_stat_get_xact_tuples_deleted(one.oid) - present.deleted_before;
            bound := CASE WHEN most <> gone THEN 'most' END;
            gone := most;
        END IF;
        IF gone > 0 THEN
            lost := lost || jsonb_build_array(jsonb_build_array(
                CASE WHEN one.kind = 'm' THEN 'materialized view' WHEN present.oid <> one.oid AND gone = one.count THEN 'table' ELSE 'rows' END, shown, gone, bound));
            CONTINUE WHEN gone = one.count;
        END IF;
        FOR field IN
            SELECT f.value->>'name' AS name, f.value->>'place' AS place, f.value->'forms' AS forms, (one.counts->>(f.number)::integer)::bigint AS count, now.name AS now
            FROM jsonb_array_elements(one.fields) WITH ORDINALITY AS f (value, number)
            LEFT JOIN LATERAL (
                SELECT a.attname FROM pg_attribute AS a
                WHERE a.attrelid = present.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND (a.attname = f.value->>'name' OR (present.oid = one.oid AND a.attnum = (f.value->>'place')::int2))
                ORDER BY present.oid = one.oid AND a.attnum = (f.value->>'place')::int2 DESC LIMIT 1
            ) AS now (name) ON true
            WHERE (f.value->>'asked')::boolean
        LOOP
            IF field.now IS NULL THEN
                fewest := field.count;
                bound := NULL;
            ELSIF counted = 0 THEN
                CONTINUE;
            ELSE
                fewest := field.count;
                bound := 'most';
                IF one.compared THEN
                    FOR form IN SELECT f->>0 AS kept, replace(f->>1, '<new>', format('%I', field.now)) AS after FROM jsonb_array_elements(field.forms) AS f LOOP
                        BEGIN
                            EXECUTE format(
                                'SELECT count(*) FROM (SELECT %1$s FROM kimbledb_kept_%2$s WHERE %1$s IS NOT NULL EXCEPT ALL '
                                'SELECT pg_catalog.hashtextextended((%3$s)::pg_catalog.text COLLATE pg_catalog."C", 0) FROM %4$s) AS gone',
                                form.kept, one.oid, form.after, present.source) INTO missing;
                            IF missing < fewest OR bound = 'most' THEN
                                fewest := least(missing, fewest);
                                bound := CASE WHEN present.updated THEN 'most' END;
                            END IF;
                        EXCEPTION WHEN data_exception OR cannot_coerce OR undefined_function THEN
                            NULL;  -- this form does not fit
                        END;
                        EXIT WHEN fewest = 0;
                    END LOOP;
                END IF;
                -- The values of deleted rows count as rows.
                fewest := CASE WHEN fewest > gone THEN fewest ELSE 0 END;
            END IF;
            IF fewest > 0 THEN
                lost := lost || jsonb_build_array(jsonb_build_array('column', shown || '.' || field.name, fewest, bound));
            END IF;
        END LOOP;
        IF one.compared THEN
            EXECUTE format('DROP TABLE pg_temp.kimbledb_kept_%s', one.oid);
        END IF;
    END LOOP;
    FOREACH source IN ARRAY lifted LOOP
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', source);
    END LOOP;
    PERFORM set_config('kimbledb.lost', lost::text, true);
END
