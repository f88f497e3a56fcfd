{x} IN (SELECT scope.oid FROM scope)
