-- The id of the newest entry of the log if a run wrote it for a migration; else an id that no entry has.
coalesce((SELECT CASE WHEN event = 'apply' AND migration_name = {name} AND detail->>'run' = {run} THEN id END
          FROM {schema}.migration_log ORDER BY id DESC LIMIT 1), -1)
