CASE WHEN relation.relkind IN ('v', 'm') THEN (SELECT {form:view} FROM {printing:view}) ELSE {form:table} END
