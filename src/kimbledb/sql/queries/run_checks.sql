-- The verification: each query in a part of the transaction that is read-only
-- and taken back, so that it leaves no trace. Its results travel as messages,
-- since nothing else crosses the rollback, or a pooler, in one round trip.
DECLARE
    checks constant jsonb := current_setting('kimbledb.checks')::jsonb;
    judging constant boolean := {judging};
    one jsonb;
    result jsonb;
    results jsonb := '[]';
BEGIN
    BEGIN
        PERFORM set_config('transaction_read_only', 'on', true);
        FOR one IN SELECT * FROM jsonb_array_elements(checks) LOOP
            BEGIN
                IF (one->>'runs')::boolean THEN
                    EXECUTE format(
                        'SELECT jsonb_build_object(''passed'', true, ''rows'', coalesce(jsonb_agg(to_jsonb(q)), ''[]''))'
                        ' FROM (SELECT * FROM (%s' || E'\n' || ') AS of_file LIMIT 20) AS q', one->>'sql') INTO result;
                ELSE
                    EXECUTE format(
                        'SELECT jsonb_build_object(''passed'', coalesce(pg_catalog.bool_and(q.passed), false),'
                        ' ''rows'', coalesce(jsonb_agg(to_jsonb(q)) FILTER (WHERE q.passed IS NOT TRUE), ''[]''),'
                        ' ''all'', coalesce(jsonb_agg(to_jsonb(q)), ''[]''))'
                        ' FROM (%s' || E'\n' || ') AS q', one->>'sql') INTO result;
                END IF;
            EXCEPTION
                -- The verification fails, and says why; nothing is passed over.
                WHEN query_canceled OR lock_not_available OR deadlock_detected OR serialization_failure
                    OR insufficient_resources THEN RAISE;
                WHEN OTHERS THEN
                    result := jsonb_build_object('passed', false, 'error', SQLERRM, 'sqlstate', SQLSTATE);
            END;
            results := results || jsonb_build_array(result || jsonb_build_object('name', one->>'name', 'migration', one->>'migration'));
        END LOOP;
        RAISE EXCEPTION USING MESSAGE = 'taken back', ERRCODE = 'KD000';
    EXCEPTION
        WHEN SQLSTATE 'KD000' THEN NULL;
    END;
    IF judging AND EXISTS (SELECT FROM jsonb_array_elements(results) AS r WHERE NOT (r->>'passed')::boolean) THEN
        RAISE EXCEPTION USING MESSAGE = 'the verification failed', DETAIL = results::text, ERRCODE = 'KD005';
    END IF;
    RAISE INFO USING MESSAGE = results::text, ERRCODE = 'KD101';
END
