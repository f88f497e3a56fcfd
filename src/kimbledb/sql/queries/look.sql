-- The first question of every call: what history says, and what kind of server
-- this is. It takes no lock and works on a read-only standby. Rows of history go
-- through to_jsonb, so that a table of another shape can be read, too. The head of
-- the log is read before history: what is written in between shows as a head that moved.
DECLARE
    schema_name constant text := {schema};
    answer jsonb;
    rows jsonb;
    head bigint;
    differences jsonb;
    looked boolean;
BEGIN
    answer := jsonb_build_object(
        'version', current_setting('server_version'),
        'version_number', current_setting('server_version_num')::integer,
        'encoding', current_setting('server_encoding'),
        'standby', pg_is_in_recovery(),
        'read_only', current_setting('default_transaction_read_only')::boolean,
        'database', current_database(),
        'busy', EXISTS (SELECT FROM pg_locks AS l WHERE {at_work}),
        'process_id', pg_backend_pid(),
        'role', current_user,
        'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        'hosted', EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
            AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')),
        'schema_exists', EXISTS (SELECT FROM pg_namespace WHERE nspname = schema_name),
        'occupied', EXISTS (
            SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = schema_name AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
              AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq')),
        'extension_home', CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN 'extensions' ELSE 'public' END,
        'extensions', (SELECT coalesce(jsonb_object_agg(e.extname, jsonb_build_array(e.extversion, n.nspname)), '{}')
                       FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace));
    IF EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname = schema_name AND c.relname = 'migration_history') THEN
        -- Where the log's guard is, both tables are ours.
        IF EXISTS (SELECT FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
                   WHERE n.nspname = schema_name AND c.relname = 'migration_log' AND t.tgname = 'migration_log_is_append_only') THEN
            EXECUTE format('SELECT coalesce(max(id), 0) FROM %I.migration_log', schema_name) INTO head;
            answer := answer || jsonb_build_object('head', head);
        ELSE
            differences := (
{shape}
            );
            IF differences <> '[]' THEN
                RAISE EXCEPTION USING MESSAGE = 'migration_history cannot be read', DETAIL = differences::text, ERRCODE = 'KD008';
            END IF;
        END IF;
        -- The row that counts comes last where several are of one name. A table without
        -- `success` lists what is applied.
        EXECUTE format(
            'SELECT coalesce(jsonb_agg(jsonb_build_array(r->''migration_name'', CASE WHEN r ? ''success'' THEN r->''success'' ELSE ''true'' END,
                        r->''checksum'', r->''applied_at'', r->''kimbledb_version'', r->''adopted'', r->''error_message'')
                        ORDER BY r->''success'' IS NOT DISTINCT FROM ''true'', r->''applied_at'' NULLS FIRST, place), ''[]'')
             FROM (SELECT to_jsonb(h) AS r, ctid AS place FROM %I.migration_history AS h) AS shaped', schema_name) INTO rows;
        answer := answer || jsonb_build_object('history', rows);
        -- Whether adopt() has looked at the schema, where no row of ours shows that somebody did.
        IF head > 0 AND NOT jsonb_path_exists(rows, '$[*] ? (@[1] == true && @[4] != null)') THEN
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM %1$I.migration_log WHERE event = ''adopt'' AND id > (
                     SELECT coalesce(max(id), 0) FROM %1$I.migration_log WHERE event IN (''rollback'', ''reset'')))', schema_name)
                INTO looked;
            answer := answer || jsonb_build_object('looked', looked);
        END IF;
    END IF;
    RAISE INFO USING MESSAGE = answer::text, ERRCODE = 'KD100';
END
