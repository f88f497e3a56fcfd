-- Directly before a script: the state with which after_script.sql, check_reach.sql and check_history.sql compare.
SELECT pg_catalog.pg_current_xact_id(),
       -- The newest type, and the numbers of inserted and updated ones: the counters continue from one transaction to the next.
       pg_catalog.set_config('kimbledb.types', pg_catalog.format('{%s, %s, %s}', (SELECT pg_catalog.max(oid) FROM pg_catalog.pg_type),
           pg_catalog.pg_stat_get_xact_tuples_inserted('pg_catalog.pg_type'::pg_catalog.regclass),
           pg_catalog.pg_stat_get_xact_tuples_updated('pg_catalog.pg_type'::pg_catalog.regclass)), true),
       pg_catalog.set_config('kimbledb.schemas', (SELECT pg_catalog.jsonb_object_agg(oid, nspname) FROM pg_catalog.pg_namespace)::text, true),
       -- A script may rename these.
       pg_catalog.set_config('kimbledb.history', pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
           'migration_history', pg_catalog.to_regclass({history})::pg_catalog.oid, 'migration_log', pg_catalog.to_regclass({log})::pg_catalog.oid))::text, true);
