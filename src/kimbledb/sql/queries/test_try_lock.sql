-- Take a lock for as long as the session lives, if nobody has it.
SELECT to_jsonb(pg_try_advisory_lock({lock_class}, {lock_key}))
