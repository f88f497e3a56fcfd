-- The migrations whose online.sql, in its present text, a run has begun since they were last applied or rolled back.
SELECT coalesce(jsonb_agg(wanted.name), '[]')
FROM jsonb_to_recordset({migrations}::jsonb) AS wanted (name text, checksum text)
WHERE EXISTS (
    SELECT FROM {schema}.migration_log AS s
    WHERE s.event = 'statement' AND s.migration_name = wanted.name AND s.checksum = wanted.checksum
      AND s.detail->>'during' = 'online'
      AND s.id > coalesce((SELECT max(e.id) FROM {schema}.migration_log AS e
                           WHERE e.migration_name = wanted.name AND e.event IN ('apply', 'rollback', 'adopt')), 0))
