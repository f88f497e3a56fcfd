-- One migration of the rendered file: skipped if history records it as applied, else run and recorded. An error gets
-- its name and ends the transaction.
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY ({alternatives}) AND success AND kimbledb_version IS NOT NULL) OR NOT ({condition}) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = {name} AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY ({checksums}) OR recorded = '' THEN
        RETURN;  -- it is applied
{changed}    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
{before}    EXECUTE {script};
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
{after}    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ({name}, clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '{checksum}',
            session_user, {version})
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = {name};
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = {failed} || words,
            DETAIL = more, HINT = cure;
END
