-- Takes back add-knowledge-base-source-id-constraint.sql.
DROP INDEX IF EXISTS idx_knowledge_base_source_type_created_at;
ALTER TABLE IF EXISTS knowledge_base
    DROP CONSTRAINT IF EXISTS knowledge_base_source_check,
    DROP CONSTRAINT IF EXISTS knowledge_base_source_type_check,
    DROP CONSTRAINT IF EXISTS knowledge_base_source_id_check,
    DROP CONSTRAINT IF EXISTS knowledge_base_source_id_key;
