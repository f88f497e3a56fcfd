-- A snapshot. Kinds without objects are left out of its query: their planning would take most of its time. The query is
-- planned with the safe path, and sets the path by which the server prints before it reads a catalog.
DECLARE
    homes constant oid[] := ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY ({schemas}));
    related constant oid[] := {related};
    seen record;
    there text[];
    answer text;
    path constant text := current_setting('search_path');
BEGIN
    SELECT coalesce(bool_or(c.relkind IN ('v', 'm')), false) AS views,
           coalesce(bool_or(c.relkind = 'S'), false) AS sequences,
           coalesce(bool_or(c.relkind = 'f'), false) AS foreigns,
           coalesce(bool_or(c.relhasrules AND c.relkind NOT IN ('v', 'm')), false) AS rules,
           coalesce(bool_or(c.relhastriggers), false) AS triggers
    INTO seen
    FROM pg_class AS c
    WHERE c.relnamespace = ANY (homes)
      AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq');
    there := ARRAY(SELECT guard.word FROM (VALUES {guards}) AS guard (word, holds) WHERE guard.holds);
    EXECUTE (
        SELECT string_agg(part.text, E'\n' ORDER BY part.place)
        FROM (VALUES {parts}) AS part (place, words, text)
        WHERE part.words <@ there) INTO answer USING related, {path};
    -- Before this the path holds the schema, whose functions could be called by name.
    PERFORM pg_catalog.set_config('search_path', path, true);
    RAISE INFO USING MESSAGE = answer, ERRCODE = 'KD100';
END
