-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN d.oid IS NOT NULL THEN jsonb_build_object(
    CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated' END, pg_get_expr(d.adbin, d.adrelid, true)) END
