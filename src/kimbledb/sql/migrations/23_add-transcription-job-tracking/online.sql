-- The same where there are transcriptions already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

-- What was transcribed before is done; see apply.sql. The default of the moment gives
-- that to all rows without writing them again, and those without a text follow.
ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS status text DEFAULT 'completed',
    ALTER COLUMN status SET DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS progress integer DEFAULT 100,
    ALTER COLUMN progress SET DEFAULT 0,
    ADD COLUMN IF NOT EXISTS job_id text,
    ADD COLUMN IF NOT EXISTS assemblyai_id text,
    ADD COLUMN IF NOT EXISTS service text,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS error text,
    ADD COLUMN IF NOT EXISTS job_metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS job_submitted_at timestamptz,
    ADD COLUMN IF NOT EXISTS job_completed_at timestamptz;
UPDATE audio_transcriptions SET status = 'pending', progress = 0
WHERE (text IS NULL OR text = '') AND status = 'completed' AND job_id IS NULL AND assemblyai_id IS NULL;

-- Each holds for new rows at once, and for those that are there when they have been looked at.
ALTER TABLE audio_transcriptions
    DROP CONSTRAINT IF EXISTS audio_transcriptions_progress_check,
    DROP CONSTRAINT IF EXISTS audio_transcriptions_job_completed_at_check,
    ADD CONSTRAINT audio_transcriptions_progress_check CHECK (progress BETWEEN 0 AND 100) NOT VALID,
    ADD CONSTRAINT audio_transcriptions_job_completed_at_check CHECK (job_completed_at >= job_submitted_at) NOT VALID;
ALTER TABLE audio_transcriptions
    VALIDATE CONSTRAINT audio_transcriptions_progress_check,
    VALIDATE CONSTRAINT audio_transcriptions_job_completed_at_check;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_job_id ON audio_transcriptions (job_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_assemblyai_id ON audio_transcriptions (assemblyai_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_status
    ON audio_transcriptions (user_id, status, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_open_jobs ON audio_transcriptions (created_at)
    WHERE job_completed_at IS NULL AND status NOT IN ('completed', 'error', 'failed');
