-- Under the lock, before the first script of a signed plan: does each table that the plan names still hold rows, or
-- still none, and are the objects of the schema the same? The answer names the differences.
DECLARE
    moved jsonb;
BEGIN
    SELECT coalesce(jsonb_agg(c.relname ORDER BY c.relname), '[]')
    INTO moved
    FROM jsonb_each({tables}) AS signed (name, filled)
    JOIN pg_class AS c ON c.relname = signed.name
    JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = {schema}
    WHERE c.relkind IN ('r', 'm') AND (pg_relation_size(c.oid) > 0) <> signed.filled::boolean;
    IF moved <> '[]' OR (
{objects}
    ) IS DISTINCT FROM {expected} THEN
        RAISE EXCEPTION USING MESSAGE = 'this is not what was signed', DETAIL = moved::text, ERRCODE = 'KD014';
    END IF;
END
