-- The tables of some schemas with the columns that take values, and the keys by which their rows refer to others. Rows
-- of partitions are read and written by the partitioned table. Reading and writing rows calls code that is attached to
-- the table, so tables of untrusted roles are left out.
SELECT jsonb_build_object(
    'tables', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                   c.oid::bigint, n.nspname, c.relname, c.relkind = 'p',
                   (SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute AS a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''))
                   ORDER BY n.nspname, c.relname), '[]')
               FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname = ANY ({schemas}) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                 AND c.relname <> ALL ({without})
                 AND c.relowner IN (SELECT unnest(t.roles) FROM ({trusted}) AS t (roles))
                 AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
    'keys', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                 k.conrelid::bigint, k.confrelid::bigint,
                 (SELECT jsonb_agg(a.attname ORDER BY place) FROM unnest(k.conkey) WITH ORDINALITY AS key (number, place)
                  JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.number),
                 (SELECT jsonb_agg(a.attname ORDER BY place) FROM unnest(k.confkey) WITH ORDINALITY AS key (number, place)
                  JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = key.number))), '[]')
             FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0))
