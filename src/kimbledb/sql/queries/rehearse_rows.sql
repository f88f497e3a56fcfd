-- Rows of a table, each with its table and its place in it: some of them, or those with the values of a key.
SELECT coalesce(jsonb_agg(jsonb_build_array(sampled.place, sampled.content)), '[]')
FROM (SELECT concat_ws(' ', own.tableoid, own.ctid) AS place, to_jsonb(own) AS content FROM {table} AS own {which}) AS sampled
