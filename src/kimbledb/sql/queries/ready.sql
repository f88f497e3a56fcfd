-- Right before several migrations are sent. Is the server's session the one of which the client was told? A pooler tells of one
-- that it made up. Then it is ours alone, and says that this run is at work, and has what a block that commits needs: the server
-- takes limits when a message begins, and begins its transactions by itself. And is another run at work by now, so that all
-- would be in vain?
SELECT jsonb_build_object(
    'own', (SELECT bool_and(set_config(name, value, false) IS NOT NULL) FROM (VALUES {kept}) AS wanted (name, value)
            WHERE pg_backend_pid() = {pid}) IS TRUE,
    'claimed', CASE WHEN pg_backend_pid() = {pid} THEN pg_try_advisory_lock_shared({claim_class}, {key}) END,
    'busy', EXISTS (
{at_work}
    ))
