pg_get_expr(i.indpred, i.indrelid, true)
