-- The settings that a script may change, and their values before it.
SELECT pg_catalog.set_config('kimbledb.settable', pinned.names::text, true),
       -- By name: this takes a tenth of the time of a list of all of them with their sources.
       pg_catalog.set_config('kimbledb.session_set', ARRAY(
           SELECT coalesce(pg_catalog.current_setting(name, true), '') FROM pg_catalog.unnest(pinned.names) AS name)::text, true)
FROM (SELECT ({settable})::text[]) AS pinned (names);
