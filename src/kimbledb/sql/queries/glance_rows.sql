-- The rows of history, as glance.sql returns them.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
    h.migration_name, h.success, h.checksum, h.applied_at, h.kimbledb_version, h.adopted, h.error_message)), '[]')::pg_catalog.text AS h
FROM {schema}.migration_history AS h
