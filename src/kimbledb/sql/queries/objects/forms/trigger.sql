-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE WHEN t.tgqual IS NOT NULL THEN jsonb_build_object('when', printed.parts[2]) END
