-- Before the tables are made or brought to their shape: what is there under their names is
-- looked at, and where it is not to be taken over nothing of it is touched.
DECLARE
    differences constant jsonb := (
{shape}
    );
BEGIN
    IF differences <> '[]' THEN
        RAISE EXCEPTION USING MESSAGE = 'the history cannot be taken over', DETAIL = differences::text, ERRCODE = 'KD008';
    END IF;
END
