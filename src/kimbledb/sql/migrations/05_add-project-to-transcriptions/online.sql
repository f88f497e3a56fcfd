-- The same where there are transcriptions already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS project_tag text,
    ADD COLUMN IF NOT EXISTS category_id text,
    ADD COLUMN IF NOT EXISTS auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS category_confidence double precision;

-- Each holds for new rows at once, and for those that are there when they have been looked at.
DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'audio_transcriptions'::regclass AND conname = 'audio_transcriptions_project_id_fkey')
    THEN
        ALTER TABLE audio_transcriptions ADD CONSTRAINT audio_transcriptions_project_id_fkey
            FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

DO $check$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'audio_transcriptions'::regclass
          AND conname = 'audio_transcriptions_category_confidence_check')
    THEN
        ALTER TABLE audio_transcriptions ADD CONSTRAINT audio_transcriptions_category_confidence_check
            CHECK (category_confidence BETWEEN 0 AND 1) NOT VALID;
    END IF;
END
$check$;

ALTER TABLE audio_transcriptions VALIDATE CONSTRAINT audio_transcriptions_project_id_fkey;
ALTER TABLE audio_transcriptions VALIDATE CONSTRAINT audio_transcriptions_category_confidence_check;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_project_id_created_at
    ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_project_tag_created_at
    ON audio_transcriptions (project_tag, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);
