-- Directly after a script. Does the transaction that the run began still exist? The run's role is set again, and the
-- settings that the script changed in the session are noted, to be reset.
DECLARE
    before jsonb;
    names text[];
    now text[];
    changed jsonb := '[]';
BEGIN
    IF coalesce(pg_catalog.current_setting('kimbledb.session', true), '') OPERATOR(pg_catalog.=) '' THEN
        IF EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE name OPERATOR(pg_catalog.=) 'kimbledb_before') THEN
            RAISE EXCEPTION USING ERRCODE = 'KD010',
                MESSAGE = 'the script reset every setting of the session',
                HINT = 'take RESET ALL out, and name the settings that are meant';
        END IF;
{ended}
    END IF;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    before := current_setting('kimbledb.session');
    IF session_user <> before->>'session_role' THEN
        PERFORM set_config('session_authorization', before->>'session_role', false);
    END IF;
    IF current_setting('role') <> before->>'role' THEN
        PERFORM set_config('role', before->>'role', false);
    END IF;
    names := current_setting('kimbledb.settable');
    now := ARRAY(SELECT coalesce(current_setting(name, true), '') FROM unnest(names) AS name);
    IF now::text <> current_setting('kimbledb.session_set') THEN
        SELECT jsonb_agg(name) INTO changed
        FROM unnest(names, now, current_setting('kimbledb.session_set')::text[]) AS each (name, now, was)
        WHERE each.now <> was;
    END IF;
    PERFORM set_config('kimbledb.session_changed', changed::text, true);
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION USING ERRCODE = 'KD010',
            MESSAGE = 'the script made its transaction read-only, and its history row could not be written',
            HINT = 'take SET TRANSACTION READ ONLY out of it';
    END IF;
END
