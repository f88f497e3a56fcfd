-- Right before a script: what check_reach.sql will want to know of this moment.
SELECT pg_catalog.set_config('kimbledb.session_set', (SELECT coalesce(pg_catalog.jsonb_object_agg(name, setting), '{}')
                                              FROM pg_catalog.pg_settings WHERE source = 'session')::text, true),
       pg_catalog.pg_current_xact_id(),
       -- The newest type, and how many were made and altered: the counts go on from one transaction to the next.
       pg_catalog.set_config('kimbledb.types', pg_catalog.format('{%s, %s, %s}', (SELECT pg_catalog.max(oid) FROM pg_catalog.pg_type),
           pg_catalog.pg_stat_get_xact_tuples_inserted('pg_catalog.pg_type'::pg_catalog.regclass),
           pg_catalog.pg_stat_get_xact_tuples_updated('pg_catalog.pg_type'::pg_catalog.regclass)), true),
       pg_catalog.set_config('kimbledb.schemas', (SELECT pg_catalog.jsonb_object_agg(oid, nspname) FROM pg_catalog.pg_namespace)::text, true);
