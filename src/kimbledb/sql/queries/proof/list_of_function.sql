SELECT 'privilege function ' || spaces[array_position(homes, p.pronamespace)] || {quoted:p.proname} || '(' || replace(oidvectortypes(p.proargtypes), ', ', ',') || ')', p.proacl
FROM pg_proc AS p
WHERE p.proname = ANY ({own}::name[]) AND p.pronamespace = ANY (homes)
