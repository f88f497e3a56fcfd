-- Whether a run wrote an event to the log.
SELECT to_jsonb(EXISTS (
    SELECT FROM {schema}.migration_log
    WHERE event = {event} AND (migration_name = {name} OR {name} IS NULL) AND detail->>'run' = {run}))
