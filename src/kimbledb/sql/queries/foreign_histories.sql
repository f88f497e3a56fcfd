-- The tables that are the history of another tool, with their entries: for each row the name, whether it failed, and
-- whether it includes all migrations before it. It reads up to ten thousand rows, and only of ordinary tables that the
-- role may read whole and that a trusted role owns, so that no foreign code runs: an index can call some when a query
-- is planned.
DECLARE
    schema_name constant text := {schema};
    trusted constant oid[] := (
{trusted}
    );
    found record;
    rows jsonb;
    answer jsonb := '[]';
BEGIN
    FOR found IN
        SELECT known.place, n.nspname, c.relname, known.applied, known.calls, known.failed, known.last
        FROM jsonb_to_recordset({known}) AS known (place integer, home text, name text, columns text[], applied text, calls text, failed text, last text)
        JOIN pg_namespace AS n ON n.nspname = coalesce(known.home, schema_name)
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = known.name AND c.relkind = 'r' AND c.relowner = ANY (trusted)
        CROSS JOIN LATERAL (SELECT array_agg(a.attname::text) AS columns FROM pg_attribute AS a
                            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS has
        WHERE has.columns @> known.columns AND (cardinality(known.columns) > 1 OR cardinality(has.columns) = 1)
          AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
        ORDER BY n.nspname, c.relname, cardinality(known.columns) DESC, known.place
    LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(jsonb_build_array(few.calls, few.failed, few.last)), ''[]'') FROM (
                            SELECT (%s)::text AS calls, coalesce(%s, false) AS failed, %s AS last FROM ONLY %I.%I WHERE %s LIMIT 10000) AS few',
                       found.calls, found.failed, found.last, found.nspname, found.relname, found.applied) INTO rows;
        answer := answer || jsonb_build_array(jsonb_build_array(found.place, found.nspname, found.relname, rows));
    END LOOP;
    RAISE INFO USING MESSAGE = answer::text, ERRCODE = 'KD100';
END
