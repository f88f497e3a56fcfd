-- The same where there are pieces of knowledge already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE knowledge_base ADD COLUMN IF NOT EXISTS file_id text;

-- The key holds for new rows at once, and for those that are there when they have been looked at.
ALTER TABLE knowledge_base
    DROP CONSTRAINT IF EXISTS knowledge_base_file_id_fkey,
    ADD CONSTRAINT knowledge_base_file_id_fkey
        FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE knowledge_base VALIDATE CONSTRAINT knowledge_base_file_id_fkey;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_knowledge_base_file_id ON knowledge_base (file_id);
