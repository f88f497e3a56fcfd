-- A query that is planned with the safe path and answered with another one, by which the server's own functions leave
-- out the names of its schemas.
DECLARE
    shown refcursor;
    answer text;
BEGIN
    OPEN shown FOR
{question};
    PERFORM set_config('search_path', {path}, true);
    FETCH shown INTO answer;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RAISE INFO USING MESSAGE = answer, ERRCODE = 'KD100';
END
