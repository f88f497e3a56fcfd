-- The facts of the database for a scratch schema: whether the role may create one, and the names of all schemas.
SELECT jsonb_build_object(
    'may_create', has_database_privilege(current_database(), 'CREATE') AND NOT pg_is_in_recovery(),
    'schemas', (SELECT jsonb_agg(nspname) FROM pg_namespace))
