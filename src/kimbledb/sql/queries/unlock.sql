-- Releases advisory locks that the session holds beyond its transaction. For those of the transaction, which end with
-- it, the server warns that they are not held.
    PERFORM set_config('client_min_messages', 'error', true);
    FOR one IN SELECT l.classid::bigint, l.objid::bigint, l.objsubid, l.mode = 'ShareLock' AS shared FROM pg_locks AS l
               WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid()
                 AND NOT before->'locks' @> jsonb_build_array(jsonb_build_array(l.classid, l.objid, l.objsubid, l.mode)) LOOP
        WHILE CASE
            WHEN one.objsubid = 1 AND one.shared THEN pg_advisory_unlock_shared(one.classid << 32 | one.objid)
            WHEN one.objsubid = 1 THEN pg_advisory_unlock(one.classid << 32 | one.objid)
            WHEN one.shared THEN pg_advisory_unlock_shared(one.classid::bit(32)::integer, one.objid::bit(32)::integer)
            ELSE pg_advisory_unlock(one.classid::bit(32)::integer, one.objid::bit(32)::integer) END LOOP
        END LOOP;
    END LOOP;
