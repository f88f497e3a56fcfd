-- name: frequently_queried_columns_are_indexed
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('projects', 'idx_projects_owner_id_status_updated_at'),
    ('projects', 'idx_projects_owner_id_priority_updated_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: partial_indexes_for_active_projects
SELECT bool_and((there.usable AND there.condition = wanted.condition) IS TRUE) AS passed,
       string_agg(format('%s WHERE %s', wanted.name, wanted.condition), ', ' ORDER BY wanted.name) AS expected,
       string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing'
                                                    WHEN NOT there.usable THEN 'invalid'
                                                    ELSE 'WHERE ' || coalesce(there.condition, 'nothing') END), ', ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('idx_projects_active_owner_id_updated_at', '(status = ''active''::text)'),
    ('idx_projects_unarchived_user_id_updated_at', '(NOT archived)')
) AS wanted (name, condition)
LEFT JOIN (
    SELECT idx.relname AS name, ind.indisvalid AND ind.indisready AS usable, pg_get_expr(ind.indpred, ind.indrelid) AS condition
    FROM pg_catalog.pg_index AS ind
    JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
    JOIN pg_catalog.pg_class AS tab ON tab.oid = ind.indrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'projects'
) AS there ON there.name = wanted.name;

-- name: joins_are_indexed
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'idx_conversations_user_id_project_id_updated_at'),
    ('audio_transcriptions', 'idx_audio_transcriptions_user_id_project_id_created_at'),
    ('files', 'idx_files_user_id_project_id_created_at'),
    ('knowledge_base', 'idx_knowledge_base_user_id_project_id_created_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: planner_knows_which_columns_go_together
SELECT bool_and(there.stxname IS NOT NULL) AS passed,
       string_agg(wanted.name, ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(there.stxname, ', ' ORDER BY wanted.name), 'none') AS found
FROM (VALUES
    ('projects', 'projects_owner_id_user_id_statistics'),
    ('conversations', 'conversations_user_id_project_id_statistics'),
    ('audio_transcriptions', 'audio_transcriptions_user_id_project_id_statistics'),
    ('files', 'files_user_id_project_id_statistics'),
    ('knowledge_base', 'knowledge_base_user_id_project_id_statistics')
) AS wanted (tab, name)
LEFT JOIN (
    SELECT tab.relname, ext.stxname
    FROM pg_catalog.pg_statistic_ext AS ext
    JOIN pg_catalog.pg_class AS tab ON tab.oid = ext.stxrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND ext.stxnamespace = tab.relnamespace
) AS there ON (there.relname, there.stxname) = (wanted.tab, wanted.name);

-- name: project_columns_are_of_one_type
-- Only then can the joins use these indexes.
SELECT count(DISTINCT col.atttypid) = 1 AND count(*) = 5 AS passed,
       'projects.id and four project_id columns of type text' AS expected,
       string_agg(format('%s %s', wanted.name, format_type(col.atttypid, col.atttypmod)), ', '
                  ORDER BY split_part(wanted.name, '.', 1) COLLATE "C") AS found
FROM unnest(ARRAY['projects.id', 'conversations.project_id', 'audio_transcriptions.project_id', 'files.project_id',
                  'knowledge_base.project_id']) AS wanted (name)
JOIN LATERAL (
    SELECT there.atttypid, there.atttypmod FROM pg_catalog.pg_attribute AS there
    WHERE there.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.name, '.', 1))
      AND there.attname = split_part(wanted.name, '.', 2) AND NOT there.attisdropped
    LIMIT 1
) AS col ON true;
