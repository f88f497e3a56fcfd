SELECT 'trigger ' || names[array_position(relations, t.tgrelid)] || '.' || {quoted:t.tgname},
       CASE WHEN t.tgenabled <> 'O' THEN 'enabled' END, t.tgenabled::text,
       {printed:t.tgname}
FROM pg_trigger AS t
WHERE t.tgrelid = ANY (relations) AND t.tgname::text = ANY ({own}) AND NOT t.tgisinternal
