-- The name of an operator, to be used in OPERATOR().
(SELECT CASE WHEN pg_operator_is_visible(o.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || o.oprname
 FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = {x})
