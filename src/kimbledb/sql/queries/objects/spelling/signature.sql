-- The name of an operator with its types.
(SELECT CASE WHEN pg_operator_is_visible(o.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || o.oprname
        || '(' || CASE o.oprleft WHEN 0 THEN '-' ELSE format_type(o.oprleft, NULL) END
        || ',' || CASE o.oprright WHEN 0 THEN '-' ELSE format_type(o.oprright, NULL) END || ')'
 FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = {x})
