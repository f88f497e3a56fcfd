SELECT 'privilege column ' || names[array_position(relations, a.attrelid)] || '.' || {quoted:a.attname}, a.attacl
FROM pg_attribute AS a
WHERE a.attrelid = ANY (relations) AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
