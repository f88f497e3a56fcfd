-- The name of a relation, as the names of objects hold it, with its schema where it is in another.
regexp_replace(nullif({x}, 0)::regclass::text, '^((?:[a-z_][a-z0-9_$]*\.)?)"([a-z_][a-z0-9_$]*)"$', '\1\2')
