-- The name of a function without its arguments: regproc would add the schema where several functions have the name.
(SELECT CASE WHEN pg_function_is_visible(f.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(f.proname)
 FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace WHERE f.oid = {x})
