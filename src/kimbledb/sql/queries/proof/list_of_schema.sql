SELECT 'privilege schema' || CASE n.nspname WHEN {target} THEN '' ELSE ' ' || {quoted:n.nspname} END, n.nspacl
FROM pg_namespace AS n
WHERE n.nspname = ANY ({own}::name[])
