-- Sets settings for the rest of the transaction, if their values differ. The value of a setting that this version lacks
-- is NULL.
SELECT pg_catalog.set_config(name, value, {local})
FROM (VALUES {values}) AS pinned (name, value)
WHERE pg_catalog.current_setting(name, true) <> value;
