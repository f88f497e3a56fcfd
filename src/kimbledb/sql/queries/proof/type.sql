SELECT 'type ' || spaces[array_position(homes, own_type.typnamespace)] || {quoted:own_type.typname},
       CASE WHEN own_type.typowner <> own_role THEN 'owner' END, own_type.typowner::text,
       {printed:own_type.typname}
FROM pg_type AS own_type
WHERE own_type.typname = ANY ({own}::name[]) AND own_type.typnamespace = ANY (homes)
