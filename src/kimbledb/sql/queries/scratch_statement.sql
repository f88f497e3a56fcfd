-- A statement of a script in the scratch schema: if it fails, it is left out, and the others continue.
BEGIN
    EXECUTE {statement};
EXCEPTION
    WHEN OTHERS THEN
        RAISE INFO USING ERRCODE = 'KD108', MESSAGE = pg_catalog.jsonb_build_array({place}, SQLSTATE, SQLERRM)::text;
END
