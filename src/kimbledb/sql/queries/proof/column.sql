SELECT 'column ' || names[array_position(relations, a.attrelid)] || '.' || {quoted:a.attname}, NULL, NULL,
       {printed:a.attname}
FROM pg_attribute AS a
WHERE a.attrelid = ANY (relations) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text = ANY ({own})
