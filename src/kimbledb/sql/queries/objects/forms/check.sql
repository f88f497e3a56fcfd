jsonb_build_object('check', pg_get_expr(held.conbin, held.conrelid, true))
