-- Releases a lock of the session.
SELECT to_jsonb(pg_advisory_unlock({lock_class}, {lock_key}))
