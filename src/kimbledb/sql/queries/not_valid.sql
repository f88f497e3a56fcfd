-- The invalid indexes.
SELECT coalesce(jsonb_agg(jsonb_build_object('schema', schema, 'name', name, 'table', tab, 'busy', busy)), '[]')
FROM (
{indexes}
) AS i
