-- An identifier as the names of objects hold it. quote_ident() alone would follow the keywords of the server's version.
CASE WHEN quote_ident({x}) = {x} OR {x} ~ '^[a-z_][a-z0-9_$]*$' THEN {x}::text ELSE '"' || replace({x}::text, '"', '""') || '"' END
