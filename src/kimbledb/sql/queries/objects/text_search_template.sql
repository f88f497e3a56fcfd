-- Templates of text search.
SELECT 'text search template', home.prefix || {quoted:t.tmplname},
       json_strip_nulls(json_build_object('init', {routine:t.tmplinit}, 'lexize', {routine:t.tmpllexize})),
       NULL::jsonb, t.tableoid, t.oid, 0, NULL::oid, NULL
FROM pg_catalog.pg_ts_template AS t
JOIN home ON home.oid = t.tmplnamespace
WHERE {named:t.tmplname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_ts_template'::regclass AND d.objid = t.oid AND d.deptype = 'e')
