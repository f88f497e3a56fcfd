-- Whether a database of a name exists, and the server process that answers: a pooler reports another one to its client.
SELECT jsonb_build_object(
    'exists', EXISTS (SELECT FROM pg_database WHERE datname = {name}),
    'process_id', pg_backend_pid())
