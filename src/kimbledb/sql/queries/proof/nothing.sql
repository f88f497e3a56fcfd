-- The migration declares no object that is looked up.
SELECT NULL, NULL, NULL, NULL::jsonb WHERE false
