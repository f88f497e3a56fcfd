-- Writes rows of the target into a clone, without its triggers, and sets the sequences of the table behind them.
DECLARE
    counted record;
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
    INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM pg_catalog.jsonb_populate_recordset(NULL::{table}, {rows}::jsonb);
    PERFORM pg_catalog.set_config('session_replication_role', 'origin', true);
    FOR counted IN
        SELECT a.attname AS name, pg_catalog.pg_get_serial_sequence({literal}, a.attname) AS sequence
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = pg_catalog.to_regclass({literal}) AND a.attnum > 0 AND NOT a.attisdropped
    LOOP
        IF counted.sequence IS NOT NULL THEN
            EXECUTE pg_catalog.format('SELECT pg_catalog.setval(%L, pg_catalog.max(%I)) FROM %s', counted.sequence, counted.name, {literal});
        END IF;
    END LOOP;
END
