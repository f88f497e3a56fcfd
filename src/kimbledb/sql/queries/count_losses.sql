-- How much stands in tables and columns: exact, from one snapshot, without a lock
-- that would hold anybody up.
DECLARE
    one jsonb;
    number bigint;
    found jsonb := '[]';
BEGIN
    FOR one IN SELECT * FROM jsonb_array_elements(current_setting('kimbledb.at_stake')::jsonb) LOOP
        IF one->>1 IS NULL THEN
            EXECUTE format('SELECT count(*) FROM %I.%I', {schema_literal}, one->>0) INTO number;
        ELSE
            EXECUTE format('SELECT count(%I) FROM %I.%I', one->>1, {schema_literal}, one->>0) INTO number;
        END IF;
        IF number > 0 THEN
            found := found || jsonb_build_array(jsonb_build_array(one->>0, one->>1, number));
        END IF;
    END LOOP;
    RAISE INFO USING MESSAGE = found::text, ERRCODE = 'KD100';
END
