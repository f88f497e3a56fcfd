-- The names of the settings that a script may change in its session, in a stable order.
SELECT array_agg(name::text ORDER BY name) FROM pg_catalog.pg_settings
WHERE context OPERATOR(pg_catalog.=) ANY ('{user, superuser}')
  -- Settings of a transaction end with it, and the path is set before each script.
  AND NOT name OPERATOR(pg_catalog.=) ANY ('{transaction_isolation, transaction_read_only, transaction_deferrable, search_path}')
