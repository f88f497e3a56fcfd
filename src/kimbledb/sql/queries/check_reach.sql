-- After a script: did it stay in the target schema? Changes elsewhere show as locks that only changes of a definition
-- take, and as catalog rows as young as this transaction. Most scripts change nothing there, and a look for signs is
-- cheaper than a full list of changes.
DECLARE
    others oid[];
    schemas constant jsonb := nullif(current_setting('kimbledb.schemas', true), '');
    dropped boolean;
    reached boolean := false;
    span integer;
    -- Empty where the script ended the transaction.
    types constant bigint[] := nullif(current_setting('kimbledb.types', true), '');
BEGIN
    IF types IS NULL THEN
{ended}
    END IF;
    SELECT coalesce(array_agg(oid) FILTER (WHERE nspname !~ '^pg_' AND nspname <> ALL (ARRAY[{schema_literal}, 'information_schema']::name[] || {whole}::name[])), '{}'),
           (SELECT count(*) FROM jsonb_object_keys(schemas)) > count(*) FILTER (WHERE schemas ? oid::text), age(pg_current_xact_id()::xid)
    INTO others, dropped, span
    FROM pg_namespace;
    IF others = '{}' THEN
        reached := dropped;
    ELSIF dropped OR objects IS NOT NULL
       OR EXISTS (SELECT FROM unnest(defined) AS held LEFT JOIN pg_class AS c ON c.oid = held WHERE c.oid IS NULL OR c.relnamespace = ANY (others))
       -- CASE evaluates the age first: few rows are so young.
       OR EXISTS (SELECT FROM pg_class WHERE CASE WHEN age(xmin) <= span THEN relnamespace = ANY (others) END)
       OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384 AND CASE WHEN age(xmin) <= span THEN pronamespace = ANY (others) END)
       -- Each table creates types, so only the newest are counted: are all of them in this schema?
       OR pg_stat_get_xact_tuples_updated('pg_type'::regclass) > types[3] OR NOT current_setting('track_counts')::boolean
       OR pg_stat_get_xact_tuples_inserted('pg_type'::regclass) > types[2] + (
           SELECT count(*) FROM pg_type WHERE oid > types[1] AND age(xmin) <= span AND NOT (typnamespace = ANY (others)))
       OR EXISTS (SELECT FROM pg_namespace WHERE age(xmin) <= span AND oid = ANY (others))
       OR EXISTS (SELECT FROM pg_default_acl WHERE age(xmin) <= span AND defaclnamespace = ANY (others))
    THEN
        reached := true;
    END IF;
    IF reached THEN
        PERFORM set_config('kimbledb.others', others::text, true);
{elsewhere};
    END IF;
END;
