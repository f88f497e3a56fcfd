-- Under the lock: does the schema hold what it held when this was planned?
BEGIN
    IF md5((
{objects}
    )::text) <> {expected} THEN
        RAISE EXCEPTION USING MESSAGE = 'the schema has changed since', ERRCODE = 'KD002';
    END IF;
END
