-- A further transaction of the rendered file goes on only where the one before it was committed:
-- psql goes on after an error unless it is told to stop.
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
BEGIN
    IF ({condition}) AND NOT EXISTS (SELECT FROM public.migration_history WHERE migration_name = ANY ({names}) AND success) THEN
        RAISE EXCEPTION 'what stands before this was not applied' USING HINT = 'mend the first error, then run the file again';
    END IF;
END
