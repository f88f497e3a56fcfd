-- A snapshot of all has no narrower scope.
SELECT NULL::oid WHERE false
