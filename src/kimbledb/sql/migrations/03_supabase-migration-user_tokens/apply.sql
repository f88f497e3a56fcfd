-- The table of create_user_tokens_table.sql, and what a hosted platform adds to it.

CREATE TABLE user_tokens (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    email text,
    provider text NOT NULL DEFAULT 'google',
    access_token text,
    refresh_token text,
    id_token text,
    token_type text DEFAULT 'Bearer',
    scope text,
    expires_at bigint,
    expires_at_time timestamptz GENERATED ALWAYS AS (to_timestamp(expires_at)) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The application upserts without naming a conflict target: the person is the key,
    -- which makes user_id unique.
    CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_tokens_id_key UNIQUE (id),
    CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TRIGGER user_tokens_set_updated_at BEFORE UPDATE ON user_tokens
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE user_tokens ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_tokens_owner ON user_tokens
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE user_tokens IS 'A person''s connection to Google: its OAuth tokens, one row for each person.';
COMMENT ON COLUMN user_tokens.access_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.refresh_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.id_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.expires_at IS 'When the access token ends, in whole seconds since 1970, as the application writes it.';
COMMENT ON COLUMN user_tokens.expires_at_time IS 'When the access token ends, as a time. Generated from expires_at.';

-- What a hosted platform adds.

-- For the scheduled job that refreshes tokens before they end.
CREATE INDEX idx_user_tokens_expires_at ON user_tokens (expires_at) WHERE refresh_token IS NOT NULL;

-- What the platform's API shows a person of their connections, with no token in it.
CREATE VIEW user_connections WITH (security_invoker = true) AS
    SELECT id, user_id, provider, email, scope, expires_at, expires_at_time, created_at, updated_at
    FROM user_tokens;
COMMENT ON VIEW user_connections IS 'A person''s connections without the tokens.';
