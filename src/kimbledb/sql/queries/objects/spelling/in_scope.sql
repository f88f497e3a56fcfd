(home.wanted IS NULL OR {x} IN (SELECT scope.oid FROM scope))
