-- An identifier as the names of objects hold it. quote_ident() would follow the keywords of the server's version.
CASE WHEN {x} ~ '^[a-z_][a-z0-9_$]*$' THEN {x}::text ELSE '"' || replace({x}::text, '"', '""') || '"' END
