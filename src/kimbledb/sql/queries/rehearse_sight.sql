-- The locks of this session so far, and the tables, views and indexes of a set: the files of their rows, the number of
-- their sequential scans in this transaction, the valid foreign keys, and a hash of their columns, constraints and
-- unique indexes.
SELECT jsonb_build_object(
    'locks', (SELECT coalesce(jsonb_agg(jsonb_build_array(l.relation::bigint, l.mode)), '[]')
              FROM pg_locks AS l
              WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation::bigint >= 16384),
    'relations', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                      c.oid::bigint, n.nspname, c.relname, c.relkind, pg_relation_filenode(c.oid)::bigint, c.reltablespace::bigint,
                      pg_stat_get_xact_numscans(c.oid), i.indrelid::bigint,
                      (SELECT coalesce(jsonb_agg(k.oid::bigint), '[]') FROM pg_constraint AS k
                       WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.convalidated),
                      CASE WHEN c.relkind IN ('r', 'p') THEN md5(
                          (SELECT coalesce(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull), ',' ORDER BY a.attnum), '')
                           FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0)
                          || (SELECT coalesce(string_agg(concat_ws(' ', k.oid, k.convalidated), ',' ORDER BY k.oid), '')
                              FROM pg_constraint AS k WHERE k.conrelid = c.oid)
                          || (SELECT coalesce(string_agg(concat_ws(' ', u.indexrelid, u.indisvalid), ',' ORDER BY u.indexrelid), '')
                              FROM pg_index AS u WHERE u.indrelid = c.oid AND (u.indisunique OR u.indisexclusion))) END)), '[]')
                  FROM pg_class AS c
                  JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
                  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'i', 'I')
                    AND ({all} OR c.oid IN (SELECT l.relation FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'))))
