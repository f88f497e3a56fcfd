-- No object, with the columns that every fragment gives.
SELECT ''::text, ''::text, '{}'::json, '{}'::jsonb, 0::oid, 0::oid, 0, 0::oid, ''::text WHERE false
