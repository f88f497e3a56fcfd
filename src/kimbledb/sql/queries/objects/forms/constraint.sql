-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE held.contype WHEN 'c' THEN {form:check}
                  WHEN 'x' THEN jsonb_build_object('exclude', substr(printed.definition, length('EXCLUDE ') + 1)) END
