-- Cancel what a server process runs, if that is a loop of ours: its text begins with the signature. By now the process may
-- serve somebody else.
SELECT to_jsonb(count(*)) FROM (
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE pid = {pid} AND state = 'active' AND position({mark} IN left(query, 100)) > 0
) AS cancelled
