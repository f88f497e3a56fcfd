-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE own_type.typtype WHEN 'd' THEN (
    SELECT nullif(jsonb_strip_nulls(jsonb_build_object(
        'default', coalesce(pg_get_expr(own_type.typdefaultbin, 0), own_type.typdefault),
        'checks', (SELECT jsonb_agg(quote_ident(con.conname) || ' ' || pg_get_constraintdef(con.oid, true) ORDER BY con.conname)
                   FROM pg_catalog.pg_constraint AS con WHERE con.contypid = own_type.oid AND con.contype = 'c'))), '{}')) END
