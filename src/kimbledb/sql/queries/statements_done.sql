-- Which statements of a step outside of a transaction an earlier try has done,
-- since the migration was last applied or rolled back.
SELECT coalesce(jsonb_agg(DISTINCT s.detail->>'statement'), '[]')
FROM {schema}.migration_log AS s
WHERE s.event = 'statement' AND s.migration_name = {name} AND s.checksum = {checksum}
  AND s.detail->>'state' = 'done' AND s.detail->>'during' = {part}
  AND s.id > coalesce((SELECT max(e.id) FROM {schema}.migration_log AS e
                       WHERE e.migration_name = {name} AND e.event IN ('apply', 'rollback', 'adopt')), 0)
