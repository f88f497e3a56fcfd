-- What the server of a clone has.
SELECT jsonb_build_object(
    'version', split_part(current_setting('server_version'), ' ', 1),
    'version_number', current_setting('server_version_num')::integer,
    'roles', (SELECT jsonb_agg(r.rolname) FROM pg_roles AS r),
    'extensions', (SELECT coalesce(jsonb_agg(a.name), '[]') FROM pg_available_extensions AS a))
