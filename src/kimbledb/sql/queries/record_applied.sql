-- The history row and the log entry of a migration, in its own transaction.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    -- Since begin_step.sql, or since the begin of the transaction where that note was rolled back.
    began constant numeric := coalesce(nullif(current_setting('kimbledb.began', true), '')::numeric, extract(epoch FROM now()));
    taken constant integer := greatest(0, round((extract(epoch FROM clock_timestamp()) - began) * 1000));
    -- The losses that measure_after.sql found, as [kind, name, count, bound].
    lost constant jsonb := coalesce(nullif(current_setting('kimbledb.lost', true), ''), '[]');
    -- And what else it found: it is known only of a script that did all of its work in this transaction.
    made constant jsonb := CASE WHEN NOT step->'detail' ? 'strategy' THEN nullif(current_setting('kimbledb.made', true), '') END;
    recorded jsonb := {forms};
    -- The forms in which a completion leaves objects that rows keep from their declared one.
    kept jsonb := {left};
    entry bigint;
BEGIN
    -- What adopt() found in a form of its own, and the script left so, is no drift later.
    IF recorded IS NOT NULL AND cardinality({own_forms}) > 0 THEN
        SELECT coalesce(jsonb_object_agg(form.key, form.value ORDER BY adoption.id), '{}') || kept INTO kept
        FROM {schema}.migration_log AS adoption
        CROSS JOIN LATERAL jsonb_each(adoption.detail->'kept') AS form
        WHERE adoption.event = 'adopt' AND jsonb_typeof(adoption.detail->'kept') = 'object' AND form.key = ANY ({own_forms});
    END IF;
    IF kept <> '{}' THEN
        recorded := recorded || jsonb_build_object('kept', kept);
    END IF;
    INSERT INTO {schema}.migration_history AS h
        (migration_name, applied_at, success, error_message, execution_time_ms, checksum, applied_by, kimbledb_version, adopted, evidence, forms)
    VALUES (step->>'name', clock_timestamp(), true, NULL, taken, step->>'checksum', session_user, step->>'version', false, NULL, recorded)
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = excluded.forms;
    INSERT INTO {schema}.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    VALUES ('apply', step->>'name', taken, step->>'checksum', step->>'version', step->'detail' || CASE WHEN lost <> '[]' THEN jsonb_build_object('losses', (
        SELECT jsonb_agg(concat(CASE one->>0 WHEN 'rows' THEN 'deleted rows of' ELSE one->>0 END, ' ', one->>1, ': ', CASE one->>3 WHEN 'most' THEN 'at most ' WHEN 'unknown' THEN 'cannot be counted' END, CASE WHEN one->>3 IS DISTINCT FROM 'unknown' THEN one->>2 END))
        FROM jsonb_array_elements(lost) AS one)) ELSE '{}' END
        || CASE WHEN made IS NULL THEN '{}' ELSE jsonb_build_object('made', made) END)
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry, 'milliseconds', taken)::text, ERRCODE = 'KD102';
END
