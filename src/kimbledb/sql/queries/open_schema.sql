-- A new schema on a hosted platform: the roles of users and of the service may look names up in it. The migrations
-- grant everything else.
DECLARE
    api_role text;
BEGIN
    FOR api_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('authenticated', 'service_role') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', {schema}, api_role);
    END LOOP;
END
