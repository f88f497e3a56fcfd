-- The table of create_user_tokens_table.sql, and what a hosted platform adds to it.

CREATE TABLE IF NOT EXISTS user_tokens (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    email text,
    provider text NOT NULL DEFAULT 'google',
    access_token text,
    refresh_token text,
    id_token text,
    token_type text DEFAULT 'Bearer',
    scope text,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The application upserts without naming a conflict target: the person is the key,
    -- which makes user_id unique.
    CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_tokens_id_key UNIQUE (id)
);
ALTER TABLE user_tokens
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS email text,
    ADD COLUMN IF NOT EXISTS provider text NOT NULL DEFAULT 'google',
    ADD COLUMN IF NOT EXISTS access_token text,
    ADD COLUMN IF NOT EXISTS refresh_token text,
    ADD COLUMN IF NOT EXISTS id_token text,
    ADD COLUMN IF NOT EXISTS token_type text DEFAULT 'Bearer',
    ADD COLUMN IF NOT EXISTS scope text,
    ADD COLUMN IF NOT EXISTS expires_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have another key: the person must still be unique.
DO $unique$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS k
        JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
        WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens' AND k.contype = 'p') THEN
        ALTER TABLE user_tokens ADD CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id);
    ELSIF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'user_id'
        WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens'
          AND i.indisunique AND i.indpred IS NULL AND i.indkey::text = a.attnum::text) THEN
        ALTER TABLE user_tokens ADD CONSTRAINT user_tokens_user_id_key UNIQUE (user_id);
    END IF;
END
$unique$;

-- Keys are added only between columns of one type: a database from before may
-- still have uuid here, and the repairs (FIX_PROJECT_ID_TYPE.sql and its
-- followers) convert those columns and add the keys that wait for it.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('user_tokens', 'user_tokens_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(DISTINCT col.atttypid) = 1
               FROM pg_catalog.pg_attribute AS col
               JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
               WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
                 AND (tab.relname, col.attname) IN ((wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)))
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE OR REPLACE TRIGGER user_tokens_set_updated_at BEFORE UPDATE ON user_tokens
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE user_tokens ENABLE ROW LEVEL SECURITY;

DO $policies$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                   AND tablename = 'user_tokens' AND policyname = 'user_tokens_owner')
       AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                   JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
                   WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'user_tokens'
                     AND a.attname = 'user_id' AND a.atttypid = 'text'::regtype) THEN
        CREATE POLICY user_tokens_owner ON user_tokens
            USING (user_id = (SELECT requesting_user_id()))
            WITH CHECK (user_id = (SELECT requesting_user_id()));
    END IF;
END
$policies$;

-- People see that they are connected and may disconnect; the tokens themselves
-- are read and written by the service alone.
DO $grants$
DECLARE
    api_role text;
BEGIN
    REVOKE ALL ON TABLE user_tokens FROM PUBLIC;
    FOR api_role IN
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE user_tokens FROM %I', api_role);
        IF api_role = 'service_role' THEN
            GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE user_tokens TO service_role;
        ELSIF api_role = 'authenticated' THEN
            GRANT SELECT (id, user_id, email, provider, token_type, scope, expires_at, created_at, updated_at), DELETE
                ON TABLE user_tokens TO authenticated;
        END IF;
    END LOOP;
END
$grants$;

COMMENT ON TABLE user_tokens IS 'A person''s connection to Google: its OAuth tokens, one row for each person.';
COMMENT ON COLUMN user_tokens.access_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.refresh_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.id_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.expires_at IS 'When the access token ends.';

-- What a hosted platform adds.

-- For the scheduled job that refreshes tokens before they end.
CREATE INDEX IF NOT EXISTS idx_user_tokens_expires_at ON user_tokens (expires_at) WHERE refresh_token IS NOT NULL;

-- What the platform's API shows a person of their connections, with no token in it.
CREATE OR REPLACE VIEW user_connections WITH (security_invoker = true) AS
    SELECT id, user_id, provider, email, scope, expires_at, created_at, updated_at
    FROM user_tokens;
COMMENT ON VIEW user_connections IS 'A person''s connections without the tokens.';

DO $view_grants$
DECLARE
    api_role text;
BEGIN
    REVOKE ALL ON TABLE user_connections FROM PUBLIC;
    FOR api_role IN
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE user_connections FROM %I', api_role);
        IF api_role <> 'anon' THEN
            EXECUTE format('GRANT SELECT ON TABLE user_connections TO %I', api_role);
        END IF;
    END LOOP;
END
$view_grants$;
