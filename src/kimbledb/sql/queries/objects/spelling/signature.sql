-- The name of an operator with its types.
(SELECT CASE WHEN pg_operator_is_visible(named.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || named.oprname
        || '(' || CASE named.oprleft WHEN 0 THEN '-' ELSE format_type(named.oprleft, NULL) END
        || ',' || CASE named.oprright WHEN 0 THEN '-' ELSE format_type(named.oprright, NULL) END || ')'
 FROM pg_catalog.pg_operator AS named JOIN pg_catalog.pg_namespace AS n ON n.oid = named.oprnamespace WHERE named.oid = {x})
