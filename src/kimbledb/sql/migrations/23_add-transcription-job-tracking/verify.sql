-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('audio_transcriptions', '{job_id,assemblyai_id,service,status,progress,error_message,error,job_metadata,job_submitted_at,job_completed_at}')
) AS listed (tab, cols)
CROSS JOIN LATERAL unnest(listed.cols::text[]) AS wanted (col)
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || listed.tab) AND col.attname = wanted.col AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: constraints
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every constraint' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every constraint') AS found
FROM unnest(ARRAY['audio_transcriptions_progress_check', 'audio_transcriptions_job_completed_at_check']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.connamespace = quote_ident(current_schema())::regnamespace AND con.conname = wanted.name
    OFFSET 0  -- each by the index
) AS k ON true;

-- name: indexes
SELECT count(*) FILTER (WHERE i.indisvalid IS NOT TRUE) = 0 AS passed, 'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY['idx_audio_transcriptions_job_id', 'idx_audio_transcriptions_assemblyai_id',
                  'idx_audio_transcriptions_status', 'idx_audio_transcriptions_open_jobs']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['audio_transcriptions_sync_error_message']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: functions
SELECT count(*) FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')) = 0 AS passed,
       'every function, by the rights of the caller, its search_path pinned' AS expected,
       coalesce('missing or otherwise: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')), 'every function') AS found
FROM unnest(ARRAY['audio_transcriptions_sync_error_message()']) AS wanted (name)
LEFT JOIN pg_catalog.pg_proc AS p ON p.pronamespace = quote_ident(current_schema())::regnamespace
    AND p.proname = split_part(wanted.name, '(', 1) AND p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' = wanted.name;

-- name: two_names_agree
SELECT count(*) = 0 AS passed, '0 rows that disagree' AS expected, count(*) || ' rows that disagree' AS found
FROM audio_transcriptions WHERE error_message IS DISTINCT FROM error;
