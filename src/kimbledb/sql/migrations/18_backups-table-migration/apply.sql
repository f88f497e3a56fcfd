-- Backups that were made of a person's data, where they lie, and which can be gone back to.

CREATE TABLE backups (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    backup_type text NOT NULL DEFAULT 'automatic',
    status text NOT NULL DEFAULT 'pending',
    data_counts jsonb DEFAULT '{}',
    backup_data jsonb,
    backup_size_bytes bigint,
    total_size bigint,
    file_count integer,
    duration_seconds double precision
        GENERATED ALWAYS AS (extract(epoch FROM completed_at - started_at)::double precision) STORED,
    storage_location text,
    drive_file_id text,
    drive_file_url text,
    drive_uploaded_at timestamptz,
    error_message text,
    is_restore_point boolean NOT NULL DEFAULT false,
    restore_point_name text,
    restored_at timestamptz,
    expires_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT backups_pkey PRIMARY KEY (id),
    CONSTRAINT backups_backup_type_check CHECK (backup_type IN ('automatic', 'manual', 'scheduled')),
    CONSTRAINT backups_status_check CHECK (status IN ('completed', 'failed', 'in_progress', 'pending')),
    CONSTRAINT backups_backup_size_bytes_check CHECK (backup_size_bytes >= 0),
    CONSTRAINT backups_total_size_check CHECK (total_size >= 0),
    CONSTRAINT backups_file_count_check CHECK (file_count >= 0),
    CONSTRAINT backups_completed_at_check CHECK (completed_at >= started_at),
    CONSTRAINT backups_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX idx_backups_user_id ON backups (user_id, created_at DESC);
CREATE INDEX idx_backups_created_at ON backups (created_at DESC);
CREATE INDEX idx_backups_drive_file_id ON backups (drive_file_id) WHERE drive_file_id IS NOT NULL;
CREATE INDEX idx_backups_restore_points ON backups (user_id, completed_at DESC)
    WHERE is_restore_point AND status = 'completed';
CREATE INDEX idx_backups_expires_at ON backups (expires_at) WHERE expires_at IS NOT NULL;

CREATE VIEW restore_points WITH (security_invoker = true) AS
    SELECT id, user_id,
           coalesce(restore_point_name,
                    backup_type || ' ' || (coalesce(completed_at, created_at) AT TIME ZONE 'UTC')::date) AS name,
           completed_at, backup_type, backup_size_bytes, file_count, data_counts, drive_file_url, storage_location,
           restored_at, expires_at
    FROM backups
    WHERE is_restore_point AND status = 'completed' AND (expires_at IS NULL OR expires_at > now());
COMMENT ON VIEW restore_points IS 'Backups that a person can go back to.';

CREATE FUNCTION backups_protect_restore_points() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT SET row_security = off
AS $$
DECLARE
    point backups;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        SELECT * INTO point FROM backups AS kept
        WHERE kept.is_restore_point AND kept.status = 'completed' AND (kept.expires_at IS NULL OR kept.expires_at > now())
        LIMIT 1;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    ELSE
        point := OLD;
        IF TG_OP = 'UPDATE' AND NEW.id = OLD.id AND NEW.is_restore_point AND NEW.status = 'completed'
           AND (NEW.backup_data, NEW.storage_location, NEW.drive_file_id) IS NOT DISTINCT FROM
               (coalesce(OLD.backup_data, NEW.backup_data), coalesce(OLD.storage_location, NEW.storage_location),
                coalesce(OLD.drive_file_id, NEW.drive_file_id))
           OR (point.is_restore_point AND point.status = 'completed' AND (point.expires_at IS NULL OR point.expires_at > now())) IS NOT TRUE
        THEN
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END IF;
    END IF;
    RAISE EXCEPTION 'restore point % is protected until %', point.id, coalesce(point.expires_at::text, 'it is released')
        USING ERRCODE = 'restrict_violation', TABLE = 'backups', HINT = 'Wait, or end the protection with release_restore_point().';
END
$$;
COMMENT ON FUNCTION backups_protect_restore_points() IS
    'Trigger: refuses to delete a restore point that has not expired, also with its person, and to make it another thing. It may be '
    'put into a further place.';

CREATE FUNCTION make_restore_point(
    backup_id text,
    point_name text DEFAULT NULL,
    keep_until timestamptz DEFAULT now() + interval '30 days')
    RETURNS backups
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    point backups;
BEGIN
    IF keep_until <= now() THEN
        RAISE EXCEPTION 'a restore point cannot be kept until %, which is over', keep_until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO point FROM backups AS own WHERE own.id = backup_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no backup %', backup_id USING ERRCODE = 'no_data_found';
    END IF;
    IF point.status <> 'completed' OR point.expires_at <= now() THEN
        RAISE EXCEPTION 'backup % is %: nobody can go back to it', backup_id,
                        CASE WHEN point.status = 'completed' THEN 'expired' ELSE point.status END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE backups AS own
    SET is_restore_point = true, restore_point_name = coalesce(nullif(btrim(point_name), ''), own.restore_point_name),
        expires_at = keep_until
    WHERE own.id = backup_id
    RETURNING * INTO point;
    RETURN point;
END
$$;
COMMENT ON FUNCTION make_restore_point(text, text, timestamptz) IS
    'Makes a completed backup a restore point, protected from deletion until that time (NULL for until it is released), and returns it. '
    'The view restore_points lists them.';

CREATE FUNCTION release_restore_point(backup_id text) RETURNS backups
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    point backups;
BEGIN
    UPDATE backups AS own SET expires_at = now()
    WHERE own.id = backup_id AND own.is_restore_point AND (own.expires_at IS NULL OR own.expires_at > now())
    RETURNING * INTO point;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no restore point %', backup_id USING ERRCODE = 'no_data_found';
    END IF;
    RETURN point;
END
$$;
COMMENT ON FUNCTION release_restore_point(text) IS
    'Ends the protection of a restore point: it is expired from now on, and can be deleted.';

CREATE FUNCTION purge_expired_backups() RETURNS integer
    LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH purged AS (DELETE FROM backups WHERE expires_at <= now() RETURNING 1)
    SELECT count(*)::integer FROM purged
$$;
COMMENT ON FUNCTION purge_expired_backups() IS
    'Deletes the backups that have expired, and returns how many. For the service to call now and then.';

CREATE TRIGGER backups_protect_restore_points BEFORE UPDATE OR DELETE ON backups
    FOR EACH ROW WHEN (OLD.is_restore_point) EXECUTE FUNCTION backups_protect_restore_points();
CREATE TRIGGER backups_protect_restore_points_truncate BEFORE TRUNCATE ON backups
    FOR EACH STATEMENT EXECUTE FUNCTION backups_protect_restore_points();
CREATE TRIGGER backups_set_updated_at BEFORE UPDATE ON backups
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE backups ENABLE ROW LEVEL SECURITY;

CREATE POLICY backups_owner_read ON backups FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE backups IS 'Backups of a person''s data. The service writes it; the person reads their own.';
COMMENT ON COLUMN backups.data_counts IS 'How many rows of which table it holds.';
COMMENT ON COLUMN backups.backup_data IS 'The data itself, where it is small enough to stay here.';
COMMENT ON COLUMN backups.duration_seconds IS 'From started_at to completed_at.';
COMMENT ON COLUMN backups.drive_file_id IS 'The file in Google Drive that holds it.';
COMMENT ON COLUMN backups.is_restore_point IS
    'Whether it can be gone back to. Then it cannot be deleted before it expires, and neither can its person.';
COMMENT ON COLUMN backups.expires_at IS 'From when it may be deleted; of a restore point NULL means not before it is released.';
COMMENT ON COLUMN backups.restored_at IS 'When somebody last went back to it.';
