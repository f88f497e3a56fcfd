-- Before the tables of history are created or altered: compares tables of their names with the expected shape, and
-- touches nothing if they cannot be taken over.
DECLARE
    differences constant jsonb := (
{shape}
    );
BEGIN
    IF differences <> '[]' THEN
        RAISE EXCEPTION USING MESSAGE = 'the history cannot be taken over', DETAIL = differences::text, ERRCODE = 'KD008';
    END IF;
END
