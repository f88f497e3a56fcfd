-- A batch of the rows that a migration's fills change, in the order of the table's primary key, with the triggers of
-- the table disabled during the batch. The session keeps the last key of the batch before. Answers with the number of
-- updated rows, or null if no row is left.
#variable_conflict use_column
DECLARE
    kimbledb_last constant jsonb := nullif(current_setting('kimbledb.batch', true), '')::jsonb;
    kimbledb_rows bigint;
{declared}
BEGIN
    -- The search for rows holds no lock yet.
    SELECT {aggregated} INTO {arrays}
    FROM (SELECT {key} FROM {table}
          WHERE (kimbledb_last IS NULL OR ROW ({key}) > ROW ({last})) AND {differs}
          ORDER BY {key} LIMIT {size}) AS kimbledb_batch;
    IF kimbledb_key_1 IS NOT NULL THEN
        {holding}
        UPDATE {table} SET {assigned}
        FROM unnest({arrays}) AS kimbledb_batch ({names})
        WHERE {joined} AND {differs};
        GET DIAGNOSTICS kimbledb_rows = ROW_COUNT;
        SET CONSTRAINTS ALL IMMEDIATE;
        {releasing}
        PERFORM pg_catalog.set_config('kimbledb.batch', pg_catalog.jsonb_build_array({reached})::text, false);
    END IF;
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = coalesce(pg_catalog.to_jsonb(kimbledb_rows), 'null')::text;
END
