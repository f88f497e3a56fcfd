-- The objects of the next migrations must not exist: the scripts are for a schema without them. They exist if history
-- records the migrations, or if another tool made them.
DECLARE
    platform constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) THEN 'hosted' ELSE 'bare' END;
    own_role constant oid := to_regrole(quote_ident(current_user));
    relations constant oid[] := ARRAY(SELECT to_regclass(each)::oid FROM unnest({relations}::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
    homes constant oid[] := ARRAY(SELECT to_regnamespace(each)::oid FROM unnest({homes}::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
{arrays}    found_part record;
BEGIN
    WITH step AS (
        SELECT one.place, one.each->>'name' AS name, one.each->('makes on ' || platform) AS makes,
               one.each->'on' ? platform AND NOT EXISTS (
                   SELECT FROM public.migration_history AS h
                   WHERE h.success AND h.kimbledb_version IS NOT NULL AND one.each->'instead' ? h.migration_name) AS taken,
               EXISTS (SELECT FROM public.migration_history AS h
                       WHERE h.success AND (h.kimbledb_version IS NOT NULL OR h.adopted) AND h.migration_name = one.each->>'name') AS applied
        FROM jsonb_array_elements({steps}) WITH ORDINALITY AS one (each, place)
    ), there AS (
        SELECT looked.key FROM (
{lookups}
        ) AS looked (key, fault, detail, expressions)
    )
    SELECT there.key, step.name INTO found_part
    FROM step JOIN there ON step.makes ? there.key
    WHERE step.taken AND NOT EXISTS (SELECT FROM step AS other WHERE other.applied AND other.makes ? there.key)
    ORDER BY step.place, there.key LIKE 'table %' DESC, there.key
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is there, and %, which makes it, is not applied: %', found_part.key, found_part.name, {kept}
            USING HINT = 'adopt() and migrate() make what is missing, and keep what is there: kimbledb adopt, then kimbledb migrate';
    END IF;
END
