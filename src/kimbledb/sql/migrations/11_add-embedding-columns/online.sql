-- The same where these tables hold rows: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE conversations ADD COLUMN IF NOT EXISTS embedding vector(1536);
ALTER TABLE projects ADD COLUMN IF NOT EXISTS embedding vector(1536);
ALTER TABLE files ADD COLUMN IF NOT EXISTS embedding vector(1536);
ALTER TABLE audio_transcriptions ADD COLUMN IF NOT EXISTS embedding vector(1536);

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_embedding
    ON conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_embedding ON projects USING hnsw (embedding vector_cosine_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_files_embedding ON files USING hnsw (embedding vector_cosine_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_embedding
    ON audio_transcriptions USING hnsw (embedding vector_cosine_ops);
