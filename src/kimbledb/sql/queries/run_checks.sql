-- The verification: each query in a part of the transaction that is read-only
-- and taken back, so that it leaves no trace. Its results travel as messages,
-- since nothing else crosses the rollback, or a pooler, in one round trip.
DECLARE
    checks constant jsonb := current_setting('kimbledb.checks')::jsonb;
    judging constant boolean := {judging};
    one jsonb;
    passed boolean;
    rows jsonb;
    result jsonb;
    results jsonb[] := '{}';
BEGIN
    BEGIN
        PERFORM set_config('transaction_read_only', 'on', true);
        FOR one IN SELECT * FROM jsonb_array_elements(checks) LOOP
            BEGIN
                IF (one->>'runs')::boolean THEN
                    EXECUTE format('SELECT jsonb_agg(q) FROM (SELECT * FROM (%s' || E'\n' || ') AS of_file LIMIT 20) AS q', one->>'sql')
                        INTO rows;
                    result := jsonb_build_object('passed', true, 'rows', coalesce(rows, '[]'));
                ELSE
                    EXECUTE format('SELECT pg_catalog.bool_and(q.passed IS TRUE), jsonb_agg(q) FROM (%s' || E'\n' || ') AS q', one->>'sql')
                        INTO passed, rows;
                    result := jsonb_build_object('passed', coalesce(passed, false), 'all', coalesce(rows, '[]'), 'rows',
                        CASE WHEN passed IS FALSE THEN jsonb_path_query_array(rows, '$[*] ? (!(@.passed == true))') ELSE '[]' END);
                END IF;
            EXCEPTION
                -- The verification fails, and says why; nothing is passed over.
                WHEN query_canceled OR lock_not_available OR deadlock_detected OR serialization_failure
                    OR insufficient_resources THEN RAISE;
                WHEN OTHERS THEN
                    result := jsonb_build_object('passed', false, 'error', SQLERRM, 'sqlstate', SQLSTATE);
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
