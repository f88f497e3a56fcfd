-- Takes a lock for as long as the session lives, if no other session has it.
SELECT to_jsonb(pg_try_advisory_lock({lock_class}, {lock_key}))
