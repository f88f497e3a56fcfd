-- What people may do, within their policies; anon may do nothing.

GRANT SELECT, INSERT, UPDATE, DELETE
    ON projects, conversations, messages, knowledge_base, files, audio_transcriptions, processed_images,
       processed_documents
    TO authenticated;
-- A person edits their profile, not their role and permissions.
GRANT SELECT ON users, activity_logs TO authenticated;
GRANT UPDATE (name, avatar_url, preferences) ON users TO authenticated;
GRANT USAGE, SELECT ON SEQUENCE processed_images_id_seq, processed_documents_id_seq TO authenticated;
GRANT EXECUTE
    ON FUNCTION
        requesting_user_id(),
        is_own_project(text),
        is_in_own_project(anyelement),
        shared_projects(),
        is_project_of(text, text),
        has_column(regclass, text),
        cron_field(text, integer, integer, text[]),
        read_schedule(text),
        first_reading(timestamp, text),
        next_scheduled(text, timestamptz, text, timestamptz),
        check_schedule(text, text)
    TO authenticated, service_role;

-- What the service may do.

GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, projects, conversations, messages, knowledge_base, files, audio_transcriptions, processed_images,
       processed_documents, activity_logs, auth_logs
    TO service_role;
GRANT USAGE, SELECT
    ON SEQUENCE processed_images_id_seq, processed_documents_id_seq, activity_logs_id_seq, auth_logs_id_seq
    TO service_role;
