-- The rows of history.
SELECT coalesce(jsonb_agg(to_jsonb(h)), '[]') FROM {schema}.migration_history AS h
