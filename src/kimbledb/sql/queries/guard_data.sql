-- Under the lock that keeps it true: is anything in the tables and columns that will go?
DECLARE
    one jsonb;
    full_of boolean;
    found jsonb := '[]';
BEGIN
    FOR one IN
        SELECT w FROM jsonb_array_elements(current_setting('kimbledb.at_stake')::jsonb) AS w
        JOIN pg_class AS c ON c.relname = w->>0
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = {schema_literal}
        WHERE w->>1 IS NULL OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = w->>1 AND NOT a.attisdropped)
        ORDER BY 1
    LOOP
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', {schema_literal}, one->>0);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I%s)', {schema_literal}, one->>0,
                       CASE WHEN one->>1 IS NULL THEN '' ELSE format(' WHERE %I IS NOT NULL', one->>1) END) INTO full_of;
        IF full_of THEN
            found := found || jsonb_build_array(jsonb_build_array(one->>0, one->>1, 1));
        END IF;
    END LOOP;
    IF found <> '[]' THEN
        RAISE EXCEPTION USING MESSAGE = 'data would be lost', DETAIL = found::text, ERRCODE = 'KD006';
    END IF;
END
