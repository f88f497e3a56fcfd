-- Right after a script: is it still the transaction that began? From here on everything is
-- done by who began, and what of the session was changed is noted, to be taken back.
DECLARE
    before jsonb;
    changed jsonb;
BEGIN
    IF coalesce(pg_catalog.current_setting('kimbledb.session', true), '') OPERATOR(pg_catalog.=) '' THEN
        IF EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE name OPERATOR(pg_catalog.=) 'kimbledb_before') THEN
            RAISE EXCEPTION USING ERRCODE = 'KD010',
                MESSAGE = 'the script reset every setting of the session',
                HINT = 'take RESET ALL out, and name the settings that are meant';
        END IF;
{ended}
    END IF;
    before := pg_catalog.current_setting('kimbledb.session');
    -- A setting that is not the session's any more was reset.
    SELECT pg_catalog.jsonb_agg(name) INTO changed
    FROM (SELECT name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session') AS now
    FULL JOIN pg_catalog.jsonb_each_text(pg_catalog.current_setting('kimbledb.session_set')::pg_catalog.jsonb) AS was (name, setting) USING (name)
    WHERE now.setting IS DISTINCT FROM was.setting
      AND NOT name OPERATOR(pg_catalog.=) ANY ('{transaction_isolation, transaction_read_only, transaction_deferrable}');
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF session_user <> before->>'session_role' THEN
        PERFORM set_config('session_authorization', before->>'session_role', false);
    END IF;
    IF current_setting('role') <> before->>'role' THEN
        PERFORM set_config('role', before->>'role', false);
    END IF;
    PERFORM set_config('kimbledb.session_changed', coalesce(changed, '[]')::text, true);
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION USING ERRCODE = 'KD010',
            MESSAGE = 'the script made its transaction read-only, and its history row could not be written',
            HINT = 'take SET TRANSACTION READ ONLY out of it';
    END IF;
END
