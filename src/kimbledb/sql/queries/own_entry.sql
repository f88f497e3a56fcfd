-- The expected id of the newest log entry: the one that the plan saw, or that of the transaction before this one in the
-- same message, if that transaction wrote the newest entry; else an id that no entry has.
(SELECT coalesce((step->>'head')::bigint, (
        SELECT CASE WHEN event = 'apply' AND migration_name = step->>'after' AND detail->>'run' = step->'detail'->>'run' THEN id END
        FROM {schema}.migration_log ORDER BY id DESC LIMIT 1), -1)
 FROM (SELECT current_setting('kimbledb.step')::jsonb) AS handed (step))
