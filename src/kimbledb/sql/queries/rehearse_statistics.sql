-- The statistics of tables that hold no value of a row: neither common values nor bounds of histograms.
SELECT coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname, c.relpages, c.reltuples, coalesce(columns.each, '[]'))), '[]')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_array(s.attname, s.inherited, s.null_frac, s.avg_width, s.n_distinct))
    FROM pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname) AS columns (each)
WHERE n.nspname = ANY ({schemas}) AND c.relkind IN ('r', 'p', 'm') AND c.reltuples >= 0
