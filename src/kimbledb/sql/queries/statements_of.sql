-- The latest entry of each statement of a step outside of a transaction, since the
-- migration was last applied or rolled back.
SELECT DISTINCT ON (s.checksum, s.detail->>'during', s.detail->>'statement') s.checksum, s.detail
FROM {schema}.migration_log AS s
WHERE s.event = 'statement' AND s.migration_name = {name}
  AND s.id > coalesce((SELECT max(e.id) FROM {schema}.migration_log AS e
                       WHERE e.migration_name = {name} AND e.event IN ('apply', 'rollback', 'adopt')), 0)
ORDER BY s.checksum, s.detail->>'during', s.detail->>'statement', s.id DESC
