-- The properties of the server of a clone.
SELECT jsonb_build_object(
    'version', split_part(current_setting('server_version'), ' ', 1),
    'role', session_user,
    'superuser', (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = session_user),
    'version_number', current_setting('server_version_num')::integer,
    'roles', (SELECT jsonb_agg(r.rolname) FROM pg_roles AS r),
    'extensions', (SELECT coalesce(jsonb_agg(a.name), '[]') FROM pg_available_extensions AS a))
