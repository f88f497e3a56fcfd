-- The verification: each query runs in a read-only savepoint that is rolled back, so that it leaves no trace. Its
-- results travel as messages, since nothing else survives the rollback in one round trip, through a pooler too. Only
-- the names of the queries are looked up in the schemas, and none of this block. Server and pooler may log the
-- messages, so they hold no row: of a check they hold its passed, expected and found, of a query that only has to run
-- the number of its rows (20 at most).
DECLARE
    checks constant jsonb := current_setting('kimbledb.checks')::jsonb;
    judging constant boolean := {judging};
    path constant text := {path};
    query text;
    one jsonb;
    passed boolean;
    rows jsonb;
    failing jsonb;
    count bigint;
    place text;
    result jsonb;
    results jsonb[] := '{}';
BEGIN
    BEGIN
        PERFORM set_config('transaction_read_only', 'on', true);
        FOR one IN SELECT * FROM jsonb_array_elements(checks) LOOP
            BEGIN
                IF (one->>'runs')::boolean AND one->>'sql' ~* '^do\M' THEN
                    PERFORM set_config('search_path', path, true);
                    EXECUTE one->>'sql';
                    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
                    result := jsonb_build_object('passed', true);
                ELSIF (one->>'runs')::boolean THEN
                    -- Whole rows are counted, so that every column is computed.
                    query := format('SELECT pg_catalog.count(q) FROM (SELECT * FROM (%s' || E'\n' || ') AS of_file LIMIT 20) AS q', one->>'sql');
                    PERFORM set_config('search_path', path, true);
                    EXECUTE query INTO count;
                    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
                    result := jsonb_build_object('passed', true, 'count', count);
                ELSE
                    -- All of its rows are computed once, and the first ones kept.
                    query := format('WITH of_file AS MATERIALIZED (%s' || E'\n' || ') SELECT'
                        ' (SELECT pg_catalog.bool_and(q.passed IS TRUE) FROM of_file AS q),'
                        ' (SELECT pg_catalog.jsonb_agg(q.*) FROM (SELECT * FROM of_file AS q WHERE q.passed IS NOT TRUE LIMIT 5) AS q),'
                        ' (SELECT pg_catalog.jsonb_agg(q.*) FROM (SELECT * FROM of_file LIMIT 5) AS q)', one->>'sql');
                    PERFORM set_config('search_path', path, true);
                    EXECUTE query INTO passed, failing, rows;
                    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
                    result := jsonb_build_object('passed', coalesce(passed, false),
                        'rows', (SELECT coalesce(jsonb_agg(jsonb_build_object('expected', row->>'expected', 'found', row->>'found')), '[]')
                                 FROM jsonb_array_elements(coalesce(failing, rows)) AS row));
                END IF;
            EXCEPTION
                -- The verification fails with the reason. No error is ignored.
                WHEN query_canceled OR lock_not_available OR deadlock_detected OR serialization_failure
                    OR insufficient_resources THEN RAISE;
                WHEN OTHERS THEN
                    GET STACKED DIAGNOSTICS place = PG_EXCEPTION_CONTEXT;
                    result := jsonb_build_object('passed', false, 'sqlstate', SQLSTATE);
                    -- The server's words where they name objects only: an error of name or privilege (manual, appendix A,
                    -- class 42) of the query itself. All others, and those of functions that it calls, can quote values.
                    IF SQLSTATE LIKE '42%' AND SQLSTATE <> '42601'
                        AND split_part(place, E'\n', 1) ~ 'inline_code_block|WITH of_file|SELECT pg_catalog\.' THEN
                        result := result || jsonb_build_object('error', SQLERRM);
                    END IF;
            END;
            results := results || (result || jsonb_build_object('name', one->>'name', 'migration', one->>'migration'));
        END LOOP;
        RAISE EXCEPTION USING MESSAGE = 'taken back', ERRCODE = 'KD000';
    EXCEPTION
        WHEN SQLSTATE 'KD000' THEN NULL;
    END;
    IF judging AND EXISTS (SELECT FROM unnest(results) AS r WHERE NOT (r->>'passed')::boolean) THEN
        RAISE EXCEPTION USING MESSAGE = 'the verification failed', DETAIL = to_jsonb(results)::text, ERRCODE = 'KD005';
    END IF;
    RAISE INFO USING MESSAGE = to_jsonb(results)::text, ERRCODE = 'KD101';
END
