-- What a person is told, whether they have read it, and whether a mail went out.

CREATE TABLE notifications (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    type text NOT NULL DEFAULT 'info',
    title text,
    message text,
    link text,
    priority text NOT NULL DEFAULT 'normal',
    status text NOT NULL DEFAULT 'pending',
    read boolean NOT NULL DEFAULT false,
    read_at timestamptz,
    metadata jsonb DEFAULT '{}',
    data jsonb DEFAULT '{}',
    email_sent boolean NOT NULL DEFAULT false,
    email_sent_at timestamptz,
    email_address text,
    email_error text,
    email_attempts integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_pkey PRIMARY KEY (id),
    CONSTRAINT notifications_type_check CHECK (type IN ('error', 'info', 'success', 'warning')),
    CONSTRAINT notifications_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    CONSTRAINT notifications_status_check CHECK (status IN ('pending', 'delivered', 'dismissed', 'failed')),
    CONSTRAINT notifications_email_attempts_check CHECK (email_attempts >= 0),
    CONSTRAINT notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX idx_notifications_user_id ON notifications (user_id, created_at DESC);
CREATE INDEX idx_notifications_unread ON notifications (user_id, created_at DESC) WHERE NOT read;
-- What the job that sends mails looks for.
CREATE INDEX idx_notifications_email_pending ON notifications (created_at)
    WHERE NOT email_sent AND email_address IS NOT NULL;
CREATE INDEX idx_notifications_expires_at ON notifications (expires_at) WHERE expires_at IS NOT NULL;

CREATE FUNCTION notifications_track_reading() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT NEW.read THEN
        NEW.read_at := NULL;
    ELSIF NEW.read_at IS NULL THEN
        NEW.read_at := now();
    END IF;
    IF NEW.email_sent AND NEW.email_sent_at IS NULL THEN
        NEW.email_sent_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION notifications_track_reading() IS 'Trigger: stamps when it was read and when its mail went out.';
CREATE TRIGGER notifications_track_reading BEFORE INSERT OR UPDATE OF read, email_sent ON notifications
    FOR EACH ROW EXECUTE FUNCTION notifications_track_reading();
CREATE TRIGGER notifications_set_updated_at BEFORE UPDATE ON notifications
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;

CREATE POLICY notifications_owner ON notifications
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE notifications IS
    'What a person is told. The service writes it; the person reads, dismisses and deletes their own.';
COMMENT ON COLUMN notifications.status IS 'How its delivery stands.';
COMMENT ON COLUMN notifications.data IS 'What the application hands to its own handlers.';
COMMENT ON COLUMN notifications.email_sent IS 'Whether a mail went out, for those that have an email_address.';
