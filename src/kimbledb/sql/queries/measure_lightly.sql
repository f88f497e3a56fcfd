-- Before a script that shows no sign of losses, in place of measure_before.sql: the newest relation. If the script may
-- set a sequence, which outlives its transaction, measure_before.sql runs first: few schemas have sequences.
DECLARE
    newest bigint;
    reads boolean;
    searched text;
BEGIN
    SELECT max(oid)::bigint, EXISTS (
        SELECT FROM pg_sequence AS s WHERE (
            SELECT c.relnamespace = ANY ({spaces}) AND c.relname NOT IN ('migration_history_id_seq', 'migration_log_id_seq')
            FROM pg_class AS c WHERE c.oid = s.seqrelid))
    INTO newest, reads
    FROM pg_class;
    IF reads THEN
{searching}
        IF reads THEN
{closer};
        END IF;
    END IF;
    PERFORM set_config('kimbledb.before', jsonb_build_object('light', true, 'newest', newest, 'counting', current_setting('track_counts')::boolean)::text, true);
END
