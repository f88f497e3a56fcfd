-- Makes a table that holds rows take a number of bytes: each row is updated to itself, and what it was before takes
-- space until the transaction ends.
DECLARE
    held constant regclass := to_regclass({table});
    set_to_itself constant text := (
        SELECT format('UPDATE ONLY %1$s SET %2$I = %2$I', held, attname)
        FROM pg_catalog.pg_attribute
        WHERE attrelid = held AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
        ORDER BY attlen < 0, attnum
        LIMIT 1);
    found bigint;
BEGIN
    LOOP
        EXIT WHEN set_to_itself IS NULL OR pg_catalog.pg_relation_size(held) >= {bytes};
        EXECUTE set_to_itself;
        GET DIAGNOSTICS found = ROW_COUNT;
        EXIT WHEN found = 0;
    END LOOP;
END
