-- Dictionaries of text search.
SELECT 'text search dictionary', home.prefix || {quoted:each.dictname},
       json_strip_nulls(json_build_object(
           'template', (SELECT CASE WHEN pg_ts_template_is_visible(t.oid) THEN '' ELSE t.tmplnamespace::regnamespace::text || '.' END || quote_ident(t.tmplname)
                        FROM pg_catalog.pg_ts_template AS t
                        WHERE t.oid = each.dicttemplate),
           'options', each.dictinitoption)),
       NULL::jsonb, each.tableoid, each.oid, 0, each.dictowner, NULL
FROM pg_catalog.pg_ts_dict AS each
JOIN home ON home.oid = each.dictnamespace
WHERE {named:each.dictname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_ts_dict'::regclass AND d.objid = each.oid AND d.deptype = 'e')
