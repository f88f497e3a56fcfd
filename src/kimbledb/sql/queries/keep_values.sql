-- Before a script runs again that may lose rows or values of these tables (measure_after.sql): the counts of their
-- rows, under a lock that keeps the counts true; and where the script may keep the rows in another shape, a hash of
-- each value, to be compared afterwards.
DECLARE
    may_compare constant boolean := has_database_privilege(current_database(), 'TEMPORARY');
    suspect record;
    field record;
    kept jsonb := '{}';
    fields jsonb;
    hashes text[];
    main int2[];
    keys int2[];
    source text;
    counts bigint[];
    compared boolean;
    forced boolean;
BEGIN
    FOR suspect IN
        SELECT s.*, c.relkind AS kind, n.nspname AS namespace, c.relname AS name, coalesce(p.partattrs::int2[], '{}') AS parted
        FROM jsonb_to_recordset(current_setting('kimbledb.suspects')::jsonb) AS s (oid oid, gone boolean, rows boolean, columns int2[], types jsonb, compare boolean, strong boolean)
        JOIN pg_class AS c ON c.oid = s.oid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
        WHERE c.relkind IN ('r', 'p') OR (c.relkind = 'm' AND c.relispopulated)
        ORDER BY s.oid
    LOOP
        BEGIN
            source := format('%s%I.%I', CASE WHEN suspect.kind = 'r' THEN 'ONLY ' END, suspect.namespace, suspect.name);
            -- In other schemas a lock would look like a change by the script.
            IF suspect.kind <> 'm' AND (suspect.strong OR suspect.namespace = {schema_literal}) THEN
                EXECUTE format('LOCK TABLE %s IN %s MODE', source, CASE WHEN suspect.strong THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
            END IF;
            -- What tells a row from the others: its primary key, else all of it; of a row that may
            -- move to another partition, without what tells the partition; of a table that goes, all.
            main := NULL;
            IF NOT suspect.gone THEN
                SELECT array_agg(key) INTO main
                FROM pg_index AS i CROSS JOIN unnest(i.indkey::int2[]) AS key
                WHERE i.indrelid = suspect.oid AND i.indisprimary AND key <> ALL (suspect.parted);
            END IF;
            SELECT array_agg(a.attnum) INTO keys
            FROM pg_attribute AS a
            WHERE a.attrelid = suspect.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              AND coalesce(a.attnum = ANY (main), a.attnum <> ALL (suspect.parted));
            fields := '[]';
            hashes := '{}';
            FOR field IN
                SELECT a.attnum AS place, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typcategory AS category,
                       coalesce(suspect.types->>('#' || a.attnum), suspect.types->>a.attname::text, '') AS later,
                       suspect.gone OR a.attnum = ANY (suspect.columns) AS asked
                FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid = suspect.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                  AND (suspect.gone OR a.attnum = ANY (suspect.columns || keys))
                ORDER BY a.attnum
            LOOP
                fields := fields || jsonb_build_object('place', field.place, 'name', field.name, 'asked', field.asked, 'forms', (
                    SELECT jsonb_agg(jsonb_build_array(format('c%s_%s', field.place, form.number), form.after) ORDER BY form.number)
                    FROM (VALUES
{forms}
                    ) AS form (number, applies, before, after)
                    WHERE form.applies));
                hashes := hashes || ARRAY(
                    SELECT format('pg_catalog.hashtextextended((%s)::pg_catalog.text COLLATE pg_catalog."C", 0) AS c%s_%s', form.before, field.place, form.number)
                    FROM (VALUES
{forms}
                    ) AS form (number, applies, before, after)
                    WHERE form.applies ORDER BY form.number);
            END LOOP;
            -- Its owner is held to the policies, too, and under the lock may lift that for a moment.
            forced := suspect.namespace = {schema_literal} AND (SELECT relforcerowsecurity FROM pg_class WHERE oid = suspect.oid)
                AND row_security_active(suspect.oid);
            IF forced THEN
                EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', source);
            END IF;
            EXECUTE format('SELECT ARRAY[count(*)%s] FROM %s',
                (SELECT string_agg(format(', count(%I)', f->>'name'), '' ORDER BY place) FROM jsonb_array_elements(fields) WITH ORDINALITY AS e (f, place)), source)
                INTO counts;
            compared := suspect.compare AND may_compare AND counts[1] > 0 AND hashes <> '{}';
            IF compared THEN
                EXECUTE format('CREATE TEMPORARY TABLE kimbledb_kept_%s ON COMMIT DROP AS SELECT %s FROM %s', suspect.oid, array_to_string(hashes, ', '), source);
            END IF;
            IF forced THEN
                EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', source);
            END IF;
            kept := kept || jsonb_build_object(suspect.oid, jsonb_build_object(
                'name', suspect.name, 'namespace', suspect.namespace, 'kind', suspect.kind, 'rows', suspect.rows, 'count', counts[1],
                'fields', fields, 'counts', counts, 'keys', keys, 'compared', compared));
        EXCEPTION
            -- A table that the role may not read cannot be counted.
            WHEN insufficient_privilege THEN
                kept := kept || jsonb_build_object(suspect.oid, jsonb_build_object(
                    'name', suspect.name, 'namespace', suspect.namespace, 'kind', suspect.kind, 'strong', suspect.strong, 'count', NULL));
        END;
    END LOOP;
    PERFORM set_config('kimbledb.kept', kept::text, true);
END
