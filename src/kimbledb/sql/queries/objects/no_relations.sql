-- An unscoped snapshot reads all relations.
SELECT NULL::oid WHERE false
