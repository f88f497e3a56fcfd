-- The extensions that cannot be created, with the server's messages. The control file does not decide it: a platform
-- may let a role create an extension that the file calls untrusted, or refuse one that it calls trusted. So it is
-- tried, in a transaction that is rolled back.
DECLARE
    extension text;
    refused jsonb := '[]';
BEGIN
    FOREACH extension IN ARRAY {extensions} LOOP
        BEGIN
            EXECUTE format('CREATE EXTENSION %I SCHEMA %I', extension, {home});
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected OR serialization_failure THEN
                RAISE;
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- another session has created it by now
            WHEN OTHERS THEN
                refused := refused || jsonb_build_array(jsonb_build_array(extension, SQLSTATE, SQLERRM));
        END;
    END LOOP;
    RAISE INFO USING MESSAGE = refused::text, ERRCODE = 'KD100';
END
