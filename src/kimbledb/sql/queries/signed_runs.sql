-- From the log of the runs of a signed plan: the state that the plan is based on, as the first of its migrations noted
-- it (null if none did), and the names of the migrations that these runs applied.
SELECT jsonb_build_object(
    'basis', (SELECT detail->'plan'->>'basis' FROM {schema}.migration_log
              WHERE detail->'plan'->>'fingerprint' = {fingerprint} AND detail->'plan' ? 'basis' ORDER BY id DESC LIMIT 1),
    'applied', (SELECT coalesce(jsonb_agg(DISTINCT migration_name), '[]') FROM {schema}.migration_log
                WHERE detail->'plan'->>'fingerprint' = {fingerprint} AND event = 'apply'))
