-- A further transaction of the rendered file continues only if all before it is applied: psql continues after an error
-- unless it is told to stop.
DECLARE
    platform constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) THEN 'hosted' ELSE 'bare' END;
    left_out text;
BEGIN
    IF to_regclass('public.migration_history') IS NOT NULL THEN
        SELECT step.name INTO left_out
        FROM jsonb_to_recordset({before}) AS step (name text, checksums text[], instead text[], "on" text[])
        WHERE platform = ANY (step."on") AND NOT EXISTS (
            SELECT FROM public.migration_history AS h
            WHERE h.success AND (h.kimbledb_version IS NOT NULL OR h.adopted)
              AND (h.migration_name = ANY (step.instead)
                   OR h.migration_name = step.name AND (h.checksum = ANY (step.checksums) OR coalesce(h.checksum, '') = '')))
        LIMIT 1;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    RAISE EXCEPTION '% was not applied, and nothing after it is', coalesce(left_out, 'what stands before this')
        USING HINT = 'mend the first error, then run the file again';
END
