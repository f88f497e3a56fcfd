-- Jobs of transcription: who does it, how far it is, and what went wrong.

-- What was transcribed before jobs were tracked is done. The default of the moment
-- gives that to all its rows without writing them again.
DO $finished$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
        WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = 'audio_transcriptions'
          AND col.attname IN ('status', 'progress') AND NOT col.attisdropped)
    THEN
        ALTER TABLE audio_transcriptions
            ADD COLUMN status text DEFAULT 'completed',
            ADD COLUMN progress integer DEFAULT 100;
        ALTER TABLE audio_transcriptions
            ALTER COLUMN status SET DEFAULT 'pending',
            ALTER COLUMN progress SET DEFAULT 0;
        UPDATE audio_transcriptions SET status = 'pending', progress = 0 WHERE text IS NULL OR text = '';
    END IF;
END
$finished$;

ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS job_id text,
    ADD COLUMN IF NOT EXISTS assemblyai_id text,
    ADD COLUMN IF NOT EXISTS service text,
    ADD COLUMN IF NOT EXISTS status text DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS progress integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS error text,
    ADD COLUMN IF NOT EXISTS job_metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS job_submitted_at timestamptz,
    ADD COLUMN IF NOT EXISTS job_completed_at timestamptz;

-- A table with rows that was completed just now: two names of one thing agree.
UPDATE audio_transcriptions
SET error_message = coalesce(error_message, error), error = coalesce(error_message, error)
WHERE error_message IS DISTINCT FROM error;

DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('audio_transcriptions', 'audio_transcriptions_progress_check', 'CHECK (progress BETWEEN 0 AND 100)'),
            ('audio_transcriptions', 'audio_transcriptions_job_completed_at_check', 'CHECK (job_completed_at >= job_submitted_at)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab AND present.conname = listed.name)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_job_id ON audio_transcriptions (job_id);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_assemblyai_id ON audio_transcriptions (assemblyai_id);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_status ON audio_transcriptions (user_id, status, created_at DESC);
-- What a worker looks for: jobs that are not at their end.
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_open_jobs ON audio_transcriptions (created_at)
    WHERE job_completed_at IS NULL AND status NOT IN ('completed', 'error', 'failed');

CREATE OR REPLACE FUNCTION audio_transcriptions_sync_error_message() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.error_message IS NOT NULL;
        other_given := NEW.error IS NOT NULL;
    ELSE
        documented_given := NEW.error_message IS DISTINCT FROM OLD.error_message;
        other_given := NEW.error IS DISTINCT FROM OLD.error;
    END IF;
    IF documented_given AND other_given AND NEW.error_message IS DISTINCT FROM NEW.error THEN
        RAISE EXCEPTION 'audio_transcriptions.error_message and audio_transcriptions.error are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'audio_transcriptions', COLUMN = 'error';
    ELSIF other_given THEN
        NEW.error_message := NEW.error;
    ELSE
        NEW.error := NEW.error_message;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION audio_transcriptions_sync_error_message() IS 'Trigger: keeps error_message and the application''s error equal.';
CREATE OR REPLACE TRIGGER audio_transcriptions_sync_error_message BEFORE INSERT OR UPDATE OF error_message, error ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_sync_error_message();

DO $grants$
DECLARE
    granted record;
    api_role text;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('FUNCTION audio_transcriptions_sync_error_message()', NULL, NULL)
        ) AS listed (object, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.object);
        -- The hosted platform's default privileges give these roles everything on what is new.
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %I', granted.object, api_role);
            IF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO authenticated', granted.people, granted.object);
            ELSIF api_role = 'service_role' AND granted.service IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO service_role', granted.service, granted.object);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;

COMMENT ON COLUMN audio_transcriptions.job_id IS 'The application''s own number of the job.';
COMMENT ON COLUMN audio_transcriptions.assemblyai_id IS 'The service''s number of the job.';
COMMENT ON COLUMN audio_transcriptions.service IS 'Who transcribes, such as assemblyai.';
COMMENT ON COLUMN audio_transcriptions.status IS 'How the job stands, in the words of the application and of the service.';
COMMENT ON COLUMN audio_transcriptions.progress IS 'Percent.';
COMMENT ON COLUMN audio_transcriptions.error IS 'The application''s other name for error_message, kept equal by a trigger.';
COMMENT ON COLUMN audio_transcriptions.job_metadata IS 'What the service said of the job.';
