-- Settings that are to hold from here on, where they do not. What a version does not have is NULL.
SELECT pg_catalog.set_config(name, value, {local})
FROM (VALUES {values}) AS pinned (name, value)
WHERE pg_catalog.current_setting(name, true) <> value;
