-- A schema that was just made, on a hosted platform: people and the service may
-- look names up in it. What they may do there is the migrations' to say.
DECLARE
    api_role text;
BEGIN
    FOR api_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('authenticated', 'service_role') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', {schema}, api_role);
    END LOOP;
END
