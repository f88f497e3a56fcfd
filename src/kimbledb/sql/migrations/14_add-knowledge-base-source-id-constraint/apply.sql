-- add-knowledge-base-source-id-constraint.sql
--
-- One source, one entry: the application upserts with ON CONFLICT (source_id).
-- Entries without a source (source_id NULL) are not limited. An empty source_id
-- is refused, because every upsert without an id would overwrite the same row.
--
-- Rows that stand against the constraints stop it, and nothing is deleted or
-- merged: which of two rows is right, only a person knows.
ALTER TABLE knowledge_base
    ADD CONSTRAINT knowledge_base_source_id_key UNIQUE (source_id),
    ADD CONSTRAINT knowledge_base_source_id_check CHECK (source_id <> ''),
    ADD CONSTRAINT knowledge_base_source_type_check CHECK (source_type <> '');

COMMENT ON CONSTRAINT knowledge_base_source_id_key ON knowledge_base IS
    'One source, one entry: what ON CONFLICT (source_id) needs.';
COMMENT ON CONSTRAINT knowledge_base_source_id_check ON knowledge_base IS
    'No source is NULL, never the empty text: upserts without an id would all meet in one row.';
COMMENT ON CONSTRAINT knowledge_base_source_type_check ON knowledge_base IS
    'No kind of source is NULL, never the empty text.';
