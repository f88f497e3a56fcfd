-- As leave.sql, before the changes are known: did the script change anything in the session?
DECLARE
    before constant jsonb := current_setting('kimbledb.session');
    path constant text := before->'pins'->>'search_path';
    same boolean;
BEGIN
    SELECT pg_my_temp_schema() = 0 AND current_setting('kimbledb.session_changed') = '[]' AND before->'channels' = '[]'
               AND to_jsonb(ARRAY(SELECT name FROM pg_prepared_statement())) = before->'prepared'
               AND to_jsonb(ARRAY(SELECT name FROM pg_cursor() WHERE is_holdable)) = before->'cursors'
               AND to_jsonb(ARRAY(SELECT jsonb_build_array(classid, objid, objsubid, mode) FROM pg_lock_status()
                                  WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid <> {lock_class})) = before->'locks'
               AND (SELECT jsonb_object_agg(name, current_setting(name, true)) FROM jsonb_object_keys(before->'named') AS name) = before->'named'
    INTO same;
    IF NOT same THEN
        -- They do not come back with a rollback.
        IF NOT before->'prepared' <@ to_jsonb(ARRAY(SELECT name FROM pg_prepared_statement())) THEN
{deallocated}
        END IF;
{closer};
    END IF;
    -- LISTEN takes effect at COMMIT.
    UNLISTEN *;
    -- The path last: names after it are looked up in it.
    RESET search_path;
    IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) path THEN
        PERFORM pg_catalog.set_config('search_path', path, false);
    END IF;
END
