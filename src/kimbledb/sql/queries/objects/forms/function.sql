-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN routine.pronargdefaults > 0 OR routine.atomic THEN jsonb_strip_nulls(jsonb_build_object(
    'argument_defaults', CASE WHEN routine.pronargdefaults > 0 THEN (
        SELECT jsonb_agg(pg_get_function_arg_default(routine.oid, place) ORDER BY place)
                   FILTER (WHERE pg_get_function_arg_default(routine.oid, place) IS NOT NULL)
        FROM generate_series(1, coalesce(cardinality(routine.proargmodes), routine.pronargs)) AS place) END,
    'sql_body', CASE WHEN routine.atomic THEN md5(pg_get_function_sqlbody(routine.oid)) END)) END
