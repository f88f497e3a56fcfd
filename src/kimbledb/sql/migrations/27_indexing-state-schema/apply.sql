-- indexing-state-schema.sql
--
-- How far the index of a person's Gmail and Drive has come: one row for each
-- person and source. The service writes it; people read their own.

CREATE TABLE indexing_state (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    source text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    last_cursor text,
    sync_token text,
    total_indexed integer NOT NULL DEFAULT 0,
    last_indexed_at timestamptz,
    last_sync_started_at timestamptz,
    last_sync_completed_at timestamptz,
    error_message text,
    error_count integer NOT NULL DEFAULT 0,
    last_error_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT indexing_state_pkey PRIMARY KEY (id),
    CONSTRAINT indexing_state_user_id_source_key UNIQUE (user_id, source),
    CONSTRAINT indexing_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT indexing_state_source_check CHECK (source IN ('drive', 'gmail')),
    CONSTRAINT indexing_state_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'error')),
    CONSTRAINT indexing_state_total_indexed_check CHECK (total_indexed >= 0),
    CONSTRAINT indexing_state_error_count_check CHECK (error_count >= 0)
);

-- The unique key serves user_id; these serve the overview and the retries.
CREATE INDEX idx_indexing_state_last_indexed_at ON indexing_state (last_indexed_at DESC);
CREATE INDEX idx_indexing_state_errors ON indexing_state (last_error_at) WHERE status = 'error';

COMMENT ON TABLE indexing_state IS
    'How far the index of a person''s Gmail and Drive has come. The service writes it, a person reads their own.';
COMMENT ON COLUMN indexing_state.last_cursor IS
    'Where the next run of a listing goes on: the page token, or history id, of the last one.';
COMMENT ON COLUMN indexing_state.sync_token IS
    'What the source gave to ask for changes since, where that is another thing than the cursor.';
COMMENT ON COLUMN indexing_state.last_indexed_at IS 'When something was indexed last.';
COMMENT ON COLUMN indexing_state.last_sync_started_at IS
    'When a run began last; noted where a statement sets the status and not this.';
COMMENT ON COLUMN indexing_state.last_sync_completed_at IS 'When a run ended well last; noted likewise.';
COMMENT ON COLUMN indexing_state.error_message IS 'What went wrong last; emptied by a run that ends well.';
COMMENT ON COLUMN indexing_state.error_count IS 'The errors since a run ended well.';
COMMENT ON COLUMN indexing_state.last_error_at IS 'When a run ended in an error last.';

-- The application sets the status; what follows from it is filled in, unless
-- the statement says it itself.
CREATE FUNCTION indexing_state_track_sync() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former indexing_state;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        former := OLD;
    ELSE
        former.error_count := 0;
    END IF;
    IF NEW.status = 'in_progress' THEN
        IF former.status IS DISTINCT FROM 'in_progress' AND NEW.last_sync_started_at IS NOT DISTINCT FROM former.last_sync_started_at THEN
            NEW.last_sync_started_at := now();
        END IF;
    ELSIF NEW.status = 'completed' THEN
        IF NEW.last_sync_completed_at IS NOT DISTINCT FROM former.last_sync_completed_at THEN
            NEW.last_sync_completed_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := 0;
        END IF;
        IF NEW.error_message IS NOT DISTINCT FROM former.error_message THEN
            NEW.error_message := NULL;
        END IF;
    ELSIF NEW.status = 'error' THEN
        IF NEW.last_error_at IS NOT DISTINCT FROM former.last_error_at THEN
            NEW.last_error_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := former.error_count + 1;
        END IF;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION indexing_state_track_sync() IS
    'Trigger: from the status that a statement sets, notes when a run began, '
    'ended or failed, and counts the errors since one ended well.';

CREATE TRIGGER indexing_state_set_updated_at
    BEFORE UPDATE ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER indexing_state_track_sync
    BEFORE INSERT OR UPDATE OF status ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION indexing_state_track_sync();

ALTER TABLE indexing_state ENABLE ROW LEVEL SECURITY;

CREATE POLICY indexing_state_owner_read ON indexing_state
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));
