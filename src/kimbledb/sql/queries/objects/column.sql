-- Columns of tables and views.
SELECT 'column', relation.name || '.' || {quoted:a.attname},
       CASE WHEN a.attidentity <> '' OR a.attgenerated = 'v' OR a.attcollation <> t.typcollation OR a.attstattarget <> -1
                 OR a.attstorage <> t.typstorage OR a.attcompression <> '' OR a.attoptions IS NOT NULL
                 OR a.attfdwoptions IS NOT NULL OR (a.attinhcount > 0 AND NOT a.attislocal) OR n.coninhcount > 0 OR n.connoinherit OR NOT n.convalidated
                 OR n.conname <> relation.relname || '_' || a.attname || '_not_null'
       THEN json_strip_nulls(json_build_object(
           'type', format_type(a.atttypid, a.atttypmod),
           'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
           'not_null', nullif(a.attnotnull, false),
           -- A constraint has NOT NULL since version 18 only. A name that is inherited is the parent's, unless the
           -- table was attached to it. The server shortens
           -- a name that is too long, the longer part first.
           'not_null_name', CASE
               WHEN (n.conislocal AND NOT relation.relispartition OR n.coninhcount = 0) AND (n.coninhcount > 0 OR n.conname <> concat_ws('_',
                        left(relation.relname, greatest(27, 53 - length(a.attname))),
                        left(a.attname, greatest(26, 53 - length(relation.relname))), 'not_null'))
                 -- there: inheritance
                 -- Of a partition nothing of the parent's is its own.
                 OR (NOT n.conislocal OR relation.relispartition) AND n.coninhcount > 0 AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_inherits AS i
                        JOIN pg_catalog.pg_attribute AS above ON above.attrelid = i.inhparent AND above.attname = a.attname
                        JOIN pg_catalog.pg_constraint AS same
                            ON same.conrelid = i.inhparent AND same.contype = 'n' AND same.conkey[1] = above.attnum
                        WHERE i.inhrelid = a.attrelid AND same.conname = n.conname)
                 -- end
               THEN {quoted:n.conname} END,
           'not_null_options', nullif(concat_ws(', ', CASE WHEN n.connoinherit THEN 'no inherit' END,
                                                CASE WHEN NOT n.convalidated THEN 'not valid' END), ''),
           'virtual', CASE a.attgenerated WHEN 'v' THEN true END,
           -- there: sequence
           -- A partition shares the sequence of its parent since version 17.
           'identity', CASE WHEN a.attidentity <> '' AND EXISTS (
               SELECT FROM sequence WHERE sequence.owner_table = a.attrelid AND sequence.owner_column = a.attnum AND sequence.owned = 'i')
               THEN CASE a.attidentity WHEN 'a' THEN 'always' ELSE 'by default' END END,
           'sequence', CASE WHEN a.attidentity <> '' THEN (
               SELECT nullif(concat_ws(' ',
                   CASE WHEN sequence.relname <> concat_ws('_', left(relation.relname, greatest(29, 58 - length(a.attname))),
                                                           left(a.attname, greatest(29, 58 - length(relation.relname))), 'seq')
                        THEN 'sequence name ' || quote_ident(sequence.relname) END,
                   CASE WHEN sequence.relpersistence <> relation.relpersistence
                        THEN CASE sequence.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END END,
                   CASE WHEN s.seqstart <> CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END
                        THEN 'start ' || s.seqstart END,
                   CASE WHEN s.seqincrement <> 1 THEN 'increment ' || s.seqincrement END,
                   CASE WHEN s.seqmin <> CASE WHEN s.seqincrement > 0 THEN 1 ELSE
                        CASE s.seqtypid WHEN 21 THEN -32768 WHEN 23 THEN -2147483648 ELSE -9223372036854775808 END END
                        THEN 'minvalue ' || s.seqmin END,
                   CASE WHEN s.seqmax <> CASE WHEN s.seqincrement < 0 THEN -1 ELSE
                        CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END END
                        THEN 'maxvalue ' || s.seqmax END,
                   CASE WHEN s.seqcache <> 1 THEN 'cache ' || s.seqcache END,
                   CASE WHEN s.seqcycle THEN 'cycle' END), '')
               FROM sequence
               JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = sequence.oid
               WHERE sequence.owner_table = a.attrelid AND sequence.owner_column = a.attnum AND sequence.owned = 'i') END,
           -- end
           'statistics', nullif(a.attstattarget, -1),
           'storage', CASE WHEN a.attstorage <> t.typstorage THEN
               CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
           'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
           -- Since its releases of November 2026 the server keeps a number of its own among them.
           'options', (SELECT json_agg(each) FROM unnest(a.attoptions) AS each WHERE each NOT LIKE 'pg_attver=%'),
           'foreign_options', a.attfdwoptions,
           'inherited', nullif((a.attinhcount > 0 AND NOT a.attislocal), false)))
       WHEN a.attnotnull THEN json_build_object('type', format_type(a.atttypid, a.atttypmod), 'not_null', true)
       ELSE json_build_object('type', format_type(a.atttypid, a.atttypmod)) END,
       {form:column},
       relation.class, relation.oid, a.attnum::integer, relation.relowner, NULL
FROM relation
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN bound AS n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum
