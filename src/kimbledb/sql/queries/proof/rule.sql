SELECT 'rule ' || names[array_position(relations, r.ev_class)] || '.' || {quoted:r.rulename},
       CASE WHEN r.ev_enabled <> 'O' THEN 'enabled' END, r.ev_enabled::text,
       {printed:r.rulename}
FROM pg_rewrite AS r
WHERE r.ev_class = ANY (relations) AND r.rulename::text = ANY ({own})
