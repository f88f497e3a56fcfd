-- The proof of a migration by look-ups: each object that it declares exists, is valid and has the right owner, and each
-- that it drops is gone. It also returns, for history, the form of each object that has expressions. The catalogs are
-- read by their indexes, planned with the safe path, and printed with the target's, as in printed.sql. Objects are
-- compared by name; their faults are queried only if there are some.
DECLARE
    declared constant jsonb := nullif(current_setting('kimbledb.declared', true), '');
    own_role constant oid := to_regrole(quote_ident(current_user));
    zone constant text := current_setting('TimeZone');
    planned constant text := current_setting('plan_cache_mode');
    relations constant oid[] := ARRAY(SELECT to_regclass(each)::oid FROM unnest({relations}::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
    homes constant oid[] := ARRAY(SELECT to_regnamespace(each)::oid FROM unnest({homes}::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
{arrays}    granted constant jsonb := {granted}::jsonb;
    looked refcursor;
    found_objects jsonb;
    faults bigint;
    forms jsonb;
    strange jsonb;
BEGIN
    -- A loop uses one plan for all: it does not depend on the wanted names.
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    OPEN looked FOR
        SELECT jsonb_object_agg(key, CASE WHEN fault IS NOT NULL THEN jsonb_build_array(fault, detail) END), count(fault),
               -- A name may be that of another relation's part, too, which the migration does not declare.
               jsonb_object_agg(key, md5(expressions::text)) FILTER (WHERE expressions <> '{}' AND key = ANY (printed))
        FROM (
{lookups}
        ) AS each (key, fault, detail, expressions);
    PERFORM set_config('search_path', {path}, true), set_config('TimeZone', 'UTC', true);
    FETCH looked INTO found_objects, faults, forms;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('TimeZone', zone, true),
            pg_catalog.set_config('plan_cache_mode', planned, true);
    PERFORM set_config('kimbledb.forms', ({origin} || jsonb_build_object('forms', coalesce(forms, '{}')))::text, true);
    IF {judging} AND (faults > 0 OR NOT coalesce(found_objects, '{}') ?& wanted OR coalesce(found_objects, '{}') ?| gone) THEN
        -- A text, so that the server parses it only here.
        EXECUTE {faults} INTO strange USING coalesce(found_objects, '{}'), wanted, gone, {states}::jsonb;
        IF strange IS NOT NULL THEN
            RAISE EXCEPTION USING MESSAGE = 'what the migration declares is not there', DETAIL = strange::text, ERRCODE = 'KD013';
        END IF;
    END IF;
END
