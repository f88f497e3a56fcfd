-- Tables, partitioned and foreign ones, too.
SELECT 'table', relation.name,
       json_strip_nulls(json_build_object(
           'unlogged', CASE WHEN relation.relpersistence = 'u' THEN true END,
           -- there: inheritance
           'partition_of', CASE WHEN relation.relispartition THEN parents.names->>0 END,
           'bound', CASE WHEN relation.relispartition THEN pg_get_expr(relation.relpartbound, relation.oid) END,
           'inherits', CASE WHEN NOT relation.relispartition THEN parents.names END,
           -- end
           'of_type', CASE WHEN relation.reloftype <> 0 THEN format_type(relation.reloftype, NULL) END,
           'options', CASE WHEN toast.reloptions IS NULL THEN relation.reloptions
                      ELSE relation.reloptions || ARRAY(SELECT 'toast.' || each FROM unnest(toast.reloptions) AS each) END,
           'row_security', nullif(relation.relrowsecurity, false),
           'forced', nullif(relation.relforcerowsecurity, false),
           'replica_identity', CASE relation.relreplident WHEN 'f' THEN 'full'
               WHEN 'n' THEN CASE WHEN relation.relkind <> 'f' THEN 'nothing' END
               WHEN 'i' THEN (SELECT 'index ' || {relation:i.indexrelid} FROM pg_catalog.pg_index AS i
                              WHERE i.indrelid = relation.oid AND i.indisreplident) END,
           'access_method', CASE WHEN relation.relam NOT IN (0, 2) THEN (
               SELECT am.amname FROM pg_catalog.pg_am AS am WHERE am.oid = relation.relam) END,
           -- there: tablespace
           'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           -- end
           -- there: foreign table
           'server', far.server,
           'foreign_options', far.options,
           -- end
           'clustered_on', (SELECT {relation:i.indexrelid} FROM pg_catalog.pg_index AS i
                            WHERE i.indrelid = relation.oid AND i.indisclustered))),
       {form:table},
       relation.class, relation.oid, 0, relation.relowner, NULL
FROM class AS relation
LEFT JOIN pg_catalog.pg_class AS toast ON toast.oid = relation.reltoastrelid AND toast.reloptions IS NOT NULL
-- there: inheritance
LEFT JOIN LATERAL (
    SELECT json_agg({relation:i.inhparent} ORDER BY i.inhseqno)
    FROM pg_catalog.pg_inherits AS i
    WHERE i.inhrelid = relation.oid
) AS parents (names) ON true
-- end
-- there: foreign table
LEFT JOIN LATERAL (
    SELECT s.srvname, f.ftoptions
    FROM pg_catalog.pg_foreign_table AS f
    JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver
    WHERE relation.relkind = 'f' AND f.ftrelid = relation.oid
) AS far (server, options) ON true
-- end
WHERE relation.relkind IN ('r', 'p', 'f')
