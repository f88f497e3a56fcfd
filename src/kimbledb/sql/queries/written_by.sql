-- The milliseconds that an event took that a run wrote to the log; null if it wrote none.
SELECT coalesce((
    SELECT to_jsonb(coalesce(execution_time_ms, 0)) FROM {schema}.migration_log
    WHERE event = {event} AND (migration_name = {name} OR {name} IS NULL) AND detail->>'run' = {run}
    ORDER BY id DESC LIMIT 1), 'null')
