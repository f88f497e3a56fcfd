-- Exact counts of the rows of tables and materialised views, and of the values that sequences gave, as [kind, name,
-- count, bound]. It takes no lock that blocks other sessions, except where policies also apply to the table's owner:
-- these are lifted for the count in a savepoint, and its rollback releases the lock.
DECLARE
    relations constant jsonb := current_setting('kimbledb.relations');
    one record;
    number bigint;
    found jsonb := '[]';
BEGIN
    FOR one IN
        SELECT s->>0 AS kind, s->>1 AS name, coalesce(s->>3, format('%I.%I', {schema_literal}, s->>1)) AS source FROM jsonb_array_elements(relations) AS s
    LOOP
        IF one.kind = 'S' THEN
            SELECT (pg_sequence_last_value(seqrelid) - seqstart) / seqincrement + 1 INTO number
            FROM pg_sequence WHERE seqrelid = one.source::regclass;
        ELSE
            BEGIN
                IF one.kind <> 'm' AND row_security_active(one.source::regclass) THEN
                    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', one.source);
                END IF;
                EXECUTE format('SELECT count(*) FROM %s', one.source) INTO number;
                RAISE EXCEPTION USING ERRCODE = 'KD000';
            EXCEPTION WHEN SQLSTATE 'KD000' THEN
                NULL; -- the rollback has restored FORCE
            END;
        END IF;
        IF number > 0 THEN
            found := found || jsonb_build_array(jsonb_build_array(
                CASE one.kind WHEN 'S' THEN 'sequence' WHEN 'm' THEN 'materialized view' ELSE 'table' END, one.name, number, NULL));
        END IF;
    END LOOP;
    RAISE INFO USING MESSAGE = found::text, ERRCODE = 'KD100';
END
