-- name: project_ids_are_text
-- Columns of later migrations count only where they are there.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)) = 0 AS passed,
       'text, each of them' AS expected,
       coalesce(string_agg(wanted.col || ' ' || coalesce(there.type, 'missing'), ', ' ORDER BY wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)),
                'text, each of them') AS found
FROM (VALUES
    ('projects.id', true), ('projects.parent_project_id', true), ('conversations.project_id', true),
    ('messages.project_id', true), ('knowledge_base.project_id', true), ('files.project_id', true),
    ('audio_transcriptions.project_id', true), ('processed_images.project_id', true),
    ('processed_documents.project_id', true), ('device_context.project_id', false)
) AS wanted (col, needed)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) AS type
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col
      ON col.attrelid = tab.oid AND col.attname = split_part(wanted.col, '.', 2) AND col.attnum > 0 AND NOT col.attisdropped
    WHERE tab.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.col, '.', 1)) AND tab.relkind IN ('r', 'p')
    LIMIT 1
) AS there ON true;

-- name: checks_that_may_have_waited_are_there
SELECT count(*) FILTER (WHERE there.convalidated IS NOT TRUE) = 0 AS passed,
       'every check, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE there.convalidated IS NOT TRUE),
                'every check, validated') AS found
FROM (VALUES
    ('projects', 'projects_parent_project_id_check')
) AS wanted (tab, name)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_constraint AS there ON there.conrelid = tab.oid AND there.contype = 'c' AND there.conname = wanted.name;

-- name: keys_are_there_and_validated
-- Each between columns that are there: what a migration that was not applied would add is not asked for.
SELECT count(*) FILTER (WHERE there.convalidated IS NOT TRUE) = 0 AS passed,
       'every key, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE there.convalidated IS NOT TRUE),
                'every key, validated') AS found
FROM (VALUES
    ('projects', 'projects_parent_project_id_fkey', 'parent_project_id', 'projects'),
    ('messages', 'messages_project_id_fkey', 'project_id', 'projects'),
    ('knowledge_base', 'knowledge_base_project_id_fkey', 'project_id', 'projects'),
    ('files', 'files_project_id_fkey', 'project_id', 'projects'),
    ('processed_images', 'processed_images_project_id_fkey', 'project_id', 'projects'),
    ('processed_documents', 'processed_documents_project_id_fkey', 'project_id', 'projects'),
    ('audio_transcriptions', 'audio_transcriptions_project_id_fkey', 'project_id', 'projects'),
    ('conversations', 'conversations_project_id_fkey', 'project_id', 'projects')
) AS wanted (child, name, child_column, parent)
CROSS JOIN LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AS id) AS parent
JOIN LATERAL (
    SELECT child.attrelid, child.attnum FROM pg_catalog.pg_attribute AS child
    WHERE child.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.child)
      AND child.attname = wanted.child_column AND NOT child.attisdropped
    LIMIT 1
) AS col ON parent.id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = col.attrelid AND con.contype = 'f' AND con.conname = wanted.name
      AND con.confrelid = parent.id AND con.conkey = ARRAY[col.attnum]
    LIMIT 1
) AS there ON true;

-- name: every_key_to_them_is_text
-- Whoever refers to them, tables of somebody's own included.
SELECT count(*) FILTER (WHERE NOT there.fits) = 0 AS passed,
       'text at both ends' AS expected,
       coalesce(string_agg(there.name, ', ' ORDER BY there.name) FILTER (WHERE NOT there.fits), 'text at both ends') AS found
FROM (
    SELECT format('%s on %s', con.conname, con.conrelid::regclass) AS name,
           parent.atttypid = 'text'::regtype
               AND (SELECT child.atttypid FROM pg_catalog.pg_attribute AS child
                    WHERE child.attrelid = con.conrelid AND child.attnum = pair.child_column) = 'text'::regtype AS fits
    FROM unnest(ARRAY['projects.id']) AS wanted (name)
    JOIN LATERAL (
        SELECT col.attrelid, col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
        WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.name, '.', 1))
          AND col.attname = split_part(wanted.name, '.', 2)
        LIMIT 1
    ) AS parent ON true
    JOIN pg_catalog.pg_constraint AS con ON con.contype = 'f' AND con.confrelid = parent.attrelid
    CROSS JOIN unnest(con.conkey, con.confkey) AS pair (child_column, parent_column)
    WHERE pair.parent_column = parent.attnum
) AS there;

-- name: no_index_is_invalid
SELECT count(*) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('invalid: ' || string_agg(ind.relname, ', ' ORDER BY ind.relname) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)),
                'every index, valid') AS found
FROM pg_catalog.pg_index AS idx
JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p')
  AND tab.relname IN ('projects', 'conversations', 'messages', 'knowledge_base', 'files', 'audio_transcriptions',
                      'processed_images', 'processed_documents', 'device_context');

-- name: policies_that_may_have_waited_are_there
-- On each of these tables that is there, with its row level security on; but not
-- where a column that the policy compares is not text, or not there: it still waits.
SELECT count(*) FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity) = 0 AS passed,
       'every policy' AS expected,
       coalesce('missing: ' || string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name)
                    FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity), 'every policy') AS found
FROM (VALUES
    ('messages', 'messages_owner', ARRAY['messages.conversation_id', 'messages.user_id', 'messages.project_id', 'conversations.id', 'conversations.user_id', 'projects.id', 'projects.owner_id']),
    ('knowledge_base', 'knowledge_base_owner', ARRAY['knowledge_base.user_id', 'knowledge_base.project_id', 'projects.id', 'projects.owner_id']),
    ('files', 'files_owner', ARRAY['files.user_id', 'files.project_id', 'projects.id', 'projects.owner_id']),
    ('processed_images', 'processed_images_owner', ARRAY['processed_images.user_id', 'processed_images.project_id', 'projects.id', 'projects.owner_id']),
    ('processed_documents', 'processed_documents_owner', ARRAY['processed_documents.user_id', 'processed_documents.project_id', 'projects.id', 'projects.owner_id']),
    ('audio_transcriptions', 'audio_transcriptions_own_project', ARRAY['audio_transcriptions.project_id', 'projects.id', 'projects.owner_id']),
    ('conversations', 'conversations_own_project', ARRAY['conversations.project_id', 'projects.id', 'projects.owner_id'])
) AS wanted (tab, name, compares)
JOIN pg_catalog.pg_class AS tab
  ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p') AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_policy AS pol ON pol.polrelid = tab.oid AND pol.polname = wanted.name
WHERE cardinality(wanted.compares) = (
    SELECT count(*)
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid
           FROM pg_catalog.pg_class AS typed
           JOIN pg_catalog.pg_attribute AS col ON col.attrelid = typed.oid AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped
           WHERE typed.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND typed.relkind IN ('r', 'p')) = 'text'::regtype);

-- name: triggers_that_may_have_waited_are_enabled
SELECT count(*) FILTER (WHERE trg.tgenabled IN ('O', 'A')) = count(*) AS passed,
       string_agg(wanted.name, ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE trg.tgenabled IN ('O', 'A')), 'none') AS found
FROM (VALUES
    ('audio_transcriptions', 'audio_transcriptions_general_project')
) AS wanted (tab, name)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_trigger AS trg ON trg.tgrelid = tab.oid AND trg.tgname = wanted.name;

-- name: ids_have_a_default
SELECT bool_and(col.atthasdef) AS passed,
       'a default for each' AS expected,
       coalesce('none for ' || string_agg(wanted.tab || '.id', ', ' ORDER BY wanted.tab) FILTER (WHERE NOT col.atthasdef), 'a default for each') AS found
FROM unnest(ARRAY['projects']) AS wanted (tab)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = 'id' AND NOT col.attisdropped;
