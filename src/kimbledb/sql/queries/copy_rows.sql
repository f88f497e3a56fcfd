-- Copies the rows of a table that was set aside into the declared one: all at once if all fit, else each row alone,
-- repeated while further rows find the rows that they refer to. A row that does not fit stays in its table, with the
-- reason, which holds no value.
#variable_conflict use_column
DECLARE
    failed text[] := '{}';
    reasons text[];
    waiting text[];
    reason text;
    part text;
    total bigint;
    one record;
    held text[] := '{}';
    kimbledb_place text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    SELECT count(*) INTO total FROM {only}{source};
    BEGIN
        IF EXISTS (SELECT FROM {only}{source} WHERE ({misfit}) IS NOT NULL) THEN
            RAISE data_exception;
        END IF;
        {insert} SELECT {values} FROM {only}{source};
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
        failed := ARRAY(SELECT tableoid || ' ' || ctid FROM {only}{source} ORDER BY tableoid, ctid);
    END;
    WHILE cardinality(failed) > 0 LOOP
        waiting := failed;
        failed := '{}';
        reasons := '{}';
        FOREACH kimbledb_place IN ARRAY waiting LOOP
            BEGIN
                SELECT {misfit} INTO STRICT reason FROM {only}{source} WHERE tableoid = split_part(kimbledb_place, ' ', 1)::oid AND ctid = split_part(kimbledb_place, ' ', 2)::tid;
                IF reason IS NOT NULL THEN
                    RAISE data_exception USING COLUMN = reason;
                END IF;
                {insert} SELECT {values} FROM {only}{source} WHERE tableoid = split_part(kimbledb_place, ' ', 1)::oid AND ctid = split_part(kimbledb_place, ' ', 2)::tid;
            EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception THEN
                GET STACKED DIAGNOSTICS reason = CONSTRAINT_NAME, part = COLUMN_NAME;
                failed := failed || kimbledb_place;
                reasons := reasons || concat_ws(' ', nullif(reason, ''), nullif(part, ''), '(SQLSTATE ' || SQLSTATE || ')');
            END;
        END LOOP;
        EXIT WHEN cardinality(failed) = cardinality(waiting);
    END LOOP;
    IF cardinality(failed) > 0 THEN
        ALTER TABLE {source} ADD COLUMN {reason} text;
        FOR one IN
            SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = {literal}::regclass AND NOT tgisinternal AND tgenabled <> 'D'
        LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', {literal}, one.tgname);
            held := held || format(
                'ALTER TABLE %s ENABLE %sTRIGGER %I', {literal},
                CASE one.tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END, one.tgname);
        END LOOP;
        EXECUTE format('UPDATE {only}%s AS old SET %I = failed.why FROM unnest($1, $2) AS failed (place, why) WHERE old.tableoid || '' '' || old.ctid = failed.place',
                       {literal}, {column})
            USING failed, reasons;
        FOREACH part IN ARRAY held LOOP
            EXECUTE part;
        END LOOP;
    END IF;
    {count}
    RAISE INFO USING ERRCODE = 'KD109', MESSAGE = jsonb_build_object(
        'table', {shown}, 'source', {shown_source}, 'rows', total, 'copied', total - cardinality(failed), 'reason', {column});
END
