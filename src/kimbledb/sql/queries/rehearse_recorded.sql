-- The queries of this database that pg_stat_statements has recorded, the most frequent first: the schema of the view,
-- the texts, and the number of those that this role may not read.
DECLARE
    home text;
    answer jsonb;
BEGIN
    SELECT pg_catalog.quote_ident(n.nspname) INTO home
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
    JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_stat_statements'
    WHERE c.relname = 'pg_stat_statements';
    IF home IS NOT NULL THEN
        EXECUTE pg_catalog.format(
            $text$
            SELECT jsonb_build_object(
                'texts', coalesce(jsonb_agg(found.query ORDER BY found.calls DESC, found.query) FILTER (WHERE found.query <> '<insufficient privilege>'), '[]'),
                'hidden', coalesce(sum(found.number) FILTER (WHERE found.query = '<insufficient privilege>'), 0))
            FROM (SELECT s.query, sum(s.calls) AS calls, count(*) AS number FROM %s.pg_stat_statements AS s
                  WHERE s.toplevel AND s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                  GROUP BY s.query) AS found
            $text$, home) INTO answer;
    END IF;
    RAISE INFO USING ERRCODE = 'KD100', MESSAGE = coalesce(answer, 'null')::text;
END
