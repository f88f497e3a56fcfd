-- The types are printed under the target's search_path, as in the names of objects.
SELECT 'function ' || spaces[array_position(homes, routine.pronamespace)] || {quoted:routine.proname} || '(' || replace(oidvectortypes(routine.proargtypes), ', ', ',') || ')',
       CASE WHEN routine.proowner <> own_role THEN 'owner' END, routine.proowner::text,
       {printed:routine.proname}
FROM (SELECT p.*, p.prosqlbody IS NOT NULL AS atomic FROM pg_proc AS p) AS routine
WHERE routine.proname = ANY ({own}::name[]) AND routine.pronamespace = ANY (homes)
