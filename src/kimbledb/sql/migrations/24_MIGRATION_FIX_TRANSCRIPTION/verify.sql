-- name: columns_have_their_types
-- id may be a number, as it was long ago, and user_id is for COMPREHENSIVE_TYPE_FIX.sql; both are asked below.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM wanted.type OR (wanted.fallback AND NOT there.fallback)) = 0 AS passed,
       'every column, of its type, with its default' AS expected,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col,
                                  CASE WHEN there.type = wanted.type THEN 'without a default' ELSE coalesce(there.type, 'missing') END), ', ')
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type OR (wanted.fallback AND NOT there.fallback)),
                'every column, of its type, with its default') AS found
FROM (VALUES
    ('audio_transcriptions', 'file_id', 'text', false),
    ('audio_transcriptions', 'filename', 'text', false),
    ('audio_transcriptions', 'file_size', 'bigint', false),
    ('audio_transcriptions', 'duration', 'double precision', false),
    ('audio_transcriptions', 'text', 'text', false),
    ('audio_transcriptions', 'content', 'text', false),
    ('audio_transcriptions', 'segments', 'jsonb', false),
    ('audio_transcriptions', 'words', 'jsonb', false),
    ('audio_transcriptions', 'utterances', 'jsonb', false),
    ('audio_transcriptions', 'chapters', 'jsonb', false),
    ('audio_transcriptions', 'language', 'text', false),
    ('audio_transcriptions', 'storage_url', 'text', false),
    ('audio_transcriptions', 'metadata', 'jsonb', true),
    ('audio_transcriptions', 'is_active', 'boolean', true),
    ('audio_transcriptions', 'detected_at', 'timestamp with time zone', true),
    ('audio_transcriptions', 'created_at', 'timestamp with time zone', true),
    ('audio_transcriptions', 'updated_at', 'timestamp with time zone', true),
    ('audio_transcriptions', 'job_id', 'text', false),
    ('audio_transcriptions', 'assemblyai_id', 'text', false),
    ('audio_transcriptions', 'service', 'text', false),
    ('audio_transcriptions', 'status', 'text', true),
    ('audio_transcriptions', 'progress', 'integer', true),
    ('audio_transcriptions', 'error_message', 'text', false),
    ('audio_transcriptions', 'error', 'text', false),
    ('audio_transcriptions', 'job_metadata', 'jsonb', true),
    ('audio_transcriptions', 'job_submitted_at', 'timestamp with time zone', false),
    ('audio_transcriptions', 'job_completed_at', 'timestamp with time zone', false)
) AS wanted (tab, col, type, fallback)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) AS type, col.atthasdef OR col.attidentity <> '' AS fallback
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = wanted.col AND col.attnum > 0 AND NOT col.attisdropped
    WHERE tab.oid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND tab.relkind IN ('r', 'p')
    LIMIT 1
) AS there ON true;

-- name: ids_have_a_default
SELECT bool_and(col.atthasdef) AS passed,
       'a default for each' AS expected,
       coalesce('none for ' || string_agg(wanted.tab || '.id', ', ' ORDER BY wanted.tab) FILTER (WHERE NOT col.atthasdef), 'a default for each') AS found
FROM unnest(ARRAY['audio_transcriptions']) AS wanted (tab)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = 'id' AND NOT col.attisdropped;

-- name: parts_are_there
-- Constraints validated, indexes valid, triggers enabled. A key or a policy still
-- waits where a column that it compares is not text.
SELECT count(*) FILTER (WHERE there.works IS NOT TRUE) = 0 AS passed,
       'every part' AS expected,
       coalesce('missing or not in force: ' || string_agg(format('%s %s on %s', wanted.kind, wanted.name, wanted.tab), ', ')
                    FILTER (WHERE there.works IS NOT TRUE), 'every part') AS found
FROM (VALUES
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_pkey', NULL::text[]),
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_file_size_check', NULL),
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_duration_check', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_user_id', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_file_id', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_filename', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_text', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_metadata', NULL),
    ('trigger', 'audio_transcriptions', 'audio_transcriptions_set_updated_at', NULL),
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_progress_check', NULL),
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_job_completed_at_check', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_job_id', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_assemblyai_id', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_status', NULL),
    ('index', 'audio_transcriptions', 'idx_audio_transcriptions_open_jobs', NULL),
    ('trigger', 'audio_transcriptions', 'audio_transcriptions_sync_error_message', NULL),
    ('constraint', 'audio_transcriptions', 'audio_transcriptions_user_id_fkey', ARRAY['audio_transcriptions.user_id', 'users.id']),
    ('policy', 'audio_transcriptions', 'audio_transcriptions_owner', ARRAY['audio_transcriptions.user_id'])
) AS wanted (kind, tab, name, compares)
CROSS JOIN LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AS id) AS tab
LEFT JOIN LATERAL (
    SELECT con.convalidated AS works FROM pg_catalog.pg_constraint AS con
    WHERE wanted.kind = 'constraint' AND con.conrelid = tab.id AND con.conname = wanted.name
    UNION ALL
    SELECT idx.indisvalid AND idx.indisready FROM pg_catalog.pg_index AS idx
    WHERE wanted.kind = 'index' AND idx.indrelid = tab.id
      AND idx.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    UNION ALL
    SELECT trg.tgenabled IN ('O', 'A') FROM pg_catalog.pg_trigger AS trg
    WHERE wanted.kind = 'trigger' AND trg.tgrelid = tab.id AND trg.tgname = wanted.name
    UNION ALL
    SELECT true FROM pg_catalog.pg_policy AS pol
    WHERE wanted.kind = 'policy' AND pol.polrelid = tab.id AND pol.polname = wanted.name
) AS there ON true
WHERE wanted.compares IS NULL
   OR cardinality(wanted.compares) = (
    SELECT count(*)
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid
           FROM pg_catalog.pg_class AS typed
           JOIN pg_catalog.pg_attribute AS col ON col.attrelid = typed.oid AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped
           WHERE typed.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND typed.relkind IN ('r', 'p')) = 'text'::regtype);

-- name: tables_and_views_are_closed
-- Row level security on every table, views by the rights of whoever asks.
SELECT count(*) FILTER (WHERE wanted.closed IS NOT TRUE) = 0 AS passed,
       'every one there, and closed' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE wanted.closed IS NOT TRUE), 'every one there, and closed') AS found
FROM (
    SELECT listed.name, CASE rel.relkind WHEN 'v' THEN 'security_invoker=true' = ANY (rel.reloptions) ELSE rel.relrowsecurity END AS closed
    FROM unnest(ARRAY['audio_transcriptions']) AS listed (name)
    LEFT JOIN pg_catalog.pg_class AS rel
      ON rel.relnamespace = quote_ident(current_schema())::regnamespace AND rel.relkind IN ('r', 'p', 'v') AND rel.relname = listed.name
) AS wanted;

-- name: nothing_stands_there_twice
-- The same constraint, index, trigger or policy under two names; what backs a constraint does not count.
WITH tables AS (
    SELECT tab.oid AS id, tab.relname AS name
    FROM pg_catalog.pg_class AS tab
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname IN ('audio_transcriptions')
),
present (kind, tab, name, said) AS (
    SELECT 'constraint', con.conrelid, con.conname, CASE con.contype WHEN 'f' THEN row(con.conkey, con.confrelid, con.confkey)::text
                                                                     ELSE pg_get_constraintdef(con.oid) END
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid IN (SELECT id FROM tables)
    UNION ALL
    SELECT 'index', idx.indrelid, ind.relname,
           row(ind.relam, idx.indisunique, idx.indnullsnotdistinct, idx.indnkeyatts, idx.indkey, idx.indclass, idx.indcollation,
               idx.indoption, ind.reloptions, pg_get_expr(idx.indexprs, idx.indrelid), pg_get_expr(idx.indpred, idx.indrelid))::text
    FROM pg_catalog.pg_index AS idx
    JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
    WHERE idx.indrelid IN (SELECT id FROM tables)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = idx.indexrelid)
    UNION ALL
    SELECT 'trigger', trg.tgrelid, trg.tgname, replace(pg_get_triggerdef(trg.oid), format(' TRIGGER %I ', trg.tgname), ' TRIGGER ')
    FROM pg_catalog.pg_trigger AS trg
    WHERE trg.tgrelid IN (SELECT id FROM tables) AND NOT trg.tgisinternal
    UNION ALL
    SELECT 'policy', pol.polrelid, pol.polname,
           row(pol.polcmd, pol.polpermissive, pol.polroles, pg_get_expr(pol.polqual, pol.polrelid), pg_get_expr(pol.polwithcheck, pol.polrelid))::text
    FROM pg_catalog.pg_policy AS pol
    WHERE pol.polrelid IN (SELECT id FROM tables)
)
SELECT count(twins.names) = 0 AS passed, 'each once' AS expected,
       coalesce(string_agg(format('%s %s on %s', twins.kind, twins.names, twins.tab), '; '), 'each once') AS found
FROM (
    SELECT present.kind, tables.name AS tab, string_agg(present.name, ' and ' ORDER BY present.name) AS names
    FROM present
    JOIN tables ON tables.id = present.tab
    GROUP BY present.kind, tables.name, present.said
    HAVING count(*) > 1 AND bool_or((present.kind, tables.name::text, present.name::text) IN (
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_pkey'),
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_file_size_check'),
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_duration_check'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_user_id'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_file_id'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_filename'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_text'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_metadata'),
        ('trigger', 'audio_transcriptions', 'audio_transcriptions_set_updated_at'),
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_progress_check'),
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_job_completed_at_check'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_job_id'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_assemblyai_id'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_status'),
        ('index', 'audio_transcriptions', 'idx_audio_transcriptions_open_jobs'),
        ('trigger', 'audio_transcriptions', 'audio_transcriptions_sync_error_message'),
        ('constraint', 'audio_transcriptions', 'audio_transcriptions_user_id_fkey'),
        ('policy', 'audio_transcriptions', 'audio_transcriptions_owner')))
) AS twins;

-- name: no_index_is_invalid
SELECT count(*) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('invalid: ' || string_agg(ind.relname, ', ' ORDER BY ind.relname) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)),
                'every index, valid') AS found
FROM pg_catalog.pg_index AS idx
JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p')
  AND tab.relname IN ('audio_transcriptions');

-- name: two_names_agree
SELECT count(*) = 0 AS passed, '0 rows that disagree' AS expected, count(*) || ' rows that disagree' AS found
FROM audio_transcriptions WHERE error_message IS DISTINCT FROM error;
