-- After the preparation: where the extensions live, the head of the log, and whether another run is at work by now.
SELECT jsonb_build_object(
    'extensions', (SELECT jsonb_object_agg(e.extname, jsonb_build_array(e.extversion, n.nspname))
                   FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace),
    'busy', EXISTS (SELECT FROM pg_locks AS l WHERE {at_work} AND l.pid <> pg_backend_pid()),
    'head', (SELECT coalesce(max(id), 0) FROM {schema}.migration_log))
