-- How much stands in tables and materialised views, and how many values sequences gave: exact,
-- and without a lock that would hold anybody up, but where policies hold for a table's owner, too:
-- that is lifted for the count, and taken back with its lock. As [kind, name, count, bound].
DECLARE
    stakes constant jsonb := current_setting('kimbledb.stakes');
    one record;
    number bigint;
    found jsonb := '[]';
BEGIN
    FOR one IN
        SELECT s->>0 AS kind, s->>1 AS name, coalesce(s->>3, format('%I.%I', {schema_literal}, s->>1)) AS source FROM jsonb_array_elements(stakes) AS s
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
                NULL; -- what was lifted is not any more
            END;
        END IF;
        IF number > 0 THEN
            found := found || jsonb_build_array(jsonb_build_array(
                CASE one.kind WHEN 'S' THEN 'sequence' WHEN 'm' THEN 'materialized view' ELSE 'table' END, one.name, number, NULL));
        END IF;
    END LOOP;
    RAISE INFO USING MESSAGE = found::text, ERRCODE = 'KD100';
END
