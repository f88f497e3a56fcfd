-- add-knowledge-base-source-id-constraint.sql
--
-- One source, one entry: the application upserts with ON CONFLICT (source_id).
-- Entries without a source (source_id NULL) are not limited. An empty source_id
-- is refused, because every upsert without an id would overwrite the same row.
--
-- Whatever stands against the constraints is told by name, and nothing is
-- deleted or merged: which of two rows is right, only a person knows.
DO $constraints$
DECLARE
    duplicates bigint;
    examples text;
    empty_ids bigint;
    empty_types bigint;
    missing record;
BEGIN
    SELECT count(*),
           string_agg(format('%L (%s rows)', twin.source_id, twin.times), ', ' ORDER BY twin.place)
               FILTER (WHERE twin.place <= 5)
    INTO duplicates, examples
    FROM (
        SELECT entry.source_id, count(*) AS times, row_number() OVER (ORDER BY count(*) DESC, entry.source_id) AS place
        FROM knowledge_base AS entry
        WHERE entry.source_id IS NOT NULL
        GROUP BY entry.source_id
        HAVING count(*) > 1
    ) AS twin;
    IF duplicates > 0 THEN
        RAISE EXCEPTION 'knowledge_base.source_id: values that stand in more than one row: %, namely %', duplicates,
                examples || CASE WHEN duplicates > 5 THEN ', ...' ELSE '' END
            USING ERRCODE = 'unique_violation',
                  HINT = 'Decide which row of each stays, or give the others a source_id of their own. All of them: '
                         'SELECT source_id, array_agg(id ORDER BY created_at) FROM knowledge_base '
                         'WHERE source_id IS NOT NULL GROUP BY source_id HAVING count(*) > 1';
    END IF;

    SELECT count(*) FILTER (WHERE entry.source_id = ''), count(*) FILTER (WHERE entry.source_type = '')
    INTO empty_ids, empty_types
    FROM knowledge_base AS entry;
    IF empty_ids + empty_types > 0 THEN
        RAISE EXCEPTION 'knowledge_base: rows with an empty source_id: %, with an empty source_type: %', empty_ids, empty_types
            USING ERRCODE = 'check_violation',
                  HINT = 'Set what is empty to NULL, or to what it should be. All of them: '
                         'SELECT id, source_type, source_id FROM knowledge_base WHERE '''' IN (source_id, source_type)';
    END IF;

    FOR missing IN
        SELECT *
        FROM (VALUES
            ('knowledge_base_source_id_key', 'UNIQUE (source_id)'),
            ('knowledge_base_source_id_check', $$CHECK (source_id <> '')$$),
            ('knowledge_base_source_type_check', $$CHECK (source_type <> '')$$)
        ) AS wanted (name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = 'knowledge_base' AND present.conname = wanted.name)
    LOOP
        EXECUTE format('ALTER TABLE knowledge_base ADD CONSTRAINT %I %s', missing.name, missing.definition);
    END LOOP;
END
$constraints$;

COMMENT ON CONSTRAINT knowledge_base_source_id_key ON knowledge_base IS 'One source, one entry: what ON CONFLICT (source_id) needs.';
COMMENT ON CONSTRAINT knowledge_base_source_id_check ON knowledge_base IS 'No source is NULL, never the empty text: upserts without an id would all meet in one row.';
COMMENT ON CONSTRAINT knowledge_base_source_type_check ON knowledge_base IS 'No kind of source is NULL, never the empty text.';
