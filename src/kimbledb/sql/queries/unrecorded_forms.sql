-- The applied migrations whose forms history does not hold, or holds of another server, cluster or history.
SELECT coalesce(jsonb_agg(h.migration_name), '[]')
FROM {schema}.migration_history AS h
CROSS JOIN (SELECT {origin}) AS here (origin)
WHERE h.success AND (h.forms IS NULL
    OR (h.forms->>'server')::integer / 10000 <> (origin->>'server')::integer / 10000
    OR h.forms->'system' <> origin->'system' OR h.forms->'table' <> origin->'table')
