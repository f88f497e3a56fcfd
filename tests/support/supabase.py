"""The platform of a Supabase project, as its image makes it: roles, schemas with owners of their own, people, files."""

from __future__ import annotations

from pathlib import Path

#: Twenty-five migrations of a usual project, as the Supabase CLI names and writes them.
PROJECT = Path(__file__).parent.parent / "data" / "supabase" / "migrations"

#: Added to ``HOSTED_ROLES``. ``developer`` stands for the platform's ``postgres``, which is no superuser.
ROLES = """
    CREATE ROLE supabase_admin NOLOGIN;
    CREATE ROLE supabase_auth_admin NOLOGIN NOINHERIT;
    CREATE ROLE supabase_storage_admin NOLOGIN NOINHERIT;
    CREATE ROLE supabase_realtime_admin NOLOGIN NOINHERIT;
    CREATE ROLE developer LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD 'developer';
    GRANT anon, authenticated, service_role, supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin TO developer;
    GRANT supabase_storage_admin TO authenticator;
"""

DATABASE = """
    CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
    CREATE SCHEMA storage AUTHORIZATION supabase_storage_admin;
    CREATE SCHEMA realtime AUTHORIZATION supabase_realtime_admin;
    CREATE SCHEMA extensions AUTHORIZATION developer;
    CREATE EXTENSION pgcrypto SCHEMA extensions;
    CREATE EXTENSION "uuid-ossp" SCHEMA extensions;
    -- The platform lets its postgres make these; the server's own rules do not.
    CREATE EXTENSION moddatetime SCHEMA extensions;
    CREATE EXTENSION vector SCHEMA extensions;
    GRANT USAGE ON SCHEMA auth, extensions, public, storage, realtime TO anon, authenticated, service_role;
    GRANT ALL ON SCHEMA auth, storage, realtime TO developer;
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO developer', current_database()); END $$;

    SET ROLE supabase_auth_admin;
    CREATE TABLE auth.users (
        instance_id uuid,
        id uuid NOT NULL PRIMARY KEY,
        aud character varying(255),
        role character varying(255),
        email character varying(255),
        encrypted_password character varying(255),
        email_confirmed_at timestamptz,
        raw_app_meta_data jsonb,
        raw_user_meta_data jsonb,
        is_super_admin boolean,
        created_at timestamptz,
        updated_at timestamptz,
        phone text UNIQUE DEFAULT NULL,
        is_anonymous boolean NOT NULL DEFAULT false
    );
    CREATE INDEX users_instance_id_idx ON auth.users (instance_id);
    CREATE TABLE auth.identities (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
        provider text NOT NULL
    );
    ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
    ALTER TABLE auth.identities ENABLE ROW LEVEL SECURITY;
    CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;
    GRANT ALL ON ALL TABLES IN SCHEMA auth TO developer;

    SET ROLE supabase_storage_admin;
    CREATE TABLE storage.buckets (
        id text NOT NULL PRIMARY KEY,
        name text NOT NULL UNIQUE,
        owner uuid,
        owner_id text,
        public boolean DEFAULT false,
        avif_autodetection boolean DEFAULT false,
        file_size_limit bigint,
        allowed_mime_types text[],
        created_at timestamptz DEFAULT now(),
        updated_at timestamptz DEFAULT now()
    );
    CREATE TABLE storage.objects (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        bucket_id text REFERENCES storage.buckets (id),
        name text,
        owner uuid,
        owner_id text,
        path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
        version text,
        metadata jsonb,
        created_at timestamptz DEFAULT now(),
        updated_at timestamptz DEFAULT now(),
        UNIQUE (bucket_id, name)
    );
    ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
    ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
    CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE plpgsql AS $$
    BEGIN
        RETURN (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1];
    END $$;
    CREATE FUNCTION storage.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
    CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects
        FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column();
    GRANT ALL ON ALL TABLES IN SCHEMA storage TO anon, authenticated, service_role, developer;

    SET ROLE supabase_realtime_admin;
    CREATE TABLE realtime.messages (
        topic text NOT NULL,
        extension text NOT NULL,
        payload jsonb,
        event text,
        private boolean DEFAULT false,
        inserted_at timestamp NOT NULL DEFAULT now(),
        id uuid NOT NULL DEFAULT gen_random_uuid(),
        PRIMARY KEY (id, inserted_at)
    ) PARTITION BY RANGE (inserted_at);
    ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
    CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
    RESET ROLE;

    -- PostgREST learns of each change of a definition from it.
    CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY pgrst, 'reload schema'; END $$;
    CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
    CREATE PUBLICATION supabase_realtime;
    ALTER PUBLICATION supabase_realtime OWNER TO developer;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES FOR ROLE developer IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES FOR ROLE developer IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES FOR ROLE developer IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
"""
