-- Extended statistics. Columns by name: the server keeps them by position.
SELECT 'statistics', home.prefix || {quoted:s.stxname},
       json_strip_nulls(json_build_object(
           'on', relation.name,
           'kinds', CASE WHEN cardinality(s.stxkind) - ('e' = ANY (s.stxkind))::integer < 3
                          AND s.stxkind <> ARRAY['e'::"char"] THEN (
               SELECT json_agg(CASE each WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END ORDER BY each)
               FROM unnest(s.stxkind) AS each WHERE each <> 'e') END,
           'columns', (SELECT json_agg(quote_ident(a.attname) ORDER BY a.attname) FROM pg_catalog.pg_attribute AS a
                       WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::smallint[])),
           'target', nullif(s.stxstattarget, -1))),
       {form:statistics},
       s.tableoid, s.oid, 0, s.stxowner, NULL
FROM relation
JOIN pg_catalog.pg_statistic_ext AS s ON s.stxrelid = relation.oid
JOIN home ON home.oid = s.stxnamespace
