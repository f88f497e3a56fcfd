-- Give a lock of the session back.
SELECT to_jsonb(pg_advisory_unlock({lock_class}, {lock_key}))
