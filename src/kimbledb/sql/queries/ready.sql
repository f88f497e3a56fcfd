-- Directly before several migrations are sent. Is the server's session the one that the client was told of? A pooler
-- may report an invented one. If it is, the session is ours alone: it takes the claim of a current run, and the
-- settings that a block with commits needs, since the server reads timeouts when a message begins, and begins its
-- transactions by itself. And has another run begun since, so that all of this would be in vain?
SELECT jsonb_build_object(
    'own', (SELECT bool_and(set_config(name, value, false) IS NOT NULL) FROM (VALUES {kept}) AS wanted (name, value)
            WHERE pg_backend_pid() = {pid}) IS TRUE,
    'claimed', CASE WHEN pg_backend_pid() = {pid} THEN pg_try_advisory_lock_shared({claim_class}, {key}) END,
    'busy', EXISTS (
{at_work}
    ))
