SELECT 'privilege type ' || spaces[array_position(homes, t.typnamespace)] || {quoted:t.typname}, t.typacl
FROM pg_type AS t
WHERE t.typname = ANY ({own}::name[]) AND t.typnamespace = ANY (homes)
