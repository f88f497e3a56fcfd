-- Parsers and templates of text search belong to superusers alone.
SELECT '{kind} ' || spaces[array_position(homes, o.{prefix}namespace)] || {quoted:o.{prefix}name}, NULL, NULL, NULL::jsonb
FROM {catalog} AS o
WHERE o.{prefix}name = ANY ({own}::name[]) AND o.{prefix}namespace = ANY (homes)
