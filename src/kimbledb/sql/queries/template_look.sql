-- The facts beside the catalog on which the content of a template depends, and the templates that exist: those with
-- kimbledb's names, and the named one. A template has its name only when it is complete. Of each: the key of its content,
-- whether today's use is noted, whether another program made it, and the sessions that are connected to it.
SELECT jsonb_build_object(
    'facts', jsonb_build_object(
        'version', current_setting('server_version_num'),
        'owner', current_user,
        'roles', (SELECT coalesce(jsonb_agg(rolname ORDER BY rolname), '[]') FROM pg_roles
                  WHERE rolname IN ('anon', 'authenticated', 'service_role')),
        'extensions', (SELECT coalesce(jsonb_agg(jsonb_build_array(name, default_version) ORDER BY name), '[]')
                       FROM pg_available_extensions WHERE name = ANY ({extensions}))),
    'today', current_date,
    'templates', (
        SELECT coalesce(jsonb_object_agg(d.datname, jsonb_build_object(
            'noted', CASE WHEN c.comment ~ '^used \d{4}-\d\d-\d\d' THEN substr(c.comment, 6, 10)::date >= current_date ELSE false END,
            'key', substring(c.comment FROM ' of ([0-9a-f]{16})$'),
            'foreign', d.datconnlimit <> {mark},
            'users', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'pid', a.pid, 'application', a.application_name, 'state', a.state,
                    'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
                    'query', a.query)), '[]')
                FROM pg_stat_activity AS a WHERE a.datid = d.oid AND a.backend_type = 'client backend'))), '{}')
        FROM pg_database AS d
        CROSS JOIN LATERAL (SELECT shobj_description(d.oid, 'pg_database')) AS c (comment)
        WHERE d.datname ~ '^kimbledb_template_[0-9a-f]{16}$' OR d.datname = {template}))
