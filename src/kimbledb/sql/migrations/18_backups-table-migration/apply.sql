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
    SELECT id, user_id, coalesce(restore_point_name, backup_type || ' ' || completed_at::date) AS name,
           completed_at, backup_type, backup_size_bytes, file_count, data_counts, drive_file_url, storage_location,
           restored_at
    FROM backups
    WHERE is_restore_point AND status = 'completed' AND (expires_at IS NULL OR expires_at > now());
COMMENT ON VIEW restore_points IS 'Backups that a person can go back to.';

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
COMMENT ON COLUMN backups.is_restore_point IS 'Whether it can be gone back to.';
COMMENT ON COLUMN backups.restored_at IS 'When somebody last went back to it.';
