-- A snapshot. Kinds of objects that are not there are left out of its query: to plan them would take most of its time.
-- As with "printed", the query is planned with the safe path and answered with another.
DECLARE
    homes constant oid[] := ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY ({schemas}));
    related constant oid[] := {related};
    seen record;
    there text[];
    answer text;
BEGIN
    SELECT coalesce(bool_or(c.relkind IN ('v', 'm')), false) AS views,
           coalesce(bool_or(c.relkind = 'S'), false) AS sequences,
           coalesce(bool_or(c.relkind = 'f'), false) AS foreigns,
           coalesce(bool_or(c.relhasrules AND c.relkind NOT IN ('v', 'm')), false) AS rules,
           coalesce(bool_or(c.relhastriggers), false) AS triggers
    INTO seen
    FROM pg_class AS c
    WHERE {these}
      AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq');
    there := ARRAY(SELECT guard.word FROM (VALUES {guards}) AS guard (word, holds) WHERE guard.holds);
    -- The planner reads the histograms of columns for each merge join that it thinks of.
    PERFORM set_config('enable_mergejoin', 'off', true);
    EXECUTE (
        SELECT string_agg(part.text, E'\n' ORDER BY part.place)
        FROM (VALUES {parts}) AS part (place, words, text)
        WHERE part.words <@ there) INTO answer USING related, {path};
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    RAISE INFO USING MESSAGE = answer, ERRCODE = 'KD100';
END
