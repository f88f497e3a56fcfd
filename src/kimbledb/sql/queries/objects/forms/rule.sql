-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
jsonb_build_object('rule', md5(printed.source))
