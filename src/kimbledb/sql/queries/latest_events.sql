-- The newest entries of the log, without the long text of the state under a signed plan.
SELECT coalesce(jsonb_agg(to_jsonb(entry)), '[]')
FROM (
    SELECT logged_at, event, migration_name, execution_time_ms, checksum, error_message, logged_by, client_address,
           application_name, kimbledb_version,
           detail #- '{plan,basis}' AS detail
    FROM {schema}.migration_log ORDER BY id DESC LIMIT 20
) AS entry
