-- A statement of a script in the scratch schema: where it fails, it is left out, and the others go on.
BEGIN
    EXECUTE {statement};
EXCEPTION
    WHEN OTHERS THEN
        RAISE INFO USING ERRCODE = 'KD108', MESSAGE = pg_catalog.jsonb_build_array({place}, SQLSTATE, SQLERRM)::text;
END
