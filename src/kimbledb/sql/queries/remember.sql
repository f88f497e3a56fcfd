-- Directly after BEGIN: the state of the session. Everything else at the end is left by a script.
DECLARE
    path constant text := pg_catalog.current_setting('search_path');
    before jsonb;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    before := jsonb_build_object(
        'pins', (SELECT jsonb_object_agg(name, CASE name WHEN 'search_path' THEN path ELSE current_setting(name, true) END)
                 FROM unnest({pinned}) AS name),
        'named', (SELECT coalesce(jsonb_object_agg(name, current_setting(name, true)), '{}') FROM unnest({named}) AS name),
        'session_role', session_user,
        'role', current_setting('role'),
        'channels', to_jsonb(ARRAY(SELECT pg_listening_channels())),
        'temporary', '[]'::jsonb,
        -- The functions under the views: the planning of the views takes twice as long.
        'cursors', to_jsonb(ARRAY(SELECT name FROM pg_cursor() WHERE is_holdable)),
        'prepared', to_jsonb(ARRAY(SELECT name FROM pg_prepared_statement())),
        'locks', to_jsonb(ARRAY(SELECT jsonb_build_array(classid, objid, objsubid, mode) FROM pg_lock_status()
                                WHERE locktype = 'advisory' AND pid = pg_backend_pid())));
    IF pg_my_temp_schema() <> 0 THEN
        before := before || jsonb_build_object('temporary', (
            SELECT coalesce(jsonb_agg(jsonb_build_array(classid, objid)), '[]') FROM pg_depend
            WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()));
    END IF;
    PERFORM set_config('kimbledb.session', before::text, true);
{begun}
END
