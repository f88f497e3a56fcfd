-- Views and materialized views.
SELECT 'view', relation.name,
       jsonb_strip_nulls(jsonb_build_object(
           'materialized', CASE WHEN relation.relkind = 'm' THEN true END,
           'options', (SELECT jsonb_agg(each ORDER BY each) FROM unnest(relation.reloptions) AS each),
           'access_method', (SELECT {quoted:am.amname} FROM pg_catalog.pg_am AS am
                             WHERE am.oid = relation.relam AND am.amname <> 'heap'),
           'tablespace', (SELECT {quoted:s.spcname} FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           'clustered_on', CASE relation.relkind WHEN 'm' THEN (
               SELECT {quoted:c.relname} FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
               WHERE i.indrelid = relation.oid AND i.indisclustered) END)),
       {form:view},
       relation.class, relation.oid, 0, relation.relowner,
       CASE WHEN {sources} THEN concat(
           'CREATE ', CASE relation.relkind WHEN 'm' THEN 'MATERIALIZED ' END, 'VIEW ', quote_ident(relation.relname),
           (SELECT ' USING ' || quote_ident(am.amname) FROM pg_catalog.pg_am AS am WHERE am.oid = relation.relam AND am.amname <> 'heap'),
           (SELECT ' WITH (' || string_agg(each, ', ' ORDER BY each) || ')' FROM unnest(relation.reloptions) AS each),
           (SELECT ' TABLESPACE ' || quote_ident(s.spcname) FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           E' AS\n', rtrim(printed.query, ';'), CASE relation.relkind WHEN 'm' THEN E'\nWITH NO DATA' END) END
FROM relation
CROSS JOIN LATERAL {printing:view}
WHERE relation.kind = 'view'
