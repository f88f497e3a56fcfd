-- The forms in which objects stood before kimbledb came, as adopt() found them.
SELECT coalesce(jsonb_object_agg(form.key, form.value ORDER BY entry.id), '{}')
FROM {schema}.migration_log AS entry
CROSS JOIN LATERAL jsonb_each(entry.detail->'kept') AS form
WHERE entry.event = 'adopt' AND jsonb_typeof(entry.detail->'kept') = 'object'
