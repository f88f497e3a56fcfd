-- Views and materialized views.
SELECT 'view', relation.name,
       json_strip_nulls(json_build_object(
           'materialized', CASE WHEN relation.relkind = 'm' THEN true END,
           'options', relation.reloptions,
           'access_method', CASE WHEN relation.relam NOT IN (0, 2) THEN (
               SELECT am.amname FROM pg_catalog.pg_am AS am WHERE am.oid = relation.relam) END,
           -- there: tablespace
           'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           -- end
           'clustered_on', CASE relation.relkind WHEN 'm' THEN (
               SELECT {relation:i.indexrelid} FROM pg_catalog.pg_index AS i
               WHERE i.indrelid = relation.oid AND i.indisclustered) END)),
       {form:view},
       relation.class, relation.oid, 0, relation.relowner,
       coalesce(
       -- when: source
       concat(
           'CREATE ', CASE relation.relkind WHEN 'm' THEN 'MATERIALIZED ' END, 'VIEW ', quote_ident(relation.relname),
           (SELECT ' USING ' || quote_ident(am.amname) FROM pg_catalog.pg_am AS am WHERE am.oid = relation.relam AND am.oid <> 2),
           (SELECT ' WITH (' || string_agg(each, ', ' ORDER BY each) || ')' FROM unnest(relation.reloptions) AS each),
           (SELECT ' TABLESPACE ' || quote_ident(s.spcname) FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           E' AS\n', rtrim(printed.query, ';'), CASE relation.relkind WHEN 'm' THEN E'\nWITH NO DATA' END),
       -- end
       NULL)
FROM class AS relation
CROSS JOIN LATERAL {printing:view}
WHERE relation.relkind IN ('v', 'm')
