-- The invalid indexes, each with its table, and whether a session is building it: the build of an index holds this lock
-- on its table, and so does a vacuum. An index on a partitioned table is left out: it is invalid until each partition
-- has its own.
SELECT i.indexrelid, i.indrelid, n.nspname AS schema, c.relname AS name, t.relname AS tab,
       EXISTS (SELECT FROM pg_locks AS l
               WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted AND l.pid <> pg_backend_pid()
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND l.mode = 'ShareUpdateExclusiveLock'
                 AND l.pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)) AS busy
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
