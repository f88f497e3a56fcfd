-- The first query of every call: the content of history, and the kind of server. It takes no lock and works on a
-- read-only standby. The planning of a query of a table can call code that is attached to the table, so the kind of
-- history is checked before its rows are read. Rows of history go through to_jsonb, so that a table of another shape
-- can be read, too. The head of the log is read before history: a write in between shows as a head that moved.
DECLARE
    schema_name constant text := {schema};
    trusted constant oid[] := (
{trusted}
    );
    history record;
    log record;
    answer jsonb;
    rows jsonb;
    head bigint;
    differences jsonb := '[]';
    looked boolean;
    system_id bigint := 0;
BEGIN
    -- A platform may have revoked it from all roles.
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        SELECT system_identifier INTO system_id FROM pg_control_system();
    END IF;
    answer := jsonb_build_object(
        'version', current_setting('server_version'),
        'version_number', current_setting('server_version_num')::integer,
        'system', system_id,
        'encoding', current_setting('server_encoding'),
        'standby', pg_is_in_recovery(),
        'read_only', current_setting('default_transaction_read_only')::boolean,
        'database', current_database(),
        'database_oid', (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
        'busy', EXISTS (
{at_work}
        ),
        'process_id', pg_backend_pid(),
        'settable', to_jsonb((
{settable}
        )),
        'role', current_user,
        'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        'hosted', EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
            AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')),
        'schema_exists', EXISTS (SELECT FROM pg_namespace WHERE nspname = schema_name),
        -- Every object in a schema depends on it. Objects of extensions and of kimbledb do not count.
        'occupied', EXISTS (
            SELECT FROM pg_namespace AS n JOIN pg_depend AS d ON (d.refclassid, d.refobjid) = ('pg_namespace'::regclass, n.oid)
            WHERE n.nspname = schema_name AND d.deptype = 'n' AND d.classid <> 'pg_extension'::regclass
              AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE (e.classid, e.objid, e.deptype) = (d.classid, d.objid, 'e'))
              AND NOT EXISTS (
                  SELECT FROM pg_class AS c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
                  AND c.relname IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq'))
              AND NOT EXISTS (
                  SELECT FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
                  AND p.proname = 'migration_log_is_append_only')),
        'extension_home', CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN 'extensions' ELSE 'public' END,
        'extensions', (SELECT coalesce(jsonb_object_agg(e.extname, jsonb_build_array(e.extversion, n.nspname)), '{}')
                       FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace));
    -- The tables of kimbledb have the guard of the log.
    SELECT c.oid, c.relkind, c.relowner = ANY (trusted) AS trusted, pg_has_role(c.relowner, 'USAGE') AS own,
           EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = 'migration_log_is_append_only') AS guarded
    INTO log
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = schema_name AND c.relname = 'migration_log';
    SELECT c.oid, c.relkind, c.relowner = ANY (trusted) AS trusted, pg_get_userbyid(c.relowner) AS owner,
           pg_has_role(c.relowner, 'USAGE') AS own, has_schema_privilege(n.oid, 'CREATE') AS may_create,
           EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) AS inherited
    INTO history
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = schema_name AND c.relname = 'migration_history';
    IF history.oid IS NOT NULL OR log.oid IS NOT NULL THEN
        IF NOT coalesce(log.guarded AND log.trusted AND log.relkind = 'r' AND history.trusted AND history.relkind = 'r', false) THEN
            differences := (
{shape}
            );
        END IF;
        IF NOT history.trusted AND (history.inherited OR EXISTS (
            SELECT FROM pg_depend AS d
            WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass, 'pg_collation'::regclass)
              -- Objects that the server itself made are not recorded there.
              AND (d.classid, d.objid) IN (
                  SELECT 'pg_class'::regclass, history.oid
                  UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = history.oid
                  UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = history.oid
                  UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = history.oid
                  UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid = history.oid
                  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = history.oid)))
        THEN
            differences := differences || '["to read it could call what is not the server''s own"]';
        END IF;
        IF differences <> '[]' AND NOT history.trusted THEN
            RAISE EXCEPTION USING MESSAGE = 'a stranger''s history cannot be read', ERRCODE = 'KD007', DETAIL = jsonb_build_array(jsonb_build_array(
                'migration_history', format('belongs to %I, and is not read: %s', history.owner,
                                            (SELECT string_agg(each, '; ') FROM jsonb_array_elements_text(differences) AS each)),
                format('look at it, then drop it, or give it to %I (ALTER ... OWNER TO)', current_user)))::text;
        ELSIF differences <> '[]' THEN
            RAISE EXCEPTION USING MESSAGE = 'the history cannot be read', DETAIL = differences::text, ERRCODE = 'KD008';
        END IF;
    END IF;
    IF history.oid IS NOT NULL THEN
        IF NOT (has_table_privilege(history.oid, 'SELECT') AND has_schema_privilege(schema_name, 'USAGE')) THEN
            RAISE EXCEPTION USING MESSAGE = 'history is another role''s', ERRCODE = 'KD007', DETAIL = jsonb_build_array(jsonb_build_array(
                format('migration_history belongs to %I,', history.owner), format('and %I may not read it', current_user),
                format('GRANT %I TO %I, or only to see whether there is something to do: ', history.owner, current_user)
                || concat_ws('; ',
                    CASE WHEN NOT has_schema_privilege(schema_name, 'USAGE') THEN format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, current_user) END,
                    CASE WHEN NOT has_table_privilege(history.oid, 'SELECT') THEN
                        format('GRANT SELECT ON %I.migration_history TO %I', schema_name, current_user) END)))::text;
        END IF;
        answer := answer || jsonb_build_object(
            'owner', CASE WHEN NOT (history.own AND history.may_create) THEN history.owner END,
            -- A role that could migrate does not rely on the history of an untrusted role.
            'stranger', CASE WHEN history.may_create AND NOT history.trusted THEN history.owner END);
        -- A role that may only read history need not read the log.
        IF log.guarded AND log.trusted AND log.relkind = 'r' AND (log.own OR (
            has_table_privilege(log.oid, 'SELECT') AND NOT row_security_active(log.oid)))
        THEN
            EXECUTE format('SELECT coalesce(max(id), 0) FROM %I.migration_log', schema_name) INTO head;
            answer := answer || jsonb_build_object('head', head);
        END IF;
        -- Our policy hides no row from a role with SELECT. Another policy hides rows: that is an error.
        IF row_security_active(history.oid) AND current_user NOT IN ('anon', 'authenticated') AND (
            SELECT bool_and(polname = 'migration_history_is_read_as_granted') FROM pg_policy WHERE polrelid = history.oid)
        THEN
            PERFORM set_config('row_security', 'on', true);
        END IF;
        -- The row that counts comes last where several are of one name. A table without
        -- `success` lists what is applied. The other columns are long, and are not read. OFFSET 0 keeps a row from being
        -- made into JSON again for each of its values.
        EXECUTE format(
            'SELECT coalesce(jsonb_agg(jsonb_build_array(r->''migration_name'', CASE WHEN r ? ''success'' THEN r->''success'' ELSE ''true'' END,
                        r->''checksum'', r->''applied_at'', r->''kimbledb_version'', r->''adopted'', r->''error_message'')
                        ORDER BY r->''success'' IS NOT DISTINCT FROM ''true'', r->''applied_at'' NULLS FIRST, place), ''[]'')
             FROM (SELECT to_jsonb(h) AS r, h.place FROM (SELECT ctid AS place%s FROM %I.migration_history) AS h OFFSET 0) AS shaped', (
                 SELECT string_agg(format(', %I', a.attname), '') FROM pg_attribute AS a
                 WHERE a.attrelid = history.oid AND NOT a.attisdropped AND a.attname IN (
                     'migration_name', 'success', 'checksum', 'applied_at', 'kimbledb_version', 'adopted', 'error_message')),
            schema_name) INTO rows;
        answer := answer || jsonb_build_object('history', rows);
        -- Whether adopt() has checked the schema, if no row of kimbledb shows it.
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
