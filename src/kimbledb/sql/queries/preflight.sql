-- The privileges of the role, the untrusted objects in the schemas, and the extensions that the server offers.
SELECT jsonb_build_object(
    'may_create_schema', has_database_privilege(current_database(), 'CREATE'),
    'may_create_in_schema', coalesce((
        SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')
        FROM pg_namespace WHERE nspname = {schema}), false),
    -- Only the owner of a table may alter it, and members of that role.
    'of_others', coalesce((
        SELECT jsonb_object_agg(c.relname, pg_get_userbyid(c.relowner))
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = {schema}
        WHERE c.relname = ANY ({tables}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND NOT pg_has_role(c.relowner, 'USAGE')), '{}'),
    'dangers', (
{dangers}
    ),
    'extensions', CASE WHEN {extensions} = '{}' THEN '{}' ELSE coalesce((
        -- Reading each version of each extension takes longer than the rest, and a superuser may create any.
        WITH version AS MATERIALIZED (
            SELECT name, version, superuser, trusted FROM pg_available_extension_versions()
            WHERE NOT current_setting('is_superuser')::boolean)
        SELECT jsonb_object_agg(a.name, jsonb_build_array(a.default_version, v.superuser, v.trusted))
        FROM pg_available_extensions() AS a
        LEFT JOIN version AS v ON v.name = a.name AND v.version = a.default_version
        WHERE a.name = ANY ({extensions})), '{}') END)
