-- The schemas of a hosted platform's database.
CREATE SCHEMA auth;
CREATE SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions, public TO anon, authenticated, service_role;
