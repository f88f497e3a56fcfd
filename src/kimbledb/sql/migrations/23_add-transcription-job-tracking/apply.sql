-- Jobs of transcription: who does it, how far it is, and what went wrong.

-- What was transcribed before jobs were tracked is done; what has no text yet waits.
-- Columns that are computed at first give that to the rows that are there, and stamp
-- none of them as changed.
ALTER TABLE audio_transcriptions
    ADD COLUMN status text
        GENERATED ALWAYS AS (CASE WHEN text <> '' THEN 'completed' ELSE 'pending' END) STORED,
    ADD COLUMN progress integer
        GENERATED ALWAYS AS (CASE WHEN text <> '' THEN 100 ELSE 0 END) STORED
        CONSTRAINT audio_transcriptions_progress_check CHECK (progress BETWEEN 0 AND 100),
    ADD COLUMN job_id text,
    ADD COLUMN assemblyai_id text,
    ADD COLUMN service text,
    ADD COLUMN error_message text,
    ADD COLUMN error text,
    ADD COLUMN job_metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN job_submitted_at timestamptz,
    ADD COLUMN job_completed_at timestamptz
        CONSTRAINT audio_transcriptions_job_completed_at_check CHECK (job_completed_at >= job_submitted_at);
ALTER TABLE audio_transcriptions
    ALTER COLUMN status DROP EXPRESSION,
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN progress DROP EXPRESSION,
    ALTER COLUMN progress SET DEFAULT 0;

CREATE INDEX idx_audio_transcriptions_job_id ON audio_transcriptions (job_id);
CREATE INDEX idx_audio_transcriptions_assemblyai_id ON audio_transcriptions (assemblyai_id);
CREATE INDEX idx_audio_transcriptions_status
    ON audio_transcriptions (user_id, status, created_at DESC);
-- What a worker looks for: jobs that are not at their end.
CREATE INDEX idx_audio_transcriptions_open_jobs ON audio_transcriptions (created_at)
    WHERE job_completed_at IS NULL AND status NOT IN ('completed', 'error', 'failed');

CREATE FUNCTION audio_transcriptions_sync_error_message() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_error_message$
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
$sync_error_message$;
COMMENT ON FUNCTION audio_transcriptions_sync_error_message() IS
    'Trigger: keeps error_message and the application''s error equal.';
CREATE TRIGGER audio_transcriptions_sync_error_message
    BEFORE INSERT OR UPDATE OF error_message, error ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_sync_error_message();

COMMENT ON COLUMN audio_transcriptions.job_id IS 'The application''s own number of the job.';
COMMENT ON COLUMN audio_transcriptions.assemblyai_id IS 'The service''s number of the job.';
COMMENT ON COLUMN audio_transcriptions.service IS 'Who transcribes, such as assemblyai.';
COMMENT ON COLUMN audio_transcriptions.status IS
    'How the job stands, in the words of the application and of the service.';
COMMENT ON COLUMN audio_transcriptions.progress IS 'Percent.';
COMMENT ON COLUMN audio_transcriptions.error IS
    'The application''s other name for error_message, kept equal by a trigger.';
COMMENT ON COLUMN audio_transcriptions.job_metadata IS 'What the service said of the job.';
