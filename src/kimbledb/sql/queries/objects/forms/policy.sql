-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN p.polqual IS NOT NULL OR p.polwithcheck IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object(
    'using', pg_get_expr(p.polqual, p.polrelid, true),
    'with_check', pg_get_expr(p.polwithcheck, p.polrelid, true))) END
