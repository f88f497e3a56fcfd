-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN 'e' = ANY (s.stxkind) THEN jsonb_build_object('expressions', pg_get_statisticsobjdef_expressions(s.oid)) END
