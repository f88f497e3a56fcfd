-- Tables, partitioned and foreign ones, too.
SELECT 'table', relation.name,
       jsonb_strip_nulls(jsonb_build_object(
           'unlogged', CASE WHEN relation.relpersistence = 'u' THEN true END,
           'bound', CASE WHEN relation.relispartition THEN pg_get_expr(relation.relpartbound, relation.oid) END,
           'partition_of', CASE WHEN relation.relispartition THEN parents.names->>0 END,
           'inherits', CASE WHEN NOT relation.relispartition THEN parents.names END,
           'of_type', CASE WHEN relation.reloftype <> 0 THEN format_type(relation.reloftype, NULL) END,
           'options', (SELECT jsonb_agg(each ORDER BY each)
                       FROM (SELECT unnest(relation.reloptions)
                             UNION ALL
                             SELECT 'toast.' || unnest(toast.reloptions) FROM pg_catalog.pg_class AS toast
                             WHERE toast.oid = relation.reltoastrelid) AS option (each)),
           'row_security', nullif(relation.relrowsecurity, false),
           'forced', nullif(relation.relforcerowsecurity, false),
           'replica_identity', CASE relation.relreplident WHEN 'f' THEN 'full'
               WHEN 'n' THEN CASE WHEN relation.relkind <> 'f' THEN 'nothing' END
               WHEN 'i' THEN 'index ' || (
                   SELECT {quoted:c.relname} FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                   WHERE i.indrelid = relation.oid AND i.indisreplident) END,
           'access_method', (SELECT {quoted:am.amname} FROM pg_catalog.pg_am AS am
                             WHERE am.oid = relation.relam AND am.amname <> 'heap'),
           'tablespace', (SELECT {quoted:s.spcname} FROM pg_catalog.pg_tablespace AS s WHERE s.oid = relation.reltablespace),
           'server', far.server,
           'foreign_options', far.options,
           'clustered_on', (SELECT {quoted:c.relname} FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                            WHERE i.indrelid = relation.oid AND i.indisclustered))),
       {form:table},
       relation.class, relation.oid, 0, relation.relowner, NULL
FROM relation
LEFT JOIN LATERAL (
    SELECT jsonb_agg(CASE WHEN n.oid = relation.relnamespace OR pg_table_is_visible(c.oid) THEN '' ELSE {quoted:n.nspname} || '.' END
                     || {quoted:c.relname} ORDER BY i.inhseqno)
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE i.inhrelid = relation.oid
) AS parents (names) ON true
LEFT JOIN LATERAL (
    SELECT {quoted:s.srvname}, (SELECT jsonb_agg(each ORDER BY each) FROM unnest(f.ftoptions) AS each)
    FROM pg_catalog.pg_foreign_table AS f
    JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver
    WHERE relation.relkind = 'f' AND f.ftrelid = relation.oid
) AS far (server, options) ON true
WHERE relation.kind = 'table'
