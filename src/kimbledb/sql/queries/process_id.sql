-- Which server process answers.
SELECT to_jsonb(pg_backend_pid())
