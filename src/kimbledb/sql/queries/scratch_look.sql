-- What a scratch schema needs to know of its database: whether the role may make one, and the names of all schemas.
SELECT jsonb_build_object(
    'may_create', has_database_privilege(current_database(), 'CREATE') AND NOT pg_is_in_recovery(),
    'schemas', (SELECT jsonb_agg(nspname) FROM pg_namespace))
