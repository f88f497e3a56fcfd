-- kimbledb: reaches = ["schema private"]
alter default privileges in schema private revoke execute on functions from public;
alter default privileges in schema public revoke truncate on tables from anon;
revoke all on all tables in schema private from anon, authenticated;
