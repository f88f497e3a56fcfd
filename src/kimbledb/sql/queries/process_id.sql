-- The server process that answers.
SELECT to_jsonb(pg_backend_pid())
