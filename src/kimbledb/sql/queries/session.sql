-- The server process that answers, and whether it sees in its database the lock that another one holds.
SELECT jsonb_build_object(
    'process_id', pg_backend_pid(),
    'sees_lock', EXISTS (
        SELECT FROM pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.granted AND l.pid = {holder}
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.classid = {lock_class} AND l.objid::bigint = {lock_key}::bigint & 4294967295))
