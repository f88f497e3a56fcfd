-- The log of a clone begins with the entries of its template. This entry holds the time of the clone. After a lost reply the
-- statement runs again, and writes nothing.
INSERT INTO {schema}.migration_log (event, kimbledb_version, detail)
SELECT 'provision', {version}, {detail}
WHERE NOT EXISTS (SELECT FROM {schema}.migration_log AS l WHERE l.event = 'provision' AND l.detail->'run' = {detail}->'run');
