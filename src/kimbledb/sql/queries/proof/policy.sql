SELECT 'policy ' || names[array_position(relations, p.polrelid)] || '.' || {quoted:p.polname}, NULL, NULL,
       {printed:p.polname}
FROM pg_policy AS p
WHERE p.polrelid = ANY (relations) AND p.polname::text = ANY ({own})
