-- add-embedding-columns.sql
--
-- A vector for every conversation, project, file and transcription, and an
-- index that finds the nearest ones by cosine distance. The document says GIN,
-- which has no operator class for vectors; HNSW (vector 0.5) is what serves
-- ORDER BY embedding <=> $1 LIMIT n.
--
-- The new columns are NULL everywhere, and an HNSW index leaves out NULLs, so
-- building the indexes takes no time worth naming, however large the table is.

ALTER TABLE conversations ADD COLUMN embedding vector(1536);
ALTER TABLE projects ADD COLUMN embedding vector(1536);
ALTER TABLE files ADD COLUMN embedding vector(1536);
ALTER TABLE audio_transcriptions ADD COLUMN embedding vector(1536);

CREATE INDEX idx_conversations_embedding ON conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_projects_embedding ON projects USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_files_embedding ON files USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_audio_transcriptions_embedding
    ON audio_transcriptions USING hnsw (embedding vector_cosine_ops);

COMMENT ON COLUMN conversations.embedding IS
    'What the conversation is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN projects.embedding IS
    'What the project is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN files.embedding IS
    'What the file is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN audio_transcriptions.embedding IS
    'What was said, as an embedding for search by cosine distance; NULL until it is made.';
