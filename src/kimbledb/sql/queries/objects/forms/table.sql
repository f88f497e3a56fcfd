-- The expressions of an object, of which the form is a hash. The proof of a migration takes them in, too.
CASE relation.relkind WHEN 'p' THEN jsonb_build_object('partition_by', pg_get_partkeydef(relation.oid)) END
