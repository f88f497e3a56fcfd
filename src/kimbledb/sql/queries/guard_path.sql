-- Before names are looked up in schemas: stop where that is not safe.
DECLARE
    dangers constant jsonb := (
{dangers}
    );
BEGIN
    IF dangers <> '[]' THEN
        RAISE EXCEPTION USING MESSAGE = 'the schema is not safe to work in', DETAIL = dangers::text, ERRCODE = 'KD007';
    END IF;
END
