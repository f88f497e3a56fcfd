-- The facts beside the catalog on which the content of a test database depends.
SELECT jsonb_build_object(
    'version', current_setting('server_version_num'),
    'owner', current_user,
    'roles', (SELECT coalesce(jsonb_agg(rolname ORDER BY rolname), '[]') FROM pg_roles
              WHERE rolname IN ('anon', 'authenticated', 'service_role')),
    'extensions', (SELECT coalesce(jsonb_agg(jsonb_build_array(name, default_version) ORDER BY name), '[]')
                   FROM pg_available_extensions WHERE name = ANY ({extensions})))
