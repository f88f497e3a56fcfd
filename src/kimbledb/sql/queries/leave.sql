-- Directly before COMMIT: resets what a script changed in the session, or refuses it.
DECLARE
    before constant jsonb := current_setting('kimbledb.session');
    statements text[];
    lost boolean;
    locked boolean;
    named jsonb;
    statement text;
    one record;
    path text;
BEGIN
    SELECT NOT before->'prepared' <@ coalesce(jsonb_agg(p.name), '[]'),
           array_agg(format('DEALLOCATE %I', p.name)) FILTER (WHERE p.from_sql AND NOT before->'prepared' ? p.name)
           || ARRAY(SELECT format('CLOSE %I', name) FROM pg_cursor() WHERE is_holdable AND NOT before->'cursors' ? name),
           EXISTS (SELECT FROM pg_lock_status() AS l
                   WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.classid <> {lock_class}
                     AND NOT before->'locks' @> jsonb_build_array(jsonb_build_array(l.classid, l.objid, l.objsubid, l.mode))),
           (SELECT jsonb_object_agg(name, current_setting(name, true)) FROM jsonb_object_keys(before->'named') AS name)
    INTO lost, statements, locked, named
    FROM pg_prepared_statement() AS p;
    -- LISTEN takes effect at COMMIT: the channels of before are listened to again.
    UNLISTEN *;
    IF before->'channels' <> '[]' THEN
        statements := statements || ARRAY(SELECT format('LISTEN %I', channel) FROM jsonb_array_elements_text(before->'channels') AS channel);
    END IF;
    IF lost THEN
{deallocated}
    END IF;
    IF pg_my_temp_schema() <> 0 THEN
        -- A later object may need an earlier one.
        SELECT statements || array_agg(format('DROP %s IF EXISTS %s', CASE o.type WHEN 'composite type' THEN 'type' ELSE o.type END, o.identity) ORDER BY d.objid DESC)
        INTO statements
        FROM pg_depend AS d
        CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS o
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = pg_my_temp_schema()
          AND NOT before->'temporary' @> jsonb_build_array(jsonb_build_array(d.classid, d.objid));
    END IF;
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    IF locked THEN
{unlock}
    END IF;
    IF named <> before->'named' THEN
        -- What was not known, or empty, may since be a parameter of a library that the script loaded, and that refuses
        -- the empty text: NULL resets it.
        PERFORM set_config(name, nullif(value, ''), false) FROM jsonb_each_text(before->'named') AS was (name, value)
        WHERE value IS DISTINCT FROM named->>name;
    END IF;
    IF current_setting('kimbledb.session_changed') <> '[]' THEN
        FOR one IN SELECT changed.name, coalesce(before->'pins'->>changed.name, nullif(was.value, ''), nullif(before->'named'->>changed.name, '')) AS was
                   FROM jsonb_array_elements_text(current_setting('kimbledb.session_changed')::jsonb) AS changed (name)
                   LEFT JOIN unnest(current_setting('kimbledb.settable')::text[], current_setting('kimbledb.session_set')::text[]) AS was (name, value)
                       ON was.name = changed.name LOOP
            EXECUTE format('RESET %I', one.name);
            IF current_setting(one.name) <> one.was THEN
                PERFORM set_config(one.name, one.was, false);
            END IF;
        END LOOP;
    END IF;
    -- The path last: names after it are looked up in it.
    path := before->'pins'->>'search_path';
    RESET search_path;
    IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) path THEN
        PERFORM pg_catalog.set_config('search_path', path, false);
    END IF;
END
