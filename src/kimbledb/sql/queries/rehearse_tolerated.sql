-- A statement that may fail.
BEGIN
    EXECUTE {statement};
EXCEPTION WHEN OTHERS THEN
    NULL;
END
