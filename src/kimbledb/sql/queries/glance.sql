-- History alone, for a start at which there is nothing to do. One statement outside of
-- a transaction, so that nothing is pinned: every name and operator is qualified, and
-- where policies could hide rows it answers nothing.
SELECT pg_catalog.jsonb_build_object(
    'hosted', pg_catalog.to_regnamespace('auth') IS NOT NULL AND pg_catalog.to_regrole('anon') IS NOT NULL
        AND pg_catalog.to_regrole('authenticated') IS NOT NULL AND pg_catalog.to_regrole('service_role') IS NOT NULL,
    'history', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
            h.migration_name, h.success, h.checksum, h.applied_at, h.kimbledb_version, h.adopted, h.error_message)), '[]')
        FROM {schema}.migration_history AS h))::text
WHERE NOT pg_catalog.row_security_active({table}::pg_catalog.regclass)
