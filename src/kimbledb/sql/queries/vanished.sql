-- What of the objects that stood there by themselves (inventory.sql) the scripts took away: [kind, name] of each.
SELECT coalesce(jsonb_agg(was ORDER BY was), '[]')
FROM jsonb_array_elements(current_setting('kimbledb.objects')::jsonb) AS was
WHERE was NOT IN (SELECT jsonb_array_elements((
{objects}
)))
