-- COMBINED-CRITICAL-MIGRATIONS.sql
--
-- A repair: what file-registry-migration.sql, file-integration-enhancement.sql,
-- notifications-table-migration.sql and backups-table-migration.sql make, once more
-- in one place. On a database where they were applied it finds nothing to do and
-- writes nothing. Where a part of theirs was lost since it is made again, and where
-- one stands there twice under another name, as after an older form of this
-- migration, the other one goes. Functions are not here: without one of them its
-- trigger cannot be made, and the error names it.

-- An index that a failed build left invalid is built again; one that somebody is
-- building at this moment is theirs.
DO $indexes$
DECLARE
    broken record;
BEGIN
    FOR broken IN
        SELECT idx.indexrelid::regclass AS name
        FROM pg_catalog.pg_index AS idx
        JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind = 'r'
          AND tab.relname IN ('file_registry', 'file_relationships', 'file_sources', 'knowledge_base', 'notifications',
                          'backups')
          AND NOT (idx.indisvalid AND idx.indisready)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS build WHERE build.index_relid = idx.indexrelid)
    LOOP
        EXECUTE format('REINDEX INDEX %s', broken.name);
    END LOOP;
END
$indexes$;

-- What is missing is made. Keys and policies wait where a column that they compare is
-- not text. What says the same as one of these under another name is dropped.
DO $complete$
DECLARE
    home CONSTANT oid := quote_ident(current_schema())::regnamespace;
    parts jsonb;
    part record;
    made text[] := '{}';
    api_role text;
BEGIN
    SELECT jsonb_agg(to_jsonb(wanted))
    INTO parts
    FROM (
        SELECT *, NULL::text[] AS compares
        FROM (VALUES
            ('table', 'file_registry', 'file_registry', NULL),
            ('column', 'file_registry', 'id', 'text NOT NULL DEFAULT gen_random_uuid()::text'),
            ('column', 'file_registry', 'user_id', 'text'),
            ('column', 'file_registry', 'file_id', 'text'),
            ('column', 'file_registry', 'file_source', 'text NOT NULL DEFAULT ''upload'''),
            ('column', 'file_registry', 'source_id', 'text'),
            ('column', 'file_registry', 'source_metadata', 'jsonb DEFAULT ''{}'''),
            ('column', 'file_registry', 'filename', 'text'),
            ('column', 'file_registry', 'mime_type', 'text'),
            ('column', 'file_registry', 'file_size', 'bigint'),
            ('column', 'file_registry', 'storage_path', 'text'),
            ('column', 'file_registry', 'preview_url', 'text'),
            ('column', 'file_registry', 'thumbnail_url', 'text'),
            ('column', 'file_registry', 'thumbnail_path', 'text'),
            ('column', 'file_registry', 'processed', 'boolean NOT NULL DEFAULT false'),
            ('column', 'file_registry', 'processing_status', 'text NOT NULL DEFAULT ''pending'''),
            ('column', 'file_registry', 'processing_result', 'jsonb'),
            ('column', 'file_registry', 'processing_error', 'text'),
            ('column', 'file_registry', 'processing_started_at', 'timestamptz'),
            ('column', 'file_registry', 'processing_completed_at', 'timestamptz'),
            ('column', 'file_registry', 'knowledge_base_ids', 'text[] DEFAULT ''{}'''),
            ('column', 'file_registry', 'tags', 'text[] DEFAULT ''{}'''),
            ('column', 'file_registry', 'projects', 'text[] DEFAULT ''{}'''),
            ('column', 'file_registry', 'metadata', 'jsonb NOT NULL DEFAULT ''{}'''),
            ('column', 'file_registry', 'content_hash', 'text'),
            ('column', 'file_registry', 'version', 'integer NOT NULL DEFAULT 1'),
            ('column', 'file_registry', 'previous_version_id', 'text'),
            ('column', 'file_registry', 'is_current_version', 'boolean NOT NULL DEFAULT true'),
            ('column', 'file_registry', 'indexed_at', 'timestamptz'),
            ('column', 'file_registry', 'created_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'file_registry', 'updated_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('constraint', 'file_registry', 'file_registry_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'file_registry', 'file_registry_file_source_check',
             'CHECK (file_source IN (''calendar'', ''calendar_attachment'', ''drive'', ''email_attachment'', ''gmail'', ''link'', ''upload''))'),
            ('constraint', 'file_registry', 'file_registry_processing_status_check',
             'CHECK (processing_status IN (''pending'', ''processing'', ''completed'', ''failed''))'),
            ('constraint', 'file_registry', 'file_registry_file_size_check', 'CHECK (file_size >= 0)'),
            ('constraint', 'file_registry', 'file_registry_version_check', 'CHECK (version >= 1)'),
            ('constraint', 'file_registry', 'file_registry_previous_version_id_check', 'CHECK (previous_version_id <> id)'),
            ('index', 'file_registry', 'idx_file_registry_user_id', '(user_id, created_at DESC)'),
            ('index', 'file_registry', 'idx_file_registry_indexed_at', '(user_id, indexed_at DESC NULLS LAST)'),
            ('index', 'file_registry', 'idx_file_registry_source', '(file_source, source_id)'),
            ('index', 'file_registry', 'idx_file_registry_file_id', '(file_id)'),
            ('index', 'file_registry', 'idx_file_registry_previous_version_id', '(previous_version_id)'),
            ('index', 'file_registry', 'idx_file_registry_content_hash', '(user_id, content_hash) WHERE content_hash IS NOT NULL'),
            ('index', 'file_registry', 'idx_file_registry_mime_type', '(user_id, mime_type)'),
            ('index', 'file_registry', 'idx_file_registry_filename', 'USING gin (filename gin_trgm_ops)'),
            ('index', 'file_registry', 'idx_file_registry_tags', 'USING gin (tags)'),
            ('index', 'file_registry', 'idx_file_registry_projects', 'USING gin (projects)'),
            ('index', 'file_registry', 'idx_file_registry_metadata', 'USING gin (metadata)'),
            ('index', 'file_registry', 'idx_file_registry_source_metadata', 'USING gin (source_metadata)'),
            ('index', 'file_registry', 'idx_file_registry_unprocessed', '(created_at) WHERE NOT processed'),
            ('comment', 'file_registry', 'file_id', 'The file of the table files, where it is one.'),
            ('comment', 'file_registry', 'source_id', 'Its number where it came from.'),
            ('comment', 'file_registry', 'knowledge_base_ids', 'The pieces of knowledge that were made of it.'),
            ('comment', 'file_registry', 'projects', 'The projects that it belongs to.'),
            ('comment', 'file_registry', 'thumbnail_path', 'Where its small picture lies in the storage.'),
            ('comment', 'file_registry', 'content_hash', 'The SHA-256 of its content, to find copies.'),
            ('comment', 'file_registry', 'version', 'Counted by a trigger along previous_version_id.'),
            ('comment', 'file_registry', 'is_current_version', 'False once a newer version names it as its previous one.'),
            ('trigger', 'file_registry', 'file_registry_track_processing',
             'BEFORE INSERT OR UPDATE OF processed, processing_status ON file_registry FOR EACH ROW EXECUTE FUNCTION file_registry_track_processing()'),
            ('trigger', 'file_registry', 'file_registry_next_version',
             'BEFORE INSERT OR UPDATE OF previous_version_id ON file_registry FOR EACH ROW WHEN (NEW.previous_version_id IS NOT NULL) EXECUTE FUNCTION file_registry_next_version()'),
            ('trigger', 'file_registry', 'file_registry_set_updated_at',
             'BEFORE UPDATE ON file_registry FOR EACH ROW EXECUTE FUNCTION set_updated_at()'),
            ('row level security', 'file_registry', 'file_registry', NULL),
            ('column', 'knowledge_base', 'file_id', 'text'),
            ('table', 'file_relationships', 'file_relationships', NULL),
            ('column', 'file_relationships', 'id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
            ('column', 'file_relationships', 'file_id', 'text NOT NULL'),
            ('column', 'file_relationships', 'related_file_id', 'text NOT NULL'),
            ('column', 'file_relationships', 'relationship_type', 'text NOT NULL'),
            ('column', 'file_relationships', 'confidence', 'double precision NOT NULL DEFAULT 1'),
            ('column', 'file_relationships', 'metadata', 'jsonb NOT NULL DEFAULT ''{}'''),
            ('column', 'file_relationships', 'created_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('constraint', 'file_relationships', 'file_relationships_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'file_relationships', 'file_relationships_pair_key',
             'UNIQUE (file_id, related_file_id, relationship_type)'),
            ('constraint', 'file_relationships', 'file_relationships_relationship_type_check',
             'CHECK (relationship_type IN (''duplicate'', ''version'', ''attachment'', ''derived'', ''related''))'),
            ('constraint', 'file_relationships', 'file_relationships_confidence_check', 'CHECK (confidence BETWEEN 0 AND 1)'),
            ('constraint', 'file_relationships', 'file_relationships_related_file_id_check', 'CHECK (related_file_id <> file_id)'),
            ('table', 'file_sources', 'file_sources', NULL),
            ('column', 'file_sources', 'id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
            ('column', 'file_sources', 'file_id', 'text NOT NULL'),
            ('column', 'file_sources', 'source', 'text NOT NULL'),
            ('column', 'file_sources', 'source_id', 'text'),
            ('column', 'file_sources', 'source_url', 'text'),
            ('column', 'file_sources', 'source_metadata', 'jsonb NOT NULL DEFAULT ''{}'''),
            ('column', 'file_sources', 'first_seen_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'file_sources', 'last_seen_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('constraint', 'file_sources', 'file_sources_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'file_sources', 'file_sources_file_id_source_source_id_key',
             'UNIQUE NULLS NOT DISTINCT (file_id, source, source_id)'),
            ('constraint', 'file_sources', 'file_sources_source_check',
             'CHECK (source IN (''calendar'', ''calendar_attachment'', ''drive'', ''email_attachment'', ''gmail'', ''link'', ''upload''))'),
            ('constraint', 'file_sources', 'file_sources_last_seen_at_check', 'CHECK (last_seen_at >= first_seen_at)'),
            ('index', 'knowledge_base', 'idx_knowledge_base_file_id', '(file_id)'),
            ('index', 'file_relationships', 'idx_file_relationships_related_file_id', '(related_file_id)'),
            ('index', 'file_relationships', 'idx_file_relationships_type', '(relationship_type, file_id)'),
            ('index', 'file_sources', 'idx_file_sources_source', '(source, source_id)'),
            ('comment', 'file_relationships', 'related_file_id',
             'The earlier or the greater one: the original, the version before, what it is attached to.'),
            ('comment', 'file_relationships', 'confidence', 'From 0 to 1.'),
            ('comment', 'file_sources', 'source_id', 'Its number there.'),
            ('comment', 'knowledge_base', 'file_id', 'The file that the piece was learnt from; it goes with the file.'),
            ('view', 'duplicate_files', 'duplicate_files',
             'WITH (security_invoker = true) AS SELECT user_id, content_hash, count(*) AS copies, min(created_at) AS first_seen_at, array_agg(id ORDER BY created_at, id) AS file_ids, sum(file_size) - max(file_size) AS wasted_bytes FROM file_registry WHERE content_hash IS NOT NULL AND is_current_version GROUP BY user_id, content_hash HAVING count(*) > 1'),
            ('trigger', 'file_registry', 'file_registry_track_source',
             'AFTER INSERT OR UPDATE OF file_source, source_id ON file_registry FOR EACH ROW EXECUTE FUNCTION file_registry_track_source()'),
            ('row level security', 'file_relationships', 'file_relationships', NULL),
            ('row level security', 'file_sources', 'file_sources', NULL),
            ('table', 'notifications', 'notifications', NULL),
            ('column', 'notifications', 'id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
            ('column', 'notifications', 'user_id', 'text'),
            ('column', 'notifications', 'type', 'text NOT NULL DEFAULT ''info'''),
            ('column', 'notifications', 'title', 'text'),
            ('column', 'notifications', 'message', 'text'),
            ('column', 'notifications', 'link', 'text'),
            ('column', 'notifications', 'priority', 'text NOT NULL DEFAULT ''normal'''),
            ('column', 'notifications', 'status', 'text NOT NULL DEFAULT ''pending'''),
            ('column', 'notifications', 'read', 'boolean NOT NULL DEFAULT false'),
            ('column', 'notifications', 'read_at', 'timestamptz'),
            ('column', 'notifications', 'metadata', 'jsonb DEFAULT ''{}'''),
            ('column', 'notifications', 'data', 'jsonb DEFAULT ''{}'''),
            ('column', 'notifications', 'email_sent', 'boolean NOT NULL DEFAULT false'),
            ('column', 'notifications', 'email_sent_at', 'timestamptz'),
            ('column', 'notifications', 'email_address', 'text'),
            ('column', 'notifications', 'email_error', 'text'),
            ('column', 'notifications', 'email_attempts', 'integer NOT NULL DEFAULT 0'),
            ('column', 'notifications', 'expires_at', 'timestamptz'),
            ('column', 'notifications', 'created_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'notifications', 'updated_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('constraint', 'notifications', 'notifications_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'notifications', 'notifications_type_check',
             'CHECK (type IN (''error'', ''info'', ''success'', ''warning''))'),
            ('constraint', 'notifications', 'notifications_priority_check',
             'CHECK (priority IN (''low'', ''normal'', ''high'', ''urgent''))'),
            ('constraint', 'notifications', 'notifications_status_check',
             'CHECK (status IN (''pending'', ''delivered'', ''dismissed'', ''failed''))'),
            ('constraint', 'notifications', 'notifications_email_attempts_check', 'CHECK (email_attempts >= 0)'),
            ('index', 'notifications', 'idx_notifications_user_id', '(user_id, created_at DESC)'),
            ('index', 'notifications', 'idx_notifications_unread', '(user_id, created_at DESC) WHERE NOT read'),
            ('index', 'notifications', 'idx_notifications_email_pending',
             '(created_at) WHERE NOT email_sent AND email_address IS NOT NULL'),
            ('index', 'notifications', 'idx_notifications_expires_at', '(expires_at) WHERE expires_at IS NOT NULL'),
            ('comment', 'notifications', 'status', 'How its delivery stands.'),
            ('comment', 'notifications', 'data', 'What the application hands to its own handlers.'),
            ('comment', 'notifications', 'email_sent', 'Whether a mail went out, for those that have an email_address.'),
            ('trigger', 'notifications', 'notifications_track_reading',
             'BEFORE INSERT OR UPDATE OF read, email_sent ON notifications FOR EACH ROW EXECUTE FUNCTION notifications_track_reading()'),
            ('trigger', 'notifications', 'notifications_set_updated_at',
             'BEFORE UPDATE ON notifications FOR EACH ROW EXECUTE FUNCTION set_updated_at()'),
            ('row level security', 'notifications', 'notifications', NULL),
            ('table', 'backups', 'backups', NULL),
            ('column', 'backups', 'id', 'text NOT NULL DEFAULT gen_random_uuid()::text'),
            ('column', 'backups', 'user_id', 'text'),
            ('column', 'backups', 'backup_type', 'text NOT NULL DEFAULT ''automatic'''),
            ('column', 'backups', 'status', 'text NOT NULL DEFAULT ''pending'''),
            ('column', 'backups', 'data_counts', 'jsonb DEFAULT ''{}'''),
            ('column', 'backups', 'backup_data', 'jsonb'),
            ('column', 'backups', 'backup_size_bytes', 'bigint'),
            ('column', 'backups', 'total_size', 'bigint'),
            ('column', 'backups', 'file_count', 'integer'),
            ('column', 'backups', 'storage_location', 'text'),
            ('column', 'backups', 'drive_file_id', 'text'),
            ('column', 'backups', 'drive_file_url', 'text'),
            ('column', 'backups', 'drive_uploaded_at', 'timestamptz'),
            ('column', 'backups', 'error_message', 'text'),
            ('column', 'backups', 'is_restore_point', 'boolean NOT NULL DEFAULT false'),
            ('column', 'backups', 'restore_point_name', 'text'),
            ('column', 'backups', 'restored_at', 'timestamptz'),
            ('column', 'backups', 'expires_at', 'timestamptz'),
            ('column', 'backups', 'started_at', 'timestamptz'),
            ('column', 'backups', 'completed_at', 'timestamptz'),
            ('column', 'backups', 'created_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'backups', 'updated_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'backups', 'duration_seconds',
             'double precision GENERATED ALWAYS AS (extract(epoch FROM completed_at - started_at)::double precision) STORED'),
            ('constraint', 'backups', 'backups_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'backups', 'backups_backup_type_check',
             'CHECK (backup_type IN (''automatic'', ''manual'', ''scheduled''))'),
            ('constraint', 'backups', 'backups_status_check',
             'CHECK (status IN (''completed'', ''failed'', ''in_progress'', ''pending''))'),
            ('constraint', 'backups', 'backups_backup_size_bytes_check', 'CHECK (backup_size_bytes >= 0)'),
            ('constraint', 'backups', 'backups_total_size_check', 'CHECK (total_size >= 0)'),
            ('constraint', 'backups', 'backups_file_count_check', 'CHECK (file_count >= 0)'),
            ('constraint', 'backups', 'backups_completed_at_check', 'CHECK (completed_at >= started_at)'),
            ('index', 'backups', 'idx_backups_user_id', '(user_id, created_at DESC)'),
            ('index', 'backups', 'idx_backups_created_at', '(created_at DESC)'),
            ('index', 'backups', 'idx_backups_drive_file_id', '(drive_file_id) WHERE drive_file_id IS NOT NULL'),
            ('index', 'backups', 'idx_backups_restore_points',
             '(user_id, completed_at DESC) WHERE is_restore_point AND status = ''completed'''),
            ('index', 'backups', 'idx_backups_expires_at', '(expires_at) WHERE expires_at IS NOT NULL'),
            ('comment', 'backups', 'data_counts', 'How many rows of which table it holds.'),
            ('comment', 'backups', 'backup_data', 'The data itself, where it is small enough to stay here.'),
            ('comment', 'backups', 'duration_seconds', 'From started_at to completed_at.'),
            ('comment', 'backups', 'drive_file_id', 'The file in Google Drive that holds it.'),
            ('comment', 'backups', 'is_restore_point', 'Whether it can be gone back to.'),
            ('comment', 'backups', 'restored_at', 'When somebody last went back to it.'),
            ('view', 'restore_points', 'restore_points',
             'WITH (security_invoker = true) AS SELECT id, user_id, coalesce(restore_point_name, backup_type || '' '' || completed_at::date) AS name, completed_at, backup_type, backup_size_bytes, file_count, data_counts, drive_file_url, storage_location, restored_at FROM backups WHERE is_restore_point AND status = ''completed'' AND (expires_at IS NULL OR expires_at > now())'),
            ('trigger', 'backups', 'backups_set_updated_at',
             'BEFORE UPDATE ON backups FOR EACH ROW EXECUTE FUNCTION set_updated_at()'),
            ('row level security', 'backups', 'backups', NULL)
        ) AS plain (kind, tab, name, definition)
        UNION ALL
        SELECT *
        FROM (VALUES
            ('constraint', 'file_registry', 'file_registry_user_id_fkey',
             'FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE', ARRAY['file_registry.user_id', 'users.id']),
            ('constraint', 'file_registry', 'file_registry_file_id_fkey',
             'FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE SET NULL', ARRAY['file_registry.file_id', 'files.id']),
            ('constraint', 'file_registry', 'file_registry_previous_version_id_fkey',
             'FOREIGN KEY (previous_version_id) REFERENCES file_registry (id) ON DELETE SET NULL', ARRAY['file_registry.previous_version_id', 'file_registry.id']),
            ('policy', 'file_registry', 'file_registry_owner',
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (file_id IS NULL OR EXISTS ('
             'SELECT FROM files AS f WHERE f.id = file_registry.file_id AND f.user_id = (SELECT requesting_user_id()))))',
             ARRAY['file_registry.user_id', 'files.id', 'files.user_id']),
            ('constraint', 'knowledge_base', 'knowledge_base_file_id_fkey',
             'FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE', ARRAY['knowledge_base.file_id', 'file_registry.id']),
            ('constraint', 'file_relationships', 'file_relationships_file_id_fkey',
             'FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE', ARRAY['file_relationships.file_id', 'file_registry.id']),
            ('constraint', 'file_relationships', 'file_relationships_related_file_id_fkey',
             'FOREIGN KEY (related_file_id) REFERENCES file_registry (id) ON DELETE CASCADE', ARRAY['file_relationships.related_file_id', 'file_registry.id']),
            ('constraint', 'file_sources', 'file_sources_file_id_fkey',
             'FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE', ARRAY['file_sources.file_id', 'file_registry.id']),
            ('policy', 'knowledge_base', 'knowledge_base_own_file',
             'AS RESTRICTIVE WITH CHECK (file_id IS NULL OR EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = knowledge_base.file_id AND f.user_id = (SELECT requesting_user_id())))',
             ARRAY['file_registry.id', 'file_registry.user_id', 'knowledge_base.file_id']),
            ('policy', 'file_relationships', 'file_relationships_owner',
             'USING (EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id())))'
             ' WITH CHECK (EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id()))'
             ' AND EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = file_relationships.related_file_id AND f.user_id = (SELECT requesting_user_id())))',
             ARRAY['file_registry.id', 'file_registry.user_id']),
            ('policy', 'file_sources', 'file_sources_owner',
             'USING (EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())))'
             ' WITH CHECK (EXISTS ('
             'SELECT FROM file_registry AS f WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())))',
             ARRAY['file_registry.id', 'file_registry.user_id']),
            ('constraint', 'notifications', 'notifications_user_id_fkey',
             'FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE', ARRAY['notifications.user_id', 'users.id']),
            ('policy', 'notifications', 'notifications_owner',
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))',
             ARRAY['notifications.user_id']),
            ('constraint', 'backups', 'backups_user_id_fkey',
             'FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE', ARRAY['backups.user_id', 'users.id']),
            ('policy', 'backups', 'backups_owner_read',
             'FOR SELECT USING (user_id = (SELECT requesting_user_id()))',
             ARRAY['backups.user_id'])
        ) AS comparing (kind, tab, name, definition, compares)
    ) AS wanted;

    FOR part IN
        SELECT wanted.*, tab.oid AS place
        FROM ROWS FROM (jsonb_to_recordset(parts) AS (kind text, tab text, name text, definition text, compares text[]))
            WITH ORDINALITY AS wanted (kind, tab, name, definition, compares, turn)
        LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = home AND tab.relname = wanted.tab
        WHERE NOT CASE wanted.kind
            WHEN 'column' THEN EXISTS (
                -- It is there, with a default where it should have one: of its own type, not a number's.
                SELECT FROM pg_catalog.pg_attribute AS att
                WHERE att.attrelid = tab.oid AND att.attname = wanted.name AND NOT att.attisdropped
                  AND (att.atthasdef OR wanted.definition NOT LIKE '% DEFAULT %'
                       OR att.atttypid <> regexp_replace(wanted.definition, ' (NOT NULL|DEFAULT|GENERATED).*', '')::regtype))
            WHEN 'constraint' THEN EXISTS (
                -- It is there, and a check admits every word that it should.
                SELECT FROM pg_catalog.pg_constraint AS con
                WHERE con.conrelid = tab.oid
                  AND (con.conname = wanted.name OR (con.contype = 'p' AND wanted.definition LIKE 'PRIMARY KEY %'))
                  AND (wanted.definition NOT LIKE '%''%'
                       OR ARRAY(SELECT word[1] FROM regexp_matches(wanted.definition, '''([^'']*)''', 'g') AS word)
                          <@ ARRAY(SELECT word[1] FROM regexp_matches(pg_get_constraintdef(con.oid), '''([^'']*)''', 'g') AS word)))
            WHEN 'index' THEN EXISTS (
                SELECT FROM pg_catalog.pg_index AS idx
                JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
                WHERE idx.indrelid = tab.oid AND ind.relname = wanted.name)
            WHEN 'trigger' THEN EXISTS (
                SELECT FROM pg_catalog.pg_trigger AS trg WHERE trg.tgrelid = tab.oid AND trg.tgname = wanted.name)
            WHEN 'policy' THEN EXISTS (
                SELECT FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid AND pol.polname = wanted.name)
            WHEN 'row level security' THEN coalesce(tab.relrowsecurity, false)
            WHEN 'comment' THEN EXISTS (
                SELECT FROM pg_catalog.pg_attribute AS att
                WHERE att.attrelid = tab.oid AND att.attname = wanted.name AND col_description(tab.oid, att.attnum) IS NOT NULL)
            ELSE tab.oid IS NOT NULL END  -- a table or a view
        ORDER BY wanted.turn
    LOOP
        CONTINUE WHEN cardinality(part.compares) <> (
            SELECT count(*)
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = home AND NOT col.attisdropped
              AND tab.relname || '.' || col.attname = ANY (part.compares) AND col.atttypid = 'text'::regtype);
        IF part.kind = 'column' AND EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS att
            WHERE att.attrelid = part.place AND att.attname = part.name AND NOT att.attisdropped)
        THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT ', part.tab, part.name) || split_part(part.definition, ' DEFAULT ', 2);
            CONTINUE;
        END IF;
        IF part.kind = 'constraint' AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conrelid = part.place AND con.conname = part.name)
        THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', part.tab, part.name);
        END IF;
        EXECUTE CASE part.kind
            WHEN 'table' THEN format('CREATE TABLE %I ()', part.tab)
            WHEN 'view' THEN format('CREATE VIEW %I %s', part.tab, part.definition)
            WHEN 'column' THEN format('ALTER TABLE %I ADD COLUMN %I %s', part.tab, part.name, part.definition)
            WHEN 'constraint' THEN format('ALTER TABLE %I ADD CONSTRAINT %I %s', part.tab, part.name, part.definition)
            WHEN 'index' THEN format('CREATE INDEX %I ON %I %s', part.name, part.tab, part.definition)
            WHEN 'trigger' THEN format('CREATE TRIGGER %I %s', part.name, part.definition)
            WHEN 'policy' THEN format('CREATE POLICY %I ON %I %s', part.name, part.tab, part.definition)
            WHEN 'row level security' THEN format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part.tab)
            WHEN 'comment' THEN format('COMMENT ON COLUMN %I.%I IS %L', part.tab, part.name, part.definition)
            END;
        IF part.kind IN ('table', 'view', 'column') THEN
            made := made || part.tab;
        END IF;
    END LOOP;

    FOR part IN
        WITH listed AS (SELECT * FROM jsonb_to_recordset(parts) AS part (kind text, tab text, name text)),
        tables AS (
            SELECT tab.oid AS id, tab.relname AS name
            FROM pg_catalog.pg_class AS tab
            WHERE tab.relnamespace = home AND tab.relname IN (SELECT listed.tab FROM listed)
        ),
        present (kind, tab, name, said, bound) AS (
            SELECT 'constraint', con.conrelid, con.conname,
                   CASE con.contype WHEN 'f' THEN row(con.conkey, con.confrelid, con.confkey)::text ELSE pg_get_constraintdef(con.oid) END, false
            FROM pg_catalog.pg_constraint AS con
            WHERE con.conrelid IN (SELECT id FROM tables) AND con.contype IN ('c', 'f', 'p', 'u')
            UNION ALL
            SELECT 'index', idx.indrelid, ind.relname,
                   row(ind.relam, idx.indisunique, idx.indnullsnotdistinct, idx.indnkeyatts, idx.indkey, idx.indclass, idx.indcollation,
                       idx.indoption, ind.reloptions, pg_get_expr(idx.indexprs, idx.indrelid), pg_get_expr(idx.indpred, idx.indrelid))::text,
                   idx.indisreplident OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = idx.indexrelid)
            FROM pg_catalog.pg_index AS idx
            JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
            WHERE idx.indrelid IN (SELECT id FROM tables)
            UNION ALL
            SELECT 'trigger', trg.tgrelid, trg.tgname, replace(pg_get_triggerdef(trg.oid), format(' TRIGGER %I ', trg.tgname), ' TRIGGER '), false
            FROM pg_catalog.pg_trigger AS trg
            WHERE trg.tgrelid IN (SELECT id FROM tables) AND NOT trg.tgisinternal
            UNION ALL
            SELECT 'policy', pol.polrelid, pol.polname,
                   row(pol.polcmd, pol.polpermissive, pol.polroles, pg_get_expr(pol.polqual, pol.polrelid),
                       pg_get_expr(pol.polwithcheck, pol.polrelid))::text, false
            FROM pg_catalog.pg_policy AS pol
            WHERE pol.polrelid IN (SELECT id FROM tables)
        )
        SELECT other.kind, tables.name AS tab, other.name
        FROM listed
        JOIN tables ON tables.name = listed.tab
        JOIN present AS one ON (one.kind, one.tab, one.name) = (listed.kind, tables.id, listed.name::name)
        JOIN present AS other ON (other.kind, other.tab, other.said) = (one.kind, one.tab, one.said) AND other.name <> one.name AND NOT other.bound
    LOOP
        EXECUTE CASE part.kind
            WHEN 'constraint' THEN format('ALTER TABLE %I DROP CONSTRAINT %I', part.tab, part.name)
            WHEN 'index' THEN format('DROP INDEX %I', part.name)
            ELSE format('DROP %s %I ON %I', part.kind, part.name, part.tab) END;
    END LOOP;

    -- What was made just now, or got a column: its privileges, and what it is.
    FOR part IN
        SELECT *
        FROM (VALUES
            ('TABLE', 'file_registry', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE',
             'Every file that a person has anywhere: uploads, mails, Drive, calendars, links.'),
            ('TABLE', 'file_relationships', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE',
             'Files that belong together; reached through the file.'),
            ('TABLE', 'file_sources', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE',
             'Every place where a file was seen: Gmail, Drive, an upload and so on; reached through the file.'),
            ('VIEW', 'duplicate_files', 'SELECT', 'SELECT',
             'Files of a person whose content is the same.'),
            ('TABLE', 'notifications', 'SELECT, DELETE, UPDATE (read, status)', 'SELECT, INSERT, UPDATE, DELETE',
             'What a person is told. The service writes it; the person reads, dismisses and deletes their own.'),
            ('TABLE', 'backups', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE',
             'Backups of a person''s data. The service writes it; the person reads their own.'),
            ('VIEW', 'restore_points', 'SELECT', 'SELECT',
             'Backups that a person can go back to.')
        ) AS wanted (kind, tab, people, service, meaning)
        WHERE tab = ANY (made)
    LOOP
        EXECUTE format('COMMENT ON %s %I IS %L', part.kind, part.tab, part.meaning);
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', part.tab);
        -- The hosted platform's default privileges give these roles everything on what is new.
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', part.tab, api_role);
            IF api_role <> 'anon' THEN
                EXECUTE format('GRANT %s ON TABLE %I TO %I',
                               CASE api_role WHEN 'authenticated' THEN part.people ELSE part.service END, part.tab, api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$complete$;
