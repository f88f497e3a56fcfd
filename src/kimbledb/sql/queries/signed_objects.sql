-- All objects of a schema in one short text. It changes with each of them, and does not tell of kimbledb's own.
SELECT coalesce(md5(string_agg(each.value::text, E'\n' ORDER BY each.value::text)), '')
FROM json_array_elements((
{objects}
)::json->'objects') AS each (value)
