-- Is the server's session the one of which the client was told? A pooler tells of one that it made up. Then it is ours alone,
-- and gets for as long as it lasts the limits of a block that commits: the server takes these when a message begins.
SELECT to_jsonb(count(set_config(name, value, false)) > 0)
FROM (VALUES {limits}) AS wanted (name, value)
WHERE pg_backend_pid() = {pid}
