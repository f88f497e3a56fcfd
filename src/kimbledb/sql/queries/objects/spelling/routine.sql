-- The name of a function without its arguments: regproc would add the schema where several functions have the name.
regexp_replace(nullif({x}, 0)::regprocedure::text, '\([^()]*\)$', '')
