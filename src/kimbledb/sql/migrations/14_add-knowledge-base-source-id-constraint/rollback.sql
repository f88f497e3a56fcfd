-- Takes back add-knowledge-base-source-id-constraint.sql.
ALTER TABLE IF EXISTS knowledge_base
    DROP CONSTRAINT IF EXISTS knowledge_base_source_type_check,
    DROP CONSTRAINT IF EXISTS knowledge_base_source_id_check,
    DROP CONSTRAINT IF EXISTS knowledge_base_source_id_key;
