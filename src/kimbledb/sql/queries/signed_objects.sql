-- All objects of a schema in one short text, which changes with each of them. kimbledb's own are left out.
SELECT coalesce(md5(string_agg(each.value::text, E'\n' ORDER BY each.value::text)), '')
FROM json_array_elements((
{objects}
)::json->'objects') AS each (value)
