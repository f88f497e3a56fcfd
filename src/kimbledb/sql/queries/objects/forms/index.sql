-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN i.indexprs IS NOT NULL OR i.indpred IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object(
    'definition', CASE WHEN i.indexprs IS NOT NULL THEN printed.definition END,
    'where', {form:where})) END
