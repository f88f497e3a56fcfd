-- The forms that history records, by migration, and the origin of this database: a record of another server, cluster or
-- history was made elsewhere. SELECT on history is enough, on a standby too. look.sql has shown who owns history.
DECLARE
    history constant regclass := to_regclass({history});
    recorded jsonb := '{}';
    system_id bigint := 0;
BEGIN
    -- A platform may have revoked it from all roles.
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        SELECT system_identifier INTO system_id FROM pg_control_system();
    END IF;
    -- A history that another tool made, or an older kimbledb, has no such column.
    IF EXISTS (SELECT FROM pg_attribute AS a
               WHERE a.attrelid = history AND a.attname = 'forms' AND a.atttypid = 'jsonb'::regtype AND NOT a.attisdropped)
    THEN
        -- Our policy hides no row from a role with SELECT. Another policy hides rows: that is an error.
        IF row_security_active(history) AND current_user NOT IN ('anon', 'authenticated') AND (
            SELECT bool_and(polname = 'migration_history_is_read_as_granted') FROM pg_policy WHERE polrelid = history)
        THEN
            PERFORM set_config('row_security', 'on', true);
        END IF;
        EXECUTE format('SELECT coalesce(jsonb_object_agg(migration_name, forms), ''{}'') FROM %s WHERE success AND forms IS NOT NULL',
                       {history})
            INTO recorded;
    END IF;
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = jsonb_build_object(
        'server', current_setting('server_version_num')::integer,
        'system', system_id,
        'table', coalesce(history::oid::bigint, 0),
        'recorded', recorded,
        -- A schema without USAGE is not on the path of a role: the names of its objects are printed with it.
        'unseen', (SELECT coalesce(jsonb_agg(n.nspname), '[]') FROM pg_namespace AS n
                   WHERE n.nspname = ANY ({path}) AND NOT has_schema_privilege(n.oid, 'USAGE')))::text;
END
