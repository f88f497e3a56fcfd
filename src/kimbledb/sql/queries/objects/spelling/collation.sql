-- The name of a collation.
(SELECT CASE WHEN pg_collation_is_visible(l.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(l.collname)
 FROM pg_catalog.pg_collation AS l JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace WHERE l.oid = {x})
