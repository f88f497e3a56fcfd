-- People see that they are connected and may disconnect; the tokens themselves
-- are read and written by the service alone.
GRANT SELECT (id, user_id, email, provider, token_type, scope, expires_at, expires_at_time, created_at, updated_at), DELETE
    ON user_tokens TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_tokens TO service_role;
