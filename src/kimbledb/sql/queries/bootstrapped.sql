-- After the bootstrap: the schemas of the extensions, and the head of the log.
SELECT jsonb_build_object(
    'extensions', (SELECT jsonb_object_agg(e.extname, jsonb_build_array(e.extversion, n.nspname))
                   FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace),
    'head', (SELECT coalesce(max(id), 0) FROM {schema}.migration_log))
