-- Right before COMMIT: what a script left in the session is taken back, or it is refused.
DECLARE
    before constant jsonb := current_setting('kimbledb.session');
    statements text[];
    one record;
BEGIN
    IF NOT before->'prepared' <@ (SELECT coalesce(jsonb_agg(name), '[]') FROM pg_prepared_statements) THEN
        RAISE EXCEPTION USING ERRCODE = 'KD010',
            MESSAGE = 'the script deallocated prepared statements of whoever uses the connection',
            HINT = 'take DEALLOCATE ALL out of it, or name the statement that it prepared';
    END IF;
    -- What was made last may need what was made before it.
    SELECT array_agg(format('DROP %s IF EXISTS %s', CASE o.type WHEN 'composite type' THEN 'type' ELSE o.type END, o.identity) ORDER BY d.objid DESC)
    INTO statements
    FROM pg_depend AS d
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS o
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = pg_my_temp_schema()
      AND NOT before->'temporary' @> jsonb_build_array(jsonb_build_array(d.classid, d.objid));
    statements := statements || ARRAY(
        SELECT format('CLOSE %I', name) FROM pg_cursors WHERE is_holdable AND NOT before->'cursors' ? name
        UNION ALL
        SELECT format('DEALLOCATE %I', name) FROM pg_prepared_statements WHERE from_sql AND NOT before->'prepared' ? name
        UNION ALL
        -- LISTEN shows after COMMIT only: what was listened to before is said again.
        SELECT 'UNLISTEN *'
        UNION ALL
        SELECT format('LISTEN %I', channel) FROM jsonb_array_elements_text(before->'channels') AS channel);
    FOR one IN SELECT statement FROM unnest(statements) AS statement LOOP
        EXECUTE one.statement;
    END LOOP;
{unlock}
    FOR one IN SELECT name, nullif(current_setting(name, true), '') AS now, nullif(value, '') AS was
               FROM jsonb_each_text(before->'named') AS named (name, value) LOOP
        IF one.now IS DISTINCT FROM one.was THEN
            PERFORM set_config(one.name, coalesce(one.was, ''), false);
        END IF;
    END LOOP;
    -- The path last: from there on names are looked up in it.
    FOR one IN SELECT name, coalesce(before->'pins'->>name, current_setting('kimbledb.session_set')::jsonb->>name) AS was
               FROM jsonb_array_elements_text(current_setting('kimbledb.session_changed')::jsonb) AS name
               ORDER BY name = 'search_path' LOOP
        EXECUTE pg_catalog.format('RESET %I', one.name);
        IF pg_catalog.current_setting(one.name) OPERATOR(pg_catalog.<>) one.was THEN
            PERFORM pg_catalog.set_config(one.name, one.was, false);
        END IF;
    END LOOP;
END
