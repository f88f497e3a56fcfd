-- The same where there are transcriptions already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

-- What was transcribed before is done; see apply.sql.
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

-- Each holds for new rows at once, and for those that are there when they have been looked at.
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
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition || ' NOT VALID';
    END LOOP;
END
$checks$;

DO $validation$
DECLARE
    open record;
BEGIN
    FOR open IN
        SELECT tab.relname, con.conname
        FROM pg_catalog.pg_constraint AS con
        JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT con.convalidated
          AND con.conname IN (
              'audio_transcriptions_progress_check',
              'audio_transcriptions_job_completed_at_check')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_job_id ON audio_transcriptions (job_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_assemblyai_id ON audio_transcriptions (assemblyai_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_status ON audio_transcriptions (user_id, status, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_open_jobs ON audio_transcriptions (created_at)
    WHERE job_completed_at IS NULL AND status NOT IN ('completed', 'error', 'failed');
