SELECT 'schema ' || {quoted:n.nspname}, CASE WHEN n.nspowner <> own_role THEN 'owner' END, n.nspowner::text, NULL::jsonb
FROM pg_namespace AS n
WHERE n.nspname = ANY ({own}::name[])
