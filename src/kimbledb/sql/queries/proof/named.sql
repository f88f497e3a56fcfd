-- Kinds with a name in a schema and an owner, and no other property to check.
SELECT '{kind} ' || spaces[array_position(homes, o.{prefix}namespace)] || {quoted:o.{prefix}name},
       CASE WHEN o.{prefix}owner <> own_role THEN 'owner' END, o.{prefix}owner::text, NULL::jsonb
FROM {catalog} AS o
WHERE o.{prefix}name = ANY ({own}::name[]) AND o.{prefix}namespace = ANY (homes)
