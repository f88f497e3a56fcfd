-- Under the lock: does the schema still hold the objects of the plan?
BEGIN
    IF md5((
{objects}
    )::text) <> {expected} THEN
        RAISE EXCEPTION USING MESSAGE = 'the schema has changed since', ERRCODE = 'KD002';
    END IF;
END
