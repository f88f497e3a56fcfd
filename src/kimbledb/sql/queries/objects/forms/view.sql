-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
jsonb_build_object('query', md5(printed.query))
