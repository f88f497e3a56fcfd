-- Before anything else of a message: did the server read it with the settings that it is written for?
DECLARE
    wanted constant jsonb := {wanted};
    each text;
BEGIN
    FOR each IN SELECT pg_catalog.jsonb_object_keys(wanted) LOOP
        IF pg_catalog.current_setting(each) OPERATOR(pg_catalog.<>) (wanted OPERATOR(pg_catalog.->>) each) THEN
            -- The error is to end the transaction, and not the session.
            PERFORM pg_catalog.set_config('exit_on_error', 'off', true);
            RAISE EXCEPTION USING MESSAGE = 'the message was read by other settings', ERRCODE = 'KD009';
        END IF;
    END LOOP;
END
