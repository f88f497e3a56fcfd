-- Operator classes and families: two of one name may serve different access methods.
SELECT '{kind} ' || spaces[array_position(homes, o.{prefix}namespace)] || {quoted:o.{prefix}name} || ' using ' || {quoted:am.amname},
       CASE WHEN o.{prefix}owner <> own_role THEN 'owner' END, o.{prefix}owner::text, NULL::jsonb
FROM {catalog} AS o JOIN pg_am AS am ON am.oid = o.{prefix}method
WHERE o.{prefix}name = ANY ({own}::name[]) AND o.{prefix}namespace = ANY (homes)
