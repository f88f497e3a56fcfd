-- The conditions that the rows of a schema fulfil, and the numbers of rows that some queries return. A query that fails
-- decides nothing: it may read a table that the role may not read, or call a function that does not exist yet.
DECLARE
    answer jsonb := (SELECT coalesce(jsonb_agg(jsonb_build_array(name, what)), '[]') FROM (VALUES
{asked}
    ) AS asked (name, what, so) WHERE so);
    kinds constant text[] := {kinds};
    names constant text[] := {names};
    listing constant text[] := {queries};
    -- The tables whose rows a query compares pairwise.
    compared constant text[] := {compared};
    number bigint;
BEGIN
    -- The queries read as a person runs them.
    PERFORM set_config('search_path', {path}, true);
    FOR place IN 1 .. pg_catalog.cardinality(names) LOOP
        BEGIN
            IF compared[place] <> '' THEN
                EXECUTE 'SELECT pg_catalog.count(*) FROM (SELECT FROM ' || compared[place] || ' LIMIT 2001) AS few' INTO number;
                IF number > 2000 THEN
                    answer := answer || pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(names[place], 'undecided ' || kinds[place], '54000'));
                    CONTINUE;
                END IF;
            END IF;
            EXECUTE 'SELECT pg_catalog.count(*) FROM (' || listing[place] || ') AS breaking' INTO number;
            answer := answer || pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(names[place], kinds[place], number));
        EXCEPTION WHEN OTHERS THEN
            -- An unavailable lock, a timeout or a shutdown of the server are no answers.
            IF pg_catalog.left(SQLSTATE, 2) NOT IN ('0A', '21', '22', '23', '2F', '38', '39', '42', 'P0') THEN
                RAISE;
            END IF;
            answer := answer || pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(names[place], 'undecided ' || kinds[place], SQLSTATE));
        END;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = answer::text;
END
